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

/** @throws HoneError('input') when `text` is not JSON. */
export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new HoneError('input', `is not JSON (${messageOf(error).slice(0, 120)})`, {
      where,
      hint: 'The file is damaged or incomplete: fetch or export it again.',
    });
  }
}
