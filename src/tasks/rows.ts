import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { HoneError, messageOf } from '../core/index.js';
import { errorCode, explainSystemError } from '../formats/index.js';

/** A row of a JSONL file and the line it stands on, counted from 1. */
export interface Row<T> {
  line: number;
  value: T;
}

function parseLine<T>(text: string, schema: z.ZodType<T>, where: string, ofTask: boolean): T {
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
    hint: ofTask ? 'Mend the row, or name the right fields in the task option `fields`.' : 'Mend the row.',
    cause: parsed.error,
  });
}

/**
 * All rows of a JSONL file; empty lines are skipped.
 * @param option the task option that names the file, where one does.
 * @throws HoneError input: the file cannot be read, or `file:line` is not JSON or not of the schema.
 */
export function readRows<T>(path: string, schema: z.ZodType<T>, option?: string): Row<T>[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw unreadable(error, path, option);
  }
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map((content, index) => ({ content, line: index + 1 }))
    .filter(({ content }) => content.trim() !== '')
    .map(({ content, line }) => ({ line, value: parseLine(content, schema, `${path}:${line}`, option !== undefined) }));
}

function unreadable(error: unknown, path: string, option: string | undefined): unknown {
  const code = errorCode(error);
  if (code !== 'ENOENT' && code !== 'EISDIR') return explainSystemError(error, path);
  const message = code === 'ENOENT' ? 'there is no such data file' : 'is a folder, not a data file';
  if (option === undefined)
    return new HoneError('input', message, { where: path, hint: 'Name a JSONL file.', cause: error });
  return new HoneError('input', `${message} (task option ${option})`, {
    where: path,
    hint: `Name the file with --task-option ${option}=FILE; for gsm8k and math, the folder of the files with --task-option data=DIR or in HONE_DATA.`,
    cause: error,
  });
}
