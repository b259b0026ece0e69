/**
 * A small trainer to be killed: writes iterations 1 to 80 of a run whose content is a pure function of the iteration,
 * going on from the newest checkpoint. Prints one line an iteration. Usage: writer-child.ts <run folder>
 */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RandomStream } from '../../src/core/index.js';
import { createRun, openRun } from '../../src/runs/index.js';

const path = process.argv[2] ?? '';
const ITERATIONS = 80;
const manifest = { name: 'child', kind: 'rl', recipe: 'grpo', seed: 9, config: { lr: 0.1 }, dataHashes: {} };

const run = existsSync(join(path, 'run.json'))
  ? await openRun(path)
  : await createRun({ path, manifest, policy: { every: 3, keep: 2 }, rolloutShare: 1 });
const latest = await run.latestCheckpoint((folder, why) => {
  throw new Error(`${folder}: ${why}`);
});
const start = latest?.state.iteration ?? 0;
await run.truncateTo(start);
for (let iteration = start + 1; iteration <= ITERATIONS; iteration++) {
  const draws = new RandomStream(9, 'child', iteration);
  await run.writeRollouts(iteration, [
    {
      iteration,
      problemId: `p${iteration}`,
      prompt: 'Say something.',
      sample: 0,
      text: `${draws.next()} `.repeat(200),
      stopReason: 'eos',
      tokens: 200,
      status: 'wrong',
      score: 0,
      reason: 'no answer',
      reward: 0,
      advantage: draws.nextNormal(),
      trained: true,
    },
  ]);
  await run.appendMetrics({ iteration, loss: draws.next(), timing: { wall_ms: performance.now() } });
  if (iteration % 3 === 0 || iteration === ITERATIONS)
    await run.saveCheckpoint({ iteration, score: draws.next(), trainer: { mean: draws.nextNormal() } }, (folder) =>
      writeFile(join(folder, 'weights.bin'), Buffer.alloc(200_000, iteration)),
    );
  console.log(iteration);
}
await run.close();
