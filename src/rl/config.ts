import { z } from 'zod';
import { parseTrainingConfig } from '../engine/training-config.js';
import { courseOptions, learningOptions } from './config-learning.js';
import { rewardOptions, samplingOptions } from './config-rollouts.js';

export type { Stage } from './config-learning.js';

const count = () => z.number().int().positive();

const optionsSchema = z.strictObject({
  iterations: count().describe('Iterations of the run: sample, grade, then one or more updates.'),
  promptsPerIteration: count().describe('Prompts whose groups an iteration trains on.'),
  groupSize: count().describe('Attempts per prompt (G; T1 calls it over-sampling and K).'),
  updatesPerIteration: count()
    .nullable()
    .describe('Updates an iteration is split into, in whole groups. 1: on-policy. Null: sequencesPerUpdate decides.'),
  sequencesPerUpdate: count().nullable().describe('Sequences of one update. Null: updatesPerIteration decides.'),
  epochs: count().describe('Passes over the sequences of an iteration.'),
  ...samplingOptions,
  ...rewardOptions,
  ...learningOptions,
  ...courseOptions,
});
export type RlConfig = z.infer<typeof optionsSchema>;

/**
 * Every option of an RL run. All are required: recipes give the values, and run.json holds every one. Options of a part
 * that is switched off are not read.
 */
export const rlConfigSchema = optionsSchema.superRefine((config, context) => {
  for (const [path, holds, message] of IMPOSSIBLE)
    if (holds(config)) context.addIssue({ code: 'custom', path: path.split('.'), message });
});

/** Options that cannot be together: the one to change, when, and why. */
const IMPOSSIBLE: readonly [path: string, holds: (config: RlConfig) => boolean, message: string][] = [
  [
    'updatesPerIteration',
    (c) => (c.updatesPerIteration === null) === (c.sequencesPerUpdate === null),
    'give either updatesPerIteration or sequencesPerUpdate, and null for the other',
  ],
  [
    'overlong.soft.cacheTokens',
    (c) => c.overlong.soft.cacheTokens > c.overlong.soft.maxTokens,
    'must not exceed overlong.soft.maxTokens',
  ],
  [
    'overlong.soft.maxTokens',
    ({ maxTokens, overlong: { soft } }) => soft.enabled && maxTokens <= soft.maxTokens - soft.cacheTokens,
    'no response of maxTokens comes near it: the soft punishment begins after maxTokens, so it never acts',
  ],
  [
    'environment.maxTokensPerTurn',
    (c) => (c.environment.maxTokensPerTurn ?? 0) > c.maxTokens,
    'must not exceed maxTokens, which bounds all turns together',
  ],
  [
    'groupSize',
    (c) => c.groupSize < 2 && needsGroups(c),
    'must be at least 2: a baseline of the other attempts, dynamic sampling and kl.perResponse compare attempts at one prompt',
  ],
  [
    'oldLogprobs',
    (c) => c.oldLogprobs === 'sampler' && !samplerReportsTrained(c) && needsOldLogprobs(c),
    'must be trainer: with a filter on at a temperature other than 1, or with a training temperature of its own (other than 1), the sampler does not report the logprobs of the distribution that is trained',
  ],
  [
    'pipeline.importanceCap',
    (c) => c.pipeline.importanceCap !== null && c.oldLogprobs === 'sampler',
    "needs oldLogprobs=trainer: a ratio against the sampler's own logprobs holds the correction already",
  ],
  [
    'pipeline.importanceCap',
    (c) => c.pipeline.importanceCap !== null && !samplerReportsTrained(c),
    'needs logprobs of the trained distribution from the sampler: no filter at a temperature other than 1, and trainingTemperature null or 1',
  ],
  [
    'kl.perResponse',
    (c) => c.kl.perResponse && c.kl.placement === 'reward' && !perResponseKind(c),
    'needs advantage.kind group, leave-one-out or reinforce++-baseline, which take one reward a response',
  ],
  [
    'kl.perResponse',
    (c) => c.kl.perResponse && c.kl.placement === 'loss',
    'needs kl.placement=reward: in the loss the KL counts token by token',
  ],
  [
    'loss.kind',
    (c) => c.loss.kind === 'policy-gradient' && hasSeveralUpdates(c),
    'policy-gradient has no ratio to correct for the updates after the first of an iteration: set epochs=1 and updatesPerIteration=1 (or sequencesPerUpdate to all of promptsPerIteration times groupSize), or choose importance-sampling, clip, cispo or gspo',
  ],
  [
    'kl.estimator',
    (c) => c.kl.placement === 'loss' && c.kl.estimator === 'k1',
    'must be k2 or k3 with kl.placement=loss, where the expected gradient of k1 is zero and only its noise is left; or set kl.placement=reward',
  ],
  [
    'advantage.whiten',
    (c) => c.advantage.kind.startsWith('reinforce++') && !c.advantage.whiten,
    'must be true with advantage.kind reinforce++ and reinforce++-baseline, which are whitened by definition; group and leave-one-out have a baseline without whitening',
  ],
  [
    'rewards.wrong',
    ({ shaping: { length }, rewards }) => (length === 'rrl' || length === 'rra') && rewards.wrong !== -1,
    'must be -1 with shaping.length rrl and rra, whose length term is weighed against a correctness of 1 or -1; or set shaping.length=none',
  ],
];

function hasSeveralUpdates({ epochs, updatesPerIteration, sequencesPerUpdate, ...c }: RlConfig): boolean {
  const isCut = sequencesPerUpdate !== null && sequencesPerUpdate < c.promptsPerIteration * c.groupSize;
  return epochs > 1 || (updatesPerIteration ?? 1) > 1 || isCut;
}

function needsGroups({ advantage, dynamicSampling, kl }: RlConfig): boolean {
  const others = advantage.kind === 'leave-one-out' || advantage.kind === 'reinforce++-baseline';
  return others || dynamicSampling.enabled || (kl.placement === 'reward' && kl.perResponse);
}

/** Whether anything is taken against the policy before the updates: a ratio, or the KL in the reward. */
export function needsOldLogprobs({ loss, kl, pipeline }: RlConfig): boolean {
  return loss.kind !== 'policy-gradient' || kl.placement === 'reward' || pipeline.importanceCap !== null;
}

/** Whether the advantage takes one reward a response, and is the same for all its tokens. */
export function perResponseKind({ advantage }: Pick<RlConfig, 'advantage'>): boolean {
  return advantage.kind !== 'gae' && advantage.kind !== 'reinforce++';
}

/** The temperature the trainer divides its logits by. */
export function trainingTemperature(config: Pick<RlConfig, 'temperature' | 'trainingTemperature'>): number {
  return config.trainingTemperature ?? config.temperature;
}

/** Whether the sampler cuts the distribution (top-p, top-k or min-p). */
export function hasFilters(config: Pick<RlConfig, 'topP' | 'topK' | 'minP'>): boolean {
  return (config.topP ?? 1) < 1 || config.topK !== null || (config.minP ?? 0) > 0;
}

/** Whether the sampler can report logprobs of the distribution that is trained (logits over the training temperature). */
export function samplerReportsTrained(config: RlConfig): boolean {
  const T = trainingTemperature(config);
  return T === 1 || (T === config.temperature && !hasFilters(config));
}

/** Checks a configuration from outside. @throws HoneError('usage') that names the dotted option. */
export function parseRlConfig(value: unknown): RlConfig {
  return parseTrainingConfig(rlConfigSchema, value, '<recipe>');
}
