import path from 'node:path';
import { z } from 'zod';
import { jsonLine, mustRun } from '../hone.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

/** Of ten demonstrations seven give up after the first wrong attempt: imitation gives up early, RL need not. */
const TASK = ['--task', 'last-digit', '--task-option', 'giveUp=[70,4,4,4,4,4,4,3,3]'];
const set = (...settings: string[]): string[] => settings.flatMap((setting) => ['--set', setting]);
const SFT = [
  ...['train', 'sft', '--model', 'smollm2', ...TASK, '--demonstrations', '4000', '--out', 'sft'],
  ...set('updates=96', 'updatesPerIteration=8', 'sequencesPerUpdate=32', 'optimizer.lr=3e-4'),
  ...set('optimizer.warmupUpdates=6', 'optimizer.schedule=cosine', 'optimizer.finalLrFraction=0.1'),
  ...set('evaluation.every=0', 'checkpoint.every=100', 'checkpoint.keep=1'),
];
const rl = (out: string, ...more: string[]): string[] => [
  ...['train', 'dapo', '--model', 'sft', ...TASK, '--out', out],
  ...set('iterations=6', 'promptsPerIteration=16', 'groupSize=8', 'updatesPerIteration=2', 'maxTokens=110'),
  ...set('overlong.soft.cacheTokens=10', 'optimizer.lr=3e-5', 'optimizer.warmupUpdates=2'),
  ...set('validation.every=0', 'checkpoint.every=100', 'checkpoint.keep=1', ...more),
];
const LIMIT_SECONDS = 3600;

const Accuracy = z.object({
  accuracy: z.number(),
  ci95: z.tuple([z.number(), z.number()]),
  n: z.number(),
  wellFormed: z.number(),
});
type Accuracy = z.infer<typeof Accuracy>;

const percent = (share: number): string => (100 * share).toFixed(1);
const show = ({ accuracy, ci95: [low, high] }: Accuracy): string =>
  `${percent(accuracy)} % [${percent(low)}; ${percent(high)}]`;

/** Runs a command. @returns the seconds it took */
async function step(ctx: CheckContext, args: readonly string[]): Promise<number> {
  const { seconds } = await mustRun(args, { cwd: ctx.scratch, onLine: ctx.log });
  ctx.log(`hone ${args.join(' ')}: ${seconds.toFixed(0)} s`);
  return seconds;
}

async function evaluate(ctx: CheckContext, model: string, ...how: string[]): Promise<Accuracy> {
  const args = ['eval', 'last-digit', '--model', model, '--n', '400', '--max-tokens', '110', ...how, '--json'];
  const result = Accuracy.parse(jsonLine(await mustRun(args, { cwd: ctx.scratch, onLine: ctx.log })));
  ctx.log(`${path.basename(model)} ${how.join(' ')}: ${show(result)}, well-formed ${percent(result.wellFormed)} %`);
  return result;
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  await step(ctx, ['models', 'import', ctx.smollm2 as string, '--out', 'smollm2']);
  await step(ctx, SFT);
  const seconds = await step(ctx, rl('rl'));
  await step(ctx, rl('shuffled', 'control.shuffledReward=true'));
  const [before, after, control] = [
    await evaluate(ctx, 'sft'),
    await evaluate(ctx, 'rl'),
    await evaluate(ctx, 'shuffled'),
  ];
  const points = (result: Accuracy): number => 100 * (result.accuracy - before.accuracy);
  const holds = before.wellFormed >= 0.95 && points(after) >= 10 && points(control) <= 3 && seconds <= LIMIT_SECONDS;
  return {
    status: holds ? 'passed' : 'failed',
    detail: 'SmolLM2-135M-Instruct on last-digit puzzles, greedy, 400 held-out problems',
    numbers: {
      wellFormedBefore: percent(before.wellFormed),
      before: show(before),
      after: show(after),
      shuffled: show(control),
      gain: points(after).toFixed(1),
      gainShuffled: points(control).toFixed(1),
      rlSeconds: seconds.toFixed(0),
    },
  };
}

const check: Check = {
  name: 'smollm2-rl',
  shows:
    'RL on SmolLM2 with a procedural task, from a start with >= 95 % well-formed answers: held-out accuracy +10 points within 60 minutes on 2 cores; shuffled rewards <= 3',
  needs: ['smollm2'],
  run,
};
export default check;
