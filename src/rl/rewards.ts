import { HoneError } from '../core/index.js';
import { reflectionKeywords } from '../tasks/signals/keywords.js';
import { garbagePatterns, type GarbageLimits, type GarbagePattern } from '../tasks/signals/garbage.js';
import type { Problem, Task } from '../tasks/types.js';
import { isRight, modelLength, turnEnds, type Attempt, type Group } from './attempt.js';
import type { RlConfig } from './config.js';
import {
  baseReward,
  normaliseReward,
  normalisingScale,
  penalised,
  qsKeeps,
  rlspLengthTerm,
  rraReward,
  rrlReward,
  rsPair,
  softOverlongPunishment,
  updateMoments,
  type RunningMoments,
} from './shaping.js';

/** A reward and what it was made of. */
export interface Reward {
  value: number;
  components: Record<string, number>;
}

/** Cap of the action words that RRA counts (STILL-3, arXiv 2503.04548 section 4.2). */
const RRA_CAP = 20;
/** T1 publishes no limits: a response is garbage here when so many of its words or characters are foreign or unreadable. */
const GARBAGE: Pick<Required<GarbageLimits>, 'mixing' | 'unreadable'> = { mixing: { share: 0.3 }, unreadable: 0.1 };

type RewardOptions = Pick<RlConfig, 'rewards' | 'overlong' | 'shaping' | 'maxTokens'>;

/** What the rewards read of an attempt. */
export type Rewardable = Pick<Attempt, 'verdict' | 'stopReason' | 'response' | 'tokens' | 'mask'>;

/**
 * Checks before a run that the task gives what the rewards need.
 * @throws HoneError('usage') when effort is rewarded and the task does not count it.
 */
export function checkRewards(task: Pick<Task, 'name' | 'effort'>, { shaping: { exploration } }: RewardOptions): void {
  if (!exploration.enabled || exploration.effortWeight === 0 || task.effort) return;
  throw new HoneError('usage', `task ${task.name} does not say how much effort a response makes`, {
    where: 'shaping.exploration.effortWeight',
    hint: 'Set shaping.exploration.effortWeight=0, or give the task `effort` (docs/tasks.md).',
  });
}

/**
 * The reward of an attempt before normalisation: base reward, what the environment gave, exploration or length terms,
 * soft overlong punishment; a penalty takes the place of it all. 0 without a verdict.
 */
export function rewardOf(
  attempt: Rewardable,
  config: RewardOptions,
  { effort, environment }: { effort: number; environment: number },
): Reward {
  if (attempt.verdict.status === 'no_verdict') return { value: 0, components: {} };
  const base = baseOf(attempt, config.rewards);
  const components: Record<string, number> = { base, ...(environment === 0 ? {} : { environment }) };
  const outcome = explored(attempt, base + environment, effort, config, components);
  const shaped = withLength(attempt, outcome, config, components) + overlongOf(attempt, config, components);
  return { value: withPenalty(attempt, shaped, config, components), components };
}

/**
 * What of an attempt's reward was given for its turns before the last, [turns - 1], as it counts in the reward.
 * @param given what the environment gave for each turn. @returns undefined where nothing was, and where a penalty has
 * taken the place of it all.
 */
export function turnRewardsOf(
  { segments = [], verdict, components = {} }: Pick<Attempt, 'segments' | 'verdict' | 'components'>,
  given: readonly number[],
  { shaping: { exploration } }: RewardOptions,
): number[] | undefined {
  const early = given.slice(0, Math.max(0, turnEnds(segments).length - 1));
  const isReplaced = Object.keys(components).some((name) => name.startsWith('penalty.'));
  if (isReplaced || verdict.status === 'no_verdict' || early.every((reward) => reward === 0)) return undefined;
  const weight = exploration.enabled ? exploration.weight : 1;
  return early.map((reward) => weight * reward);
}

function baseOf({ verdict, stopReason }: Rewardable, rewards: RlConfig['rewards']): number {
  if (stopReason === 'length' && rewards.truncated !== null) return rewards.truncated;
  const noAnswer = verdict.status === 'wrong' && verdict.extracted === undefined;
  return noAnswer && rewards.noAnswer !== null ? rewards.noAnswer : baseReward(verdict.score, rewards);
}

/**
 * RLSP: weight (c - P / L) + effortWeight e, with L in tokens of the model where the reference estimates them as
 * characters / 4 before the last box.
 */
function explored(
  attempt: Rewardable,
  base: number,
  effort: number,
  { shaping: { exploration } }: RewardOptions,
  components: Record<string, number>,
): number {
  const { enabled, weight, effortWeight, lengthScale } = exploration;
  if (!enabled) return base;
  const length = rlspLengthTerm(modelLength(attempt), lengthScale);
  components['exploration.length'] = weight * length;
  components['exploration.effort'] = effortWeight * effort;
  return weight * (base + length) + effortWeight * effort;
}

