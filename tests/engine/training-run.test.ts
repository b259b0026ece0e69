import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentProgress } from '../../src/core/index.js';
import { TrainingRun, type TrainingRunOptions } from '../../src/engine/training-run.js';
import type { TrainableModel } from '../../src/engine/types.js';
import { createRun, openRun, type Run } from '../../src/runs/index.js';
import { randomData, STEP, linearLoss, valueLoss } from '../support/contract-tools.js';
import { MemoryRun } from '../support/memory-run.js';
import { ReferenceEngine } from '../support/reference-engine.js';
import { Crash, CrashFs, quickFs } from '../runs/crash-fs.js';

const config = { chars: 'abcdefg', hidden: 4, lags: 2, maxContext: 16 };
const open = (role: 'policy' | 'critic', seed: number) =>
  new ReferenceEngine().openModel({ source: { kind: 'random', config, seed }, role });

interface Models extends Record<string, TrainableModel> {
  policy: TrainableModel;
  critic: TrainableModel;
  anchor: TrainableModel;
}

async function openModels(seed: number): Promise<Models> {
  const policy = await open('policy', seed);
  return { policy, critic: await open('critic', seed + 1), anchor: await policy.cloneFrozen() };
}

function trainingRun({ policy, ...companions }: Models, run: Run, more: Partial<TrainingRunOptions> = {}): TrainingRun {
  const options = { model: policy, companions, run, progress: silentProgress, signal: undefined };
  return new TrainingRun({ ...options, iterations: 6, checkpointEvery: 2, ...more });
}

async function iterate({ policy, critic, anchor }: Models, training: TrainingRun, iteration: number): Promise<void> {
  await policy.forwardBackward(randomData(8, iteration, 3), linearLoss(-1, 0));
  await policy.optimStep(STEP);
  await critic.forwardBackward(randomData(8, iteration, 3), valueLoss);
  await critic.optimStep(STEP);
  await anchor.lerpFrom(policy, 0.9);
  training.state.extra = { rewards: { mean: iteration / 3, count: iteration }, carried: [[1, 2], []] };
  await training.finish({ iteration }, () => Promise.resolve(undefined));
}

async function weightsOf(models: Models): Promise<unknown[]> {
  const all = [];
  for (const [name, model] of Object.entries(models)) all.push([name, await model.tensors('weights')]);
  return all;
}

