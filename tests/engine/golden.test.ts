import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Datum, Engine, Loss } from '../../src/engine/index.js';
import { createLocalEngine, type LocalModel } from '../../src/engine/local/index.js';
import { openSafetensors } from '../../src/model/index.js';

/**
 * The engine against plain PyTorch: verify/peers/make_tiny_goldens.py writes the expected values, and golden.json in
 * each folder says with which versions.
 */

interface Golden {
  options: Record<
    'steps' | 'lr' | 'beta1' | 'beta2' | 'eps' | 'weight_decay' | 'clip_grad_norm' | 'clip_low' | 'clip_high',
    number
  >;
  updates: Record<string, { loss: number; gradNorm: number }[]>;
}

const number = (row: Float32Array, t: number): number => row[t] as number;

const crossEntropy: Loss = {
  name: 'cross_entropy',
  needs: {},
  linear: true,
  fn: ({ logprobs }, data) => ({
    lossSum: logprobs.reduce((sum, row, i) => {
      const weight = data[i]?.vectors['weight'] as Float32Array;
      return row.reduce((part, logprob, t) => part - logprob * number(weight, t), sum);
    }, 0),
    dLogprobs: data.map(({ vectors }) => (vectors['weight'] as Float32Array).map((weight) => -weight)),
    metrics: {},
  }),
};

/** -weight * min(r A, clip(r, 1 - low, 1 + high) A), written for this test alone. */
function ppoClip(low: number, high: number): Loss {
  return {
    name: 'ppo_clip',
    needs: {},
    fn: ({ logprobs }, data) => {
      let lossSum = 0;
      const dLogprobs = logprobs.map((row, i) => {
        const { weight, advantage, oldLogprob } = data[i]?.vectors as Record<string, Float32Array>;
        return row.map((logprob, t) => {
          const [w, a] = [number(weight as Float32Array, t), number(advantage as Float32Array, t)];
          const ratio = Math.exp(logprob - number(oldLogprob as Float32Array, t));
          const clipped = Math.min(Math.max(ratio, 1 - low), 1 + high);
          lossSum -= w * Math.min(ratio * a, clipped * a);
          return ratio * a <= clipped * a ? -w * ratio * a : 0;
        });
      });
      return { lossSum, dLogprobs, metrics: {} };
    },
  };
}

function relative(got: Float32Array, expected: Float32Array): number {
  let [difference, norm] = [0, 0];
  expected.forEach((value, i) => {
    difference += ((got[i] as number) - value) ** 2;
    norm += value ** 2;
  });
  return Math.sqrt(difference) / Math.max(Math.sqrt(norm), 1e-12);
}

describe.each([
  ['tiny-llama-tied', 'cross_entropy'],
  ['tiny-llama-untied', 'ppo_clip'],
])('%s against PyTorch', (name, trained) => {
  const folder = join(import.meta.dirname, '../golden/model', name);
  let engine: Engine;
  let model: LocalModel;
  let golden: Golden;
  let data: Datum[];
  const losses = (): Record<string, Loss> => ({
    cross_entropy: crossEntropy,
    ppo_clip: ppoClip(golden.options.clip_low, golden.options.clip_high),
  });
  const expected = (file: string) => openSafetensors(join(folder, `expected-${file}.safetensors`));

  beforeAll(async () => {
    const local = await createLocalEngine({ inline: true, threads: 1 });
    engine = local;
    model = await local.openModel({ source: { kind: 'folder', path: folder } });
    golden = JSON.parse(await readFile(join(folder, 'golden.json'), 'utf8')) as Golden;
    const rows = JSON.parse(await readFile(join(folder, 'datums.json'), 'utf8')) as {
      input: number[];
      target: number[];
      vectors: Record<string, number[]>;
    }[];
    data = rows.map(({ input, target, vectors }) => ({
      input: Int32Array.from(input),
      target: Int32Array.from(target),
      vectors: Object.fromEntries(Object.entries(vectors).map(([key, values]) => [key, Float32Array.from(values)])),
    }));
  });
  afterAll(() => engine.close());

  it('logits within 1e-4', async () => {
    const file = await expected('outputs');
    const logits = await model.logits(data.map(({ input }) => input));
    for (const [i, row] of logits.entries()) {
      const wanted = await file.read(`logits.${i}`);
      expect(row).toHaveLength(wanted.data.length);
      expect(Math.max(...row.map((value, j) => Math.abs(value - number(wanted.data, j))))).toBeLessThan(1e-4);
    }
  });

  it('logprobs and entropy within 1e-4', async () => {
    const file = await expected('outputs');
    const outputs = await model.forward(data, { entropy: true });
    for (const [i, row] of outputs.logprobs.entries()) {
      const logprobs = (await file.read(`logprobs.${i}`)).data;
      const entropy = (await file.read(`entropy.${i}`)).data;
      expect(Math.max(...row.map((value, t) => Math.abs(value - number(logprobs, t))))).toBeLessThan(1e-4);
      const ours = outputs.entropy?.[i] as Float32Array;
      expect(Math.max(...ours.map((value, t) => Math.abs(value - number(entropy, t))))).toBeLessThan(1e-4);
    }
  });

  it.each(['cross_entropy', 'ppo_clip'])('gradients of %s per tensor within 1e-4 relative', async (loss) => {
    const result = await model.forwardBackward(data, losses()[loss] as Loss);
    expect(result.lossSum).toBeCloseTo(golden.updates[loss]?.[0]?.loss as number, 3);
    const gradients = await model.tensors('gradients');
    const file = await expected(`${loss}-gradients`);
    expect([...gradients.keys()].sort()).toEqual(file.names());
    for (const [tensor, { data: got }] of gradients) {
      expect(relative(got, (await file.read(tensor)).data), tensor).toBeLessThan(1e-4);
    }
    await model.zeroGrad();
  });

  it(`weight change after three AdamW updates of ${trained} within 1e-3 relative`, async () => {
    const before = await model.tensors('weights');
    const { steps, lr, beta1, beta2, eps, weight_decay, clip_grad_norm } = golden.options;
    for (let step = 0; step < steps; step++) {
      await model.forwardBackward(data, losses()[trained] as Loss);
      const { gradNorm } = await model.optimStep({
        lr,
        beta1,
        beta2,
        eps,
        weightDecay: weight_decay,
        gradClipNorm: clip_grad_norm,
      });
      const wanted = golden.updates[trained]?.[step]?.gradNorm as number;
      expect(Math.abs(gradNorm / wanted - 1)).toBeLessThan(1e-4);
    }
    const file = await expected(`${trained}-weights`);
    for (const [tensor, { data: got }] of await model.tensors('weights')) {
      const start = before.get(tensor)?.data as Float32Array;
      const wanted = (await file.read(tensor)).data;
      const change = (end: Float32Array): Float32Array => end.map((value, i) => value - number(start, i));
      expect(relative(change(got), change(wanted)), tensor).toBeLessThan(1e-3);
    }
  });
});
