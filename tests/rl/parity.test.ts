import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AGGREGATIONS,
  KL_ESTIMATORS,
  SURROGATES,
  decoupledGae,
  gae,
  groupAdvantages,
  klEstimate,
  klNormalisedRewards,
  klPenalisedRewards,
  leaveOneOut,
  lengthAdaptiveLambda,
  monteCarloReturns,
  nllWeights,
  outcomeRewards,
  policyLoss,
  reinforcePlusPlus,
  reinforcePlusPlusBaseline,
  tokenWeights,
  truncatedImportanceWeights,
  valueLoss,
  whiten,
  type Aggregation,
  type KlEstimator,
  type Surrogate,
} from '../../src/rl/index.js';
import { sum, Var } from '../support/autodiff.js';
import {
  column,
  datums,
  groups,
  lengthsOf,
  maskOf,
  outputs,
  responses,
  type RaggedResponse,
  type RaggedToken,
} from '../support/ragged.js';
import { PARITY_PROGRAMS, parityOf } from '../support/rl-parity.js';

const RUNS = { seed: 20250407, numRuns: 100 };
const TOLERANCE = 1e-6;

describe.each(PARITY_PROGRAMS)('golden numbers of %s', async (program) => {
  const { golden, rows } = await parityOf(program, new URL('../golden/rl/', import.meta.url));

  it.each(rows.map((row) => [`${row.case.part} = ${row.case.function}, ${row.case.batch}`, row] as const))(
    `%s (${golden.version})`,
    (_, { difference }) => {
      expect(difference).toBeLessThan(1e-5);
    },
  );
});

/** A response without its tool tokens: what the formulas of the papers are about. */
const modelTokens = ({ tokens }: RaggedResponse): RaggedToken[] => tokens.filter(({ model }) => model);

/** Rewards of the model's tokens, those on tool tokens added to the token before. */
function rewardsOf({ tokens }: RaggedResponse): number[] {
  const rewards: number[] = [];
  for (const { model, reward } of tokens)
    if (model) rewards.push(reward);
    else if (rewards.length > 0) rewards[rewards.length - 1]! += reward;
  return rewards;
}

const onModelTokens = (response: RaggedResponse, values_T: ArrayLike<number>) =>
  Array.from(values_T).filter((_, t) => response.tokens[t]?.model);
const onToolTokens = (response: RaggedResponse, values_T: ArrayLike<number>) =>
  Array.from(values_T).filter((_, t) => !response.tokens[t]?.model);

function close(ours: ArrayLike<number>, reference: readonly number[], tolerance = TOLERANCE): boolean {
  return ours.length === reference.length && reference.every((x, i) => Math.abs(x - ours[i]!) <= tolerance);
}

