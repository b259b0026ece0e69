import { HoneError, RandomStream } from '../core/index.js';
import type { Sampler } from '../engine/types.js';
import { isMixed, nextMove } from './dynamic-sampling.js';
import { sampleGroups, type Attempt, type Group, type RolloutContext, type RolloutTiming } from './rollouts.js';

/** Dynamic sampling that finds nothing says so after each so many generation batches. */
const FRUITLESS_BATCHES = 10;

/** Everything one iteration sampled. */
export interface Collected {
  /** All groups, in the order sampled; accuracy is taken over these. */
  sampled: Group[];
  /** The groups the iteration trains on: attempts with a verdict only. */
  kept: Group[];
  /** Position in the problem order after this iteration. */
  cursor: number;
  batches: number;
  timing: RolloutTiming;
}

/**
 * Samples the groups of one iteration. Without dynamic sampling that is one batch; with it, batches follow until
 * `promptsPerIteration` groups are mixed, and groups beyond are thrown away.
 * @throws HoneError('input') when dynamic sampling reaches its limit and `onLimit` is `error`.
 */
export async function collectGroups(
  context: RolloutContext,
  sampler: Sampler,
  at: { iteration: number; cursor: number },
): Promise<Collected> {
  const { config } = context;
  const dynamic = config.dynamicSampling;
  const count = (dynamic.enabled ? dynamic.promptsPerBatch : null) ?? config.promptsPerIteration;
  const limits = { wanted: config.promptsPerIteration, maxBatches: dynamic.maxBatches };
  const result: Collected = {
    sampled: [],
    kept: [],
    cursor: at.cursor,
    batches: 0,
    timing: { sampleSeconds: 0, gradeSeconds: 0, sampledTokens: 0 },
  };
  do {
    const place = { iteration: at.iteration, cursor: result.cursor, ordinal: result.sampled.length, count };
    const { groups, timing } = await sampleGroups(context, sampler, place);
    result.sampled.push(...groups);
    result.kept.push(...groups.map(withVerdicts).filter((group) => isUsable(group, config)));
    result.cursor += count;
    result.batches++;
    result.timing = addTiming(result.timing, timing);
    if (dynamic.enabled && result.kept.length === 0 && result.batches % FRUITLESS_BATCHES === 0)
      context.progress.note(
        `iteration ${at.iteration}: ${result.batches} generation batches without a prompt of mixed results; ` +
          'the task may be too hard or too easy for this model (dynamicSampling.maxBatches ends the search)',
        'warn',
      );
  } while (dynamic.enabled && nextMove(result.kept.length, result.batches, limits) === 'generate');
  if (dynamic.enabled && dynamic.onLimit === 'error' && result.kept.length < limits.wanted)
    throw limitReached(result, at);
  result.kept.length = Math.min(result.kept.length, limits.wanted);
  if (config.control.shuffledReward) shuffleRewards(result.kept, context.seed, at.iteration);
  return result;
}

/** The group without the attempts that have no verdict: they leave baseline and loss. */
function withVerdicts(group: Group): Group {
  return { ...group, attempts: group.attempts.filter((attempt) => attempt.verdict.status !== 'no_verdict') };
}

/** A group needs two attempts to have a baseline (one when groups are of one), and under dynamic sampling mixed results. */
function isUsable({ attempts }: Group, config: RolloutContext['config']): boolean {
  if (attempts.length < Math.min(2, config.groupSize)) return false;
  return !config.dynamicSampling.enabled || isMixed(correctCount(attempts), attempts.length);
}

export function correctCount(attempts: readonly Attempt[]): number {
  return attempts.filter((attempt) => attempt.verdict.status === 'correct').length;
}

function addTiming(a: RolloutTiming, b: RolloutTiming): RolloutTiming {
  return {
    sampleSeconds: a.sampleSeconds + b.sampleSeconds,
    gradeSeconds: a.gradeSeconds + b.gradeSeconds,
    sampledTokens: a.sampledTokens + b.sampledTokens,
  };
}

function limitReached({ kept, batches, sampled }: Collected, at: { iteration: number }): HoneError {
  const attempts = sampled.flatMap((group) => group.attempts);
  const accuracy = ((100 * correctCount(attempts)) / attempts.length).toFixed(1);
  return new HoneError(
    'input',
    `iteration ${at.iteration} found only ${kept.length} prompts with mixed results in ${batches} batches (accuracy ${accuracy} %)`,
    {
      where: 'dynamicSampling.maxBatches',
      hint: 'The problems are too hard or too easy for the model: change their difficulty, raise groupSize or dynamicSampling.maxBatches, or set dynamicSampling.onLimit=train.',
    },
  );
}

/** The control arm: rewards keep their distribution and lose their meaning. */
function shuffleRewards(groups: readonly Group[], seed: number, iteration: number): void {
  const attempts = groups.flatMap((group) => group.attempts);
  const rewards = attempts.map((attempt) => attempt.reward);
  const shuffled = new RandomStream(seed, 'shuffled-reward', iteration).shuffle(rewards);
  attempts.forEach((attempt, i) => (attempt.reward = shuffled[i] as number));
}
