import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRun, openRun, readRun, type Run } from '../../src/runs/index.js';
import { Crash, CrashFs, type CrashKind, quickFs } from './crash-fs.js';

let root: string;
/** A closed run of four iterations, to be copied. */
let base: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hone-crash-'));
  base = join(root, 'base');
  const first = await createRun({
    path: base,
    manifest,
    policy: { every: 1, keep: KEEP },
    rolloutShare: 1,
    fs: quickFs,
  });
  for (let iteration = 1; iteration <= 4; iteration++) await iterate(first, iteration);
  await first.close();
});
afterEach(() => rm(root, { recursive: true, force: true }));

const KEEP = 2;
const BEST = 2;
const manifest = { name: 'crash', kind: 'rl', recipe: 'grpo', seed: 5, config: {}, dataHashes: {} };
const scoreOf = (iteration: number): number => (iteration === BEST ? 0.9 : 0.1);
const weightsOf = (iteration: number): string => `weights of iteration ${iteration} `.repeat(50);

const row = (iteration: number) => ({
  iteration,
  problemId: `p${iteration}`,
  prompt: '1+1',
  sample: 0,
  text: '2',
  stopReason: 'eos',
  tokens: 2,
  status: 'correct' as const,
  score: 1,
  reason: 'equal',
  reward: 1,
  advantage: 0,
  trained: true,
});

/** One iteration of a trainer: metrics, rollouts, checkpoint. The model file is written outside the seam and unsynced. */
async function iterate(run: Run, iteration: number): Promise<void> {
  await run.writeRollouts(iteration, [row(iteration)]);
  await run.appendMetrics({ iteration, loss: 1 / iteration });
  await run.saveCheckpoint(
    { iteration, score: scoreOf(iteration), trainer: { cursor: iteration * 7 } },
    async (folder) => {
      await mkdir(join(folder, 'policy'));
      await writeFile(join(folder, 'policy', 'weights.safetensors'), weightsOf(iteration));
      await writeFile(join(folder, 'optimizer.safetensors'), `adam ${iteration}`);
    },
  );
}

/** A copy of `base` at `place/run`, all on disk, and a file system that stops at operation `stopAt` from now. */
async function prepare(place: string, stopAt: number, failWith?: () => Error): Promise<{ run: Run; fs: CrashFs }> {
  const path = join(place, 'run');
  const graveyard = join(place, 'graveyard');
  await mkdir(graveyard, { recursive: true });
  await cp(base, path, { recursive: true });
  const fs = new CrashFs(path, graveyard, failWith);
  await fs.settle();
  const run = await openRun(path, { fs });
  fs.stopAfter(stopAt);
  return { run, fs };
}

async function checkpointsOf(path: string): Promise<number[]> {
  return (await readRun(path)).checkpointIterations();
}

