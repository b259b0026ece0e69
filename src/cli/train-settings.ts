import { z } from 'zod';
import { HoneError } from '../core/index.js';
import { LORA_TARGETS } from '../engine/index.js';
import { type RlConfig, rlConfigSchema } from '../rl/index.js';
import type { Json, RunManifest } from '../runs/index.js';
import { type SftConfig, sftConfigSchema } from '../sft/index.js';

/** The adapter (LoRA) that a run trains instead of all weights. */
const adapterSchema = z.strictObject({
  rank: z.int().positive(),
  alpha: z.number().positive(),
  targets: z.array(z.enum(LORA_TARGETS)).min(1),
});

/** Everything besides the recipe's options that decides what a run does; `resume` reads it back from run.json. */
const commonSchema = z.strictObject({
  model: z.string(),
  task: z.strictObject({ spec: z.string(), options: z.record(z.string(), z.json()) }).nullable(),
  /** Chats to imitate (sft). */
  data: z.string().nullable(),
  /** sft on a task: how its demonstrations look, and how many there are; null: no end of them. */
  demonstrations: z.strictObject({ style: z.enum(['plain', 'search']), count: z.number().nullable() }),
  /** null: all weights are trained. Runs from before there were adapters lack it. */
  adapter: adapterSchema.nullable().default(null),
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

export type AdapterSettings = z.infer<typeof adapterSchema>;
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

/** What an adapter of a run is worth nothing without: the model beneath it. */
export interface AdapterBase {
  adapter: AdapterSettings;
  /** As --model was given. */
  model: string;
  /** `weightsHash` of it when the run was started. */
  sha256: string;
}

/** undefined: the run trains all weights. @throws HoneError('input') when run.json does not say all of it. */
export function adapterBaseOf(manifest: RunManifest, path: string): AdapterBase | undefined {
  if ((manifest.config['adapter'] ?? null) === null) return undefined;
  const { adapter, model } = settingsOf(manifest, path);
  const sha256 = manifest.dataHashes[model];
  if (adapter !== null && sha256 !== undefined) return { adapter, model, sha256 };
  throw new HoneError('input', `has no hash of the base model ${model}`, {
    where: `${path}/run.json, dataHashes`,
    hint: 'The file was changed: restore it, or train again.',
  });
}
