import type { z } from 'zod';
import { HoneError } from '../core/index.js';

/**
 * Options of a task, parsed and with defaults filled in.
 * @throws HoneError usage, with the dotted option that is wrong.
 */
export function parseOptions<S extends z.ZodType>(schema: S, options: unknown, task: string): z.output<S> {
  const parsed = schema.safeParse(options ?? {});
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const path = [...(issue?.path ?? []).map(String), ...(unknown ? [unknown] : [])].join('.');
  throw new HoneError('usage', unknown ? 'no such option' : (issue?.message ?? 'not valid'), {
    where: `task ${task}${path ? `, option ${path}` : ''}`,
    hint: `Run \`hone tasks preview ${task}\` without options to see the task as it is by default.`,
    cause: parsed.error,
  });
}