describe('advantages against sums written from the formula', () => {
  const unit = fc.double({ min: 0, max: 1, noNaN: true });
  const bootstrap = fc.option(fc.double({ min: -1, max: 1, noNaN: true }), { nil: undefined });

  /** A_t = sum_k (gamma lambda)^k delta_{t+k} over the model's tokens. */
  function slowGae(response: RaggedResponse, gamma: number, lambda: number, last: number): number[] {
    const V = [...modelTokens(response).map(({ value }) => value), last];
    const delta = rewardsOf(response).map((r, t) => r + gamma * V[t + 1]! - V[t]!);
    return delta.map((_, t) => delta.slice(t).reduce((total, d, k) => total + (gamma * lambda) ** k * d, 0));
  }

  const input = (response: RaggedResponse, gamma: number, bootstrapValue: number | undefined) => ({
    ...{ rewards_T: column(response, 'reward'), values_T: column(response, 'value'), mask_T: maskOf(response), gamma },
    ...(bootstrapValue === undefined ? {} : { bootstrapValue }),
  });

  it('GAE, with returns, tool tokens and an optional bootstrap', () => {
    fc.assert(
      fc.property(responses, unit, unit, bootstrap, (batch, gamma, lambda, last) => {
        for (const response of batch) {
          const { advantages_T, returns_T } = gae({ ...input(response, gamma, last), lambda });
          const A = slowGae(response, gamma, lambda, last ?? 0);
          expect(close(onModelTokens(response, advantages_T), A)).toBe(true);
          const returns = A.map((a, t) => a + modelTokens(response)[t]!.value);
          expect(close(onModelTokens(response, returns_T), returns)).toBe(true);
          expect(
            [...onToolTokens(response, advantages_T), ...onToolTokens(response, returns_T)].every((x) => x === 0),
          ).toBe(true);
        }
      }),
      RUNS,
    );
  });

  it('decoupled GAE, length-adaptive or not: two passes', () => {
    fc.assert(
      fc.property(responses, unit, unit, unit, (batch, gamma, lambdaCritic, alpha) => {
        for (const response of batch) {
          const l = modelTokens(response).length;
          const lambdaPolicy = lengthAdaptiveLambda(l, alpha);
          expect(lambdaPolicy).toBe(alpha * l <= 1 ? 0 : 1 - 1 / (alpha * l));
          const result = decoupledGae({ ...input(response, gamma, undefined), lambdaPolicy, lambdaCritic });
          expect(close(onModelTokens(response, result.advantages_T), slowGae(response, gamma, lambdaPolicy, 0))).toBe(
            true,
          );
          const returns = slowGae(response, gamma, lambdaCritic, 0).map((a, t) => a + modelTokens(response)[t]!.value);
          expect(close(onModelTokens(response, result.returns_T), returns)).toBe(true);
        }
      }),
      RUNS,
    );
  });

  it('Monte-Carlo returns', () => {
    fc.assert(
      fc.property(responses, unit, bootstrap, (batch, gamma, last) => {
        for (const response of batch) {
          const r = [...rewardsOf(response), last ?? 0];
          const G = r.slice(0, -1).map((_, t) => r.slice(t).reduce((total, x, k) => total + gamma ** k * x, 0));
          expect(close(onModelTokens(response, monteCarloReturns(input(response, gamma, last))), G)).toBe(true);
        }
      }),
      RUNS,
    );
  });

  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const rewards = (group: readonly RaggedResponse[]) => group.map(({ reward }) => reward);
  const G2 = responses.filter((group) => group.length > 1);

  it('group-normalised, mean-only, leave-one-out and its KL', () => {
    fc.assert(
      fc.property(
        G2,
        fc.array(fc.double({ min: 0, max: 5, noNaN: true }), { minLength: 5, maxLength: 5 }),
        (group, k) => {
          const R = rewards(group);
          const variance = R.reduce((total, r) => total + (r - mean(R)) ** 2, 0) / (R.length - 1);
          const std = Math.sqrt(variance);
          expect(
            close(
              groupAdvantages(R, { std: 'sample', eps: 1e-6 }),
              R.map((r) => (r - mean(R)) / (std + 1e-6)),
            ),
          ).toBe(true);
          expect(
            close(
              groupAdvantages(R, { std: 'none', eps: 0 }),
              R.map((r) => r - mean(R)),
            ),
          ).toBe(true);
          const others = (values: readonly number[], i: number) => mean(values.filter((_, j) => j !== i));
          expect(
            close(
              leaveOneOut(R),
              R.map((r, i) => r - others(R, i)),
            ),
          ).toBe(true);
          const kl = k.slice(0, R.length);
          const normalised = R.map((r, i) => r - 0.3 * (kl[i]! - others(kl, i)));
          expect(close(klNormalisedRewards(R, kl, 0.3), normalised)).toBe(true);
        },
      ),
      RUNS,
    );
  });

  /** (x - mean) / sqrt(var + 1e-8) over the model's tokens of all responses; var with n - 1. */
  function slowWhiten(values: readonly number[]): number[] {
    if (values.length < 2) return values.map(() => 0);
    const variance = values.reduce((total, x) => total + (x - mean(values)) ** 2, 0) / (values.length - 1);
    return values.map((x) => (x - mean(values)) / Math.sqrt(variance + 1e-8));
  }

  it('whitening, REINFORCE++ and its baseline form', () => {
    fc.assert(
      fc.property(groups, unit, (batch, gamma) => {
        const flat = batch.flat();
        const flatten = (values_ST: readonly ArrayLike<number>[]) =>
          values_ST.flatMap((values_T, s) => onModelTokens(flat[s]!, values_T));
        const masks = flat.map(maskOf);
        const values = flat.map((response) => column(response, 'value'));
        const whitened = whiten(values, masks, { shiftMean: true, eps: 1e-8 });
        expect(close(flatten(whitened), slowWhiten(flatten(values)))).toBe(true);

        const outcomes = flat.map((response, s) => outcomeRewards(response.reward, masks[s]!));
        const slowReturns = flat.flatMap((response) => {
          const n = modelTokens(response).length;
          return Array.from({ length: n }, (_, t) => gamma ** (n - 1 - t) * response.reward);
        });
        fc.pre(spreadOf(slowReturns) > 1e-3);
        expect(close(flatten(reinforcePlusPlus(outcomes, masks, gamma)), slowWhiten(slowReturns))).toBe(true);

        const centred = batch.flatMap((group) =>
          group.flatMap((response) => {
            const baseline = group.length > 1 ? mean(rewards(group)) : 0;
            return modelTokens(response).map(() => response.reward - baseline);
          }),
        );
        const baselined = reinforcePlusPlusBaseline(
          batch.map(rewards),
          batch.map((group) => group.map(maskOf)),
        );
        expect(
          close(flatten(baselined.flat()), spreadOf(centred) > 1e-9 ? slowWhiten(centred) : centred.map(() => 0)),
        ).toBe(true);
      }),
      RUNS,
    );
  });

  const spreadOf = (values: readonly number[]) => (values.length ? Math.max(...values) - Math.min(...values) : 0);

  it('KL in the reward', () => {
    fc.assert(
      fc.property(responses, fc.constantFrom(...KL_ESTIMATORS), (batch, estimator) => {
        for (const response of batch) {
          const expected = modelTokens(response).map(
            ({ reward, logprob, refLogprob }) => reward - 0.2 * slowKl(estimator, new Var(logprob), refLogprob).value,
          );
          const ours = klPenalisedRewards(column(response, 'reward'), 0.2, {
            ...{ logprobs_T: column(response, 'logprob'), refLogprobs_T: column(response, 'refLogprob') },
            ...{ mask_T: maskOf(response), estimator },
          });
          expect(close(onModelTokens(response, ours), expected)).toBe(true);
        }
      }),
      RUNS,
    );
  });
});

