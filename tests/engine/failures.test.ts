import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { HoneError } from '../../src/core/index.js';
import type { Datum, Engine, Loss, SampleParams } from '../../src/engine/index.js';
import { createLocalEngine } from '../../src/engine/local/index.js';
import { openSafetensors, writeSafetensors } from '../../src/model/index.js';

/** What the engine says when it is handed something that cannot be. docs/failures.md lists what the commands make of it. */

const GOLDEN = join(import.meta.dirname, '../golden/model/tiny-llama-tied');
const GREEDY: SampleParams = { n: 1, maxTokens: 4, temperature: 0, seed: 0 };
const STEP = { lr: 1e-3, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradClipNorm: 1 };

type Tensors = Map<string, { shape: number[]; data: Float32Array }>;

let engine: Engine;
let folder: string;
beforeAll(async () => {
  engine = await createLocalEngine({ inline: true, threads: 1 });
});
afterAll(() => engine.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hone-engine-failures-'));
  for (const file of ['config.json', 'model.safetensors']) await cp(join(GOLDEN, file), join(folder, file));
});
afterEach(() => rm(folder, { recursive: true }));

const open = () => engine.openModel({ source: { kind: 'folder', path: folder } });

/** The HoneError that something ends with. */
async function failure(work: Promise<unknown>): Promise<HoneError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(HoneError);
  const known = error as HoneError;
  expect(known.message).not.toContain('\n');
  expect(known.hint).toBeTruthy();
  return known;
}

async function changeWeights(change: (tensors: Tensors) => void): Promise<void> {
  const file = join(folder, 'model.safetensors');
  const weights = await openSafetensors(file);
  const tensors: Tensors = new Map();
  for (const name of weights.names()) {
    const { shape, data } = await weights.read(name);
    tensors.set(name, { shape: [...shape], data: data.slice() });
  }
  change(tensors);
  await writeSafetensors(file, [...tensors]);
}

async function changeConfig(change: Record<string, unknown>): Promise<void> {
  const file = join(folder, 'config.json');
  const config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  await writeFile(file, JSON.stringify({ ...config, ...change }));
}

const GATE = 'model.layers.1.mlp.gate_proj.weight';

describe('a model folder', () => {
  it.each<[name: string, damage: () => Promise<void>, message: RegExp]>([
    ['with truncated weights', () => truncate(join(folder, 'model.safetensors'), 9000), /model\.safetensors/],
    ['cut within its header', () => truncate(join(folder, 'model.safetensors'), 20), /model\.safetensors/],
    [
      'with weights that are something else',
      () => writeFile(join(folder, 'model.safetensors'), Buffer.alloc(4096, 0x5a)),
      /model\.safetensors/,
    ],
    ['without weights', () => rm(join(folder, 'model.safetensors')), /safetensors/],
    ['without a configuration', () => rm(join(folder, 'config.json')), /config\.json/],
    ['that lacks a tensor', () => changeWeights((tensors) => tensors.delete(GATE)), /layers\.1\.mlp\.gate_proj/],
    [
      'with a tensor of another shape',
      () => changeWeights((tensors) => tensors.set(GATE, { shape: [4, 4], data: new Float32Array(16) })),
      /layers\.1\.mlp\.gate_proj\.weight is \[4, 4\]/,
    ],
    [
      'with NaN in a tensor',
      () => changeWeights((tensors) => (tensors.get(GATE)?.data.fill(NaN, 7, 8), undefined)),
      /layers\.1\.mlp\.gate_proj\.weight holds NaN or infinity/,
    ],
    ['of an unknown architecture', () => changeConfig({ model_type: 'mamba', architectures: ['Mamba'] }), /mamba/i],
    ['with heads of an odd size', () => changeConfig({ head_dim: 20 }), /head_dim is 20/],
  ])('%s', async (_, damage, message) => {
    await damage();
    const error = await failure(open());
    expect(error.message).toMatch(message);
    expect(error.message).toContain(folder);
    expect(error.kind).toBe('input');
  });
});

describe('numbers that are not finite', () => {
  const datum: Datum = { input: Int32Array.of(3, 4, 5), target: Int32Array.of(4, 5, 6), vectors: {} };
  const loss = (derivative: number): Loss => ({
    name: 'constant',
    needs: {},
    linear: true,
    fn: () => ({ lossSum: 0, dLogprobs: [new Float32Array(3).fill(derivative)], metrics: {} }),
  });

  it('in a gradient leave the weights as they were', async () => {
    const model = await open();
    const before = await model.tensors('weights');
    await model.forwardBackward([datum], loss(NaN));
    expect(await model.optimStep(STEP)).toMatchObject({ skipped: true });
    expect(await model.tensors('weights')).toEqual(before);
    await model.forwardBackward([datum], loss(-1));
    expect(await model.optimStep(STEP)).toMatchObject({ skipped: false });
    await model.dispose();
  });

  it('in the weights end sampling with the way out', async () => {
    const model = await open();
    await model.forwardBackward([datum], loss(-1));
    await model.optimStep({ ...STEP, lr: 1e39 });
    const sampler = await model.liveSampler();
    for (const temperature of [0, 1]) {
      const error = await failure(sampler.sample(datum.input, { ...GREEDY, temperature }));
      expect(error.message).toMatch(/logits are not finite at weights version 1/);
      expect(error.exitCode).toBe(5);
    }
    await model.dispose();
  });
});
