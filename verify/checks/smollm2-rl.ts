import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { jsonLine, mustRun } from '../hone.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

/**
 * Of ten demonstrations nine give up after the first wrong attempt: imitation gives up early, RL need not. Nine and not
 * seven, so that chance alone does not carry the model over to the other choice.
 */
const TASK = ['--task', 'last-digit', '--task-option', 'giveUp=[90,2,2,1,1,1,1,1,1]'];
const set = (...settings: string[]): string[] => settings.flatMap((setting) => ['--set', setting]);
const SFT = [
  ...['train', 'sft', '--model', 'smollm2', ...TASK, '--demonstrations', '4000', '--out', 'sft'],
  ...set('updates=64', 'updatesPerIteration=8', 'sequencesPerUpdate=32', 'optimizer.lr=3e-4'),
  ...set('optimizer.warmupUpdates=6', 'optimizer.schedule=cosine', 'optimizer.finalLrFraction=0.1'),
  ...set('evaluation.every=0', 'checkpoint.every=4', 'checkpoint.keep=1'),
];
/** Small steps, many of them: what the gradients agree on adds up, and what they do not agree on cancels. */
const rl = (out: string, ...more: string[]): string[] => [
  ...['train', 'dapo', '--model', 'sft', ...TASK, '--out', out],
  ...set('iterations=16', 'promptsPerIteration=24', 'groupSize=8', 'updatesPerIteration=1', 'maxTokens=110'),
  ...set(
    'dynamicSampling.enabled=false',
    'overlong.soft.cacheTokens=10',
    'optimizer.lr=1e-5',
    'optimizer.warmupUpdates=4',
  ),
  ...set('validation.every=0', 'checkpoint.every=2', 'checkpoint.keep=1', ...more),
];
const LIMIT_SECONDS = 3600;

const Accuracy = z.object({
  accuracy: z.number(),
  ci95: z.tuple([z.number(), z.number()]),
  n: z.number(),
  wellFormed: z.number(),
});
type Accuracy = z.infer<typeof Accuracy>;

/** One model's accuracy on the same held-out problems, greedy and sampled at temperature 1. */
interface Reading {
  greedy: Accuracy;
  sampled: Accuracy;
}

const percent = (share: number): string => (100 * share).toFixed(1);
const show = ({ accuracy, ci95: [low, high] }: Accuracy): string =>
  `${percent(accuracy)} % [${percent(low)}; ${percent(high)}]`;

/** The run `out`: made, gone on with, or already there. */
async function train(ctx: CheckContext, out: string, args: readonly string[]): Promise<void> {
  if (existsSync(path.join(ctx.scratch, out, 'result.json'))) return ctx.log(`${out}: already there`);
  const command = existsSync(path.join(ctx.scratch, out)) ? ['resume', out] : args;
  const { seconds } = await mustRun(command, { cwd: ctx.scratch, onLine: ctx.log });
  ctx.log(`hone ${command.join(' ')}: ${seconds.toFixed(0)} s`);
}

async function evaluate(ctx: CheckContext, model: string, how: string, ...options: string[]): Promise<Accuracy> {
  const file = path.join(ctx.scratch, `${model}-${how}.json`);
  if (!existsSync(file)) {
    const args = ['eval', 'last-digit', '--model', model, '--n', '400', '--max-tokens', '110', ...options, '--json'];
    const line = jsonLine(await mustRun(args, { cwd: ctx.scratch, onLine: ctx.log }));
    await writeFile(file, JSON.stringify(line));
  }
  const result = Accuracy.parse(JSON.parse(await readFile(file, 'utf8')));
  ctx.log(`${model} ${how}: ${show(result)}, well-formed ${percent(result.wellFormed)} %`);
  return result;
}

async function reading(ctx: CheckContext, model: string): Promise<Reading> {
  const greedy = await evaluate(ctx, model, 'greedy');
  return { greedy, sampled: await evaluate(ctx, model, 'sampled', '--k', '4', '--temperature', '1') };
}

const Timed = z.object({ timing: z.object({ sample_s: z.number(), grade_s: z.number(), train_s: z.number() }) });

/** Seconds of sampling, grading and training of a run, from its metrics: one that was stopped and resumed has them all. */
async function secondsOf(ctx: CheckContext, run: string): Promise<number> {
  const lines = (await readFile(path.join(ctx.scratch, run, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  const timings = lines.map((line) => Timed.parse(JSON.parse(line)).timing);
  return timings.reduce((sum, { sample_s, grade_s, train_s }) => sum + sample_s + grade_s + train_s, 0);
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  if (!existsSync(path.join(ctx.scratch, 'smollm2')))
    await mustRun(['models', 'import', ctx.smollm2 as string, '--out', 'smollm2'], { cwd: ctx.scratch });
  await train(ctx, 'sft', SFT);
  await train(ctx, 'rl', rl('rl'));
  await train(ctx, 'shuffled', rl('shuffled', 'control.shuffledReward=true'));
  const before = await reading(ctx, 'sft');
  const after = await reading(ctx, 'rl');
  const control = await reading(ctx, 'shuffled');
  return verdict(before, after, control, await secondsOf(ctx, 'rl'));
}

function verdict(before: Reading, after: Reading, control: Reading, seconds: number): CheckResult {
  const points = (reading: Reading, how: keyof Reading): number => 100 * (reading[how].accuracy - before[how].accuracy);
  const ways = ['greedy', 'sampled'] as const;
  const holds =
    before.greedy.wellFormed >= 0.95 &&
    seconds <= LIMIT_SECONDS &&
    ways.every((how) => points(after, how) >= 10 && points(control, how) <= 3);
  const both = (text: (how: keyof Reading) => string): string => ways.map(text).join(' / ');
  return {
    status: holds ? 'passed' : 'failed',
    detail: 'SmolLM2-135M-Instruct on last-digit puzzles, 400 held-out problems, greedy / avg@4 at temperature 1',
    numbers: {
      wellFormedBefore: percent(before.greedy.wellFormed),
      before: both((how) => show(before[how])),
      after: both((how) => show(after[how])),
      shuffled: both((how) => show(control[how])),
      gain: both((how) => points(after, how).toFixed(1)),
      gainShuffled: both((how) => points(control, how).toFixed(1)),
      rlSeconds: seconds.toFixed(0),
    },
  };
}

const check: Check = {
  name: 'smollm2-rl',
  shows:
    'RL on SmolLM2 with a procedural task, from a start with >= 95 % well-formed answers: held-out accuracy +10 points within 60 minutes on 2 cores, greedy and sampled; shuffled rewards <= 3 (with --folder it goes on from the runs there)',
  needs: ['smollm2'],
  run,
};
export default check;
