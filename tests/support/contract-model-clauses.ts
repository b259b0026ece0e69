import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { TrainableModel } from '../../src/engine/types.js';
import { STEP, linearLoss, randomData } from './contract-tools.js';
import type { Clause } from './engine-contract.js';

async function trainSteps(model: TrainableModel, from: number, to: number): Promise<void> {
  for (let step = from; step < to; step++) {
    await model.forwardBackward(randomData(model.info.vocabSize, 60 + step, 4), linearLoss(-1, 0));
    await model.optimStep({ ...STEP, weightDecay: 0.05, gradClipNorm: 0.5 });
  }
}

async function weightsOf(model: TrainableModel): Promise<Map<string, number[]>> {
  return new Map([...(await model.tensors('weights'))].map(([name, { data }]) => [name, [...data]]));
}

export const MODEL_CLAUSES: Readonly<Record<string, Clause>> = {
  'one seed, one model; another seed, another': async ({ openPolicy }) => {
    const [a, b, c] = [await openPolicy(1), await openPolicy(1), await openPolicy(2)];
    for (const each of [a, b, c]) await trainSteps(each, 0, 2);
    expect(await weightsOf(a)).toEqual(await weightsOf(b));
    expect(await weightsOf(a)).not.toEqual(await weightsOf(c));
    for (const each of [a, b, c]) await each.dispose();
  },

  'info and tensors agree': async ({ openPolicy }) => {
    const model = await openPolicy(40);
    const tensors = [...(await model.tensors('weights')).values()];
    const sizes = tensors.map(({ shape }) => shape.reduce((a, b) => a * b, 1));
    expect(tensors.map(({ data }) => data.length)).toEqual(sizes);
    expect(sizes.reduce((a, b) => a + b, 0)).toBe(model.info.parameters);
    expect(model.role).toBe('policy');
    expect(model.weightsVersion).toBe(0);
    await model.dispose();
  },

  'tensors are copies': async ({ openPolicy }) => {
    const model = await openPolicy(41);
    const before = await weightsOf(model);
    for (const { data } of (await model.tensors('weights')).values()) data.fill(7);
    expect(await weightsOf(model)).toEqual(before);
    await model.dispose();
  },

  'save and load go on bit for bit': async ({ openPolicy }) => {
    const folder = await mkdtemp(join(tmpdir(), 'hone-contract-'));
    try {
      const [straight, resumed] = [await openPolicy(42), await openPolicy(43)];
      await trainSteps(straight, 0, 2);
      await straight.save(folder);
      expect(await readdir(folder)).toEqual(expect.arrayContaining(['optimizer.safetensors', 'weights.safetensors']));
      await trainSteps(straight, 2, 4);
      const version = resumed.weightsVersion;
      await trainSteps(resumed, 7, 8);
      await resumed.forwardBackward(randomData(resumed.info.vocabSize, 90, 3), linearLoss(-1, 0));
      await resumed.load(folder);
      expect(resumed.weightsVersion).toBe(version + 2);
      await trainSteps(resumed, 2, 4);
      expect(await weightsOf(resumed)).toEqual(await weightsOf(straight));
      for (const each of [straight, resumed]) await each.dispose();
    } finally {
      await rm(folder, { recursive: true });
    }
  },

  'a frozen clone keeps its weights and outlives its origin': async ({ openPolicy }) => {
    const model = await openPolicy(44);
    const data = randomData(model.info.vocabSize, 44, 4);
    const before = await model.forward(data);
    const frozen = await model.cloneFrozen();
    await trainSteps(model, 0, 2);
    expect(await frozen.forward(data)).toEqual(before);
    expect(await model.forward(data)).not.toEqual(before);
    await model.dispose();
    expect(await frozen.forward(data)).toEqual(before);
    await frozen.dispose();
  },

  'copyFrom copies, lerpFrom mixes': async ({ openPolicy }) => {
    const [a, b] = [await openPolicy(45), await openPolicy(46)];
    const [before, other] = [await weightsOf(a), await weightsOf(b)];
    await a.lerpFrom(b, 0.75);
    for (const [name, values] of await weightsOf(a))
      values.forEach((w, i) => expect(w).toBeCloseTo(0.75 * before.get(name)![i]! + 0.25 * other.get(name)![i]!, 5));
    expect(a.weightsVersion).toBe(1);
    await a.copyFrom(b);
    expect(await weightsOf(a)).toEqual(other);
    expect(await weightsOf(b)).toEqual(other);
    expect(a.weightsVersion).toBe(2);
    const anchor = await a.cloneFrozen();
    await trainSteps(a, 0, 1);
    await anchor.lerpFrom(a, 0.5);
    const trained = await weightsOf(a);
    for (const [name, values] of await weightsOf(anchor))
      values.forEach((w, i) => expect(w).toBeCloseTo((other.get(name)![i]! + trained.get(name)![i]!) / 2, 5));
    for (const each of [a, b, anchor]) await each.dispose();
  },

  'a disposed model refuses work, and so does its live sampler': async ({ openPolicy }) => {
    const model = await openPolicy(47);
    const live = await model.liveSampler();
    const data = randomData(model.info.vocabSize, 47, 2);
    await model.dispose();
    await expect(model.forward(data)).rejects.toThrow();
    await expect(live.sample(Int32Array.of(1), { n: 1, maxTokens: 1, temperature: 1, seed: 0 })).rejects.toThrow();
  },
};
