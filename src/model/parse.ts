import type { z } from 'zod';
import { HoneError, messageOf } from '../core/index.js';

/**
 * Parses outside data against a schema.
 * @returns the parsed value.
 * @throws HoneError('input') that names the first wrong field by its dotted path.
 */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, where: string, hint?: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = issue?.path.map(String).join('.');
  const message = issue?.message ?? 'is malformed';
  throw new HoneError('input', field ? `${field}: ${message}` : message, { where, ...(hint ? { hint } : {}) });
}

/** Far above any model's file. Deeper text costs the parser hundreds of bytes of memory a level, one byte each to write. */
const MAX_DEPTH = 128;

/** @throws HoneError('input') when `text` is not JSON, or is nested deeper than any file of a model. */
export function parseJson(text: string, where: string): unknown {
  const hint = 'The file is damaged or incomplete: fetch or export it again.';
  if (depthOf(text) > MAX_DEPTH)
    throw new HoneError('input', `is nested deeper than ${MAX_DEPTH} levels`, { where, hint });
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new HoneError('input', `is not JSON (${messageOf(error).slice(0, 120)})`, { where, hint });
  }
}

/** Levels of brackets and braces outside strings; may be wrong for text that is not JSON. Stops above MAX_DEPTH. */
function depthOf(text: string): number {
  let [depth, deepest] = [0, 0];
  for (let i = 0; i < text.length && deepest <= MAX_DEPTH; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) i = endOfString(text, i);
    else if (code === OPEN_BRACKET || code === OPEN_BRACE) deepest = Math.max(deepest, ++depth);
    else if (code === CLOSE_BRACKET || code === CLOSE_BRACE) depth--;
  }
  return deepest;
}

const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d];

/** Index of the quote that ends the string whose first quote is at `start`; the end of the text where there is none. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && text.charCodeAt(i) !== QUOTE) i += text.charCodeAt(i) === BACKSLASH ? 2 : 1;
  return i;
}