/** What must hold after any crash while iteration 5 was being written; returns the iteration to go on from. */
async function checkRecovery(path: string): Promise<number> {
  const run = await openRun(path, { fs: quickFs });
  const damaged: string[] = [];
  const latest = await run.latestCheckpoint((folder, why) => damaged.push(`${folder}: ${why}`));
  expect(damaged).toEqual([]);
  const iteration = latest?.state.iteration ?? 0;
  expect([4, 5]).toContain(iteration);
  expect(latest?.state.trainer).toEqual({ cursor: iteration * 7 });
  const folder = latest?.folder ?? '';
  expect(await readFile(join(folder, 'policy', 'weights.safetensors'), 'utf8')).toBe(weightsOf(iteration));

  const kept = await checkpointsOf(path);
  expect(kept).toEqual(iteration === 4 ? [2, 3, 4] : [2, 4, 5]);
  expect((await run.bestCheckpoint())?.state.iteration).toBe(BEST);
  const left = [...(await readdir(path)), ...(await readdir(join(path, 'checkpoints')))];
  expect(left.filter((name) => /^\.(tmp|gone|old)-|\.tmp-/.test(name))).toEqual([]);

  const metrics = (await run.readMetrics()).map((line) => line.iteration);
  expect(metrics.slice(0, iteration)).toEqual([1, 2, 3, 4, 5].slice(0, iteration));
  await run.truncateTo(iteration);
  expect((await run.readMetrics()).map((line) => line.iteration)).toEqual([1, 2, 3, 4, 5].slice(0, iteration));
  for (let next = iteration + 1; next <= 6; next++) await iterate(run, next);
  expect((await run.readMetrics()).map((line) => line.iteration)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(await run.readRollouts(5)).toEqual([row(5)]);
  expect(await checkpointsOf(path)).toEqual([2, 5, 6]);
  await run.close();
  return iteration;
}

async function countOperations(): Promise<string[]> {
  const place = join(root, 'count');
  const { run, fs } = await prepare(place, Infinity);
  await iterate(run, 5);
  await run.close();
  return fs.counted().map((name) => name.replaceAll(place, ''));
}

describe.each<CrashKind>(['kill', 'power'])('%s', (kind) => {
  test('at every operation of an iteration leaves the old or the new checkpoint, whole', async () => {
    const operations = await countOperations();
    expect(operations.filter((name) => name.startsWith('sync')).length).toBeGreaterThan(8);
    const outcomes: number[] = [];
    for (let stopAt = 0; stopAt < operations.length; stopAt++) {
      const place = join(root, `${kind}-${stopAt}`);
      const { run, fs } = await prepare(place, stopAt);
      await expect(iterate(run, 5), operations[stopAt]).rejects.toThrow(Crash);
      await run.close();
      const after = join(place, 'after');
      await fs.afterwards(kind, after);
      outcomes.push(await checkRecovery(after));
    }
    // The outcome changes once, from the old state to the new one.
    expect(outcomes).toEqual([...outcomes].sort());
    expect(new Set(outcomes)).toEqual(new Set([4, 5]));
    // A crash of the machine can only lose what had not been announced as saved.
    const renamed = operations.findIndex((name) => name.startsWith('rename') && name.endsWith('checkpoints/000005'));
    expect(outcomes[renamed]).toBe(4);
    expect(outcomes[renamed + 2]).toBe(5);
  });
});

test('replacing a checkpoint of the same iteration survives a crash at every operation', async () => {
  const save = (run: Run, tag: string): Promise<void> =>
    run.saveCheckpoint({ iteration: 1, trainer: tag }, (folder) => writeFile(join(folder, 'w'), tag));
  const single = join(root, 'single');
  const first = await createRun({
    path: single,
    manifest,
    policy: { every: 1, keep: 1 },
    rolloutShare: 1,
    fs: quickFs,
  });
  await save(first, 'old');
  await first.close();
  for (let stopAt = 0, done = false; !done; stopAt++)
    for (const kind of ['kill', 'power'] as const) {
      const place = join(root, `${kind}-${stopAt}`);
      await mkdir(join(place, 'graveyard'), { recursive: true });
      const path = join(place, 'run');
      await cp(single, path, { recursive: true });
      const fs = new CrashFs(path, join(place, 'graveyard'));
      await fs.settle();
      const run = await openRun(path, { fs });
      fs.stopAfter(stopAt);
      done = await save(run, 'new').then(
        () => true,
        (error: unknown) => {
          expect(error).toBeInstanceOf(Crash);
          return false;
        },
      );
      await run.close();
      await fs.afterwards(kind, join(place, 'after'));
      const again = await openRun(join(place, 'after'), { fs: quickFs });
      const latest = await again.latestCheckpoint();
      const tag = await readFile(join(latest?.folder ?? '', 'w'), 'utf8');
      expect(latest?.state.trainer).toBe(tag);
      expect(done ? ['new'] : ['old', 'new']).toContain(tag);
      await again.close();
    }
});

test('a crash at every operation of cutting a run back leaves no damage, and cutting again ends it', async () => {
  for (let stopAt = 0, done = false; !done; stopAt++)
    for (const kind of ['kill', 'power'] as const) {
      const place = join(root, `cut-${kind}-${stopAt}`);
      const { run, fs } = await prepare(place, stopAt);
      done = await run.truncateTo(2).then(
        () => true,
        (error: unknown) => {
          expect(error).toBeInstanceOf(Crash);
          return false;
        },
      );
      await run.close();
      await fs.afterwards(kind, join(place, 'after'));
      const again = await openRun(join(place, 'after'), { fs: quickFs });
      const latest = await again.latestCheckpoint((folder, why) => expect.fail(`${folder}: ${why}`));
      const iteration = latest?.state.iteration ?? 0;
      expect(done ? [2] : [2, 3, 4]).toContain(iteration);
      const covered = (await again.readMetrics()).map((line) => line.iteration);
      expect(covered.slice(0, iteration)).toEqual([1, 2, 3, 4].slice(0, iteration));
      expect(await (await readRun(again.path)).rolloutIterations()).toContain(iteration);
      await again.truncateTo(2);
      expect((await again.readMetrics()).map((line) => line.iteration)).toEqual([1, 2]);
      expect(await checkpointsOf(again.path)).toEqual([2]);
      await again.close();
    }
});

test('a full disk at any operation is a resource error with the way out; the run goes on after space is freed', async () => {
  const operations = await countOperations();
  const full = (): Error => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  for (let stopAt = 0; stopAt < operations.length; stopAt++) {
    const { run } = await prepare(join(root, `full-${stopAt}`), stopAt, full);
    await expect(iterate(run, 5), operations[stopAt]).rejects.toMatchObject({
      kind: 'resource',
      message: expect.stringMatching(/no space left on the disk/),
      hint: expect.stringMatching(/Free some space/),
    });
    const latest = await run.latestCheckpoint();
    await run.truncateTo(latest?.state.iteration ?? 0);
    for (let next = (latest?.state.iteration ?? 0) + 1; next <= 6; next++) await iterate(run, next);
    expect((await run.readMetrics()).map((line) => line.iteration)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await checkpointsOf(run.path)).toEqual([2, 5, 6]);
    await run.close();
  }
});

test('a crash at every operation of creating a run leaves a folder that can be created anew, or a run', async () => {
  const graveyard = join(root, 'graveyard');
  await mkdir(graveyard);
  for (let stopAt = 0, done = false; !done; stopAt++) {
    const path = join(root, `new-${stopAt}`);
    const options = { path, manifest, policy: { every: 1, keep: 1 }, rolloutShare: 1 };
    const fs = new CrashFs(path, graveyard);
    fs.stopAfter(stopAt);
    try {
      await (await createRun({ ...options, fs })).close();
      done = true;
    } catch (error) {
      expect(error).toBeInstanceOf(Crash);
      const reopened = await openRun(path).catch(() => createRun(options));
      await iterate(reopened, 1);
      await reopened.close();
    }
  }
});
