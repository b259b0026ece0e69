import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  compareRuns,
  createRun,
  diffRuns,
  type Json,
  type RolloutRow,
  type RunDifference,
} from '../../src/runs/index.js';

let root: string;
let names = 0;
beforeAll(async () => void (root = await mkdtemp(join(tmpdir(), 'hone-diff-'))));
afterAll(() => rm(root, { recursive: true, force: true }));

interface Variation {
  config?: { [key: string]: Json };
  seed?: number;
  loss?: number;
  extra?: { [key: string]: Json };
  text?: string;
  weights?: string;
  trainer?: Json;
  iterations?: number;
  dataHashes?: Record<string, string>;
  result?: Json;
}

const row = (iteration: number, text: string): RolloutRow => ({
  iteration,
  problemId: 'p',
  prompt: '?',
  sample: 0,
  text,
  stopReason: 'eos',
  tokens: 1,
  status: 'correct',
  score: 1,
  reason: '',
  reward: 1,
  advantage: 0,
  trained: true,
});

/** A run of three iterations, in a folder and under a name of its own, with a clock of its own. */
async function make(vary: Variation = {}): Promise<string> {
  const name = `run-${names++}`;
  const run = await createRun({
    root,
    manifest: {
      name,
      kind: 'rl',
      recipe: 'grpo',
      seed: vary.seed ?? 1,
      config: { out: name, lr: 0.1, nested: { list: [1, 2] }, ...vary.config },
      dataHashes: vary.dataHashes ?? { 'train.jsonl': 'abc' },
    },
    policy: { every: 1, keep: 1 },
    rolloutShare: 1,
  });
  const iterations = vary.iterations ?? 3;
  for (let iteration = 1; iteration <= iterations; iteration++) {
    const changed = iteration >= 2;
    await run.appendMetrics({
      iteration,
      loss: changed ? (vary.loss ?? 0) : 1,
      ...(changed ? vary.extra : {}),
      timing: { sample_s: names * iteration },
    });
    await run.writeRollouts(iteration, [row(iteration, 'same'), row(iteration, changed ? (vary.text ?? 'a') : 'a')]);
  }
  await run.saveCheckpoint({ iteration: iterations, score: 0.5, trainer: vary.trainer ?? { cursor: 3 } }, (folder) =>
    writeFile(join(folder, 'weights.bin'), vary.weights ?? 'w'),
  );
  await run.writeResult('result.json', vary.result ?? { accuracy: 0.5, seconds: names, timing: { all: names } });
  await run.close();
  return run.path;
}

describe('diff', () => {
  test('of two runs that differ only in name, place and clock is empty', async () => {
    expect(await diffRuns(await make(), await make())).toEqual([]);
  });

  test.each<[string, Variation, Omit<RunDifference, 'a' | 'b'>[]]>([
    ['seed', { seed: 2 }, [{ part: 'manifest', where: 'seed' }]],
    ['an option', { config: { lr: 0.2 } }, [{ part: 'config', where: 'lr' }]],
    [
      'a nested option',
      { config: { nested: { list: [1, 3, 4] } } },
      [
        { part: 'config', where: 'nested.list.1' },
        { part: 'config', where: 'nested.list.2' },
      ],
    ],
    ['an option that only one has', { config: { extra: null } }, [{ part: 'config', where: 'extra' }]],
    ['data', { dataHashes: { 'train.jsonl': 'xyz' } }, [{ part: 'data', where: 'train.jsonl' }]],
    ['a metric, where it first differs', { loss: 0.5 }, [{ part: 'metrics', where: 'line 2, iteration 2: loss' }]],
    ['the sign of a zero', { loss: -0 }, [{ part: 'metrics', where: 'line 2, iteration 2: loss' }]],
    ['the last bit of a number', { loss: 5e-324 }, [{ part: 'metrics', where: 'line 2, iteration 2: loss' }]],
    [
      'a metric that only one has',
      { extra: { entropy: 1 } },
      [{ part: 'metrics', where: 'line 2, iteration 2: entropy' }],
    ],
    ['a rollout, where it first differs', { text: 'b' }, [{ part: 'rollouts', where: 'iteration 2, row 2: text' }]],
    ['a weight', { weights: 'v' }, [{ part: 'checkpoint', where: 'files.weights.bin' }]],
    ['trainer state', { trainer: { cursor: 4 } }, [{ part: 'checkpoint', where: 'trainer.cursor' }]],
    ['a result', { result: { accuracy: 0.6 } }, [{ part: 'result', where: 'accuracy' }]],
    [
      'length',
      { iterations: 4 },
      [
        { part: 'metrics', where: 'line 4, iteration 4' },
        { part: 'rollouts', where: 'iteration 4' },
        { part: 'checkpoint', where: 'final iteration' },
      ],
    ],
  ])('tells %s', async (_name, vary, expected) => {
    const found = await diffRuns(await make(), await make(vary));
    expect(found.map(({ part, where }) => ({ part, where }))).toEqual(expected);
    for (const { a, b } of found) expect(Object.is(a, b)).toBe(false);
  });

  test('the same data under another path is the same data', async () => {
    expect(await diffRuns(await make(), await make({ dataHashes: { '/elsewhere/train.jsonl': 'abc' } }))).toEqual([]);
  });

  test('another machine or version is told', async () => {
    const [a, b] = [await make(), await make()];
    const file = join(b, 'run.json');
    await writeFile(file, (await readFile(file, 'utf8')).replace(/"node": "[^"]*"/, '"node": "99.0.0"'));
    expect(await diffRuns(a, b)).toMatchObject([{ part: 'environment', where: 'versions.node', b: '99.0.0' }]);
  });

  test('a folder that is no run is an input error', async () => {
    await expect(diffRuns(await make(), root)).rejects.toMatchObject({ kind: 'input', where: root });
  });
});

test('compare puts metrics, results and options of three runs side by side', async () => {
  const paths = [await make(), await make({ loss: 3, config: { lr: 0.2 } }), await make({ extra: { accuracy: 0.7 } })];
  const comparison = await compareRuns(paths);
  expect(comparison.runs.map(({ iterations }) => iterations)).toEqual([3, 3, 3]);
  const none = { first: null, last: null, min: null, max: null };
  expect(comparison.metrics).toEqual([
    { metric: 'accuracy', values: [none, none, { first: 0.7, last: 0.7, min: 0.7, max: 0.7 }] },
    {
      metric: 'loss',
      values: [
        { first: 1, last: 0, min: 0, max: 1 },
        { first: 1, last: 3, min: 1, max: 3 },
        { first: 1, last: 0, min: 0, max: 1 },
      ],
    },
  ]);
  expect(comparison.results.find(({ metric }) => metric === 'accuracy')?.values).toEqual([0.5, 0.5, 0.5]);
  expect(comparison.config.find(({ option }) => option === 'lr')?.values).toEqual([0.1, 0.2, 0.1]);
  const chosen = await compareRuns(paths, ['timing.sample_s', 'nothing']);
  expect(chosen.metrics.map(({ metric }) => metric)).toEqual(['timing.sample_s', 'nothing']);
  expect(chosen.metrics[0]?.values.every(({ last }) => last !== null)).toBe(true);
});
