import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Datum, LossResult } from '../../src/engine/types.js';
import {
  AGGREGATIONS,
  KL_ESTIMATORS,
  SURROGATES,
  decoupledGae,
  gae,
  groupAdvantages,
  klPenalisedRewards,
  leaveOneOut,
  lengthAdaptiveLambda,
  lengthOfMask,
  monteCarloReturns,
  nllWeights,
  outcomeRewards,
  policyLoss,
  reinforcePlusPlus,
  reinforcePlusPlusBaseline,
  softOverlongPunishment,
  spread,
  tokenWeights,
  truncatedImportanceWeights,
  valueLoss,
  whiten,
} from '../../src/rl/index.js';

/** Comparison with the golden numbers of verify/peers/make_rl_parity.py. */

const rows = z.array(z.array(z.number()));
const batchSchema = z.object({
  ...{ mask: rows, logprobs: rows, oldLogprobs: rows, refLogprobs: rows, samplerLogprobs: rows, entropy: rows },
  ...{ values: rows, oldValues: rows, returns: rows, tokenAdvantages: rows },
  ...{ prompts: z.array(z.number()), advantages: z.array(z.number()), rewards: z.array(z.number()) },
});
type Batch = z.infer<typeof batchSchema>;

const optionsSchema = z
  .strictObject({
    gamma: z.number(),
    lambda: z.number(),
    lambdaPolicy: z.number().nullable(),
    lambdaCritic: z.number(),
    alpha: z.number().nullable(),
    std: z.enum(['sample', 'none']),
    beta: z.number(),
    estimator: z.enum(KL_ESTIMATORS),
    kl: z.enum(KL_ESTIMATORS),
    aggregation: z.enum(AGGREGATIONS),
    constant: z.number(),
    surrogate: z.enum(SURROGATES),
    clipLow: z.number(),
    clipHigh: z.number(),
    dualClip: z.number().nullable(),
    /** Cap of the truncated importance weights; null: none. */
    cap: z.number().nullable(),
    entropyBonus: z.number(),
    positiveNll: z.number(),
    valueClip: z.number().nullable(),
    advantages: z.enum(['advantages', 'tokenAdvantages']),
    lengths: z.array(z.number()),
    maxTokens: z.number(),
    cacheTokens: z.number(),
    /** The reference gives a group of one the advantage 0. */
    zeroSingles: z.boolean(),
    /** The reference does not divide by the number of sequences. */
    timesSequences: z.boolean(),
    /** The reference was not given the empty response. */
    keptOnly: z.boolean(),
    /** The reference's gradient has another term; the loss alone is compared. */
    valueOnly: z.boolean(),
  })
  .partial();

const caseSchema = z.object({
  part: z.string(),
  function: z.string(),
  batch: z.enum(['plain', 'tools']).nullable(),
  options: optionsSchema,
  expected: z.record(z.string(), z.union([z.number(), rows])),
});
export type ParityCase = z.infer<typeof caseSchema>;
type Options = ParityCase['options'];

const goldenSchema = z.object({
  ...{ made_by: z.string(), program: z.string(), version: z.string(), commit: z.string().nullable() },
  cases: z.array(caseSchema),
});
export type Golden = z.infer<typeof goldenSchema>;

export const PARITY_PROGRAMS = ['verl', 'openrlhf', 'nemo-rl', 'trl'] as const;

export interface ParityRow {
  case: ParityCase;
  /** Largest |ours - theirs| over values and gradients. */
  difference: number;
}

/** Recomputes every case of a program's golden file with src/rl. `folder` ends with a slash. */
export async function parityOf(program: string, folder: URL): Promise<{ golden: Golden; rows: ParityRow[] }> {
  const batches = z
    .object({ plain: batchSchema, tools: batchSchema })
    .parse(JSON.parse(await readFile(new URL('batches.json', folder), 'utf8')));
  const golden = goldenSchema.parse(JSON.parse(await readFile(new URL(`${program}.json`, folder), 'utf8')));
  return {
    golden,
    rows: golden.cases.map((parityCase) => ({
      case: parityCase,
      difference: differenceOf(parityCase, batches[parityCase.batch ?? 'plain']),
    })),
  };
}

function differenceOf({ part, options, expected }: ParityCase, batch: Batch): number {
  const ours = COMPUTE[part]?.(batch, options);
  if (!ours) throw new TypeError(`no part of src/rl is named ${part}`);
  return Math.max(
    ...Object.entries(expected).map(([name, theirs]) => {
      if (options.valueOnly && name.startsWith('d_')) return 0;
      const mine = ours[name];
      if (mine === undefined) throw new TypeError(`${part} has no output ${name}`);
      return largest(typeof mine === 'number' ? [[mine]] : mine, typeof theirs === 'number' ? [[theirs]] : theirs, {
        mask: name.startsWith('d_') || typeof theirs === 'number' || part === 'soft-overlong' ? undefined : batch.mask,
      });
    }),
  );
}

