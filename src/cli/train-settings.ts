import { z } from 'zod';
import { HoneError } from '../core/index.js';
import { type RlConfig, rlConfigSchema } from '../rl/index.js';
import type { Json, RunManifest } from '../runs/index.js';
import { type SftConfig, sftConfigSchema } from '../sft/index.js';

/** Everything besides the recipe's options that decides what a run does; `resume` reads it back from run.json. */
const commonSchema = z.strictObject({
  model: z.string(),
  task: z.strictObject({ spec: z.string(), options: z.record(z.string(), z.json()) }).nullable(),
  /** Chats to imitate (sft). */
  data: z.string().nullable(),
  /** sft on a task: how its demonstrations look, and how many there are; null: no end of them. */
  demonstrations: z.strictObject({ style: z.enum(['plain', 'search']), count: z.number().nullable() }),
  preset: z.string(),
  engine: z.literal('local'),
  threads: z.number(),
  /** Bounds of the engine; null: its own default for the model. */
  tokensPerMicroBatch: z.number().nullable(),
  samplingSlots: z.number().nullable(),
});

const settingsSchema = z.discriminatedUnion('method', [
  commonSchema.extend({ method: z.literal('rl'), training: rlConfigSchema }),
  commonSchema.extend({ method: z.literal('sft'), training: sftConfigSchema }),
]);

export type CommonSettings = z.infer<typeof commonSchema>;
export type TrainSettings = CommonSettings &
  ({ method: 'rl'; training: RlConfig } | { method: 'sft'; training: SftConfig });

/** The settings a run was started with. @throws HoneError('input') when the run was not started by `hone train`. */
export function settingsOf(manifest: RunManifest, path: string): TrainSettings {
  const parsed = settingsSchema.safeParse(manifest.config);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new HoneError('input', `the run was not started by hone train (${issue?.message ?? 'other settings'})`, {
    where: `${path}/run.json, config.${issue?.path.join('.') ?? ''}`,
    hint: 'Resume it with the program that started it.',
  });
}

/** Settings as run.json stores them. */
export function configOf(settings: TrainSettings): { readonly [key: string]: Json } {
  return settings;
}
