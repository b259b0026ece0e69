import { z } from 'zod';
import { optimizerSchema } from '../engine/optimizer.js';
import { AGGREGATIONS } from './aggregation.js';
import { stageDataSchema } from './stage-data.js';

/** Options of how rewards become updates, and of the course of a run; src/rl/config.ts holds them all and checks them against each other. */

const count = () => z.number().int().positive();
const share = () => z.number().min(0).max(1);

const advantageOptions = z
  .strictObject({
    kind: z
      .enum(['group', 'leave-one-out', 'gae', 'reinforce++', 'reinforce++-baseline'])
      .describe(
        'Baseline: mean of the group; mean of the others in it; a critic (GAE); none, whitened over the iteration; mean of the group, whitened.',
      ),
    std: z.enum(['sample', 'none']).describe('group: divide by the standard deviation (ddof 1), or do not (Dr. GRPO).'),
    eps: z.number().min(0).describe('Added to the standard deviation.'),
    gamma: share().describe('Discount per token of gae and reinforce++.'),
    lambda: share().describe("gae: lambda of the policy's advantages."),
    lambdaCritic: share().describe("gae: lambda of the critic's targets; 1: Monte-Carlo returns."),
    lengthAdaptiveAlpha: z
      .number()
      .positive()
      .nullable()
      .describe('gae: alpha of lambda = 1 - 1 / (alpha l) for a response of l tokens, in place of lambda; null: off.'),
    whiten: z
      .boolean()
      .describe(
        'Subtract the mean and divide by the deviation over all tokens of the iteration; true with reinforce++.',
      ),
  })
  .describe('From rewards to advantages.');

const criticOptions = z
  .strictObject({
    init: z.enum(['policy', 'random']).describe("Where the critic starts: the policy's weights, or random ones."),
    updatesPerIteration: count().describe('Updates of the critic an iteration is split into, of nearly equal size.'),
    order: z.enum(['before', 'after']).describe('The critic is updated before the policy is, or after it.'),
    valueClip: z
      .number()
      .positive()
      .nullable()
      .describe('Values are cut to this distance from the values before the update, as in PPO2; null: not.'),
    lossCoefficient: z
      .number()
      .positive()
      .describe('The value loss, half of the squared error, is multiplied by this.'),
    bootstrapTruncated: z
      .boolean()
      .describe('A truncated response is worth the value after its last token; false: it ends there.'),
    pretrain: z
      .strictObject({
        iterations: z.number().int().min(0).describe('Iterations that train the critic alone before iteration 1.'),
        stopAtExplainedVariance: share()
          .nullable()
          .describe('End it once the values explain this share of the variance of new returns; null: never early.'),
      })
      .describe('Value pretraining on Monte-Carlo returns of the starting policy (VC-PPO, VAPO).'),
    freezePolicyIterations: z
      .number()
      .int()
      .min(0)
      .describe('Iterations at the start that update the critic and leave the policy as it is.'),
    optimizer: optimizerSchema,
  })
  .describe('The critic; read by advantage.kind gae alone.');

const lossOptions = z
  .strictObject({
    kind: z
      .enum(['clip', 'policy-gradient', 'importance-sampling', 'cispo', 'gspo'])
      .describe(
        'clip: the clipped surrogate; policy-gradient: -A log pi; importance-sampling: the ratio without a clip; cispo: the clipped ratio as a constant weight; gspo: one ratio a sequence.',
      ),
    clipLow: share().describe('eps_low: ratios are cut at 1 - clipLow.'),
    clipHigh: z.number().min(0).describe('eps_high: ratios are cut at 1 + clipHigh.'),
    dualClip: z.number().gt(1).nullable().describe('c: bounds the loss of negative advantages at -c A; null: off.'),
    entropyBonus: z.number().min(0).describe('beta: adds -beta times the exact entropy to every token; 0: off.'),
    positiveNll: z
      .number()
      .min(0)
      .describe('mu: adds mu times the mean -log pi over the tokens of right answers of the update (VAPO); 0: off.'),
  })
  .describe('The loss of a token.');