function withLength(
  attempt: Rewardable,
  correctness: number,
  { shaping, maxTokens }: RewardOptions,
  components: Record<string, number>,
): number {
  if (shaping.length !== 'rrl' && shaping.length !== 'rra') return correctness;
  const value =
    shaping.length === 'rrl'
      ? rrlReward(modelLength(attempt), maxTokens, correctness)
      : rraReward(reflectionKeywords(modelText(attempt), 'still-3-actions').total, RRA_CAP, correctness);
  components[shaping.length] = value - correctness;
  return value;
}

function overlongOf(attempt: Rewardable, { overlong }: RewardOptions, components: Record<string, number>): number {
  const { enabled, maxTokens, cacheTokens, factor } = overlong.soft;
  if (!enabled) return 0;
  return (components['overlong'] = softOverlongPunishment(modelLength(attempt), maxTokens, cacheTokens, factor));
}

function withPenalty(
  attempt: Rewardable,
  value: number,
  { shaping: { penalties } }: RewardOptions,
  components: Record<string, number>,
): number {
  if (!penalties.enabled) return value;
  const found = patternsOf(attempt, penalties);
  const seen = {
    repetition: found.includes('repetition'),
    garbage: found.includes('mixing') || found.includes('unreadable'),
    overlong: found.includes('cut-off'),
  };
  const set = penalised(value, seen, penalties.value);
  for (const [name, present] of Object.entries(seen)) if (present) components[`penalty.${name}`] = set - value;
  return set;
}

function patternsOf(
  attempt: Rewardable,
  { repetition, garbage, overlong }: RlConfig['shaping']['penalties'],
): GarbagePattern[] {
  const { stopReason } = attempt;
  const response = { text: modelText(attempt), tokens: modelTokens(attempt), stopReason };
  const limits = { repetition: { share: repetition.share, n: repetition.ngram }, cutOff: overlong };
  return garbagePatterns(response, { ...limits, ...(garbage ? GARBAGE : {}) });
}

const modelTokens = ({ tokens, mask }: Rewardable): Int32Array =>
  mask ? tokens.filter((_, t) => mask[t] === 1) : tokens;

/** What the model wrote, without the words of tools. */
export function modelText({ response: { text, segments } }: Pick<Attempt, 'response'>): string {
  if (!segments) return text;
  return segments.map(({ source, text: own }) => (source === 'model' ? (own ?? '') : '')).join('');
}

/** Effort of an attempt, where it is rewarded. */
export function effortOf(
  task: Pick<Task, 'effort'>,
  problem: Problem,
  { response }: Pick<Attempt, 'response'>,
  { shaping: { exploration } }: RewardOptions,
): number {
  return exploration.enabled ? (task.effort?.(problem, response) ?? 0) : 0;
}

/**
 * Normalises the rewards of an iteration in place: its graded attempts enter the moments first, then every reward loses
 * the mean and is divided by the deviation of all so far; at the end rewards are cut to [-clip, clip].
 * @returns the new moments.
 */
export function normaliseRewards(
  groups: readonly Group[],
  moments: RunningMoments,
  { normalize, clip }: RlConfig['shaping'],
): RunningMoments {
  const graded = groups.flatMap(({ attempts }) => attempts).filter(({ verdict }) => verdict.status !== 'no_verdict');
  const bound = clip ?? Infinity;
  const running = normalize === 'running';
  const now = running
    ? updateMoments(
        moments,
        graded.map(({ reward }) => reward),
      )
    : moments;
  for (const attempt of graded) {
    const before = attempt.reward;
    attempt.reward = running ? normaliseReward(before, now, bound) : Math.min(bound, Math.max(-bound, before));
    if (running) attempt.turnRewards = attempt.turnRewards?.map((reward) => reward * normalisingScale(now));
    if (attempt.reward !== before) attempt.components = { ...attempt.components, raw: before };
  }
  return now;
}

/**
 * The attempts of a group that STILL-3's study learns from: QS leaves out groups whose right answers are not longer than
 * its wrong ones; RS keeps the longest right and the shortest wrong one, when the first is the longer.
 */
export function chosenByLength(attempts: readonly Attempt[], length: RlConfig['shaping']['length']): Attempt[] {
  if (length !== 'qs' && length !== 'rs') return [...attempts];
  const lengths = attempts.map(modelLength);
  const correct = attempts.map(isRight);
  if (length === 'qs') return qsKeeps(lengths, correct) ? [...attempts] : [];
  const pair = rsPair(lengths, correct);
  return pair ? attempts.filter((_, i) => i === pair.longestRight || i === pair.shortestWrong) : [];
}
