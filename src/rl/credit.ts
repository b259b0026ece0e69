import {
  decoupledGae,
  groupAdvantages,
  leaveOneOut,
  lengthAdaptiveLambda,
  monteCarloReturns,
  outcomeRewards,
  reinforcePlusPlus,
  reinforcePlusPlusBaseline,
  spread,
  whiten,
} from './advantages.js';
import { turnEnds, type Attempt, type Group } from './attempt.js';
import { perResponseKind, type RlConfig } from './config.js';
import { klNormalisedRewards, klOfTokens } from './kl.js';
import { isFiltered, type Sequence } from './sequences.js';

const WHITEN = { shiftMean: true, eps: 1e-8 };

/** What an iteration's advantages are made of. */
export interface CreditInput {
  groups: readonly Group[];
  /** All attempts of the groups that have a token; with `oldLogprobs` and `refLogprobs` where the KL is in the reward. */
  sequences: readonly Sequence[];
  config: RlConfig;
  /** beta of the KL in the reward; 0: none. */
  klCoefficient: number;
}

/**
 * Sets the advantages of an iteration's attempts (and `returns`, for the critic). The baseline of a group is taken over
 * all its attempts; whitening is over the tokens that are trained. @returns metrics.
 */
export function assignCredit(input: CreditInput): Record<string, number> {
  const { config, sequences } = input;
  const kl = klPenalties(input);
  const trained = sequences.filter(({ attempt }) => !isFiltered(attempt, config));
  if (perResponseKind(config)) responseAdvantages(input, kl);
  else tokenAdvantages(trained, kl, config);
  if (config.advantage.whiten && !config.advantage.kind.startsWith('reinforce++')) whitenAll(trained, config);
  if (config.control.zeroAdvantage)
    for (const { attempt } of sequences) Object.assign(attempt, { advantage: 0, advantages: undefined });
  return kl.size === 0 ? {} : { 'kl.reward': meanOverTokens(sequences, kl) };
}

type Penalties = ReadonlyMap<Sequence['attempt'], Float64Array>;

/** KL estimate of every token, where the KL is in the reward. */
function klPenalties({ sequences, config, klCoefficient }: CreditInput): Penalties {
  if (config.kl.placement !== 'reward' || klCoefficient === 0) return new Map();
  const { estimator } = config.kl;
  return new Map(
    sequences.map(({ attempt, mask, oldLogprobs = attempt.modelLogprobs, refLogprobs }) => {
      if (!oldLogprobs || !refLogprobs)
        throw new TypeError('a KL in the reward needs logprobs of policy and reference');
      const input = { logprobs_T: oldLogprobs, refLogprobs_T: refLogprobs, mask_T: mask, estimator };
      return [attempt, klOfTokens(input).map((k) => klCoefficient * k)];
    }),
  );
}

function meanOverTokens(sequences: readonly Sequence[], values: Penalties): number {
  const tokens = sequences.reduce((sum, { length }) => sum + length, 0);
  return [...values.values()].reduce((sum, values_T) => sum + total(values_T), 0) / tokens;
}

/** One advantage a response, from the rewards of its group. */
function responseAdvantages({ groups, config }: CreditInput, kl: Penalties): void {
  const rewards_PG = groups.map((group) => penalisedRewards(group, kl, config));
  const { kind } = config.advantage;
  const advantages_PG =
    kind === 'reinforce++-baseline'
      ? whitenedBaseline(groups, rewards_PG, config)
      : rewards_PG.map((R) => (kind === 'group' ? groupAdvantages(R, config.advantage) : leaveOneOut(R)));
  groups.forEach(({ attempts }, p) =>
    attempts.forEach((attempt, i) => (attempt.advantage = advantages_PG[p]?.[i] ?? 0)),
  );
}

/** R_i minus the KL of the response: as it is, or relative to the others in the group (T1). */
function penalisedRewards({ attempts }: Group, kl: Penalties, { kl: { perResponse } }: RlConfig): Float64Array {
  const rewards_G = Float64Array.from(attempts, ({ reward }) => reward);
  if (kl.size === 0) return rewards_G;
  const kl_G = attempts.map((attempt) => total(kl.get(attempt) ?? []));
  return perResponse ? klNormalisedRewards(rewards_G, kl_G, 1) : rewards_G.map((R, i) => R - (kl_G[i] as number));
}

