import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { jsonLine, mustRun } from '../hone.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const ITERATIONS = 20;
/** Sized for two cores; one update an iteration, and a learning rate that a pretrained model bears. */
const SETTINGS = [
  ...[`iterations=${ITERATIONS}`, 'promptsPerIteration=8', 'groupSize=8', 'updatesPerIteration=1', 'maxTokens=200'],
  ...['optimizer.lr=2e-6', 'validation.every=0', 'checkpoint.every=10', 'checkpoint.keep=1'],
];
const Accuracy = z.object({ accuracy: z.number(), ci95: z.tuple([z.number(), z.number()]), n: z.number() });
const Line = z.looseObject({ iteration: z.number() });

async function evaluate(ctx: CheckContext, model: string): Promise<z.infer<typeof Accuracy>> {
  const args = ['eval', 'gsm8k', '--task-option', `data=${ctx.data}`, '--model', model, '--n', '200', '--json'];
  const result = Accuracy.parse(jsonLine(await mustRun(args, { cwd: ctx.scratch, onLine: ctx.log })));
  ctx.log(`${model}: ${JSON.stringify(result)}`);
  return result;
}

async function metrics(ctx: CheckContext): Promise<Record<string, unknown>[]> {
  const text = await readFile(path.join(ctx.scratch, 'grpo', 'metrics.jsonl'), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => Line.parse(JSON.parse(line)));
}

const numberAt = (line: Record<string, unknown> | undefined, key: string): number => z.number().parse(line?.[key]);

async function run(ctx: CheckContext): Promise<CheckResult> {
  const cwd = ctx.scratch;
  await mustRun(['models', 'import', ctx.smollm2 as string, '--out', 'smollm2'], { cwd });
  const before = await evaluate(ctx, 'smollm2');
  const args = [
    ...['train', 'grpo', '--model', 'smollm2', '--task', 'gsm8k', '--task-option', `data=${ctx.data}`, '--out', 'grpo'],
    ...SETTINGS.flatMap((setting) => ['--set', setting]),
  ];
  await mustRun(args, { cwd, onLine: ctx.log });
  const lines = await metrics(ctx);
  const updated = lines.filter((line) => numberAt(line, 'grad_norm') > 0).length;
  // One update an iteration: the ratio of a token is exp(trainer's logprob - sampler's).
  const first = lines.find((line) => line['agreement.max_abs'] !== undefined);
  const ratioOff = Math.expm1(numberAt(first, 'agreement.max_abs'));
  const after = await evaluate(ctx, 'grpo');
  const show = ({ accuracy, ci95 }: z.infer<typeof Accuracy>): string =>
    `${(100 * accuracy).toFixed(1)} % [${ci95.map((end) => (100 * end).toFixed(1)).join(', ')}]`;
  const numbers = {
    iterations: lines.length,
    iterationsWithGradient: updated,
    firstRatioOff: ratioOff,
    before: show(before),
    after: show(after),
  };
  const holds = lines.length >= ITERATIONS && updated >= 10 && ratioOff <= 1e-4 && before.n === 200 && after.n === 200;
  return { status: holds ? 'passed' : 'failed', detail: 'SmolLM2-135M-Instruct, GRPO on GSM8K', numbers };
}

const check: Check = {
  name: 'real-model',
  shows:
    'SmolLM2 imported from GGUF; 20 GRPO iterations on GSM8K, >= 10 with gradients, first ratios 1; eval before and after',
  needs: ['data', 'smollm2'],
  run,
};
export default check;
