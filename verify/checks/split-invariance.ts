import { RandomStream } from '../../src/core/index.js';
import type { Datum, Loss } from '../../src/engine/index.js';
import { localEngine, SMALL_LLAMA } from '../local-engine.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

/** Micro-batch budgets: from one sequence at a time to everything at once. */
const SPLITS = [64, 200, 512, 1024, 8192];
const LIMIT = 1e-5;

/** A clipped surrogate with an entropy bonus: uses every path of the loss interface. */
const loss: Loss = {
  name: 'surrogate',
  needs: { entropy: true },
  fn: ({ logprobs, entropy = [] }, data) => {
    let lossSum = 0;
    const dLogprobs = logprobs.map((row, i) => {
      const { advantage, oldLogprob, weight } = (data[i] as Datum).vectors as Record<string, Float32Array>;
      return row.map((logprob, t) => {
        const ratio = Math.exp(logprob - (oldLogprob?.[t] ?? 0));
        const term = (weight?.[t] ?? 0) * (advantage?.[t] ?? 0) * ratio;
        lossSum -= term + 0.01 * (weight?.[t] ?? 0) * (entropy[i]?.[t] ?? 0);
        return -term;
      });
    });
    const dEntropy = data.map(({ vectors }) => (vectors['weight'] as Float32Array).map((w) => -0.01 * w));
    return { lossSum, dLogprobs, dEntropy, metrics: {} };
  },
};

/** 24 sequences of 5 to 90 tokens, weights folded over all of them. */
function stored(): Datum[] {
  const random = new RandomStream(3, 'split-invariance');
  const lengths = Array.from({ length: 24 }, () => random.nextInt(5, 90));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  return lengths.map((length) => {
    const tokens = Int32Array.from({ length: length + 1 }, () => random.nextInt(2, 60));
    const numbers = (draw: () => number): Float32Array => Float32Array.from({ length }, draw);
    const advantage = random.nextNormal();
    return {
      input: tokens.subarray(0, -1),
      target: tokens.subarray(1),
      vectors: {
        weight: numbers(() => 1 / total),
        advantage: numbers(() => advantage),
        oldLogprob: numbers(() => -4 + 0.3 * random.nextNormal()),
      },
    };
  });
}

type Tensors = Map<string, { data: Float32Array }>;

/** Largest |a - b| over a tensor, relative to its largest |a|; the worst tensor counts. */
function relativeDifference(a: Tensors, b: Tensors): number {
  let worst = 0;
  for (const [name, { data }] of a) {
    const other = b.get(name)?.data ?? new Float32Array(data.length).fill(NaN);
    const scale = data.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const difference = data.reduce((max, value, i) => Math.max(max, Math.abs(value - (other[i] as number))), 0);
    worst = Math.max(worst, scale === 0 ? difference : difference / scale);
  }
  return worst;
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  const data = stored();
  const gradients: Tensors[] = [];
  for (const tokensPerMicroBatch of SPLITS) {
    const engine = await localEngine();
    const source = { kind: 'random' as const, config: SMALL_LLAMA, seed: 7 };
    const model = await engine.openModel({ source, tokensPerMicroBatch });
    const { lossSum } = await model.forwardBackward(data, loss, { temperature: 0.8 });
    gradients.push(await model.tensors('gradients'));
    ctx.log(`${tokensPerMicroBatch} tokens a micro-batch: loss ${lossSum}`);
    await engine.close();
  }
  const [first, ...others] = gradients as [Tensors, ...Tensors[]];
  const worst = Math.max(...others.map((other) => relativeDifference(first, other)));
  const nonZero = [...first.values()].every(({ data }) => data.some((value) => value !== 0));
  return {
    status: worst <= LIMIT && nonZero ? 'passed' : 'failed',
    detail: nonZero ? `gradients over ${SPLITS.length} splits agree` : 'a gradient is zero throughout',
    numbers: { splits: SPLITS.length, tensors: first.size, worstRelative: worst.toExponential(2) },
  };
}

const check: Check = {
  name: 'split-invariance',
  shows: 'the gradients of one update from the same stored rollouts agree over 5 splits to 1e-5 relative',
  needs: [],
  run,
};
export default check;
