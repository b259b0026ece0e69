import { expect } from 'vitest';
import type { Datum, Loss, TrainableModel } from '../../src/engine/types.js';
import { clippedSurrogate } from '../../src/rl/index.js';
import {
  STEP,
  curvedLoss,
  distributionAfter,
  dotWithMove,
  linearLoss,
  maxAbsDifference,
  nanLoss,
  norm,
  randomData,
  relativeDifference,
  valueLoss,
  type TensorMap,
} from './contract-tools.js';
import type { Clause } from './engine-contract.js';
import { adamwTensor, clipScale, type Moments } from './reference-adamw.js';

const surrogate = clippedSurrogate({ clipLow: 0.2, clipHigh: 0.28, dualClip: 10, entropyBonus: 0 });

export async function gradientsOf(model: TrainableModel, batches: readonly Datum[][], loss: Loss, temperature = 1) {
  await model.zeroGrad();
  const results = [];
  for (const batch of batches) results.push(await model.forwardBackward(batch, loss, { temperature }));
  return { gradients: await model.tensors('gradients'), lossSum: results.reduce((sum, r) => sum + r.lossSum, 0) };
}

export function splitInto(data: readonly Datum[], sizes: readonly number[]): Datum[][] {
  let from = 0;
  return sizes.map((size) => data.slice(from, (from += size)));
}

/**
 * Along the move d of a small optimiser step driven by another loss, loss(w + d) - loss(w) must equal
 * (gradient(w) + gradient(w + d)) . d / 2 up to third order.
 */
export async function matchesDifferences(
  model: TrainableModel,
  data: Datum[],
  loss: Loss,
  temperature: number,
): Promise<void> {
  for (const seed of [1, 2, 3]) {
    const before = await gradientsOf(model, [data], loss, temperature);
    const from = await model.tensors('weights');
    const driver = model.role === 'critic' ? valueLoss : curvedLoss;
    await gradientsOf(model, [randomData(model.info.vocabSize, 100 + seed, 6)], driver);
    await model.optimStep({ ...STEP, lr: 2e-3 });
    const after = await gradientsOf(model, [data], loss, temperature);
    const to = await model.tensors('weights');
    const predicted = (dotWithMove(before.gradients, from, to) + dotWithMove(after.gradients, from, to)) / 2;
    const measured = after.lossSum - before.lossSum;
    const size = norm([...before.gradients.values()].map((g) => norm(g.data))) * distance(from, to);
    expect(Math.abs(measured - predicted)).toBeLessThan(0.02 * Math.abs(predicted) + 0.003 * size + 2e-6);
    await model.zeroGrad();
  }
}

function distance(from: TensorMap, to: TensorMap): number {
  return norm([...from].map(([name, { data }]) => norm(data.map((x, i) => x - to.get(name)!.data[i]!))));
}