function slowKl(estimator: KlEstimator, logprob: Var, refLogprob: number): Var {
  const d = logprob.minus(refLogprob);
  if (estimator === 'k1') return d;
  if (estimator === 'k2') return d.times(d).times(0.5);
  return d.times(-1).exp().minus(1).plus(d);
}

/** The mean of token losses over an update, as each paper writes it; [S][T] of the model's tokens. */
function slowAggregate(aggregation: Aggregation, losses_ST: readonly (readonly Var[])[], constant: number): Var {
  const all = losses_ST.flat();
  const present = losses_ST.filter((losses_T) => losses_T.length > 0);
  if (all.length === 0) return new Var(0);
  switch (aggregation) {
    case 'token-mean':
      return sum(all).times(1 / all.length);
    case 'sequence-mean-token-mean':
      return sum(present.map((losses_T) => sum(losses_T).times(1 / losses_T.length))).times(1 / present.length);
    case 'sequence-mean-token-sum':
      return sum(present.map(sum)).times(1 / present.length);
    case 'constant':
      return sum(losses_ST.map((losses_T) => sum(losses_T).times(1 / constant))).times(1 / losses_ST.length);
  }
}

/** One response's surrogate per token, from the papers; `logprobs` of the model's tokens. */
function slowSurrogate(
  surrogate: Surrogate,
  tokens: readonly RaggedToken[],
  logprobs: readonly Var[],
  dual: number | null,
): Var[] {
  const [low, high] = [0.2, 0.28];
  const logRatios = logprobs.map((logprob, t) => logprob.minus(tokens[t]!.oldLogprob));
  const log_s = sum(logRatios).times(1 / tokens.length);
  return tokens.map(({ advantage: A }, t) => {
    const clipped = (r: Var) => {
      const l = r
        .times(A)
        .min(r.clip(1 - low, 1 + high).times(A))
        .times(-1);
      return dual !== null && A < 0 ? l.min(-dual * A) : l;
    };
    const r = logRatios[t]!.exp();
    switch (surrogate) {
      case 'clip':
        return clipped(r);
      case 'importance-sampling':
        return r.times(-A);
      case 'reinforce':
        return logprobs[t]!.times(-A);
      case 'cispo':
        return r
          .clip(1 - low, 1 + high)
          .detach()
          .times(-A)
          .times(logprobs[t]!);
      case 'gspo':
        return clipped(log_s.exp());
      case 'gspo-token':
        return clipped(log_s.detach().plus(logprobs[t]!).minus(logprobs[t]!.detach()).exp());
    }
  });
}

