import { spawnSync } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, rmdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createRun,
  listRuns,
  openRun,
  readRun,
  type CheckpointPolicy,
  type RolloutRow,
  type Run,
} from '../../src/runs/index.js';

let root: string;
const opened: Run[] = [];
beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), 'hone-run-'))));
afterEach(async () => {
  await Promise.all(opened.splice(0).map((run) => run.close()));
  await rm(root, { recursive: true, force: true });
});

const manifest = { name: 'first', kind: 'rl', recipe: 'dapo', seed: 1, config: { lr: 1e-3 }, dataHashes: {} };
async function create(policy: CheckpointPolicy = { every: 1, keep: 2 }, rolloutShare = 1): Promise<Run> {
  const run = await createRun({ root, manifest, policy, rolloutShare });
  opened.push(run);
  return run;
}
async function reopen(path: string): Promise<Run> {
  const run = await openRun(path);
  opened.push(run);
  return run;
}

async function save(run: Run, iteration: number, score?: number): Promise<void> {
  await run.saveCheckpoint({ iteration, score, trainer: { cursor: iteration } }, async (folder) => {
    await writeFile(join(folder, 'weights.safetensors'), `weights ${iteration}`);
  });
}

function rollout(problem: number, sample: number): RolloutRow {
  return {
    iteration: 1,
    problemId: `p${problem}`,
    prompt: '?',
    sample,
    text: `\ud800 lone, \u2028 line, \u0000 nul`,
    stopReason: 'eos',
    tokens: 3,
    status: 'wrong',
    score: 0,
    reason: 'no',
    reward: -0,
    advantage: 0.1 + 0.2,
    trained: false,
  };
}

const checkpointsOf = async (run: Run): Promise<number[]> => (await readRun(run.path)).checkpointIterations();

describe('a run', () => {
  test('is created, written, closed, and goes on where it stopped', async () => {
    const run = await create();
    await run.appendMetrics({ iteration: 1, loss: 0.1 });
    await save(run, 1);
    await run.close();
    const again = await reopen(run.path);
    const latest = await again.latestCheckpoint();
    expect(latest?.state).toEqual({ iteration: 1, trainer: { cursor: 1 } });
    expect(await readFile(join(latest?.folder ?? '', 'weights.safetensors'), 'utf8')).toBe('weights 1');
    expect(await again.readMetrics()).toEqual([{ iteration: 1, loss: 0.1 }]);
    await expect(run.appendMetrics({ iteration: 2 })).rejects.toThrow(/was closed/);
  });

  test('stores what it was: options, versions, machine; no secrets', async () => {
    const config = { lr: 1e-3, apiKey: 'abc', sampling: { maxTokens: 64 } };
    const options = { manifest: { ...manifest, config }, policy: { every: 1, keep: 1 }, rolloutShare: 1 };
    const run = await createRun({ path: join(root, 'deep', 'er'), ...options });
    opened.push(run);
    expect(run.manifest.config).toEqual(config);
    const { file } = await readRun(run.path);
    expect(file.config).toEqual({ lr: 1e-3, apiKey: '[redacted]', sampling: { maxTokens: 64 } });
    expect(file.versions).toEqual({
      hone: expect.stringMatching(/^\d/),
      node: process.versions.node,
      'onnxruntime-node': expect.stringMatching(/^1\./),
    });
    expect(file.machine.threads).toBeGreaterThan(0);
    expect(file.git?.commit ?? 'none').toMatch(/^([0-9a-f]{40}|none)$/);
  });

  test('refuses a folder that is not empty, a file, and one that holds a run', async () => {
    await writeFile(join(root, 'note.txt'), 'mine');
    const options = { manifest, policy: { every: 1, keep: 1 }, rolloutShare: 1 };
    await expect(createRun({ path: root, ...options })).rejects.toMatchObject({ kind: 'usage', where: root });
    expect(await readdir(root)).toEqual(['note.txt']);
    await expect(createRun({ path: join(root, 'note.txt'), ...options })).rejects.toThrow(/a file, not a folder/);
    await create();
    await expect(create()).rejects.toMatchObject({ kind: 'usage', hint: expect.stringMatching(/hone resume/) });
  });

  test.each(['../escape', 'a/b', '', '.', '..', '.hidden', 'a\u0000b'])('refuses the name %j', async (name) => {
    const options = { manifest: { ...manifest, name }, policy: { every: 1, keep: 1 }, rolloutShare: 1 };
    await expect(createRun({ root, ...options })).rejects.toMatchObject({ kind: 'usage' });
  });

  test.each([
    [{ every: 0, keep: 1 }, 1, 'checkpoints.every'],
    [{ every: 1, keep: 0 }, 1, 'checkpoints.keep'],
    [{ every: 1, keep: 1 }, 1.5, 'rolloutShare'],
  ])('refuses policy %j with share %d', async (policy, share, where) => {
    await expect(create(policy, share)).rejects.toMatchObject({ kind: 'usage', where });
  });

  test('a run of another version is refused with the way out', async () => {
    const run = await create();
    await run.close();
    const file = join(run.path, 'run.json');
    await writeFile(file, (await readFile(file, 'utf8')).replace('"schema": 1', '"schema": 2'));
    await expect(openRun(run.path)).rejects.toMatchObject({
      kind: 'input',
      message: expect.stringMatching(/written by another version of hone/),
      hint: expect.stringMatching(/version of hone that wrote it/),
    });
  });

  test('a folder without run.json is not a run, and is left as it was', async () => {
    await expect(openRun(root)).rejects.toMatchObject({ kind: 'input', hint: expect.stringMatching(/runs list/) });
    expect(await readdir(root)).toEqual([]);
  });
});

