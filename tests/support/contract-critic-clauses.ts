import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Datum, Loss, TrainableModel } from '../../src/engine/types.js';
import {
  STEP,
  linearLoss,
  maxAbsDifference,
  norm,
  randomData,
  relativeDifference,
  valueLoss,
} from './contract-tools.js';
import { gradientsOf, matchesDifferences, splitInto } from './contract-training-clauses.js';
import type { Clause, ContractSubject } from './engine-contract.js';

/** A promise about critics; nothing to hold where the engine has none. */
function ofCritics(
  check: (open: NonNullable<ContractSubject['openCritic']>, subject: ContractSubject) => Promise<void>,
) {
  const clause: Clause = async (subject) => {
    expect(subject.engine.capabilities.critic).toBe(subject.openCritic !== undefined);
    if (subject.openCritic) await check(subject.openCritic, subject);
  };
  return clause;
}

/** sum_t weight_t value_t, whose derivatives do not depend on the values. */
const linearValueLoss = (linear: boolean): Loss => ({
  name: 'contract-linear-values',
  needs: { values: true },
  linear,
  fn: ({ values }, data) => ({
    lossSum: data.reduce(
      (sum, { vectors }, i) => sum + vectors.weight!.reduce((part, w, t) => part + w * values![i]![t]!, 0),
      0,
    ),
    dValues: data.map(({ vectors }) => vectors.weight!.slice()),
    metrics: {},
  }),
});

async function valuesOf(model: TrainableModel, data: readonly Datum[]): Promise<Float32Array[]> {
  return (await model.forward(data)).values!;
}

async function trainSteps(model: TrainableModel, from: number, to: number): Promise<void> {
  for (let step = from; step < to; step++) {
    await model.forwardBackward(randomData(model.info.vocabSize, 60 + step, 4), valueLoss);
    await model.optimStep({ ...STEP, weightDecay: 0.05, gradClipNorm: 0.5 });
  }
}

async function refused(work: () => Promise<unknown>): Promise<void> {
  await expect(work()).rejects.toMatchObject({ kind: 'usage' });
}

