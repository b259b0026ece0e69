import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentProgress } from '../../src/core/index.js';
import { TrainingRun } from '../../src/engine/training-run.js';
import type { Datum, Engine, TrainableModel } from '../../src/engine/index.js';
import { createLocalEngine } from '../../src/engine/local/index.js';
import { openSafetensors, VALUE_BIAS, VALUE_HEAD, writeSafetensors } from '../../src/model/index.js';
import { valueLoss } from '../../src/rl/index.js';
import { linearLoss, norm, randomData, STEP } from '../support/contract-tools.js';
import { MemoryRun } from '../support/memory-run.js';

const GOLDEN = join(import.meta.dirname, '../golden/model');
const CRITIC = join(GOLDEN, 'tiny-critic');
const POLICY = join(GOLDEN, 'tiny-llama-untied');

const openCritic = (engine: Engine, path: string) =>
  engine.openModel({ source: { kind: 'folder', path }, role: 'critic' });

type Tensors = Map<string, { data: Float32Array }>;

function relative(got: Float32Array, want: Float32Array): number {
  return norm(want.map((w, i) => w - got[i]!)) / Math.max(norm(want), 1e-12);
}

async function readDatums(): Promise<Datum[]> {
  const rows = JSON.parse(await readFile(join(CRITIC, 'datums.json'), 'utf8')) as {
    input: number[];
    target: number[];
    vectors: Record<string, number[]>;
  }[];
  return rows.map(({ input, target, vectors }) => ({
    input: Int32Array.from(input),
    target: Int32Array.from(target),
    vectors: Object.fromEntries(Object.entries(vectors).map(([key, values]) => [key, Float32Array.from(values)])),
  }));
}

let root: string;
let engine: Engine;
let folders = 0;
const folder = () => join(root, String(folders++));
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'hone-critic-'));
  engine = await createLocalEngine({ inline: true, threads: 1 });
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true });
});

/** verify/peers/reference_critic.py wrote the folder and the expected numbers; golden.json says with which versions. */
describe('against LlamaForTokenClassification of transformers', () => {
  it('values, gradients, and three AdamW updates of the clipped value loss', async () => {
    const critic = await openCritic(engine, CRITIC);
    const data = await readDatums();
    const expected = (file: string) => openSafetensors(join(CRITIC, `expected-${file}.safetensors`));
    const golden = JSON.parse(await readFile(join(CRITIC, 'golden.json'), 'utf8')) as {
      updates: { loss: number; gradNorm: number }[];
    };
    const outputs = await expected('outputs');
    const start: Tensors = await critic.tensors('weights');
    for (const [step, update] of golden.updates.entries()) {
      const { lossSum, outputs: got } = await critic.forwardBackward(data, valueLoss(0.2));
      expect(Math.abs(lossSum / update.loss - 1)).toBeLessThan(1e-4);
      if (step === 0) {
        for (const [i, values] of got.values!.entries())
          expect(norm((await outputs.read(`values.${i}`)).data.map((v, t) => v - values[t]!))).toBeLessThan(1e-4);
        const gradients = await critic.tensors('gradients');
        const file = await expected('gradients');
        expect([...gradients.keys()].sort()).toEqual(file.names());
        for (const [name, { data: gradient }] of gradients)
          expect(relative(gradient, (await file.read(name)).data), name).toBeLessThan(1e-4);
      }
      const { gradNorm } = await critic.optimStep({
        ...{ lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.1, gradClipNorm: 1 },
      });
      expect(Math.abs(gradNorm / update.gradNorm - 1)).toBeLessThan(1e-4);
    }
    const file = await expected('weights');
    for (const [name, { data: end }] of await critic.tensors('weights')) {
      const from = start.get(name)!.data;
      const change = (to: Float32Array) => to.map((w, i) => w - from[i]!);
      expect(relative(change(end), change((await file.read(name)).data)), name).toBeLessThan(1e-3);
    }
    await critic.dispose();
  });
});