describe('the lock', () => {
  test('a folder in use is refused, and names its holder', async () => {
    const run = await create();
    await expect(openRun(run.path)).rejects.toMatchObject({
      kind: 'resource',
      message: expect.stringContaining(`in use by process ${process.pid} on ${hostname()}`),
    });
    expect((await listRuns(root)).map(({ state }) => state)).toEqual(['running']);
    await run.close();
    expect((await listRuns(root)).map(({ state }) => state)).toEqual(['stopped']);
  });

  /** What a killed process leaves behind. */
  async function abandon(path: string, holder: object): Promise<void> {
    await mkdir(join(path, '.lock'));
    await writeFile(join(path, '.lock-holder.json'), JSON.stringify(holder));
  }
  const deadProcess = (): number => spawnSync(process.execPath, ['-e', '']).pid;

  test('of a dead process of this machine is taken over at once', async () => {
    const run = await create();
    await run.close();
    await abandon(run.path, { pid: deadProcess(), host: hostname(), started: '' });
    await reopen(run.path);
  });

  test('of another machine is kept while its heartbeat is fresh, taken over when it is old', async () => {
    const run = await create();
    await run.close();
    await abandon(run.path, { pid: 1, host: 'elsewhere', started: '' });
    await expect(openRun(run.path)).rejects.toThrow(/process 1 on elsewhere/);
    const old = new Date(Date.now() - 120_000);
    await utimes(join(run.path, '.lock'), old, old);
    await reopen(run.path);
  });

  test('a process number that now belongs to another process does not hold it', async (context) => {
    if (process.platform !== 'linux') context.skip('needs /proc');
    const run = await create();
    await run.close();
    await abandon(run.path, { pid: process.pid, host: hostname(), started: 'another boot:1' });
    await reopen(run.path);
  });

  test('of two that open at once one wins', async () => {
    const run = await create();
    await run.close();
    await abandon(run.path, { pid: deadProcess(), host: hostname(), started: '' });
    const outcomes = await Promise.allSettled([openRun(run.path), openRun(run.path), openRun(run.path)]);
    const won = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    opened.push(...won);
    expect(won).toHaveLength(1);
  });

  test('lost to another process, the run fails and does not crash', { timeout: 20_000 }, async () => {
    const run = await create();
    await rmdir(join(run.path, '.lock'));
    const until = Date.now() + 15_000;
    let failure: unknown;
    while (failure === undefined && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      failure = await run.appendMetrics({ iteration: 1 }).then(
        () => undefined,
        (error: unknown) => error,
      );
    }
    expect(failure).toMatchObject({ kind: 'resource', message: expect.stringMatching(/lost the lock/) });
    await expect(save(run, 1)).rejects.toThrow(/lost the lock/);
    expect(await checkpointsOf(run)).toEqual([]);
  });
});