describe('losses against autodiff of the formula', () => {
  const CAP = 1.3;
  const settings = fc.record({
    surrogate: fc.constantFrom(...SURROGATES),
    aggregation: fc.constantFrom(...AGGREGATIONS),
    dualClip: fc.constantFrom(null, 2),
    importanceWeights: fc.boolean(),
    entropyBonus: fc.constantFrom(0, 0.05),
    kl: fc.constantFrom(null, ...KL_ESTIMATORS.map((estimator) => ({ estimator, coefficient: 0.1 }))),
    positiveNll: fc.constantFrom(0, 0.1),
  });
  type Settings = typeof settings extends fc.Arbitrary<infer T> ? T : never;
  const M = 8;

  function slowPolicyLoss(
    batch: readonly RaggedResponse[],
    options: Settings,
    logprobs: Var[][],
    entropy: Var[][],
  ): Var {
    const tokens = batch.map(modelTokens);
    const policy = tokens.map((tokens_T, s) => {
      const surrogate = slowSurrogate(options.surrogate, tokens_T, logprobs[s]!, options.dualClip);
      return tokens_T.map((token, t) => {
        const w = Math.fround(Math.min(Math.exp(token.oldLogprob - token.samplerLogprob), CAP));
        const { kl } = options;
        return surrogate[t]!.times(options.importanceWeights ? w : 1)
          .plus(entropy[s]![t]!.times(-options.entropyBonus))
          .plus(kl ? slowKl(kl.estimator, logprobs[s]![t]!, token.refLogprob).times(kl.coefficient) : 0);
      });
    });
    const right = logprobs.filter((_, s) => batch[s]!.correct).flat();
    const nll = right.length > 0 ? sum(right).times(-1 / right.length) : new Var(0);
    return slowAggregate(options.aggregation, policy, M).plus(nll.times(options.positiveNll));
  }

  it('policy losses: value and gradients by logprob and entropy', () => {
    fc.assert(
      fc.property(responses, settings, (batch, options) => {
        const variables = (name: 'logprob' | 'entropy') =>
          batch.map((response) => modelTokens(response).map((token) => new Var(token[name])));
        const [logprobs, entropy] = [variables('logprob'), variables('entropy')];
        const slow = slowPolicyLoss(batch, options, logprobs, entropy);
        slow.backward();

        const lengths_S = lengthsOf(batch);
        const nll_S = nllWeights(
          lengths_S,
          batch.map(({ correct }) => correct),
        );
        const data = datums(batch, tokenWeights(options.aggregation, lengths_S, M), {
          isWeight: (r) => truncatedImportanceWeights(column(r, 'oldLogprob'), column(r, 'samplerLogprob'), CAP),
          nllWeight: (r, s) => maskOf(r).map((m) => m * nll_S[s]!),
        });
        const ours = policyLoss({ ...options, clipLow: 0.2, clipHigh: 0.28 }).fn(outputs(batch), data);
        expect(Math.abs(ours.lossSum - slow.value)).toBeLessThanOrEqual(TOLERANCE);
        batch.forEach((response, s) => {
          const gradient = (variables_T: Var[]) => variables_T.map((v) => v.gradient);
          expect(close(onModelTokens(response, ours.dLogprobs![s]!), gradient(logprobs[s]!))).toBe(true);
          expect(onToolTokens(response, ours.dLogprobs![s]!).every((d) => d === 0)).toBe(true);
          if (options.entropyBonus > 0)
            expect(close(onModelTokens(response, ours.dEntropy![s]!), gradient(entropy[s]!))).toBe(true);
        });
      }),
      { ...RUNS, numRuns: 400 },
    );
  });

  it('value loss, clipped and not', () => {
    fc.assert(
      fc.property(
        responses,
        fc.constantFrom(...AGGREGATIONS),
        fc.constantFrom(null, 0.2),
        (batch, aggregation, clip) => {
          const values = batch.map((response) => modelTokens(response).map(({ value }) => new Var(value)));
          const losses = batch.map((response, s) =>
            modelTokens(response).map((token, t) => {
              const v = values[s]![t]!;
              const square = (x: Var) => x.minus(token.return).times(x.minus(token.return));
              const cut = clip === null ? v : v.clip(token.oldValue - clip, token.oldValue + clip);
              return square(v).max(square(cut)).times(0.5);
            }),
          );
          const slow = slowAggregate(aggregation, losses, M);
          slow.backward();
          const weights_S = tokenWeights(aggregation, lengthsOf(batch), M);
          const ours = valueLoss(clip).fn(outputs(batch), datums(batch, weights_S));
          expect(Math.abs(ours.lossSum - slow.value)).toBeLessThanOrEqual(TOLERANCE);
          batch.forEach((response, s) => {
            const gradient = values[s]!.map((v) => v.gradient);
            expect(close(onModelTokens(response, ours.dValues![s]!), gradient)).toBe(true);
          });
        },
      ),
      RUNS,
    );
  });

  it("k2's gradient is that of the divergence on the policy's own samples, k1's is zero", () => {
    // pi and pi_ref over three tokens; d/dz of sum_a pi(a) log(pi(a) / pi_ref(a)) against E_pi[dk/dlogprob grad log pi].
    const z = [0.3, -0.4, 0.9];
    const ref = [0.2, 0.5, 0.3].map(Math.log);
    const total = z.reduce((t, x) => t + Math.exp(x), 0);
    const pi = z.map((x) => Math.exp(x) / total);
    const expected = (estimator: KlEstimator) =>
      z.map((_, j) =>
        pi.reduce((t, p, a) => {
          const { dLogprob } = klEstimate(estimator, Math.log(p), ref[a]!);
          return t + p * dLogprob * (Number(a === j) - pi[j]!);
        }, 0),
      );
    const kl = pi.reduce((t, p, a) => t + p * (Math.log(p) - ref[a]!), 0);
    const exact = pi.map((p, j) => p * (Math.log(p) - ref[j]! - kl));
    expect(close(expected('k2'), exact, 1e-12)).toBe(true);
    expect(close(expected('k1'), [0, 0, 0], 1e-12)).toBe(true);
    expect(close(expected('k3'), exact, 1e-3)).toBe(false);
  });
});