const klOptions = z
  .strictObject({
    placement: z
      .enum(['off', 'loss', 'reward'])
      .describe('Where the KL to a reference counts: nowhere, in the loss, or in the reward.'),
    estimator: z
      .enum(['k1', 'k2', 'k3'])
      .describe('Of a token, with d = log pi - log pi_ref: d; d^2 / 2; exp(-d) - 1 + d.'),
    coefficient: z.number().min(0).describe('beta: what the KL is multiplied by.'),
    schedule: z.enum(['constant', 'cosine']).describe('Cosine: from coefficient to finalCoefficient over the run.'),
    finalCoefficient: z.number().min(0).describe('beta at the planned end; read by cosine.'),
    perResponse: z
      .boolean()
      .describe(
        "reward: the KL of a response, minus the mean KL of the others in its group, is taken from its reward (T1's normalisation).",
      ),
    reference: z
      .strictObject({
        kind: z
          .enum(['fixed', 'replaced', 'averaged'])
          .describe('The starting policy; the policy of every M-th iteration; a moving average (dynamic anchor).'),
        every: count().describe('M: replaced or averaged after every so many iterations.'),
        keep: z.number().min(0).lt(1).describe('averaged: reference <- keep reference + (1 - keep) policy.'),
      })
      .describe('What the KL is taken to.'),
  })
  .describe('Staying near a reference.');

/** From rewards to the update. */
export const learningOptions = {
  advantage: advantageOptions,
  critic: criticOptions,
  loss: lossOptions,
  aggregation: z.enum(AGGREGATIONS).describe('How token losses of one update become one number.'),
  oldLogprobs: z
    .enum(['sampler', 'trainer'])
    .describe('Denominator of the ratio: what the sampler reported, or a forward pass before the updates.'),
  kl: klOptions,
  optimizer: optimizerSchema,
  maxSkippedUpdates: count().describe('Updates in a row with a non-finite loss or gradient before the run stops.'),
};

const stageSchema = z.strictObject({
  name: z.string().min(1).describe('Shown in progress and metrics.'),
  until: z
    .strictObject({
      iterations: count().nullable().describe('The stage ends after so many iterations; null: not by number.'),
      plateau: z
        .strictObject({ window: count(), slope: z.number() })
        .nullable()
        .describe(
          'It ends when the mean of the last `window` validation scores is above that of the `window` before by less than window * slope; null: not.',
        ),
      truncatedBelow: share().nullable().describe('It ends when a smaller share of the samples is cut; null: not.'),
    })
    .describe('The stage ends at the first of these; with none of them it is the last.'),
  resetReference: z.boolean().describe('The reference becomes the policy at the start of the stage.'),
  resetOptimizer: z.boolean().describe('The moments of the optimiser are cleared at the start of the stage.'),
  data: stageDataSchema.describe('Which training problems: those that every rule accepts.'),
  set: z.record(z.string(), z.json()).describe('Options of the stage by dotted path.'),
});
export type Stage = z.infer<typeof stageSchema>;

/** The course of the run. */
export const courseOptions = {
  curriculum: z
    .strictObject({
      stages: z.array(stageSchema).min(1).nullable().describe('Stages in order; null: one set of options throughout.'),
    })
    .describe('Stages with their own data and options.'),
  monitors: z.strictObject({
    startKl: z
      .boolean()
      .describe(
        'Measure the KL to the starting policy (`kl.start`): one more forward pass an iteration, and a copy of the weights.',
      ),
  }),
  validation: z.strictObject({
    every: z.number().int().min(0).describe('Iterations between validations (and at the end); 0: never.'),
    problems: count().describe('Problems of a validation. Of a finite train split they are set apart, drawn by seed.'),
  }),
  checkpoint: z.strictObject({
    every: count().describe('Iterations between checkpoints (and at the end).'),
    keep: count().describe('Newest checkpoints kept; the best by validation is kept besides.'),
  }),
  control: z.strictObject({
    shuffledReward: z
      .boolean()
      .describe(
        'Control arm: permute the rewards among the samples, and with them who counts as right for dynamic sampling, shaping.length and loss.positiveNll.',
      ),
    zeroAdvantage: z.boolean().describe('Control arm: every advantage is 0; all else of the loss stays.'),
  }),
};
