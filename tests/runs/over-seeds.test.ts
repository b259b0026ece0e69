import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { compareOverSeeds, createRun, groupBySettings } from '../../src/runs/index.js';

async function runOf(folder: string, seed: number, lr: number, accuracies: readonly number[]): Promise<string> {
  const where = path.join(folder, `lr${lr}-seed${seed}`);
  const run = await createRun({
    path: where,
    manifest: {
      name: `lr${lr}-seed${seed}`,
      kind: 'rl',
      recipe: 'grpo',
      seed,
      config: { threads: seed, training: { optimizer: { lr }, iterations: 2 } },
      dataHashes: {},
    },
    policy: { every: 1, keep: 1 },
    rolloutShare: 1,
  });
  for (const [i, accuracy] of accuracies.entries()) await run.appendMetrics({ iteration: i + 1, accuracy });
  await run.close();
  return where;
}

describe('runs over seeds', () => {
  it('groups by settings, and pairs by seed', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'hone-seeds-'));
    const low = [await runOf(folder, 1, 0.1, [0, 0.2]), await runOf(folder, 2, 0.1, [0, 0.6])];
    const high = [await runOf(folder, 2, 0.3, [0, 0.9]), await runOf(folder, 1, 0.3, [0, 0.4])];
    const groups = await groupBySettings([...low, ...high]);
    expect(groups).toEqual([
      { name: 'optimizer.lr=0.1', runs: low },
      { name: 'optimizer.lr=0.3', runs: high },
    ]);
    const { groups: means, differences } = await compareOverSeeds(groups, 'accuracy');
    expect(means.map(({ mean }) => mean)).toEqual([expect.closeTo(0.4), expect.closeTo(0.65)]);
    const [difference] = differences;
    // Differences 0.3 and 0.2: mean 0.25, standard error 0.05, t quantile of one degree of freedom 12.706.
    expect(difference?.mean).toBeCloseTo(0.25, 12);
    expect(difference?.ci95?.[0]).toBeCloseTo(0.25 - 12.7062 * 0.05, 3);
    expect(difference?.ci95?.[1]).toBeCloseTo(0.25 + 12.7062 * 0.05, 3);
  });

  it('says what is missing or there twice', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'hone-seeds-'));
    const one = await runOf(folder, 1, 0.1, [0.5]);
    const other = await runOf(await mkdtemp(path.join(tmpdir(), 'hone-seeds-')), 1, 0.1, [0.5]);
    await expect(compareOverSeeds([{ name: 'a', runs: [one] }], 'val.accuracy')).rejects.toThrow(/has no val.accuracy/);
    await expect(compareOverSeeds([{ name: 'a', runs: [one, other] }], 'accuracy')).rejects.toThrow(/has seed 1, as/);
  });
});
