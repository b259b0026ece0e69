import { z } from 'zod';
import { optimizerSchema } from '../engine/optimizer.js';
import { parseTrainingConfig } from '../engine/training-config.js';

const count = () => z.number().int().positive();

/** Every option of a supervised run. All are required: recipes give the values, and run.json holds every one. */
export const sftConfigSchema = z
  .strictObject({
    epochs: z.number().positive().nullable().describe('Passes over the training examples. Null: updates decides.'),
    updates: count().nullable().describe('Updates of the run. Null: epochs decides.'),
    updatesPerIteration: count().describe('Updates of one iteration, i.e. of one line of metrics.'),
    sequencesPerUpdate: count().describe('Examples of one update.'),
    maxTokens: count().describe('Longest example in tokens, prompt included.'),
    overlong: z
      .enum(['truncate', 'drop', 'error'])
      .describe('Examples longer than maxTokens: cut at the end, leave out, or stop the run.'),
    heldOut: z
      .number()
      .int()
      .min(0)
      .describe('Examples set aside for the evaluation loss, drawn from a finite data set by seed.'),
    evaluation: z.strictObject({
      every: z.number().int().min(0).describe('Iterations between evaluations (and at the end); 0: never.'),
    }),
    optimizer: optimizerSchema,
    maxSkippedUpdates: count().describe('Updates in a row with a non-finite loss or gradient before the run stops.'),
    checkpoint: z.strictObject({
      every: count().describe('Iterations between checkpoints (and at the end).'),
      keep: count().describe('Newest checkpoints kept; the best by evaluation is kept besides.'),
    }),
  })
  .superRefine((config, context) => {
    if ((config.epochs === null) === (config.updates === null))
      context.addIssue({
        code: 'custom',
        path: ['epochs'],
        message: 'give either epochs or updates, and null for the other',
      });
  });

export type SftConfig = z.infer<typeof sftConfigSchema>;

/** Checks a configuration from outside. @throws HoneError('usage') that names the dotted option. */
export function parseSftConfig(value: unknown): SftConfig {
  return parseTrainingConfig(sftConfigSchema, value, 'sft');
}