describe('metrics', () => {
  test('round-trip bit for bit; NaN and infinities become null with a note', async () => {
    const run = await create();
    const line = { iteration: 1, a: 0.1 + 0.2, b: -0, c: 5e-324, nested: { d: [1 / 3] } };
    await run.appendMetrics(line);
    await run.appendMetrics({ iteration: 2, 'length.wrong': NaN, nested: { x: -Infinity } });
    const [first, second] = await run.readMetrics();
    expect(first).toStrictEqual(line);
    expect(Object.is(first?.['b'], -0)).toBe(true);
    expect(second).toEqual({
      iteration: 2,
      'length.wrong': null,
      nested: { x: null },
      nonfinite: { 'length.wrong': 'NaN', 'nested.x': '-Infinity' },
    });
  });

  test('a torn last line is passed over when reading, and cut when opening', async () => {
    const run = await create();
    await run.appendMetrics({ iteration: 1 });
    await run.close();
    const file = join(run.path, 'metrics.jsonl');
    await appendFile(file, '{"iteration":2,"lo');
    expect(await (await readRun(run.path)).readMetrics()).toEqual([{ iteration: 1 }]);
    const again = await reopen(run.path);
    await again.appendMetrics({ iteration: 2 });
    expect(await readFile(file, 'utf8')).toBe('{"iteration":1}\n{"iteration":2}\n');
  });

  test('a damaged line in the middle is an error with its place', async () => {
    const run = await create();
    await appendFile(join(run.path, 'metrics.jsonl'), 'oops\n{"iteration":1}\n');
    await expect(run.readMetrics()).rejects.toMatchObject({ where: expect.stringMatching(/metrics\.jsonl:1$/) });
  });
});

describe('rollouts', () => {
  test('of an iteration are replaced whole, and round-trip hostile text', async () => {
    const run = await create();
    await run.writeRollouts(1, [rollout(0, 0), rollout(1, 0)]);
    await run.writeRollouts(1, [rollout(2, 0)]);
    expect(await run.readRollouts(1)).toStrictEqual([rollout(2, 0)]);
    expect(await readdir(join(run.path, 'rollouts'))).toEqual(['000001.jsonl']);
  });

  test('a share keeps whole groups, the same ones for the same seed', async () => {
    const rows = Array.from({ length: 40 }, (_, i) => rollout(Math.floor(i / 4), i % 4));
    const run = await create({ every: 1, keep: 1 }, 0.25);
    await run.writeRollouts(1, rows);
    await run.writeRollouts(2, rows);
    const stored = await run.readRollouts(1);
    expect(stored).toHaveLength(12);
    expect(new Set(stored.map((row) => row.problemId)).size).toBe(3);
    await run.writeRollouts(1, rows);
    expect(await run.readRollouts(1)).toEqual(stored);
    expect(await run.readRollouts(2)).not.toEqual(stored);
  });
});