describe('a run of several models', () => {
  it('resumes all of them, and what else the trainer remembered, bit for bit', async () => {
    const run = await MemoryRun.create(1);
    const straight = await openModels(1);
    const training = trainingRun(straight, run);
    for (let iteration = 1; iteration <= 6; iteration++) await iterate(straight, training, iteration);
    const at = run.checkpoints.find(({ state }) => state.iteration === 4)!;
    expect((await readdir(at.folder)).sort()).toEqual([
      'anchor',
      'critic',
      'optimizer.safetensors',
      'weights.safetensors',
    ]);

    const resumed = await openModels(50);
    const again = trainingRun(resumed, run);
    await again.restore(at);
    expect(again.iteration).toBe(4);
    expect(again.state.extra).toEqual({ rewards: { mean: 4 / 3, count: 4 }, carried: [[1, 2], []] });
    for (let iteration = 5; iteration <= 6; iteration++) await iterate(resumed, again, iteration);
    expect(await weightsOf(resumed)).toEqual(await weightsOf(straight));
    expect(again.state).toEqual(training.state);
  });

  it('saves them when a stop cuts its validation off', async () => {
    const run = await MemoryRun.create(2);
    const models = await openModels(2);
    const stop = new AbortController();
    const training = trainingRun(models, run, { signal: stop.signal });
    const stopped = training.finish({ iteration: 1 }, () => {
      stop.abort();
      return Promise.reject(new Error('stopped'));
    });
    await expect(stopped).rejects.toMatchObject({ kind: 'interrupted' });
    const again = trainingRun(await openModels(3), run);
    await again.restore(run.checkpoints[0]!);
    expect(again.unvalidated).toEqual({ iteration: 1 });
  });

  it('goes on from a checkpoint of one model, where there is one model', async () => {
    const run = await MemoryRun.create(3);
    const policy = await open('policy', 1);
    await run.saveCheckpoint(
      { iteration: 2, trainer: { cursor: 5, updates: 2, skippedInARow: 0, bestScore: null } },
      (folder) => policy.save(folder),
    );
    const training = trainingRun({ policy: await open('policy', 2) } as unknown as Models, run);
    await training.restore(run.checkpoints[0]!);
    expect(training.state).toEqual({ cursor: 5, updates: 2, skippedInARow: 0, bestScore: null });
  });

  it('refuses a checkpoint of other models, before any has changed', async () => {
    const run = await MemoryRun.create(4);
    const models = await openModels(4);
    await iterate(models, trainingRun(models, run, { checkpointEvery: 1 }), 1);
    const [checkpoint] = run.checkpoints;
    const { anchor, ...fewer } = await openModels(5);
    await expect(trainingRun(fewer as Models, run).restore(checkpoint!)).rejects.toMatchObject({
      kind: 'input',
      where: checkpoint!.folder,
      message: expect.stringContaining('holds a anchor, which this run does not have'),
    });
    const more = { ...(await openModels(6)), reference: anchor };
    const before = await weightsOf(more);
    await expect(trainingRun(more, run).restore(checkpoint!)).rejects.toThrow(/holds no reference/);
    expect(await weightsOf(more)).toEqual(before);
  });

  it('refuses a name that is no folder of its own', () => {
    for (const name of ['../critic', 'a/b', '', 'manifest.json', 'Critic'])
      expect(() => trainingRun({ [name]: {} } as unknown as Models, {} as Run), name).toThrow(/no name for a model/);
  });
});

describe('a crash while several models are being saved', () => {
  const manifest = { name: 'crash', kind: 'rl', recipe: 'ppo', seed: 5, config: {}, dataHashes: {} };
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'hone-companions-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it.each(['kill', 'power'] as const)(
    '%s: the old checkpoint or the new one, with all models of one iteration',
    async (kind) => {
      const outcomes: number[] = [];
      for (let stopAt = 0, done = false; !done; stopAt++) {
        const path = join(root, `${stopAt}`, 'run');
        const graveyard = await mkdtemp(join(root, 'graveyard-'));
        const policy = { every: 1, keep: 2 };
        const first = await createRun({ path, manifest, policy, rolloutShare: 1, fs: quickFs });
        const models = await openModels(1);
        const settings = { checkpointEvery: 1 };
        const before = trainingRun(models, first, settings);
        await iterate(models, before, 1);
        const saved = [await weightsOf(models)];
        await first.close();

        const fs = new CrashFs(path, graveyard);
        await fs.settle();
        const second = await openRun(path, { fs });
        const training = trainingRun(models, second, settings);
        await training.restore((await second.latestCheckpoint())!);
        fs.stopAfter(stopAt);
        done = await iterate(models, training, 2).then(
          () => true,
          (error: unknown) => {
            expect(error).toBeInstanceOf(Crash);
            return false;
          },
        );
        saved.push(await weightsOf(models));
        await second.close();
        await fs.afterwards(kind, join(root, `${stopAt}`, 'after'));

        const third = await openRun(join(root, `${stopAt}`, 'after'), { fs: quickFs });
        const latest = (await third.latestCheckpoint((folder, why) => expect.fail(`${folder}: ${why}`)))!;
        const fresh = await openModels(9);
        await trainingRun(fresh, third, settings).restore(latest);
        expect(await weightsOf(fresh)).toEqual(saved[latest.state.iteration - 1]);
        outcomes.push(latest.state.iteration);
        await third.close();
      }
      expect(outcomes).toEqual([...outcomes].sort());
      expect(new Set(outcomes)).toEqual(new Set([1, 2]));
      expect(outcomes.length).toBeGreaterThan(15);
    },
  );
});
