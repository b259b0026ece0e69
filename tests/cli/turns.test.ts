/** A task with an environment, stages and TensorBoard, through the built command line. */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { MetricsLine, RolloutRow } from '../../src/runs/types.js';
import { hone, onlyJson } from './hone.js';

const cwd = path.join(tmpdir(), `hone-turns-${process.pid}`);
beforeAll(() => mkdir(cwd, { recursive: true }));
afterAll(() => rm(cwd, { recursive: true, force: true }));

async function json(...args: string[]): Promise<unknown> {
  const finished = await hone([...args, '--json'], { cwd });
  if (finished.code !== 0) throw new Error(finished.stderr);
  return onlyJson(finished);
}

async function lines<T>(file: string): Promise<T[]> {
  const text = await readFile(path.join(cwd, file), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

const TASK = ['--task', 'calculator', '--task-option', 'digits=1', '--task-option', 'operations=1'];
const SMALL = ['promptsPerIteration=4', 'groupSize=4', 'maxTokens=60', 'environment.maxTurns=2', 'validation.every=0'];
const until = (iterations: number | null) => ({ iterations, plateau: null, truncatedBelow: null });
const data = { promptLength: 'all', difficulty: null, passRate: null, level: null, pool: 10 };
const stage = (name: string, iterations: number | null, set: object) => ({
  ...{ name, until: until(iterations), resetReference: false, resetOptimizer: true, data, set },
});
const STAGES = [stage('first', 1, {}), stage('second', null, { promptsPerIteration: 2 })];

it('trains in turns with a tool, in stages, and tells TensorBoard', async () => {
  const settings = [...SMALL, 'iterations=2', `curriculum.stages=${JSON.stringify(STAGES)}`];
  const set = settings.flatMap((setting) => ['--set', setting]);
  await json('train', 'grpo', '--model', 'random:nano', ...TASK, ...set, '--tensorboard', '--out', 'rl');

  const metrics = await lines<MetricsLine>('rl/metrics.jsonl');
  expect(metrics.map((line) => [line.stage, line['groups.total']])).toEqual([
    [1, 4],
    [2, 2],
  ]);
  for (const line of metrics) {
    expect(Number(line['length.mean'])).toBeLessThanOrEqual(60);
    const { iteration_s = 0, sample_s = 0, forward_s = NaN, backward_s = NaN, optimizer_s = NaN } = line.timing ?? {};
    expect(sample_s + forward_s + backward_s + optimizer_s).toBeLessThanOrEqual(iteration_s);
  }
  const rows = await lines<RolloutRow>('rl/rollouts/000001.jsonl');
  expect(rows).toHaveLength(16);
  // A model of random weights closes a bracket by chance, and is told that this was no call.
  const stepped = rows.filter(({ text }) => text.includes(']'));
  expect(stepped.length).toBeGreaterThan(0);
  expect(Number(metrics[0]?.['turns.mean'])).toBeGreaterThan(1);
  for (const { text, tokens } of stepped.filter(({ text }) => text.includes('[out: error]'))) {
    expect(text.indexOf('[out: error]')).toBe(text.indexOf(']') + 1);
    expect(tokens).toBeLessThanOrEqual(60);
  }

  const [file] = await readdir(path.join(cwd, 'rl/tensorboard'));
  const live = await readFile(path.join(cwd, 'rl/tensorboard', file!));
  expect(await json('runs', 'tensorboard', 'rl')).toMatchObject({
    iterations: 2,
    folder: path.join(cwd, 'rl/tensorboard'),
  });
  expect((await readFile(path.join(cwd, 'rl/tensorboard', file!))).equals(live)).toBe(true);
}, 120_000);