/** Over tokens of the model alone, where a mask is given: the references leave numbers on tool tokens. */
function largest(
  ours: readonly ArrayLike<number>[],
  theirs: readonly (readonly number[])[],
  { mask }: { mask: readonly (readonly number[])[] | undefined },
): number {
  let max = 0;
  theirs.forEach((row, s) =>
    row.forEach((value, t) => {
      if (mask?.[s]?.[t] === 0) return;
      const difference = Math.abs((ours[s]?.[t] ?? NaN) - value);
      max = Number.isNaN(difference) ? Infinity : Math.max(max, difference);
    }),
  );
  return max;
}

type Output = Record<string, number | readonly ArrayLike<number>[]>;

const COMPUTE: Record<string, (batch: Batch, options: Options) => Output> = {
  gae: (batch, options) => gaeOf(batch, options),
  'gae-whitened': (batch, options) => {
    const { advantages, returns } = gaeOf(batch, options);
    return { advantages: whiten(advantages, batch.mask, { shiftMean: true, eps: 1e-8 }), returns };
  },
  'decoupled-gae': (batch, options) => unzip(batch.mask.map((mask_T, s) => decoupledRow(batch, mask_T, s, options))),
  'monte-carlo': (batch, { gamma }) => ({
    returns: batch.mask.map((mask_T, s) =>
      monteCarloReturns({ rewards_T: outcomes(batch)[s]!, mask_T, gamma: gamma! }),
    ),
  }),
  group: (batch, { std }) => ({
    advantages: perGroup(batch, (rewards_G) => groupAdvantages(rewards_G, { std: std!, eps: 1e-6 })),
  }),
  'leave-one-out': (batch, { zeroSingles }) => ({
    advantages: perGroup(batch, (rewards_G) =>
      zeroSingles && rewards_G.length === 1 ? Float64Array.of(0) : leaveOneOut(rewards_G),
    ),
  }),
  'reinforce++': (batch, { gamma }) => ({ advantages: reinforcePlusPlus(outcomes(batch), batch.mask, gamma!) }),
  'reinforce++-baseline': (batch) => {
    const groups = groupsOf(batch);
    const rewards_PG = groups.map((members) => members.map((s) => outcomeOf(batch, s)));
    const mask_PGT = groups.map((members) => members.map((s) => batch.mask[s]!));
    return { advantages: reinforcePlusPlusBaseline(rewards_PG, mask_PGT).flat() };
  },
  'kl-reward': (batch, { beta, estimator }) => ({
    rewards: batch.mask.map((mask_T, s) =>
      klPenalisedRewards(outcomes(batch)[s]!, beta!, {
        ...{ logprobs_T: batch.logprobs[s]!, refLogprobs_T: batch.refLogprobs[s]!, mask_T, estimator: estimator! },
      }),
    ),
  }),
  aggregation: (batch, options) => {
    const weights = weightsOf(batch, options);
    const weighted = batch.logprobs.map((row, s) => row.map((x, t) => x * weights[s]![t]!));
    return { loss: weighted.flat().reduce((sum, x) => sum + x, 0), d_logprobs: weights };
  },
  policy: policyOutput,
  kl: (batch, options) => {
    const plain = { surrogate: 'reinforce', advantages: 'tokenAdvantages', aggregation: 'token-mean' } as const;
    const still = { ...batch, tokenAdvantages: batch.mask.map((row) => row.map(() => 0)) };
    return policyOutput(still, { ...options, ...plain, kl: options.estimator });
  },
  value: (batch, { valueClip }) => {
    const data = dataOf(batch, { aggregation: 'token-mean' }, { oldValue: batch.oldValues, return: batch.returns });
    const result = valueLoss(valueClip!).fn(
      { logprobs: [], values: batch.values.map((r) => Float32Array.from(r)) },
      data,
    );
    return { loss: result.lossSum, d_values: result.dValues! };
  },
  'soft-overlong': (_, { lengths, maxTokens, cacheTokens }) => ({
    rewards: [lengths!.map((length) => softOverlongPunishment(length, maxTokens!, cacheTokens!))],
  }),
};

