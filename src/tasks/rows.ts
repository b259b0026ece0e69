import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { HoneError, messageOf } from '../core/index.js';

/** A row of a JSONL file and the line it stands on, counted from 1. */
export interface Row<T> {
  line: number;
  value: T;
}

function parseLine<T>(text: string, schema: z.ZodType<T>, where: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new HoneError('input', `not a line of JSON (${messageOf(error)})`, {
      where,
      hint: 'Each line of a .jsonl file holds one JSON object; mend or remove this line.',
      cause: error,
    });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new HoneError('input', `field "${issue?.path.join('.') ?? ''}": ${issue?.message ?? 'not valid'}`, {
    where,
    hint: 'Mend the row, or name the right fields in the task option `fields`.',
    cause: parsed.error,
  });
}

/**
 * All rows of a JSONL file; empty lines are skipped.
 * @throws HoneError input: the file cannot be read, or `file:line` is not JSON or not of the schema.
 */
export function readRows<T>(path: string, schema: z.ZodType<T>): Row<T>[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new HoneError('input', `cannot be read (${messageOf(error)})`, {
      where: path,
      hint: 'Give the folder of the data files in the task option `data` or in the environment variable HONE_DATA.',
      cause: error,
    });
  }
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map((content, index) => ({ content, line: index + 1 }))
    .filter(({ content }) => content.trim() !== '')
    .map(({ content, line }) => ({ line, value: parseLine(content, schema, `${path}:${line}`) }));
}