describe('checkpoints', () => {
  test('the newest and the best stay; of equal scores the newest is best', async () => {
    const run = await create({ every: 1, keep: 2 });
    const scores = [0.5, 0.9, 0.9, 0.1, undefined, 0.3];
    for (const [i, score] of scores.entries()) await save(run, i + 1, score);
    expect(await checkpointsOf(run)).toEqual([3, 5, 6]);
    expect((await run.bestCheckpoint())?.state).toEqual({ iteration: 3, score: 0.9, trainer: { cursor: 3 } });
  });

  test.each([
    ['a changed file', (folder: string) => writeFile(join(folder, 'weights.safetensors'), 'weights X'), /SHA-256/],
    ['a cut file', (folder: string) => writeFile(join(folder, 'weights.safetensors'), 'wei'), /3 bytes instead of 9/],
    ['a missing file', (folder: string) => rm(join(folder, 'weights.safetensors')), /is missing/],
    ['a file too many', (folder: string) => writeFile(join(folder, 'constructor'), ''), /not in its manifest/],
    ['a missing manifest', (folder: string) => rm(join(folder, 'manifest.json')), /no manifest/],
    ['a cut manifest', (folder: string) => writeFile(join(folder, 'manifest.json'), '{"schema":1'), /not readable/],
    [
      'a changed state',
      async (folder: string) => {
        const file = join(folder, 'manifest.json');
        await writeFile(file, (await readFile(file, 'utf8')).replace('"cursor":2', '"cursor":3'));
      },
      /manifest\.json was changed/,
    ],
    ['a link', (folder: string) => symlink('/etc/hostname', join(folder, 'link')), /plain files/],
  ])('%s is reported and passed over', async (_name, damage, why) => {
    const run = await create({ every: 1, keep: 3 });
    await save(run, 1);
    await save(run, 2, 1);
    await damage(join(run.path, 'checkpoints', '000002'));
    const reports: string[] = [];
    const latest = await run.latestCheckpoint((folder, text) => reports.push(`${folder}: ${text}`));
    expect(latest?.state.iteration).toBe(1);
    expect(reports).toHaveLength(1);
    expect(reports[0]).toMatch(why);
    expect(await run.bestCheckpoint()).toBeUndefined();
    await run.truncateTo(1);
    await save(run, 2);
    expect((await run.latestCheckpoint())?.state.iteration).toBe(2);
  });

  test('a writer that fails saves nothing and leaves nothing', async () => {
    const run = await create();
    await save(run, 1);
    const failing = run.saveCheckpoint({ iteration: 2, trainer: null }, async (folder) => {
      await writeFile(join(folder, 'half'), 'x');
      throw new Error('engine failed');
    });
    await expect(failing).rejects.toThrow('engine failed');
    expect(await readdir(join(run.path, 'checkpoints'))).toEqual(['000001']);
  });

  test('state that cannot be stored is refused before files are written', async () => {
    const run = await create();
    let wrote = false;
    const write = async (): Promise<void> => void (wrote = true);
    const nan = run.saveCheckpoint({ iteration: 1, trainer: { mean: NaN } }, write);
    await expect(nan).rejects.toMatchObject({ kind: 'numeric', where: 'trainer.mean' });
    await expect(run.saveCheckpoint({ iteration: 1, score: NaN, trainer: null }, write)).rejects.toThrow(/score/);
    expect(wrote).toBe(false);
  });

  test('truncating forgets later metrics, rollouts and checkpoints', async () => {
    const run = await create({ every: 1, keep: 5 });
    for (let iteration = 1; iteration <= 4; iteration++) {
      await run.writeRollouts(iteration, [rollout(0, 0)]);
      await run.appendMetrics({ iteration });
      await save(run, iteration);
    }
    await run.truncateTo(2);
    expect((await run.readMetrics()).map(({ iteration }) => iteration)).toEqual([1, 2]);
    expect(await (await readRun(run.path)).rolloutIterations()).toEqual([1, 2]);
    expect(await checkpointsOf(run)).toEqual([1, 2]);
  });
});

describe('results and lists', () => {
  test('a result is read back; its name is confined to the folder', async () => {
    const run = await create();
    await run.writeResult('result.json', { accuracy: 0.5 });
    const reader = await readRun(run.path);
    expect(await reader.readResult('result.json')).toEqual({ accuracy: 0.5 });
    expect(await reader.readResult('other.json')).toBeUndefined();
    for (const name of ['../x.json', 'run.json', 'a/b.json', 'x.html', '.x.json'])
      await expect(run.writeResult(name, null)).rejects.toThrow(/plain file name/);
  });

  test('runs are listed oldest first; what is no run is left out, a damaged one reported', async () => {
    const run = await create();
    await run.appendMetrics({ iteration: 3, accuracy: 0.5 });
    await run.writeResult('result.json', {});
    await run.close();
    await mkdir(join(root, 'no-run'));
    await mkdir(join(root, 'broken'));
    await writeFile(join(root, 'broken', 'run.json'), '{}');
    const reports: string[] = [];
    const runs = await listRuns(root, (path) => reports.push(path));
    expect(runs).toMatchObject([{ name: 'first', state: 'finished', iterations: 3, lastMetrics: { accuracy: 0.5 } }]);
    expect(reports).toEqual([join(root, 'broken')]);
    await expect(listRuns(join(root, 'nowhere'))).rejects.toMatchObject({ kind: 'input' });
  });
});
