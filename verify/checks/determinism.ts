import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { RandomStream } from '../../src/core/index.js';
import { type Finished, hone, mustRun } from '../hone.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const KILLS = 10;
/** Rounds without an end before the check gives up: kills that come before the first checkpoint make no headway. */
const MAX_SITTINGS = 200;

/** Where 24 iterations of a run of this kind have learned something, so many at least have a gradient. */
const MIN_LEARNING = 20;
const TASK = path.resolve(import.meta.dirname, '../even-task.ts');

/** A small real RL run on a task whose every iteration has gradients. */
const TRAIN = [
  ...['train', 'grpo', '--model', 'tiny', '--task', TASK, '--seed', '11'],
  ...['--set', 'iterations=24', '--set', 'promptsPerIteration=16', '--set', 'groupSize=8', '--set', 'maxTokens=12'],
  ...['--set', 'checkpoint.every=1', '--set', 'checkpoint.keep=2', '--set', 'validation.every=5'],
];

async function learning(run: string): Promise<number> {
  const lines = (await readFile(path.join(run, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  const norms = lines.map((line) => z.object({ grad_norm: z.number() }).parse(JSON.parse(line)).grad_norm);
  return norms.filter((norm) => norm > 0).length;
}

async function diffOf(a: string, b: string, cwd: string): Promise<{ empty: boolean; text: string }> {
  const finished = await hone(['runs', 'diff', a, b], { cwd });
  if (finished.code !== 0 && finished.code !== 1) throw new Error(finished.stderr);
  return { empty: finished.code === 0, text: finished.stdout.trim().split('\n').slice(0, 3).join(' | ') };
}

/** Starts and resumes one run, killing it at random moments, until it ends by itself. Returns the number of kills. */
async function trainUnderFire(ctx: CheckContext, name: string, whole: number, random: RandomStream): Promise<number> {
  let kills = 0;
  for (let sitting = 0; sitting < MAX_SITTINGS; sitting++) {
    // Anywhere from start-up to most of the way, so that sittings are cut at every kind of moment and make headway.
    const killAfter = 0.3 + random.next() * whole * 0.7;
    const begun = existsSync(path.join(ctx.scratch, name, 'run.json'));
    const args = begun ? ['resume', name] : [...TRAIN, '--out', name];
    const finished: Finished = await hone(args, { cwd: ctx.scratch, killAfter });
    if (finished.code === 0) return kills;
    if (finished.code !== null)
      throw new Error(`hone ${args.join(' ')} ended with ${finished.code}: ${finished.stderr}`);
    kills++;
    ctx.log(`kill ${kills} after ${killAfter.toFixed(1)} s`);
  }
  throw new Error(`the run did not end within ${MAX_SITTINGS} sittings`);
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  const cwd = ctx.scratch;
  const whole = await mustRun([...TRAIN, '--out', 'whole'], { cwd });
  const learned = await learning(path.join(cwd, 'whole'));
  ctx.log(`an unbroken run took ${whole.seconds.toFixed(1)} s; ${learned} iterations have a gradient`);
  if (learned < MIN_LEARNING) return { status: 'failed', detail: `only ${learned} iterations have a gradient` };
  await mustRun([...TRAIN, '--out', 'again'], { cwd });
  const again = await diffOf('whole', 'again', cwd);
  if (!again.empty) return { status: 'failed', detail: `two runs of one seed differ: ${again.text}` };
  const random = new RandomStream(2026, 'kill-moments');
  let kills = 0;
  let runs = 0;
  while (kills < KILLS) {
    const name = `killed-${runs++}`;
    kills += await trainUnderFire(ctx, name, whole.seconds, random);
    const { empty, text } = await diffOf('whole', name, cwd);
    if (!empty) return { status: 'failed', detail: `${name} differs from the unbroken run: ${text}` };
  }
  return {
    status: 'passed',
    detail: `two runs of one seed, and ${runs} killed and resumed, are equal to the unbroken one`,
    numbers: { kills, runs, iterationsWithGradient: learned },
  };
}

const check: Check = {
  name: 'determinism',
  shows: 'runs diff is empty for two runs of one seed, and after kill -9 at >= 10 random moments',
  needs: [],
  run,
};
export default check;
