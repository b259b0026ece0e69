import { z } from 'zod';
import { optimizerSchema } from '../engine/optimizer.js';
import { parseTrainingConfig } from '../engine/training-config.js';
import { AGGREGATIONS } from './aggregation.js';

const count = () => z.number().int().positive();

const overlongSchema = z.strictObject({
  soft: z.strictObject({
    enabled: z.boolean().describe('Add the soft overlong punishment to the reward.'),
    maxTokens: count().describe('L_max: from here the punishment is full.'),
    cacheTokens: count().describe('L_cache: length of the zone before L_max in which the punishment grows.'),
    factor: z.number().min(0).describe('The punishment is scaled by this.'),
  }),
  filter: z
    .boolean()
    .describe('Leave truncated samples out of the loss and its token count; their rewards stay in the group baseline.'),
});

const lossSchema = z.strictObject({
  clipLow: z.number().min(0).max(1).describe('eps_low: ratios are cut at 1 - clipLow.'),
  clipHigh: z.number().min(0).describe('eps_high: ratios are cut at 1 + clipHigh.'),
  dualClip: z.number().gt(1).nullable().describe('c: bounds the loss of negative advantages at -c A; null: off.'),
  entropyBonus: z.number().min(0).describe('beta: adds -beta times the exact entropy to every token; 0: off.'),
});

const dynamicSamplingSchema = z.strictObject({
  enabled: z.boolean().describe('Keep only prompts whose samples are neither all right nor all wrong, and refill.'),
  promptsPerBatch: count().nullable().describe('Prompts of one generation batch; null: promptsPerIteration.'),
  maxBatches: z.number().int().min(0).describe('Generation batches an iteration may take; 0: no limit.'),
  onLimit: z.enum(['error', 'train']).describe('At the limit: stop the run, or train on the groups there are.'),
});

/** Every option of an RL run. All are required: recipes give the values, and run.json holds every one. */
export const rlConfigSchema = z
  .strictObject({
    iterations: count().describe('Iterations of the run: sample, grade, then one or more updates.'),
    promptsPerIteration: count().describe('Prompts whose groups an iteration trains on.'),
    groupSize: count().describe('Attempts per prompt (G).'),
    updatesPerIteration: count()
      .nullable()
      .describe('Updates an iteration is split into, in whole groups. 1: on-policy. Null: sequencesPerUpdate decides.'),
    sequencesPerUpdate: count().nullable().describe('Sequences of one update. Null: updatesPerIteration decides.'),
    epochs: count().describe('Passes over the sequences of an iteration.'),
    temperature: z.number().positive().describe('Sampling temperature; the trainer divides its logits by it as well.'),
    topP: z.number().gt(0).max(1).nullable().describe('Nucleus filter of the sampler; not replayed in training.'),
    topK: count().nullable().describe('Top-k filter of the sampler; not replayed in training.'),
    minP: z.number().min(0).max(1).nullable().describe('Min-p filter of the sampler; not replayed in training.'),
    maxTokens: count().describe('Longest response in tokens; also the constant M of the aggregation `constant`.'),
    overlong: overlongSchema.describe('What happens to long and truncated responses.'),
    rewards: z
      .strictObject({
        correct: z.number().describe('Reward of score 1.'),
        wrong: z.number().describe('Reward of score 0.'),
      })
      .describe('Base rewards; partial scores lie between.'),
    advantage: z
      .strictObject({
        kind: z.literal('group').describe('Baseline: the mean reward of the group.'),
        std: z.enum(['sample', 'none']).describe('Divide by the standard deviation (ddof 1), or do not (Dr. GRPO).'),
        eps: z.number().min(0).describe('Added to the standard deviation.'),
      })
      .describe('From rewards to advantages.'),
    loss: lossSchema.describe('The clipped surrogate.'),
    aggregation: z.enum(AGGREGATIONS).describe('How token losses of one update become one number.'),
    oldLogprobs: z
      .enum(['sampler', 'trainer'])
      .describe('Denominator of the ratio: what the sampler reported, or a forward pass before the updates.'),
    dynamicSampling: dynamicSamplingSchema.describe("DAPO's dynamic sampling."),
    optimizer: optimizerSchema,
    maxSkippedUpdates: count().describe('Updates in a row with a non-finite loss or gradient before the run stops.'),
    validation: z.strictObject({
      every: z.number().int().min(0).describe('Iterations between validations (and at the end); 0: never.'),
      problems: count().describe(
        'Problems of a validation. Of a finite train split they are set apart, drawn by seed.',
      ),
    }),
    checkpoint: z.strictObject({
      every: count().describe('Iterations between checkpoints (and at the end).'),
      keep: count().describe('Newest checkpoints kept; the best by validation is kept besides.'),
    }),
    control: z.strictObject({
      shuffledReward: z.boolean().describe('Control arm: permute the rewards among the samples of an iteration.'),
    }),
  })
  .superRefine((config, context) => {
    const fail = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: path.split('.'), message });
    if ((config.updatesPerIteration === null) === (config.sequencesPerUpdate === null))
      fail('updatesPerIteration', 'give either updatesPerIteration or sequencesPerUpdate, and null for the other');
    if (config.overlong.soft.cacheTokens > config.overlong.soft.maxTokens)
      fail('overlong.soft.cacheTokens', 'must not exceed overlong.soft.maxTokens');
    if (config.oldLogprobs === 'sampler' && config.temperature !== 1 && hasFilters(config))
      fail(
        'oldLogprobs',
        'must be trainer when a filter is on at a temperature other than 1: the sampler then reports only filtered logprobs',
      );
  });

export type RlConfig = z.infer<typeof rlConfigSchema>;

/** Whether the sampler cuts the distribution (top-p, top-k or min-p). */
export function hasFilters(config: { topP: number | null; topK: number | null; minP: number | null }): boolean {
  return (config.topP ?? 1) < 1 || config.topK !== null || (config.minP ?? 0) > 0;
}

/** Checks a configuration from outside. @throws HoneError('usage') that names the dotted option. */
export function parseRlConfig(value: unknown): RlConfig {
  return parseTrainingConfig(rlConfigSchema, value, '<recipe>');
}