function policyOutput(batch: Batch, options: Options): Output {
  const old = batch.oldLogprobs;
  const advantage =
    options.advantages === 'advantages'
      ? batch.mask.map((mask_T, s) => spread(batch.advantages[s]!, mask_T))
      : batch.tokenAdvantages;
  const lengths_S = batch.mask.map(lengthOfMask);
  const nll_S = nllWeights(
    lengths_S,
    batch.rewards.map((r) => r > 0),
  );
  const data = dataOf(batch, options, {
    ...{ advantage, oldLogprob: old, refLogprob: batch.refLogprobs },
    isWeight: old.map((row, s) => truncatedImportanceWeights(row, batch.samplerLogprobs[s]!, options.cap ?? 1)),
    nllWeight: batch.mask.map((mask_T, s) => spread(nll_S[s]!, mask_T)),
  });
  const loss = policyLoss({
    ...{ surrogate: options.surrogate!, importanceWeights: typeof options.cap === 'number' },
    ...{ clipLow: options.clipLow ?? 0.2, clipHigh: options.clipHigh ?? 0.2, dualClip: options.dualClip ?? null },
    ...{ entropyBonus: options.entropyBonus ?? 0, positiveNll: options.positiveNll ?? 0 },
    kl: options.kl ? { estimator: options.kl, coefficient: options.beta! } : null,
  });
  const float32 = (values: readonly (readonly number[])[]) => values.map((row) => Float32Array.from(row));
  const out: LossResult = loss.fn({ logprobs: float32(batch.logprobs), entropy: float32(batch.entropy) }, data);
  return { loss: out.lossSum, d_logprobs: out.dLogprobs!, d_entropy: out.dEntropy ?? [] };
}

function dataOf(batch: Batch, options: Options, vectors: Record<string, readonly ArrayLike<number>[]>): Datum[] {
  const weight = weightsOf(batch, options);
  return batch.mask.map((mask_T, s) => ({
    input: new Int32Array(mask_T.length),
    target: new Int32Array(mask_T.length),
    vectors: Object.fromEntries(
      Object.entries({ weight, ...vectors }).map(([name, values]) => [name, Float32Array.from(values[s]!)]),
    ),
  }));
}

function weightsOf(batch: Batch, options: Options): number[][] {
  const lengths_S = batch.mask.map(lengthOfMask);
  const S = options.keptOnly ? lengths_S.filter((length) => length > 0).length : lengths_S.length;
  const scale = options.timesSequences ? S : options.keptOnly ? lengths_S.length / S : 1;
  const weights_S = tokenWeights(options.aggregation!, lengths_S, options.constant ?? 1);
  return batch.mask.map((mask_T, s) => mask_T.map((m) => m * scale * weights_S[s]!));
}

function gaeOf(batch: Batch, { gamma, lambda }: Options) {
  const input = { gamma: gamma!, lambda: lambda! };
  return unzip(
    batch.mask.map((mask_T, s) =>
      gae({ ...input, mask_T, values_T: batch.values[s]!, rewards_T: outcomes(batch)[s]! }),
    ),
  );
}

function decoupledRow(batch: Batch, mask_T: readonly number[], s: number, options: Options) {
  const lambdaPolicy = options.alpha
    ? lengthAdaptiveLambda(lengthOfMask(mask_T), options.alpha)
    : options.lambdaPolicy!;
  const { gamma, lambdaCritic } = options;
  const where = { mask_T, values_T: batch.values[s]!, rewards_T: outcomes(batch)[s]! };
  return decoupledGae({ ...where, gamma: gamma!, lambdaPolicy, lambdaCritic: lambdaCritic! });
}

function unzip(results: readonly { advantages_T: Float64Array; returns_T: Float64Array }[]) {
  return { advantages: results.map((r) => r.advantages_T), returns: results.map((r) => r.returns_T) };
}

function outcomes(batch: Batch): Float64Array[] {
  return batch.mask.map((mask_T, s) => outcomeRewards(batch.rewards[s]!, mask_T));
}

/** The references sum token rewards: a response without tokens has reward 0. */
function outcomeOf(batch: Batch, s: number): number {
  return outcomes(batch)[s]!.reduce((sum, r) => sum + r, 0);
}

function groupsOf(batch: Batch): number[][] {
  const prompts = [...new Set(batch.prompts)];
  return prompts.map((prompt) => batch.prompts.flatMap((p, s) => (p === prompt ? [s] : [])));
}

function perGroup(batch: Batch, advantages: (rewards_G: number[]) => Float64Array): Float64Array[] {
  return groupsOf(batch).flatMap((members) => {
    const A = advantages(members.map((s) => outcomeOf(batch, s)));
    return members.map((s, g) => spread(A[g]!, batch.mask[s]!));
  });
}

/** Which part a case is about, in words. */
export function partName({ part, options }: ParityCase): string {
  const { surrogate, aggregation, dualClip, cap, kl, positiveNll, entropyBonus, valueClip, std, estimator, alpha } =
    options;
  if (part === 'aggregation') return `aggregation ${aggregation}`;
  const extras = [
    surrogate,
    typeof dualClip === 'number' && 'dual clip',
    typeof cap === 'number' && 'importance correction',
    kl && `KL ${kl}`,
    positiveNll && 'positive NLL',
    entropyBonus && 'entropy bonus',
    typeof valueClip === 'number' && 'clipped',
    std,
    estimator,
    alpha && 'length-adaptive',
  ].filter((extra) => typeof extra === 'string');
  return [part, ...extras].join(', ');
}
