import { HoneError, RandomStream } from '../core/index.js';
import type { Sampler } from '../engine/types.js';
import { isRight, type Attempt, type Group } from './attempt.js';
import type { RlConfig } from './config.js';
import { diagnose, type Diagnosis } from './diagnosis.js';
import { hasSpread, isMixed, nextMove } from './dynamic-sampling.js';
import { chosenByLength, normaliseRewards } from './rewards.js';
import type { RolloutMemory } from './rollout-memory.js';
import { sampleGroups, type RolloutContext, type RolloutTiming } from './rollouts.js';

/** Dynamic sampling that finds nothing says so after each so many generation batches. */
const FRUITLESS_BATCHES = 10;

/** What one iteration has to train on, and everything that was sampled for it. */
export interface Collected {
  /** All groups sampled for it, in order; accuracy is taken over these. */
  sampled: Group[];
  /** Groups that an earlier iteration sampled beyond its number, and that this one trains on. */
  carried: Group[];
  /** Of `sampled`, those that the next iteration trains on. */
  left: Group[];
  /** The groups the iteration trains on: attempts with a verdict only. */
  kept: Group[];
  batches: number;
  /** Why it cannot learn; undefined: it can. */
  diagnosis: Diagnosis | undefined;
  timing: RolloutTiming;
}

export interface Collecting {
  collected: Collected;
  /** To remember once the iteration is done. */
  memory: RolloutMemory;
}

/**
 * What an iteration trains on. With a lag of 1 that is what the iteration before has sampled ahead, and the
 * sampler, which has the weights of now, samples ahead for the next one. Nothing is changed but by what is returned, so
 * an iteration that is broken off leaves no trace.
 * @param at.isLast no iteration follows, so nothing is sampled ahead.
 * @throws HoneError('input') when dynamic sampling reaches its limit and `onLimit` is `error`.
 */
export async function nextRollouts(
  context: RolloutContext,
  sampler: Sampler,
  { iteration, isLast }: { iteration: number; isLast: boolean },
  memory: RolloutMemory,
): Promise<Collecting> {
  const { pending, ...rest } = memory;
  const now: Collecting = pending
    ? { collected: pending, memory: { ...rest, pending: undefined } }
    : await collectGroups(context, sampler, { iteration, sampledAfter: iteration - 1 }, memory);
  if (context.config.pipeline.lag === 0 || isLast) return now;
  const at = { iteration: iteration + 1, sampledAfter: iteration - 1 };
  const ahead = await collectGroups(context, sampler, at, now.memory);
  const timing = pending ? ahead.collected.timing : addTiming(now.collected.timing, ahead.collected.timing);
  return { collected: { ...now.collected, timing }, memory: { ...ahead.memory, pending: ahead.collected } };
}

/**
 * Samples the groups of one iteration. Without dynamic sampling that is one batch; with it, batches follow until
 * `promptsPerIteration` groups are mixed, and groups beyond are thrown away or carried over.
 */
export async function collectGroups(
  context: RolloutContext,
  sampler: Sampler,
  at: { iteration: number; sampledAfter: number },
  memory: RolloutMemory,
): Promise<Collecting> {
  const { config } = context;
  const wanted = config.promptsPerIteration;
  const batches = await sampleBatches(context, sampler, at, memory);
  const { sampled, kept } = batches;
  const moments = normaliseRewards(sampled, memory.moments, config.shaping);
  const trained = kept.slice(0, wanted);
  const left = config.dynamicSampling.excess === 'carry' ? kept.slice(wanted) : [];
  const diagnosis = diagnosisOf(sampled, trained, config);
  assertEnough(trained, batches, at, diagnosis, config);
  return {
    collected: {
      ...{ sampled, kept: trained, diagnosis, batches: batches.batches, timing: batches.timing },
      carried: memory.carried.slice(0, wanted),
      left: sampled.filter(({ prompt }) => left.some((group) => group.prompt === prompt)),
    },
    memory: { cursor: batches.cursor, moments, carried: left, pending: undefined },
  };
}

interface Batches {
  sampled: Group[];
  kept: Group[];
  cursor: number;
  batches: number;
  timing: RolloutTiming;
}

async function sampleBatches(
  context: RolloutContext,
  sampler: Sampler,
  at: { iteration: number; sampledAfter: number },
  memory: RolloutMemory,
): Promise<Batches> {
  const { config } = context;
  const { enabled, promptsPerBatch, maxBatches } = config.dynamicSampling;
  const count = (enabled ? promptsPerBatch : null) ?? config.promptsPerIteration;
  const limits = { wanted: config.promptsPerIteration, maxBatches };
  const timing = { sampleSeconds: 0, gradeSeconds: 0, sampledTokens: 0 };
  const shuffling = new RandomStream(context.seed, 'shuffled-reward', at.iteration);
  const result: Batches = { sampled: [], kept: [...memory.carried], cursor: memory.cursor, batches: 0, timing };
  const goesOn = () =>
    enabled ? nextMove(result.kept.length, result.batches, limits) === 'generate' : result.batches === 0;
  while (goesOn()) {
    const place = { iteration: at.iteration, cursor: result.cursor, ordinal: result.sampled.length, count };
    const { groups, timing } = await sampleGroups(context, sampler, place);
    for (const group of groups) group.sampledAfter = at.sampledAfter;
    if (config.control.shuffledReward) shuffleRewards(groups, shuffling);
    result.sampled.push(...groups);
    result.kept.push(...groups.map((group) => chosen(group, config)).filter((group) => isUsable(group, config)));
    result.cursor += count;
    result.batches++;
    result.timing = addTiming(result.timing, timing);
    if (enabled && result.kept.length === 0) noteFruitless(context, at.iteration, result);
  }
  return result;
}

