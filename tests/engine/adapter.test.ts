import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AdapterSource } from '../../src/engine/index.js';
import { createLocalEngine, type LocalEngine, type LocalModel } from '../../src/engine/local/index.js';
import { openSafetensors } from '../../src/model/index.js';
import {
  ADAPTER_LIMIT,
  adapterAgrees,
  adapterData,
  compareAdapter,
  modelsDifference,
  openAdapted,
  trainAdapter,
} from '../../verify/fidelity/adapters.js';
import { AGREEMENT_CONFIG, agreementCases, measureAgreement } from '../support/agreement.js';
import { curvedLoss, randomData, STEP } from '../support/contract-tools.js';

const V = 61;
const CONFIG = { ...AGREEMENT_CONFIG, vocab_size: V, eos_token_id: 1 };
const SOURCE = { kind: 'random', config: CONFIG, seed: 3, initStd: 0.1 } as const;
const ADAPTER: AdapterSource = { kind: 'random', rank: 4, alpha: 8, seed: 1 };
const DATA = randomData(V, 1, 5, 12);

let engine: LocalEngine;
let folder: string;
beforeAll(async () => {
  engine = await createLocalEngine({ inline: true, threads: 1 });
  folder = await mkdtemp(join(tmpdir(), 'hone-adapter-'));
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

const openBase = (seed = 3): Promise<LocalModel> => engine.openModel({ source: { ...SOURCE, seed } });

async function train(model: LocalModel, updates: number): Promise<void> {
  for (let update = 0; update < updates; update++) {
    await model.forwardBackward(DATA, curvedLoss);
    await model.optimStep(STEP);
  }
}

async function weightsOf(model: LocalModel): Promise<Map<string, Float32Array>> {
  return new Map([...(await model.tensors('weights'))].map(([name, { data }]) => [name, data]));
}

/**
 * Against PEFT, on committed adapters (expected.safetensors; versions in summary.json), made by
 *   python verify/peers/lora_golden.py make tests/golden/model/adapters/llama --rank 3 --alpha 5
 *   python verify/peers/lora_golden.py make tests/golden/model/adapters/qwen2 --family qwen2 --rslora \
 *     --targets q_proj,v_proj,down_proj
 */
describe.each(['llama', 'qwen2'])('the golden adapter %s', (name) => {
  const golden = join(import.meta.dirname, '../golden/model/adapters', name);

  it('has the logits, merged logits and gradients of PEFT', async () => {
    const found = await compareAdapter(engine, golden);
    expect(found.unmatchedTensors).toBe(0);
    expect(adapterAgrees(found), JSON.stringify(found)).toBe(true);
  });

  it('trained and exported, opens again with the same bits', async () => {
    const out = join(folder, name);
    const model = await trainAdapter(engine, golden, out);
    const source = { kind: 'folder', path: join(golden, 'model') } as const;
    const again = await engine.openModel({ source, adapter: { kind: 'folder', path: out } });
    expect(await weightsOf(again)).toEqual(await weightsOf(model));
    const data = await adapterData(golden);
    expect(await modelsDifference(model, again, data)).toBe(0);
    const untrained = await openAdapted(engine, golden);
    expect(await modelsDifference(model, untrained, data)).toBeGreaterThan(100 * ADAPTER_LIMIT);
    for (const each of [model, again, untrained]) await each.dispose();
  });
});

describe('an adapter', () => {
  it('changes nothing at first, then only itself', async () => {
    const base = await openBase();
    const before = await weightsOf(base);
    const adapted = await base.withAdapter(ADAPTER);
    expect(await modelsDifference(base, adapted, DATA)).toBe(0);
    await train(adapted, 3);
    expect(await modelsDifference(base, adapted, DATA)).toBeGreaterThan(1e-2);
    const after = await weightsOf(adapted);
    for (const [name, data] of before) expect(after.get(name), name).toEqual(data);
    expect(await weightsOf(base)).toEqual(before);
    for (const each of [adapted, base]) await each.dispose();
  });

  it('has factors of the modules asked for, and counts them', async () => {
    const model = await engine.openModel({ source: SOURCE, adapter: { ...ADAPTER, targets: ['q_proj', 'down_proj'] } });
    const names = [...(await model.tensors('gradients')).keys()];
    const module = /^model\.layers\.[012]\.(self_attn\.q_proj|mlp\.down_proj)\.lora_[AB]\.weight$/;
    expect(names.filter((name) => module.test(name))).toHaveLength(3 * 2 * 2);
    expect(names).toHaveLength(12);
    expect(model.info.trainedParameters).toBe(3 * 4 * (64 + 64 + 160 + 64));
    await model.dispose();
  });

  it('shares the base with others and trains apart from them', async () => {
    const base = await openBase();
    const [one, two] = [await base.withAdapter(ADAPTER), await base.withAdapter({ ...ADAPTER, rank: 2, seed: 9 })];
    const untouched = await weightsOf(two);
    await train(one, 2);
    expect(await weightsOf(two)).toEqual(untouched);
    await train(two, 2);
    const alone = await engine.openModel({ source: SOURCE, adapter: ADAPTER });
    await train(alone, 2);
    expect(await weightsOf(one)).toEqual(await weightsOf(alone));
    await base.dispose();
    await two.dispose();
    await train(one, 1);
    await train(alone, 1);
    expect(await weightsOf(one)).toEqual(await weightsOf(alone));
    for (const each of [one, alone]) await each.dispose();
  });

  it('keeps the weights beneath it from changing', async () => {
    const [base, other] = [await openBase(), await openBase(4)];
    const saved = await mkdtemp(join(folder, 'base-'));
    await base.save(saved);
    const adapted = await base.withAdapter(ADAPTER);
    const before = await weightsOf(base);
    const shared = /shared with adapters/;
    await expect(base.forwardBackward(DATA, curvedLoss)).rejects.toThrow(shared);
    await expect(base.optimStep(STEP)).rejects.toThrow(shared);
    await expect(base.copyFrom(other)).rejects.toThrow(shared);
    await expect(base.lerpFrom(adapted, 0.5)).rejects.toThrow(shared);
    await expect(base.load(saved)).rejects.toThrow(shared);
    expect(await weightsOf(base)).toEqual(before);
    const own = await base.cloneFrozen();
    await train(own, 1);
    expect(await weightsOf(base)).toEqual(before);
    for (const each of [adapted, base, other, own]) await each.dispose();
  });

  it('is copied whole between models on one base, and not averaged', async () => {
    const base = await openBase();
    const [one, two] = [await base.withAdapter(ADAPTER), await base.withAdapter({ ...ADAPTER, seed: 2 })];
    await train(one, 2);
    const reference = await one.cloneFrozen();
    await two.copyFrom(one);
    expect(await weightsOf(two)).toEqual(await weightsOf(one));
    expect(two.weightsVersion).toBe(1);
    await train(two, 1);
    expect(await weightsOf(reference)).toEqual(await weightsOf(one));
    await reference.copyFrom(two);
    expect(await weightsOf(reference)).toEqual(await weightsOf(two));

    const whole = /can only be copied whole/;
    await expect(one.lerpFrom(two, 0.5)).rejects.toThrow(whole);
    await expect(one.copyFrom(base)).rejects.toThrow(whole);
    const wider = await base.withAdapter({ ...ADAPTER, rank: 8 });
    const stronger = await base.withAdapter({ ...ADAPTER, alpha: 16 });
    const elsewhere = await engine.openModel({ source: SOURCE, adapter: ADAPTER });
    for (const other of [wider, stronger, elsewhere]) await expect(one.copyFrom(other)).rejects.toThrow(whole);
    for (const each of [one, two, reference, wider, stronger, elsewhere, base]) await each.dispose();
  });

  it('folded in gives the same logits, and weights that averages run on', async () => {
    const base = await openBase();
    const model = await base.withAdapter(ADAPTER);
    await train(model, 3);
    const anchor = await model.cloneFrozen({ merged: true });
    expect(await modelsDifference(model, anchor, DATA)).toBeLessThan(ADAPTER_LIMIT);
    const merged = await weightsOf(anchor);
    expect([...merged.keys()]).toEqual([...(await weightsOf(base)).keys()]);
    const mean = await base.cloneFrozen();
    await mean.lerpFrom(model, 0.25);
    const plain = await weightsOf(base);
    for (const [name, data] of await weightsOf(mean))
      data.forEach((value, i) => {
        const wanted = 0.25 * (plain.get(name)?.[i] ?? NaN) + 0.75 * (merged.get(name)?.[i] ?? NaN);
        if (!(Math.abs(value - wanted) <= 1e-6)) expect(value, `${name} ${i}`).toBe(wanted);
      });
    await train(anchor, 1);
    expect(await weightsOf(base)).toEqual(plain);
    for (const each of [mean, anchor, model, base]) await each.dispose();
  });

  it('exports merged weights as a model folder, and itself as a PEFT folder', async () => {
    const model = await engine.openModel({ source: SOURCE, adapter: ADAPTER });
    await train(model, 2);
    const [whole, own] = [join(folder, 'whole'), join(folder, 'own')];
    await model.export(whole);
    await model.exportAdapter(own);
    const merged = await engine.openModel({ source: { kind: 'folder', path: whole } });
    const again = await engine.openModel({ source: SOURCE, adapter: { kind: 'folder', path: own } });
    expect(await modelsDifference(model, merged, DATA)).toBeLessThan(ADAPTER_LIMIT);
    expect(await modelsDifference(model, again, DATA)).toBe(0);
    await expect(merged.exportAdapter(own)).rejects.toThrow('has no adapter');
    for (const each of [model, merged, again]) await each.dispose();
  });

  it('saves what training changes, and nothing else', async () => {
    const model = await engine.openModel({ source: SOURCE, adapter: ADAPTER });
    await train(model, 1);
    const saved = await mkdtemp(join(folder, 'saved-'));
    await model.save(saved);
    const file = await openSafetensors(join(saved, 'weights.safetensors'));
    expect(file.names()).toEqual([...(await model.tensors('gradients')).keys()].sort());
    await model.dispose();
  });

  it('is sampled with as it is trained with', async () => {
    const model = await engine.openModel({ source: SOURCE, adapter: ADAPTER, samplingSlots: 8 });
    await train(model, 3);
    const cases = agreementCases(0.25).filter(({ name }) => ['ragged prompts', 'bucket edges'].includes(name));
    for (const test of cases)
      for (const sampler of [await model.liveSampler(), await model.snapshot()]) {
        const { max, tokens } = await measureAgreement(model, sampler, test);
        expect(tokens).toBeGreaterThan(50);
        expect(max, test.name).toBeLessThanOrEqual(1e-4);
        await sampler.dispose();
      }
    await model.dispose();
  });

  it.each<[string, AdapterSource, RegExp]>([
    ['a module that no layer has', { ...ADAPTER, targets: ['q_proj', 'qq_proj'] }, /no module qq_proj/],
    ['no modules', { ...ADAPTER, targets: [] }, /is empty/],
    ['a rank of 0', { ...ADAPTER, rank: 0 }, /adapter\.rank.*above 0|above 0/],
    ['a rank that is not whole', { ...ADAPTER, rank: 1.5 }, /whole number/],
    ['an alpha that is not a number', { ...ADAPTER, alpha: NaN }, /above 0/],
    [
      'the factors of another model',
      { kind: 'folder', path: join(import.meta.dirname, '../golden/model/adapters/llama/adapter') },
      /in the model, .* in the adapter/,
    ],
  ])('of %s is refused', async (_, adapter, message) => {
    await expect(engine.openModel({ source: SOURCE, adapter })).rejects.toThrow(message);
  });

  it('on an adapter is refused', async () => {
    const model = await engine.openModel({ source: SOURCE, adapter: ADAPTER });
    await expect(model.withAdapter(ADAPTER)).rejects.toThrow('has an adapter already');
    await model.dispose();
  });
});
