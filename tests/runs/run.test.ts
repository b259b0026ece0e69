import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createRun, openRun, type Run } from '../../src/runs/index.js';

let root: string;
beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), 'hone-run-'))));
afterEach(() => rm(root, { recursive: true, force: true }));

const manifest = { name: 'first', kind: 'rl', recipe: 'dapo', seed: 1, config: { lr: 1e-3 }, dataHashes: {} };
const create = (): Promise<Run> => createRun({ root, manifest, policy: { every: 1, keep: 2 }, rolloutShare: 1 });

async function save(run: Run, iteration: number, score?: number): Promise<void> {
  await run.saveCheckpoint(
    { iteration, ...(score === undefined ? {} : { score }), trainer: { cursor: iteration } },
    (folder) => writeFile(join(folder, 'weights.safetensors'), `weights ${iteration}`),
  );
}

test('a run is created, written, closed, and goes on where it stopped', async () => {
  const run = await create();
  await run.appendMetrics({ iteration: 1, loss: 0.1 });
  await save(run, 1);
  await run.close();
  const again = await openRun(run.path);
  const latest = await again.latestCheckpoint();
  expect(latest?.state).toEqual({ iteration: 1, trainer: { cursor: 1 } });
  expect(await readFile(join(latest?.folder ?? '', 'weights.safetensors'), 'utf8')).toBe('weights 1');
  expect(await again.readMetrics()).toEqual([{ iteration: 1, loss: 0.1 }]);
  await again.close();
});

test('a folder in use is refused, and names its holder', async () => {
  const run = await create();
  await expect(openRun(run.path)).rejects.toThrow(new RegExp(`in use by process ${process.pid} `));
  await run.close();
});