/** REINFORCE++ with a baseline; filtered responses are in the baseline and not in the whitening. */
function whitenedBaseline(groups: readonly Group[], rewards_PG: readonly Float64Array[], config: RlConfig): number[][] {
  const mask_PGT = groups.map(({ attempts }) =>
    attempts.map((attempt) => {
      const mask_T = attempt.mask ?? new Uint8Array(attempt.tokens.length).fill(1);
      return isFiltered(attempt, config) ? mask_T.map(() => 0) : mask_T;
    }),
  );
  const advantages_PGT = reinforcePlusPlusBaseline(rewards_PG, mask_PGT);
  return advantages_PGT.map((group, p) => group.map((A_T, i) => valueOnModelTokens(A_T, mask_PGT[p]?.[i] ?? [])));
}

/** An advantage a token: from the critic's values, or whitened returns. */
function tokenAdvantages(sequences: readonly Sequence[], kl: Penalties, config: RlConfig): void {
  const rewards_ST = sequences.map(({ attempt, mask }) => {
    const rewards_T = tokenRewards(attempt, mask);
    const kl_T = kl.get(attempt);
    return kl_T ? Float64Array.from(rewards_T, (r, t) => r - (kl_T[t] as number)) : rewards_T;
  });
  if (config.advantage.kind === 'gae')
    sequences.forEach((sequence, s) => gaeOf(sequence, rewards_ST[s] as Float64Array, config));
  else {
    const masks_ST = sequences.map(({ mask }) => mask);
    const A_ST = reinforcePlusPlus(rewards_ST, masks_ST, config.advantage.gamma);
    sequences.forEach((sequence, s) => setAdvantages(sequence, A_ST[s] as Float64Array));
  }
}

/** The reward by token, [T]: what a turn was given at the last token of that turn, all else at the last one of the model. */
function tokenRewards({ reward, turnRewards = [], segments = [] }: Attempt, mask_T: Uint8Array): Float64Array {
  const rewards_T = outcomeRewards(reward - total(turnRewards), mask_T);
  const ends = turnEnds(segments);
  turnRewards.forEach((r, turn) => (rewards_T[ends[turn] as number] = r));
  return rewards_T;
}

function gaeOf(sequence: Sequence, rewards_T: Float64Array, { advantage }: RlConfig): void {
  const { mask, length, values, bootstrapValue } = sequence;
  if (!values) throw new TypeError('GAE needs the values of the critic');
  const { gamma, lambda, lambdaCritic, lengthAdaptiveAlpha: alpha } = advantage;
  const { advantages_T, returns_T } = decoupledGae({
    ...{ rewards_T, values_T: values, mask_T: mask, gamma, bootstrapValue, lambdaCritic },
    lambdaPolicy: alpha === null ? lambda : lengthAdaptiveLambda(length, alpha),
  });
  sequence.returns = returns_T;
  setAdvantages(sequence, advantages_T);
}

/** Monte-Carlo returns as the critic's targets, for its pretraining; after the last token of a truncated response its value, where there is one. */
export function setMonteCarloReturns(sequences: readonly Sequence[], gamma: number): void {
  for (const sequence of sequences) {
    const { attempt, mask: mask_T, bootstrapValue } = sequence;
    const rewards_T = tokenRewards(attempt, mask_T);
    sequence.returns = monteCarloReturns({ rewards_T, mask_T, gamma, bootstrapValue });
  }
}

function whitenAll(sequences: readonly Sequence[], config: RlConfig): void {
  const mask_ST = sequences.map(({ mask }) => mask);
  const A_ST = sequences.map(({ attempt, mask }) => attempt.advantages ?? spread(attempt.advantage, mask));
  whiten(A_ST, mask_ST, WHITEN).forEach((A_T, s) => {
    const sequence = sequences[s] as Sequence;
    if (perResponseKind(config)) sequence.attempt.advantage = valueOnModelTokens(A_T, sequence.mask);
    else setAdvantages(sequence, A_T);
  });
}

/** An advantage for each token; rows of the run folder hold their mean. */
function setAdvantages({ attempt, length }: Sequence, advantages_T: Float64Array): void {
  attempt.advantages = advantages_T;
  attempt.advantage = total(advantages_T) / length;
}

/** The value that all tokens of the model share; 0 where there is none. */
function valueOnModelTokens(values_T: ArrayLike<number>, mask_T: ArrayLike<number>): number {
  const first = Array.from(mask_T).findIndex((m) => m !== 0);
  return first < 0 ? 0 : (values_T[first] as number);
}

function total(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
