import { z } from 'zod';

/** Options of what is sampled and how it is rewarded; src/rl/config.ts holds them all and checks them against each other. */

const count = () => z.number().int().positive();
const share = () => z.number().min(0).max(1);

/** What is sampled. */
export const samplingOptions = {
  temperature: z.number().positive().describe('Sampling temperature.'),
  trainingTemperature: z
    .number()
    .positive()
    .nullable()
    .describe('The trainer divides its logits by it; null: the sampling temperature.'),
  topP: z.number().gt(0).max(1).nullable().describe('Nucleus filter of the sampler; not replayed in training.'),
  topK: count().nullable().describe('Top-k filter of the sampler; not replayed in training.'),
  minP: share().nullable().describe('Min-p filter of the sampler; not replayed in training.'),
  maxTokens: count().describe(
    'Longest response in tokens of the model, over all turns; also the constant M of the aggregation `constant`.',
  ),
  environment: z
    .strictObject({
      maxTurns: count().describe('Turns of the model in one attempt, in a task with an environment.'),
      maxTokensPerTurn: count().nullable().describe('Longest turn in tokens; null: maxTokens alone bounds it.'),
    })
    .describe('Tasks with tools or many turns. Tool tokens have weight 0 and count in no ratio and no length.'),
  pipeline: z
    .strictObject({
      lag: z
        .union([z.literal(0), z.literal(1)])
        .describe('1: train on what the weights of one iteration before sampled; 0: on what the current ones did.'),
      importanceCap: z
        .number()
        .positive()
        .nullable()
        .describe(
          'Truncated importance correction: tokens are weighted by min(cap, pi_old / pi_sampler), pi_old at the weights before the updates; null: off.',
        ),
    })
    .describe('Sampling ahead of training.'),
  dynamicSampling: z
    .strictObject({
      enabled: z.boolean().describe('Keep only prompts whose attempts differ, and refill.'),
      metric: z
        .enum(['accuracy', 'reward'])
        .describe('Attempts differ when neither all are right nor all wrong; or when their rewards are not all equal.'),
      promptsPerBatch: count().nullable().describe('Prompts of one generation batch; null: promptsPerIteration.'),
      maxBatches: z.number().int().min(0).describe('Generation batches an iteration may take; 0: no limit.'),
      excess: z.enum(['discard', 'carry']).describe('Groups beyond promptsPerIteration: throw away, or train on next.'),
      onLimit: z.enum(['error', 'train']).describe('At the limit: stop the run, or train on the groups there are.'),
    })
    .describe("DAPO's dynamic sampling."),
};

/** From verdicts to rewards. */
export const rewardOptions = {
  overlong: z
    .strictObject({
      soft: z.strictObject({
        enabled: z.boolean().describe('Add the soft overlong punishment to the reward.'),
        maxTokens: count().describe('L_max: from here the punishment is full.'),
        cacheTokens: count().describe('L_cache: length of the zone before L_max in which the punishment grows.'),
        factor: z.number().min(0).describe('The punishment is scaled by this.'),
      }),
      filter: z
        .boolean()
        .describe(
          'Leave truncated samples out of the loss and its token count; their rewards stay in the group baseline.',
        ),
    })
    .describe('What happens to long and truncated responses.'),
  rewards: z
    .strictObject({
      correct: z.number().describe('Reward of score 1.'),
      wrong: z.number().describe('Reward of score 0.'),
      noAnswer: z.number().nullable().describe('Reward where no answer was found in the response; null: as wrong.'),
      truncated: z
        .number()
        .nullable()
        .describe('Reward of a response cut at maxTokens, right or wrong; null: by score.'),
    })
    .describe('Base rewards; partial scores lie between.'),
  shaping: z
    .strictObject({
      exploration: z
        .strictObject({
          enabled: z.boolean().describe('Reward = weight (correctness + length term) + effortWeight effort (RLSP).'),
          lengthScale: z.number().positive().describe('P of the length term -P / L, L in tokens.'),
          weight: z.number().describe('Weight of correctness and length term.'),
          effortWeight: z.number().describe('Weight of the effort score.'),
        })
        .describe("RLSP's exploration reward."),
      penalties: z
        .strictObject({
          enabled: z.boolean().describe('Set the reward of responses with unexpected patterns to `value` (T1).'),
          value: z.number().describe('The reward they get.'),
          repetition: z
            .strictObject({
              ngram: count().describe('n of the n-grams.'),
              share: share().describe('Repetition: more than this share of the n-grams has occurred before.'),
            })
            .describe('When a response counts as repeating itself.'),
          garbage: z.boolean().describe('Also for garbage.'),
          overlong: z.boolean().describe('Also for responses cut at maxTokens.'),
        })
        .describe("T1's penalties."),
      length: z
        .enum(['none', 'rrl', 'rra', 'qs', 'rs'])
        .describe("Length-dependent rewards of STILL-3's study; none: off."),
      normalize: z
        .enum(['none', 'running'])
        .describe('Running: rewards minus their mean over their standard deviation since the start of the run.'),
      clip: z.number().positive().nullable().describe('Rewards are cut to [-clip, clip] at the end; null: not.'),
    })
    .describe('What is added to or put in place of the base reward.'),
};
