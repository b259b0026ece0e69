import type { z } from 'zod';
import { HoneError } from '../core/index.js';

/**
 * Checks the configuration of a trainer that comes from outside.
 * @param recipe whose options the hint points to, e.g. `sft`.
 * @throws HoneError('usage') that names the dotted option.
 */
export function parseTrainingConfig<C>(schema: z.ZodType<C>, value: unknown, recipe: string): C {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new HoneError('usage', issue?.message ?? 'not a configuration of this trainer', {
    where: issue?.path.join('.') || undefined,
    hint: `See \`hone recipes show ${recipe}\` for every option, its value and its source.`,
  });
}