export const CRITIC_CLAUSES: Readonly<Record<string, Clause>> = {
  'critic: values have the right length and their gradients match finite differences': ofCritics(async (open) => {
    const model = await open(12);
    expect(model.role).toBe('critic');
    const data = randomData(model.info.vocabSize, 11, 5);
    const { values, logprobs } = await model.forward(data);
    expect(logprobs).toEqual([]);
    data.forEach(({ input }, i) => expect(values?.[i]).toHaveLength(input.length));
    expect(norm(values!.map(norm))).toBeGreaterThan(1e-3);
    await matchesDifferences(model, data, valueLoss, 1);
    await model.dispose();
  }),

  'critic: a value is read after input[t], and knows nothing of the target, of what follows, or of other sequences':
    ofCritics(async (open) => {
      const model = await open(13);
      const data = randomData(model.info.vocabSize, 12, 6, 14);
      const together = await valuesOf(model, data);
      const { outputs } = await model.forwardBackward(data, valueLoss);
      for (const [i, { input, target }] of data.entries()) {
        const cut = input.length - 1;
        const other = target.map((id) => (id + 1) % model.info.vocabSize);
        const prefix = { input: input.slice(0, cut), target: other.slice(0, cut), vectors: {} };
        const [alone] = await valuesOf(model, [prefix]);
        expect(maxAbsDifference(alone!, together[i]!.slice(0, cut))).toBeLessThan(1e-5);
        expect(maxAbsDifference(outputs.values![i]!, together[i]!)).toBeLessThan(1e-5);
        const changed = input.map((id, t) => (t === cut ? (id + 1) % model.info.vocabSize : id));
        const [last] = await valuesOf(model, [{ input: changed, target, vectors: {} }]);
        expect(Math.abs(last![cut]! - together[i]![cut]!)).toBeGreaterThan(1e-4);
      }
      await model.dispose();
    }),

  'critic: gradients of any split of the batch equal those of one call': ofCritics(async (open) => {
    const model = await open(14);
    const data = randomData(model.info.vocabSize, 13, 8, 12);
    const whole = await gradientsOf(model, [data], valueLoss);
    expect(norm([...whole.gradients.values()].map((g) => norm(g.data)))).toBeGreaterThan(0);
    const ones = new Array<number>(8).fill(1);
    for (const sizes of [[4, 4], [3, 5], ones]) {
      const split = await gradientsOf(model, splitInto(data, sizes), valueLoss);
      expect(relativeDifference(whole.gradients, split.gradients)).toBeLessThan(1e-5);
      expect(split.lossSum).toBeCloseTo(whole.lossSum, 5);
    }
    const [flagged, plain] = [
      await gradientsOf(model, [data], linearValueLoss(true)),
      await gradientsOf(model, [data], linearValueLoss(false)),
    ];
    expect(relativeDifference(plain.gradients, flagged.gradients)).toBeLessThan(1e-5);
    expect(flagged.lossSum).toBeCloseTo(plain.lossSum, 5);
    await model.dispose();
  }),

  'critic: save and load go on bit for bit': ofCritics(async (open) => {
    const folder = await mkdtemp(join(tmpdir(), 'hone-contract-'));
    try {
      const [straight, resumed] = [await open(15), await open(16)];
      await trainSteps(straight, 0, 2);
      await straight.save(folder);
      await trainSteps(straight, 2, 4);
      await resumed.load(folder);
      await trainSteps(resumed, 2, 4);
      expect(await resumed.tensors('weights')).toEqual(await straight.tensors('weights'));
      for (const each of [straight, resumed]) await each.dispose();
    } finally {
      await rm(folder, { recursive: true });
    }
  }),

  'critic: clones keep their values, and critics average': ofCritics(async (open) => {
    const [model, other] = [await open(17), await open(18)];
    const data = randomData(model.info.vocabSize, 14, 4);
    const before = await valuesOf(model, data);
    const frozen = await model.cloneFrozen();
    expect(frozen.role).toBe('critic');
    await trainSteps(model, 0, 2);
    expect(await valuesOf(frozen, data)).toEqual(before);
    await frozen.copyFrom(other);
    expect(await valuesOf(frozen, data)).toEqual(await valuesOf(other, data));
    const [mine, theirs] = [await model.tensors('weights'), await other.tensors('weights')];
    await model.lerpFrom(other, 0.25);
    for (const [name, { data: mixed }] of await model.tensors('weights')) {
      const want = mine.get(name)!.data.map((w, i) => 0.25 * w + 0.75 * theirs.get(name)!.data[i]!);
      expect(maxAbsDifference(mixed, want), name).toBeLessThan(1e-5);
    }
    for (const each of [model, other, frozen]) await each.dispose();
  }),

  'critic: refuses what only a policy can do, and a policy what only a critic can': ofCritics(
    async (open, { openPolicy }) => {
      const [critic, policy] = [await open(19), await openPolicy(19)];
      const data = randomData(critic.info.vocabSize, 15, 2);
      await refused(() => critic.liveSampler());
      await refused(() => critic.snapshot());
      await refused(() => critic.forwardBackward(data, linearLoss(-1, 0)));
      await refused(() => critic.forward(data, { entropy: true }));
      await refused(() => policy.forwardBackward(data, valueLoss));
      await refused(() => critic.copyFrom(policy));
      await refused(() => policy.copyFrom(critic));
      await refused(() => critic.withAdapter({ kind: 'random', rank: 1, alpha: 1, seed: 1 }));
      expect(norm([...(await critic.tensors('gradients')).values()].map((g) => norm(g.data)))).toBe(0);
      for (const each of [critic, policy]) await each.dispose();
    },
  ),
};
