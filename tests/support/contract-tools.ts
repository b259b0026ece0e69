import { RandomStream } from '../../src/core/index.js';
import type { Datum, Loss, OptimStep, Outputs, TrainableModel } from '../../src/engine/types.js';

export type TensorMap = Awaited<ReturnType<TrainableModel['tensors']>>;

export const STEP: OptimStep = { lr: 1e-2, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradClipNorm: Infinity };

/** Sequences of random tokens and lengths, with random weights on their second halves. */
export function randomData(vocab: number, seed: number, count: number, longest = 9): Datum[] {
  return Array.from({ length: count }, (_, i) => {
    const random = new RandomStream(seed, 'contract', i);
    const T = random.nextInt(3, longest);
    const tokens = Int32Array.from({ length: T + 1 }, () => random.nextInt(0, vocab - 1));
    const per = (draw: (t: number) => number) => Float32Array.from({ length: T }, (_, t) => draw(t));
    return {
      input: tokens.slice(0, -1),
      target: tokens.slice(1),
      vectors: {
        weight: per((t) => (t < T / 2 ? 0 : random.next() / count)),
        advantage: per(() => random.nextNormal()),
        oldLogprob: per(() => -Math.log(vocab) + 0.3 * random.nextNormal()),
      },
    };
  });
}

export function prompts(vocab: number, seed: number, count: number): Int32Array[] {
  return Array.from({ length: count }, (_, i) => {
    const random = new RandomStream(seed, 'prompts', i);
    return Int32Array.from({ length: random.nextInt(1, 6) }, () => random.nextInt(0, vocab - 1));
  });
}

/** sum_t weight_t (c logprob_t + e entropy_t), by its definition. */
export function linearLoss(c: number, e: number, linear = true): Loss {
  return {
    name: 'contract-linear',
    needs: { entropy: e !== 0 },
    linear,
    fn: (out, data) => ({
      lossSum: sumTokens(data, (w, i, t) => w * (c * out.logprobs[i]![t]! + (e === 0 ? 0 : e * out.entropy![i]![t]!))),
      dLogprobs: perToken(data, (w) => w * c),
      ...(e === 0 ? {} : { dEntropy: perToken(data, (w) => w * e) }),
      metrics: { tokens: { sum: data.length, count: 1 }, 'logprob.max': { max: highest(out) } },
    }),
  };
}

/** sum_t weight_t exp(logprob_t) advantage_t: smooth, and not linear in the logprobs. */
export const curvedLoss: Loss = {
  name: 'contract-curved',
  needs: {},
  fn: (out, data) => {
    const term = (w: number, i: number, t: number) =>
      w * Math.exp(out.logprobs[i]![t]!) * data[i]!.vectors.advantage![t]! * 10;
    return { lossSum: sumTokens(data, term), dLogprobs: perToken(data, term), metrics: {} };
  },
};

/** sum_t weight_t value_t^2. */
export const valueLoss: Loss = {
  name: 'contract-values',
  needs: { values: true },
  fn: (out, data) => ({
    lossSum: sumTokens(data, (w, i, t) => w * out.values![i]![t]! ** 2),
    dValues: perToken(data, (w, i, t) => 2 * w * out.values![i]![t]!),
    metrics: {},
  }),
};

export const nanLoss: Loss = {
  name: 'contract-nan',
  needs: {},
  fn: (_out, data) => ({ lossSum: NaN, dLogprobs: perToken(data, () => NaN), metrics: {} }),
};

function highest(out: Outputs): number {
  return Math.max(...out.logprobs.map((logprobs_T) => Math.max(...logprobs_T)));
}

type Term = (weight: number, i: number, t: number) => number;

function sumTokens(data: readonly Datum[], term: Term): number {
  let sum = 0;
  data.forEach(({ vectors }, i) => vectors.weight!.forEach((w, t) => (sum += w === 0 ? 0 : term(w, i, t))));
  return sum;
}

function perToken(data: readonly Datum[], term: Term): Float32Array[] {
  return data.map(({ vectors }, i) => vectors.weight!.map((w, t) => (w === 0 ? 0 : term(w, i, t))));
}

/** Largest ||a - b|| / ||a|| over tensors; tensors that matter little are measured against the whole. */
export function relativeDifference(a: TensorMap, b: TensorMap): number {
  const floor = 1e-3 * norm([...a.values()].map(({ data }) => norm(data)));
  return Math.max(
    ...[...a].map(([name, { data }]) => {
      const other = b.get(name)!.data;
      return norm(data.map((x, i) => x - other[i]!)) / Math.max(norm(data), floor, 1e-30);
    }),
  );
}

export function norm(values: ArrayLike<number>): number {
  return Math.sqrt(Array.from(values).reduce((sum, x) => sum + x * x, 0));
}

/** sum over all tensors of a . (to - from). */
export function dotWithMove(a: TensorMap, from: TensorMap, to: TensorMap): number {
  let sum = 0;
  for (const [name, { data }] of a)
    data.forEach((x, i) => (sum += x * (to.get(name)!.data[i]! - from.get(name)!.data[i]!)));
  return sum;
}

/** log p(v | prefix) for every v of the vocabulary at a temperature, by one forward pass over all of them. */
export async function distributionAfter(
  model: TrainableModel,
  prefix: Int32Array,
  temperature: number,
): Promise<number[]> {
  const V = model.info.vocabSize;
  const data = Array.from({ length: V }, (_, v) => {
    const target = Int32Array.from([...prefix.slice(1), v]);
    return { input: prefix, target, vectors: {} };
  });
  const { logprobs } = await model.forward(data, { temperature });
  return logprobs.map((logprobs_T) => logprobs_T.at(-1)!);
}

export function maxAbsDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  return Array.from(a).reduce((max, x, i) => Math.max(max, Math.abs(x - b[i]!)), 0);
}

/** Log-probabilities after top-k, top-p and min-p in this order, renormalised; -Infinity where cut. */
export function filtered(logp_V: number[], filters: { topK?: number; topP?: number; minP?: number }): number[] {
  const order = logp_V.map((_, v) => v).sort((a, b) => logp_V[b]! - logp_V[a]!);
  let kept = order.slice(0, filters.topK ?? order.length);
  const mass = (ids: number[]) => ids.reduce((sum, v) => sum + Math.exp(logp_V[v]!), 0);
  const total = mass(kept);
  kept = kept.filter((_, rank) => mass(kept.slice(0, rank)) / total < (filters.topP ?? Infinity));
  const least = Math.log(filters.minP ?? 0) + logp_V[kept[0]!]!;
  kept = kept.filter((v) => logp_V[v]! >= least);
  const logMass = Math.log(mass(kept));
  return logp_V.map((logp, v) => (kept.includes(v) ? logp - logMass : -Infinity));
}