export const TRAINING_CLAUSES: Readonly<Record<string, Clause>> = {
  'forward and forwardBackward give the same outputs': async ({ openPolicy }) => {
    const model = await openPolicy(1);
    const data = randomData(model.info.vocabSize, 1, 7);
    for (const temperature of [1, 0.7]) {
      const forward = await model.forward(data, { entropy: true, temperature });
      const { outputs } = await model.forwardBackward(data, linearLoss(-1, 0.1), { temperature });
      data.forEach(({ input }, i) => {
        expect(forward.logprobs[i]).toHaveLength(input.length);
        expect(forward.entropy?.[i]).toHaveLength(input.length);
        expect(maxAbsDifference(forward.logprobs[i]!, outputs.logprobs[i]!)).toBeLessThan(1e-5);
        expect(maxAbsDifference(forward.entropy![i]!, outputs.entropy![i]!)).toBeLessThan(1e-5);
      });
    }
    await model.dispose();
  },

  'logprobs are of a distribution, entropy is its entropy, and temperature divides the logits': async ({
    openPolicy,
  }) => {
    const model = await openPolicy(2);
    const prefix = randomData(model.info.vocabSize, 3, 1)[0]!.input;
    const datum = { input: prefix, target: prefix, vectors: {} };
    const atOne = await distributionAfter(model, prefix, 1);
    for (const temperature of [1, 0.7, 1.6]) {
      const logp_V = await distributionAfter(model, prefix, temperature);
      expect(logp_V.reduce((sum, logp) => sum + Math.exp(logp), 0)).toBeCloseTo(1, 4);
      const { entropy } = await model.forward([datum], { entropy: true, temperature });
      const H = -logp_V.reduce((sum, logp) => sum + Math.exp(logp) * logp, 0);
      expect(Math.abs(entropy![0]!.at(-1)! - H)).toBeLessThan(1e-4);
      const contrast = logp_V.map((logp) => (logp - logp_V[0]!) * temperature);
      expect(
        maxAbsDifference(
          contrast,
          atOne.map((logp) => logp - atOne[0]!),
        ),
      ).toBeLessThan(1e-4);
    }
    await model.dispose();
  },

  'outputs do not depend on the other sequences of the batch': async ({ openPolicy }) => {
    const model = await openPolicy(3);
    const data = randomData(model.info.vocabSize, 4, 6, 14);
    const together = await model.forward(data);
    for (const [i, datum] of data.entries()) {
      const alone = await model.forward([datum]);
      expect(maxAbsDifference(alone.logprobs[0]!, together.logprobs[i]!)).toBeLessThan(1e-5);
    }
    await model.dispose();
  },

  'gradients of any split of the batch equal those of one call': async ({ openPolicy }) => {
    const model = await openPolicy(4);
    const data = randomData(model.info.vocabSize, 5, 8, 12);
    for (const loss of [linearLoss(-1, 0), linearLoss(-1, 0.3), surrogate, curvedLoss]) {
      const whole = await gradientsOf(model, [data], loss);
      expect(norm([...whole.gradients.values()].map((g) => norm(g.data)))).toBeGreaterThan(0);
      for (const sizes of [
        [4, 4],
        [1, 1, 1, 1, 1, 1, 1, 1],
        [3, 5],
        [7, 1],
        [2, 2, 4],
      ]) {
        const split = await gradientsOf(model, splitInto(data, sizes), loss);
        expect(relativeDifference(whole.gradients, split.gradients)).toBeLessThan(1e-5);
        expect(split.lossSum).toBeCloseTo(whole.lossSum, 5);
      }
    }
    await model.dispose();
  },

  'sequences of very different lengths give the gradients of one at a time': async ({ openPolicy }) => {
    const model = await openPolicy(4);
    const data = randomData(model.info.vocabSize, 8, 12, 31);
    for (const loss of [linearLoss(-1, 0, true), surrogate]) {
      const whole = await gradientsOf(model, [data], loss);
      const single = await gradientsOf(
        model,
        data.map((datum) => [datum]),
        loss,
      );
      expect(relativeDifference(whole.gradients, single.gradients)).toBeLessThan(1e-5);
    }
    await model.dispose();
  },

  'a linear loss gives what it gives without the flag': async ({ openPolicy }) => {
    const model = await openPolicy(5);
    const data = randomData(model.info.vocabSize, 6, 6);
    for (const entropy of [0, 0.5]) {
      const flagged = await gradientsOf(model, [data], linearLoss(-1, entropy, true), 0.8);
      const plain = await gradientsOf(model, [data], linearLoss(-1, entropy, false), 0.8);
      expect(relativeDifference(plain.gradients, flagged.gradients)).toBeLessThan(1e-5);
      expect(flagged.lossSum).toBeCloseTo(plain.lossSum, 5);
    }
    const a = await model.forwardBackward(data, linearLoss(-1, 0, true));
    const b = await model.forwardBackward(data, linearLoss(-1, 0, false));
    expect(Object.keys(a.metrics)).toEqual(Object.keys(b.metrics));
    expect(a.metrics['logprob.max']).toMatchObject({
      max: expect.closeTo((b.metrics['logprob.max'] as { max: number }).max, 5),
    });
    await model.dispose();
  },

  'gradients match finite differences: logprobs, curved losses, entropy, temperature': async ({ openPolicy }) => {
    const model = await openPolicy(6);
    const data = randomData(model.info.vocabSize, 7, 6);
    for (const temperature of [1, 0.7])
      for (const loss of [linearLoss(-1, 0), curvedLoss, linearLoss(0, 1), linearLoss(-0.5, -0.7)])
        await matchesDifferences(model, data, loss, temperature);
    await model.dispose();
  },

  'zeroGrad and optimStep clear the gradient': async ({ openPolicy }) => {
    const model = await openPolicy(7);
    const data = randomData(model.info.vocabSize, 8, 4);
    const total = async () => norm([...(await model.tensors('gradients')).values()].map((g) => norm(g.data)));
    await model.forwardBackward(data, linearLoss(-1, 0));
    expect(await total()).toBeGreaterThan(0);
    await model.zeroGrad();
    expect(await total()).toBe(0);
    await model.forwardBackward(data, linearLoss(-1, 0));
    await model.optimStep(STEP);
    expect(await total()).toBe(0);
    await model.dispose();
  },

  'resetOptimizer makes the next step the first one': async ({ openPolicy }) => {
    const model = await openPolicy(7);
    const lr = 1e-3;
    const step = async (seed: number) => {
      await model.forwardBackward(randomData(model.info.vocabSize, seed, 4), linearLoss(-1, 0));
      const [before, gradients] = [await model.tensors('weights'), await model.tensors('gradients')];
      await model.optimStep({ ...STEP, lr, weightDecay: 0 });
      const after = await model.tensors('weights');
      return [...gradients].flatMap(([name, { data: g }]) => {
        const [from, to] = [before, after].map((tensors) => tensors.get(name)!.data) as [Float32Array, Float32Array];
        return [...g].flatMap((value, i) => (Math.abs(value) > 1e-4 ? [{ g: value, move: to[i]! - from[i]! }] : []));
      });
    };
    // The first step of AdamW moves every weight by the learning rate, against its gradient.
    const isFirst = (moves: { g: number; move: number }[]) =>
      moves.every(({ g, move }) => Math.abs(move + lr * Math.sign(g)) < 0.01 * lr);
    expect(isFirst(await step(8))).toBe(true);
    expect(isFirst(await step(9))).toBe(false);
    await model.resetOptimizer();
    expect(isFirst(await step(10))).toBe(true);
    await model.dispose();
  },

  'optimStep is AdamW with decay on matrices and a global clip': async ({ openPolicy }) => {
    const model = await openPolicy(8);
    const step = { ...STEP, weightDecay: 0.1, gradClipNorm: 0.05 };
    const start = await model.tensors('weights');
    const expected = new Map([...start].map(([name, { data }]) => [name, Float64Array.from(data)]));
    const moments = new Map<string, Moments>(
      [...start].map(([name, { data }]) => [
        name,
        { m: new Float64Array(data.length), v: new Float64Array(data.length) },
      ]),
    );
    for (let update = 1; update <= 3; update++) {
      await model.forwardBackward(randomData(model.info.vocabSize, 20 + update, 5), linearLoss(-1, 0));
      const gradients = await model.tensors('gradients');
      const gradNorm = norm([...gradients.values()].map((g) => norm(g.data)));
      const result = await model.optimStep(step);
      expect(result.skipped).toBe(false);
      expect(Math.abs(result.gradNorm - gradNorm) / gradNorm).toBeLessThan(1e-5);
      for (const [name, { shape, data }] of gradients) {
        const scale = clipScale(gradNorm, step.gradClipNorm);
        adamwTensor(expected.get(name)!, data, moments.get(name)!, step, update, scale, shape.length > 1);
      }
    }
    for (const [name, { data }] of await model.tensors('weights')) {
      const want = expected.get(name)!;
      const moved = norm(want.map((w, i) => w - start.get(name)!.data[i]!));
      const resolution = 1e-7 * norm(want);
      expect(norm(want.map((w, i) => w - data[i]!)), name).toBeLessThan(1e-3 * moved + 3 * resolution + 1e-12);
    }
    await model.dispose();
  },

  'optimStep without a gradient is a step of gradient zero': async ({ openPolicy }) => {
    const model = await openPolicy(9);
    const before = await model.tensors('weights');
    expect(await model.optimStep(STEP)).toEqual({ gradNorm: 0, skipped: false });
    expect(await model.tensors('weights')).toEqual(before);
    await model.dispose();
  },

  'a gradient that is not finite is skipped, cleared, and leaves no trace': async ({ openPolicy }) => {
    const [model, twin] = [await openPolicy(10), await openPolicy(10)];
    const data = randomData(model.info.vocabSize, 9, 4);
    for (const each of [model, twin]) {
      await each.forwardBackward(data, linearLoss(-1, 0));
      await each.optimStep(STEP);
    }
    const version = model.weightsVersion;
    await model.forwardBackward(data, nanLoss);
    const result = await model.optimStep(STEP);
    expect(result.skipped).toBe(true);
    expect(Number.isFinite(result.gradNorm)).toBe(false);
    expect(model.weightsVersion).toBe(version);
    for (const each of [model, twin]) {
      await each.forwardBackward(data, linearLoss(-1, 0));
      await each.optimStep(STEP);
    }
    expect(await model.tensors('weights')).toEqual(await twin.tensors('weights'));
    for (const each of [model, twin]) await each.dispose();
  },

  'calls take effect in call order, awaited or not': async ({ openPolicy }) => {
    const [model, twin] = [await openPolicy(11), await openPolicy(11)];
    const data = randomData(model.info.vocabSize, 10, 5);
    const unawaited = [
      model.forward(data),
      model.forwardBackward(data, surrogate),
      model.optimStep(STEP),
      model.forward(data),
      model.forwardBackward(data, linearLoss(-1, 0)),
      model.optimStep(STEP),
      model.forward(data),
    ] as const;
    const first = await twin.forward(data);
    await twin.forwardBackward(data, surrogate);
    await twin.optimStep(STEP);
    const second = await twin.forward(data);
    await twin.forwardBackward(data, linearLoss(-1, 0));
    await twin.optimStep(STEP);
    const third = await twin.forward(data);
    const results = await Promise.all(unawaited);
    expect([results[0], results[3], results[6]]).toEqual([first, second, third]);
    expect(second.logprobs).not.toEqual(first.logprobs);
    expect(model.weightsVersion).toBe(2);
    for (const each of [model, twin]) await each.dispose();
  },
};
