/** Methods side by side on a real model and on a tiny one: accuracy, tokens and time, whatever they turn out to be. */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { jsonLine, mustRun } from '../hone.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const METHODS: readonly (readonly [name: string, method: string, temperature: string])[] = [
  ['direct', 'direct', '0'],
  ['self-consistency@8', 'self-consistency:8', '0.7'],
  ['multi-round 2', 'multi-round:2', '0'],
  ['multi-round 3', 'multi-round:3', '0'],
  ['SIFT', 'sift', '0'],
];
const TINY: readonly (readonly [name: string, method: string, temperature: string])[] = [
  ['direct', 'direct', '0'],
  ['self-consistency@8', 'self-consistency:8', '0.7'],
];
const Result = z.object({
  accuracy: z.number(),
  ci95: z.tuple([z.number(), z.number()]),
  n: z.number(),
  tokens: z.object({ prompt: z.number(), perSample: z.number(), calls: z.number() }),
  noAnswerShare: z.number(),
  truncatedShare: z.number(),
});

const percent = (share: number): string => (100 * share).toFixed(1);

interface Asked {
  label: string;
  args: readonly string[];
  methods: typeof METHODS;
}

async function table(ctx: CheckContext, { label, args, methods }: Asked): Promise<string[]> {
  const lines: string[] = [];
  for (const [name, method, temperature] of methods) {
    const out = `${label}-${name.replace(/\W+/g, '-')}.json`;
    const common = ['--method', method, '--temperature', temperature, '--seed', '11', '--out', out, '--json'];
    const finished = await mustRun(['eval', ...args, ...common], { cwd: ctx.scratch, onLine: ctx.log });
    const result = Result.parse(jsonLine(finished));
    const [low, high] = result.ci95;
    lines.push(
      `| ${label} | ${name} | ${percent(result.accuracy)} [${percent(low)}; ${percent(high)}] | ${result.tokens.perSample.toFixed(0)} | ` +
        `${(result.tokens.calls / result.n).toFixed(1)} | ${percent(result.noAnswerShare + result.truncatedShare)} | ${finished.seconds.toFixed(0)} |`,
    );
    ctx.log(lines.at(-1) as string);
  }
  return lines;
}

/** A tiny model of one of hone's own tasks: imitation, then reinforcement, with checkpoints early and late. */
async function trainTiny(ctx: CheckContext): Promise<string[]> {
  const sft = ['train', 'sft', '--model', 'tiny', '--task', 'last-digit', '--out', 'tiny-sft'];
  await mustRun(sft, { cwd: ctx.scratch, onLine: ctx.log });
  const rl = ['train', 'grpo', '--model', 'tiny-sft', '--task', 'last-digit', '--out', 'tiny-rl'];
  await mustRun(rl, { cwd: ctx.scratch, onLine: ctx.log });
  const kept = (await readdir(path.join(ctx.scratch, 'tiny-rl/checkpoints'))).sort();
  const chosen = [kept[0], kept.at(-1)].filter((name) => name !== undefined);
  return [...new Set(chosen)].map((name) => `tiny-rl/checkpoints/${name}`);
}

/** Accuracy against the limit of tokens: a raw task has no tags to cut at, so the limit itself is the budget. */
async function curve(ctx: CheckContext, checkpoint: string): Promise<string> {
  const points: string[] = [];
  for (const budget of [4, 8, 12, 16, 24]) {
    const args = ['eval', 'last-digit', '--model', checkpoint, '--n', '300', '--max-tokens', String(budget), '--json'];
    const result = Result.parse(jsonLine(await mustRun(args, { cwd: ctx.scratch })));
    points.push(`${budget}: ${percent(result.accuracy)}`);
  }
  return `${checkpoint}: ${points.join(', ')}`;
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  await mustRun(['models', 'import', ctx.smollm2 as string, '--out', 'smollm2'], { cwd: ctx.scratch });
  const gsm8k = ['gsm8k', '--data', ctx.data as string, '--model', 'smollm2', '--n', '100', '--max-tokens', '256'];
  const real = await table(ctx, { label: 'SmolLM2-135M, GSM8K', args: gsm8k, methods: METHODS });
  const checkpoints = await trainTiny(ctx);
  const tinyArgs = ['last-digit', '--model', 'tiny-rl', '--n', '300'];
  const tiny = await table(ctx, { label: 'tiny, last-digit', args: tinyArgs, methods: TINY });
  const curves: string[] = [];
  for (const checkpoint of checkpoints) curves.push(await curve(ctx, checkpoint));
  const head = [
    '| model, problems | method | accuracy [95 %] | tokens | calls | no answer | seconds |',
    '|---|---|---|---|---|---|---|',
  ];
  const text = [...head, ...real, ...tiny, '', 'Accuracy by limit of tokens:', ...curves].join('\n');
  await writeFile(path.join(ctx.scratch, 'table.md'), `${text}\n`);
  ctx.log(await readFile(path.join(ctx.scratch, 'table.md'), 'utf8'));
  const numbers = Object.fromEntries([...real, ...tiny, ...curves].map((line, i) => [`row ${i + 1}`, line]));
  const not = 'not shown: the tool loop (no sandbox), prompts in words on the tiny model (its alphabet has none)';
  return { status: 'passed', detail: `methods side by side; ${not}`, numbers };
}

const check: Check = {
  name: 'thinking-table',
  shows:
    '2: direct, self-consistency@8, Multi-round (2, 3) and SIFT on SmolLM2 and 100 GSM8K problems, and on a tiny model; accuracy by token limit for two checkpoints of one RL run',
  needs: ['data', 'smollm2'],
  run,
};
export default check;
