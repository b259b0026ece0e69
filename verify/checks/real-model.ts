import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { jsonLine, mustRun } from '../hone.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

/** docs/real-model.md walks through these commands; --task-option data=DIR is added to those with a task. */
const ITERATIONS = 20;
const EASY = ['--task-option', 'maxSolutionLines=2'];
const set = (...settings: string[]): string[] => settings.flatMap((setting) => ['--set', setting]);
const SFT = [
  ...['train', 'sft', '--model', 'smollm2', '--task', 'gsm8k', ...EASY, '--style', 'plain', '--out', 'sft'],
  ...set('updates=12', 'updatesPerIteration=1', 'sequencesPerUpdate=16', 'optimizer.lr=1e-4'),
  ...set('optimizer.warmupUpdates=2', 'evaluation.every=0', 'checkpoint.every=100'),
];
const GRPO = [
  ...['train', 'grpo', '--model', 'sft', '--task', 'gsm8k', ...EASY, '--out', 'grpo'],
  ...set(`iterations=${ITERATIONS}`, 'promptsPerIteration=6', 'groupSize=8', 'updatesPerIteration=1'),
  ...set('temperature=0.7', 'maxTokens=128', 'optimizer.lr=1e-5', 'optimizer.warmupUpdates=0'),
  ...set('validation.every=0', 'checkpoint.every=10', 'checkpoint.keep=1'),
];
const EVAL = ['eval', 'gsm8k', '--n', '200', '--max-tokens', '160', '--json'];

const Accuracy = z.object({ accuracy: z.number(), ci95: z.tuple([z.number(), z.number()]), n: z.number() });
const Line = z.looseObject({
  iteration: z.number(),
  grad_norm: z.number().optional(),
  'agreement.max_abs': z.number().optional(),
});
const Rollout = z.looseObject({ prompt: z.string(), text: z.string() });

/** Runs a command and says how long it took. */
async function step(ctx: CheckContext, args: readonly string[]): Promise<unknown> {
  const data = args.includes('gsm8k') ? ['--task-option', `data=${ctx.data}`] : [];
  const finished = await mustRun([...args, ...data], { cwd: ctx.scratch, onLine: ctx.log });
  ctx.log(`hone ${args.join(' ')}: ${finished.seconds.toFixed(0)} s`);
  return args.includes('--json') ? jsonLine(finished) : undefined;
}

async function evaluate(ctx: CheckContext, model: string): Promise<z.infer<typeof Accuracy>> {
  const result = Accuracy.parse(await step(ctx, [...EVAL, '--model', model]));
  ctx.log(`${model}: ${show(result)}`);
  return result;
}

const percent = (share: number): string => (100 * share).toFixed(1);
const show = ({ accuracy, ci95: [low, high] }: z.infer<typeof Accuracy>): string =>
  `${percent(accuracy)} % [${percent(low)}; ${percent(high)}]`;

async function jsonLines<T>(file: string, schema: z.ZodType<T>): Promise<T[]> {
  const lines = (await readFile(file, 'utf8')).trim().split('\n');
  return lines.map((line) => schema.parse(JSON.parse(line)));
}

/** Share of the stored rollouts whose text a person can read: words in printable characters. */
async function readableShare(ctx: CheckContext, folder: string): Promise<number> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.jsonl')).sort();
  const rows = (await Promise.all(files.map((file) => jsonLines(path.join(folder, file), Rollout)))).flat();
  const last = rows.at(-1);
  ctx.log(`a rollout: ${JSON.stringify({ prompt: last?.prompt, text: last?.text })}`);
  const readable = rows.filter(({ text }) => {
    const odd = text.replace(/[\p{L}\p{N}\p{P}\p{S}\s]/gu, '').length;
    return text.trim().split(/\s+/).length >= 3 && odd <= 0.01 * text.length;
  });
  return readable.length / rows.length;
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  await step(ctx, ['models', 'import', ctx.smollm2 as string, '--out', 'smollm2']);
  await step(ctx, SFT);
  const before = await evaluate(ctx, 'sft');
  await step(ctx, GRPO);
  const after = await evaluate(ctx, 'grpo');
  const imported = await evaluate(ctx, 'smollm2');
  const lines = await jsonLines(path.join(ctx.scratch, 'grpo', 'metrics.jsonl'), Line);
  const withGradient = lines.filter((line) => (line.grad_norm ?? 0) > 0).length;
  // One update an iteration and oldLogprobs=sampler: a token's ratio is exp(trainer's logprob - sampler's). Iterations
  // before this one had no gradient, so these are the weights that GRPO began with.
  const first = lines.find((line) => line['agreement.max_abs'] !== undefined);
  const ratioOff = Math.expm1(first?.['agreement.max_abs'] ?? NaN);
  const readable = await readableShare(ctx, path.join(ctx.scratch, 'grpo', 'rollouts'));
  const numbers = {
    iterations: lines.length,
    iterationsWithGradient: withGradient,
    firstRatioOff: ratioOff.toExponential(2),
    readableRollouts: percent(readable),
    imported: show(imported),
    before: show(before),
    after: show(after),
  };
  const whole = [imported, before, after].every(({ n }) => n === 200);
  const holds = lines.length >= ITERATIONS && withGradient >= 10 && ratioOff <= 1e-4 && readable >= 0.95 && whole;
  return {
    status: holds ? 'passed' : 'failed',
    detail: 'SmolLM2-135M-Instruct after a short warm-start, GRPO on GSM8K train problems',
    numbers,
  };
}

const check: Check = {
  name: 'real-model',
  shows:
    '3: SmolLM2 imported from GGUF; >= 20 GRPO iterations on GSM8K, >= 10 with gradients, first ratios 1 +- 1e-4, readable rollouts; eval of 200 test problems before and after',
  needs: ['data', 'smollm2'],
  run,
};
export default check;
