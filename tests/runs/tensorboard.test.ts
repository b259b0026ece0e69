import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRun, exportTensorboard, openRun, scalarsOf, type MetricsLine } from '../../src/runs/index.js';
import { EventFile } from '../../src/runs/tensorboard.js';

const GOLDEN = new URL('../golden/tensorboard.json', import.meta.url);

interface Golden {
  made_by: string;
  run: { created: string; name: string };
  metrics: MetricsLine[];
  events_base64: string;
  read: Record<string, [step: number, wallTime: number, value: number][]>;
}

let root: string;
beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), 'hone-tb-'))));
afterEach(() => rm(root, { recursive: true, force: true }));

const line = (iteration: number): MetricsLine => ({
  iteration,
  accuracy: iteration / 10,
  'clip.low': 0.25,
  timing: { sample_s: 1, train_s: 2, train_tokens_per_s: 100 },
});

async function create(tensorboard: boolean) {
  const manifest = { name: 'first', kind: 'rl', recipe: 'grpo', seed: 1, config: {}, dataHashes: {} };
  return createRun({ root, manifest, policy: { every: 1, keep: 1 }, rolloutShare: 1, tensorboard });
}

async function eventsIn(run: { path: string }): Promise<Buffer> {
  const folder = join(run.path, 'tensorboard');
  const files = await readdir(folder);
  expect(files).toHaveLength(1);
  return readFile(join(folder, files[0]!));
}

describe('TensorBoard events', () => {
  it('are the bytes that TensorBoard read, and hold the numbers it found', async () => {
    const golden = JSON.parse(await readFile(GOLDEN, 'utf8')) as Golden;
    const bytes = new EventFile(root, golden.run).bytes(golden.metrics);
    expect(Buffer.from(bytes).toString('base64')).toBe(golden.events_base64);
    const told = golden.metrics.flatMap((metrics) =>
      scalarsOf(metrics).map(([tag, value]) => `${tag} ${metrics.iteration} ${Math.fround(value)}`),
    );
    const read = Object.entries(golden.read).flatMap(([tag, points]) =>
      points.map(([step, , value]) => `${tag} ${step} ${value}`),
    );
    expect(read.sort()).toEqual(told.sort());
  });

  it('name metrics by their parts and leave out what is no number', () => {
    const metrics = { iteration: 3, 'clip.low': 1, note: 'x', nothing: null, timing: { sample_s: 2 } };
    expect(scalarsOf(metrics)).toEqual([
      ['clip/low', 1],
      ['timing/sample_s', 2],
    ]);
  });

  it('written as a run goes equal those exported afterwards', async () => {
    const run = await create(true);
    for (let i = 1; i <= 3; i++) await run.appendMetrics(line(i));
    const live = await eventsIn(run);
    const written = await exportTensorboard(run.path);
    expect(written).toMatchObject({ iterations: 3, scalars: 15 });
    expect((await eventsIn(run)).equals(live)).toBe(true);
    await run.close();
  });

  it('follow a run that is cut back and goes on', async () => {
    const run = await create(true);
    for (let i = 1; i <= 3; i++) await run.appendMetrics(line(i));
    const whole = await eventsIn(run);
    await run.close();
    const again = await openRun(run.path);
    await again.truncateTo(1);
    expect((await eventsIn(again)).length).toBeLessThan(whole.length);
    for (let i = 2; i <= 3; i++) await again.appendMetrics(line(i));
    expect((await eventsIn(again)).equals(whole)).toBe(true);
    await again.close();
  });

  it('are not kept unless asked for, and need metrics', async () => {
    const run = await create(false);
    await run.appendMetrics(line(1));
    expect(await readdir(run.path)).not.toContain('tensorboard');
    await run.truncateTo(0);
    await expect(exportTensorboard(run.path)).rejects.toMatchObject({ kind: 'input' });
    await run.close();
  });
});