const gradedOf = ({ attempts }: Group): Attempt[] => attempts.filter(({ verdict }) => verdict.status !== 'no_verdict');

/** The group without the attempts that have no verdict, which leave baseline and loss, and those that lengths rule out. */
function chosen(group: Group, { shaping }: RlConfig): Group {
  const graded = gradedOf(group);
  return { ...group, attempts: chosenByLength(graded, shaping.length) };
}

/** A group needs two attempts to have a baseline (one when groups are of one), and under dynamic sampling different ones. */
function isUsable({ attempts }: Group, { groupSize, dynamicSampling: { enabled, metric } }: RlConfig): boolean {
  if (attempts.length < Math.min(2, groupSize)) return false;
  if (!enabled) return true;
  return metric === 'accuracy'
    ? isMixed(attempts.filter(isRight).length, attempts.length)
    : hasSpread(attempts.map(({ reward }) => reward));
}

/** By the verdicts, whatever was made of the rewards. */
export function correctCount(attempts: readonly Attempt[]): number {
  return attempts.filter((attempt) => attempt.verdict.status === 'correct').length;
}

/** The groups whose fate the iteration decides: what was sampled and not carried over, and what was carried to it. */
export function decided({ sampled, carried, left }: Collected): Group[] {
  return [...carried, ...sampled.filter((group) => !left.includes(group))];
}

function addTiming(a: RolloutTiming, b: RolloutTiming): RolloutTiming {
  return {
    sampleSeconds: a.sampleSeconds + b.sampleSeconds,
    gradeSeconds: a.gradeSeconds + b.gradeSeconds,
    sampledTokens: a.sampledTokens + b.sampledTokens,
  };
}

function diagnosisOf(sampled: readonly Group[], kept: readonly Group[], config: RlConfig): Diagnosis | undefined {
  const { kind } = config.advantage;
  const attempts_PG = (groups: readonly Group[]) => groups.map(({ attempts }) => attempts);
  const imitates = config.loss.positiveNll > 0 && kept.some(({ attempts }) => attempts.some(isRight));
  if (imitates) return undefined;
  return diagnose(attempts_PG(sampled), attempts_PG(kept), {
    ...{ maxTokens: config.maxTokens, groupSize: config.groupSize, filterTruncated: config.overlong.filter },
    groupBaseline: kind !== 'gae' && kind !== 'reinforce++',
  });
}

function noteFruitless({ progress, config }: RolloutContext, iteration: number, { sampled, batches }: Batches): void {
  if (batches % FRUITLESS_BATCHES !== 0) return;
  const found = diagnosisOf(sampled, [], config);
  progress.note(
    `iteration ${iteration}: ${batches} generation batches without a prompt whose attempts differ` +
      `${found ? `: ${found.message}. ${found.option}: ${found.hint}` : ''} (dynamicSampling.maxBatches ends the search)`,
    'warn',
  );
}

/** @throws HoneError('input') at the limit of dynamic sampling, unless the run shall train on what there is. */
function assertEnough(
  kept: readonly Group[],
  { batches, sampled }: Batches,
  { iteration }: { iteration: number },
  diagnosis: Diagnosis | undefined,
  config: RlConfig,
): void {
  const { enabled, onLimit } = config.dynamicSampling;
  const wanted = config.promptsPerIteration;
  if (!enabled || onLimit === 'train' || kept.length >= wanted) return;
  const attempts = sampled.flatMap((group) => group.attempts);
  const accuracy = ((100 * correctCount(attempts)) / attempts.length).toFixed(1);
  const found = `iteration ${iteration} found only ${kept.length} of ${wanted} prompts with mixed results in ${batches} batches`;
  throw new HoneError('input', `${found} (accuracy ${accuracy} %)${diagnosis ? `: ${diagnosis.message}` : ''}`, {
    where: 'dynamicSampling.maxBatches',
    hint: diagnosis ? `${diagnosis.option}: ${diagnosis.hint}` : MORE_BATCHES,
  });
}

const MORE_BATCHES =
  'Raise groupSize or dynamicSampling.maxBatches, change the difficulty of the problems, or set dynamicSampling.onLimit=train.';

/**
 * The control arm: the rewards of a generation batch keep their distribution and lose their meaning. Each takes with it
 * whether it was earned by a right answer, so that whatever selects or imitates right answers does so at random too.
 */
function shuffleRewards(groups: readonly Group[], stream: RandomStream): void {
  const attempts = groups.flatMap(gradedOf);
  const earned = attempts.map((attempt) => {
    const { reward, components = {} } = attempt;
    return { reward, components, turnRewards: undefined, earnedRight: isRight(attempt) };
  });
  const shuffled = stream.shuffle(earned);
  attempts.forEach((attempt, i) => Object.assign(attempt, shuffled[i]));
}
