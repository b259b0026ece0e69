import { createReadStream } from 'node:fs';
import type { z } from 'zod';
import { HoneError } from '../core/index.js';
import { errorCode, explainSystemError } from './durable-fs.js';
import { stringifyJson } from './json.js';

export interface JsonlRow<T> {
  value: T;
  /** Counted from 1, blank lines included. */
  line: number;
}

export interface ReadJsonlOptions {
  /** Longest line, in bytes. Default 16 MiB: a file that is not JSONL fails early instead of filling memory. */
  maxLineBytes?: number;
  /** The way out that errors about a row name. Default: for a data file that a person wrote. */
  hint?: string;
}

const MAX_LINE_BYTES = 16 * 1024 * 1024;
const NEWLINE = 0x0a;

/**
 * Rows of a JSONL file one by one, each checked against `schema`. A byte order mark, CRLF and blank lines are fine.
 * @throws HoneError('input') at `file:line` for invalid UTF-8, invalid JSON, a row that does not fit, a line that is
 *   too long, a file that is missing
 */
export async function* iterateJsonl<T>(
  file: string,
  schema: z.ZodType<T>,
  options: ReadJsonlOptions = {},
): AsyncGenerator<JsonlRow<T>> {
  for await (const { bytes, line } of splitLines(file, options.maxLineBytes ?? MAX_LINE_BYTES)) {
    const text = decode(bytes, file, line);
    if (text.trim() !== '') yield { value: parseRow(text, schema, `${file}:${line}`, options.hint), line };
  }
}

/** All rows of a JSONL file; `onRow` is called with each as it is read. Errors as `iterateJsonl`. */
export async function readJsonl<T>(
  file: string,
  schema: z.ZodType<T>,
  options: ReadJsonlOptions & { onRow?: (value: T, line: number) => void } = {},
): Promise<T[]> {
  const rows: T[] = [];
  for await (const { value, line } of iterateJsonl(file, schema, options)) {
    options.onRow?.(value, line);
    rows.push(value);
  }
  return rows;
}

/** Rows as JSONL text, each line ended. Numbers round-trip exactly; NaN and infinities are refused. */
export function formatJsonl(rows: readonly unknown[]): string {
  return rows.map((row) => `${stringifyJson(row)}\n`).join('');
}

async function* splitLines(file: string, maxLineBytes: number): AsyncGenerator<{ bytes: Buffer; line: number }> {
  let line = 1;
  let pieces: Buffer[] = [];
  let pending = 0;
  const take = (piece: Buffer): void => {
    pending += piece.length;
    if (pending > maxLineBytes) throw tooLong(file, line, maxLineBytes);
    pieces.push(piece);
  };
  for await (const chunk of chunks(file)) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      take(chunk.subarray(start, end));
      yield { bytes: Buffer.concat(pieces), line: line++ };
      pieces = [];
      pending = 0;
      start = end + 1;
    }
    take(chunk.subarray(start));
  }
  if (pending > 0) yield { bytes: Buffer.concat(pieces), line };
}

async function* chunks(file: string): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 18 })) yield chunk as Buffer;
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'EISDIR')
      throw new HoneError('input', code === 'ENOENT' ? 'no such file' : 'this is a folder, not a JSONL file', {
        where: file,
        hint: 'Check the path; it must name a file with one JSON object a line.',
        cause: error,
      });
    throw explainSystemError(error, file);
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decode(bytes: Buffer, file: string, line: number): string {
  try {
    const text = utf8.decode(bytes);
    return line === 1 && text.startsWith('\ufeff') ? text.slice(1) : text;
  } catch (error) {
    throw new HoneError('input', 'the line is not valid UTF-8', {
      where: `${file}:${line}`,
      hint: 'Save the file as UTF-8 (iconv -f <its encoding> -t UTF-8).',
      cause: error,
    });
  }
}

/** One row from its JSON text. @throws HoneError('input') that says which field is wrong and what was expected */
export function parseRow<T>(text: string, schema: z.ZodType<T>, where: string, hint?: string): T {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    throw new HoneError('input', `invalid JSON: ${plain(error instanceof Error ? error.message : String(error))}`, {
      where,
      hint: hint ?? 'Each line must be one complete JSON value, e.g. {"question": "...", "answer": "..."}.',
      cause: error,
    });
  }
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  throw new HoneError('input', describeIssues(result.error.issues, raw), {
    where,
    hint: hint ?? 'Correct this row, or map your field names to the expected ones.',
  });
}

function describeIssues(issues: readonly z.core.$ZodIssue[], raw: unknown): string {
  const shown = issues.slice(0, 3).map((issue) => {
    const field = issue.path.map(String).join('.');
    const missing = issue.path.length > 0 && valueAt(raw, issue.path) === undefined;
    const message = missing ? 'is missing' : plain(issue.message);
    return field === '' ? `the row: ${message}` : `field "${plain(field)}" ${missing ? message : `- ${message}`}`;
  });
  const more = issues.length > shown.length ? `; and ${issues.length - shown.length} more` : '';
  const fields = typeof raw === 'object' && raw !== null && !Array.isArray(raw) ? Object.keys(raw) : [];
  const has = fields.length > 0 ? ` (the row has: ${plain(fields.slice(0, 8).join(', '))})` : '';
  return shown.join('; ') + more + has;
}

function valueAt(raw: unknown, path: readonly PropertyKey[]): unknown {
  let value = raw;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

/** One short line without control characters: a row is hostile text, and this goes to a terminal. */
function plain(text: string): string {
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g, ' ');
  return line.length > 200 ? `${line.slice(0, 200)}...` : line;
}

function tooLong(file: string, line: number, limit: number): HoneError {
  return new HoneError('input', `the line is longer than ${limit} bytes`, {
    where: `${file}:${line}`,
    hint: 'Is this JSONL (one JSON value a line)? A JSON array must be split into lines, e.g. jq -c ".[]" in.json.',
  });
}