describe('where a critic comes from and goes to', () => {
  it("takes a policy's body, without its LM head, and says 0 everywhere", async () => {
    const [critic, policy] = [await openCritic(engine, POLICY), await openPolicy()];
    const [mine, theirs]: [Tensors, Tensors] = [await critic.tensors('weights'), await policy.tensors('weights')];
    const body = [...theirs.keys()].filter((name) => name !== 'lm_head.weight');
    expect([...mine.keys()].sort()).toEqual([...body, VALUE_BIAS, VALUE_HEAD].sort());
    for (const name of body) expect(mine.get(name)).toEqual(theirs.get(name));
    const { values } = await critic.forward(randomData(48, 1, 3));
    expect(values!.flatMap((row) => [...row]).every((v) => v === 0)).toBe(true);
    expect(critic.info.parameters).toBe(policy.info.parameters - 48 * 32 + 32 + 1);
    for (const each of [critic, policy]) await each.dispose();
  });

  it('writes what it reads again: weights, values, and a config.json of one label', async () => {
    const [path, data] = [folder(), await readDatums()];
    const critic = await openCritic(engine, CRITIC);
    await critic.export(path);
    const again = await openCritic(engine, path);
    expect(await again.tensors('weights')).toEqual(await critic.tensors('weights'));
    expect(await again.forward(data)).toEqual(await critic.forward(data));
    expect(JSON.parse(await readFile(join(path, 'config.json'), 'utf8'))).toMatchObject({
      architectures: ['LlamaForTokenClassification'],
      id2label: { 0: 'value' },
      classifier_dropout: 0,
    });
    expect((await openSafetensors(path)).names()).toEqual((await openSafetensors(CRITIC)).names());
    await expect(engine.openModel({ source: { kind: 'folder', path } })).rejects.toThrow(/LlamaForTokenClassification/);
    for (const each of [critic, again]) await each.dispose();
  });

  /** A copy of the golden critic with its config.json and tensors changed. */
  async function changed(
    config: object,
    change: (tensors: Map<string, { shape: number[]; data: Float32Array }>) => void,
  ) {
    const path = folder();
    await cp(CRITIC, path, { recursive: true });
    const file = join(path, 'config.json');
    const json = JSON.parse(await readFile(file, 'utf8')) as object;
    await writeFile(file, JSON.stringify({ ...json, ...config }));
    const critic = await openCritic(engine, CRITIC);
    const tensors = await critic.tensors('weights');
    await critic.dispose();
    change(tensors);
    await writeSafetensors(join(path, 'model.safetensors'), [...tensors]);
    return path;
  }

  it('takes a reward model of one score, whose head has no bias', async () => {
    const path = await changed({ architectures: ['LlamaForSequenceClassification'] }, (tensors) =>
      tensors.delete(VALUE_BIAS),
    );
    const [critic, golden] = [await openCritic(engine, path), await openCritic(engine, CRITIC)];
    const [mine, whole]: [Tensors, Tensors] = [await critic.tensors('weights'), await golden.tensors('weights')];
    expect(mine.get(VALUE_HEAD)).toEqual(whole.get(VALUE_HEAD));
    expect([...mine.get(VALUE_BIAS)!.data]).toEqual([0]);
    for (const each of [critic, golden]) await each.dispose();
  });

  it('refuses folders that are no critic', async () => {
    const two = await changed({}, (tensors) => tensors.set(VALUE_HEAD, { shape: [2, 32], data: new Float32Array(64) }));
    await expect(openCritic(engine, two)).rejects.toMatchObject({
      kind: 'input',
      message: expect.stringMatching(/score\.weight/),
    });
    const none = await changed({}, (tensors) => tensors.delete(VALUE_HEAD));
    await expect(openCritic(engine, none)).rejects.toMatchObject({
      kind: 'input',
      message: expect.stringMatching(/lack tensor score\.weight/),
    });
    const other = await changed({ architectures: ['MistralForTokenClassification'] }, () => undefined);
    await expect(openCritic(engine, other)).rejects.toMatchObject({
      kind: 'input',
      hint: expect.stringMatching(/LlamaForCausalLM/),
    });
    const adapter = { kind: 'random', rank: 2, alpha: 2, seed: 1 } as const;
    const lora = engine.openModel({ source: { kind: 'folder', path: CRITIC }, role: 'critic', adapter });
    await expect(lora).rejects.toMatchObject({ kind: 'usage', where: 'adapter' });
  });
});

async function openPolicy(): Promise<TrainableModel> {
  return engine.openModel({ source: { kind: 'folder', path: POLICY } });
}

describe('a run with a critic', () => {
  async function models() {
    return { model: await openPolicy(), companions: { critic: await openCritic(engine, CRITIC) } };
  }
  type Models = Awaited<ReturnType<typeof models>>;

  async function iterate({ model, companions: { critic } }: Models, training: TrainingRun): Promise<void> {
    const iteration = training.iteration + 1;
    const data = randomData(48, iteration, 4);
    const { values } = await critic.forward(data);
    data.forEach(({ vectors }, i) => Object.assign(vectors, { return: vectors.advantage, oldValue: values![i] }));
    await critic.forwardBackward(data, valueLoss(0.2));
    await critic.optimStep(STEP);
    await model.forwardBackward(data, linearLoss(-1, 0));
    await model.optimStep(STEP);
    await training.finish({ iteration, value: values![0]![0]! }, () => Promise.resolve(undefined));
  }

  it('goes on from a checkpoint bit for bit', async () => {
    const run = await MemoryRun.create(1);
    const settings = { run, progress: silentProgress, signal: undefined, iterations: 4, checkpointEvery: 2 };
    const straight = await models();
    const training = new TrainingRun({ ...straight, ...settings });
    for (let i = 0; i < 4; i++) await iterate(straight, training);
    const metrics = run.comparable();
    const resumed = await models();
    const again = new TrainingRun({ ...resumed, ...settings });
    await again.restore(run.checkpoints[0]!);
    expect(again.iteration).toBe(2);
    for (let i = 0; i < 2; i++) await iterate(resumed, again);
    expect(run.comparable()).toEqual(metrics);
    for (const name of ['weights', 'gradients'] as const) {
      expect(await resumed.companions.critic.tensors(name)).toEqual(await straight.companions.critic.tensors(name));
      expect(await resumed.model.tensors(name)).toEqual(await straight.model.tensors(name));
    }
    for (const { model, companions } of [straight, resumed])
      for (const each of [model, companions.critic]) await each.dispose();
  });

  it('has values that do not depend on the number of threads, up to rounding', async () => {
    const two = await createLocalEngine({ inline: true, threads: 2 });
    const [a, b] = [await openCritic(engine, CRITIC), await openCritic(two, CRITIC)];
    const data = await readDatums();
    const [one, other] = [(await a.forward(data)).values!, (await b.forward(data)).values!];
    one.forEach((row, i) => expect(norm(row.map((v, t) => v - other[i]![t]!))).toBeLessThan(1e-5));
    await two.close();
    await a.dispose();
  });
});
