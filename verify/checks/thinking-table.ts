/** Methods side by side on a real model and on a tiny one: accuracy, tokens and time, whatever they turn out to be. */
import { copyFile, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { hone, mustRun } from '../hone.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

type Asked = readonly [file: string, name: string, method: string, temperature: number, problemsAtOnce: number];

const METHODS: readonly Asked[] = [
  ['mr3', 'Multi-round 3', 'multi-round:3', 0, 50],
  ['direct', 'direct', 'direct', 0, 50],
  ['mr2', 'Multi-round 2', 'multi-round:2', 0, 50],
  ['tools', 'tool loop', 'tools', 0, 50],
  ['sift', 'SIFT', 'sift', 0, 50],
  ['sc8', 'self-consistency@8', 'self-consistency:8', 0.7, 8],
];
/** Seconds of one attempt at a method: what is answered by then is kept, and the next attempt goes on from there. */
const ATTEMPT = 540;
const BUDGETS = [16, 24, 32, 48, 64, 96, 140];

const Result = z.object({
  accuracy: z.number(),
  ci95: z.tuple([z.number(), z.number()]),
  n: z.number(),
  tokens: z.object({ prompt: z.number(), perSample: z.number(), calls: z.number() }),
  noAnswerShare: z.number(),
  truncatedShare: z.number(),
});

/** A method whose attempt ran out of time: not an error, but work for another run of the check. */
class Unfinished extends Error {}

const percent = (share: number): string => (100 * share).toFixed(1);

async function present(file: string): Promise<boolean> {
  try {
    return (await stat(file)).size > 0;
  } catch {
    return false;
  }
}

/** Runs a command whose result is a file, unless it is there. Seconds of all attempts are added up beside it. */
async function once(ctx: CheckContext, out: string, args: readonly string[]): Promise<number> {
  const at = path.join(ctx.scratch, out);
  const clock = `${at}.seconds`;
  const before = (await present(clock)) ? Number(await readFile(clock, 'utf8')) : 0;
  if (await present(at)) return before;
  const finished = await hone(args, { cwd: ctx.scratch, killAfter: ATTEMPT, onLine: ctx.log });
  const seconds = before + finished.seconds;
  await writeFile(clock, seconds.toFixed(1));
  if (finished.code === null) throw new Unfinished(out);
  if (finished.code !== 0) throw new Error(`hone ${args.join(' ')} ended with ${finished.code}: ${finished.stderr}`);
  return seconds;
}

interface Table {
  label: string;
  /** Begins the names of its files. */
  prefix: string;
  args: readonly string[];
}

async function row(ctx: CheckContext, { label, prefix, args }: Table, method: Asked): Promise<string> {
  const [file, name, text, temperature, atOnce] = method;
  const out = `${prefix}${file}.json`;
  const how = ['--method', text, '--temperature', String(temperature), '--concurrency', String(atOnce)];
  // A cache of its own, so that no method is quick with another's replies.
  const kept = ['--seed', '11', '--cache', `${prefix}${file}-cache`, '--out', out];
  const seconds = await once(ctx, out, ['eval', ...args, ...how, ...kept]);
  const result = Result.parse(JSON.parse(await readFile(path.join(ctx.scratch, out), 'utf8')));
  const [low, high] = result.ci95;
  const cells = [
    ...[label, name, `${percent(result.accuracy)} [${percent(low)}; ${percent(high)}]`],
    ...[result.tokens.perSample.toFixed(0), (result.tokens.calls / result.n).toFixed(1)],
    ...[percent(result.noAnswerShare + result.truncatedShare), seconds.toFixed(0)],
  ];
  const line = `| ${cells.join(' | ')} |`;
  ctx.log(line);
  return line;
}

/** The rows that are there or could be made in time, and the methods that need another run. */
async function table(ctx: CheckContext, asked: Table): Promise<{ lines: string[]; missing: string[] }> {
  const lines: string[] = [];
  for (const [i, method] of METHODS.entries()) {
    try {
      lines.push(await row(ctx, asked, method));
    } catch (error) {
      if (!(error instanceof Unfinished)) throw error;
      return { lines, missing: METHODS.slice(i).map(([, name]) => `${asked.label}: ${name}`) };
    }
  }
  return { lines, missing: [] };
}

const sets = (values: Record<string, string>): string[] =>
  Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`]);

/** A tiny model of hone's own task, with checkpoints early and late: the quickstart's settings, shortened. */
async function trainTiny(ctx: CheckContext): Promise<string[]> {
  await copyFile(path.resolve(import.meta.dirname, '../ascii-task.ts'), path.join(ctx.scratch, 'ascii-task.ts'));
  const task = ['--task', './ascii-task.ts'];
  const optimizer = { 'optimizer.lr': '0.002', 'optimizer.schedule': 'cosine', 'optimizer.finalLrFraction': '0.05' };
  const sft = { updates: '400', updatesPerIteration: '20', sequencesPerUpdate: '32', 'evaluation.every': '5' };
  const more = { 'optimizer.warmupUpdates': '50', 'optimizer.weightDecay': '0.01', 'checkpoint.every': '20' };
  if (!(await present(path.join(ctx.scratch, 'tiny-rl/run.json')))) {
    const settings = sets({ ...sft, ...optimizer, ...more, 'checkpoint.keep': '1' });
    const run = ['train', 'sft', '--model', 'tiny', ...task, '--demonstrations', '4000', '--out', 'tiny-sft'];
    await mustRun([...run, ...settings], { cwd: ctx.scratch, onLine: ctx.log });
    const rl = { iterations: '20', promptsPerIteration: '32', groupSize: '8', updatesPerIteration: '2' };
    const lengths = { maxTokens: '140', 'overlong.soft.cacheTokens': '12', 'validation.every': '0' };
    const steps = { 'optimizer.lr': '0.0003', 'optimizer.warmupUpdates': '5' };
    const keep = { 'checkpoint.every': '10', 'checkpoint.keep': '3' };
    const dapo = ['train', 'dapo', '--model', 'tiny-sft', ...task, '--out', 'tiny-rl'];
    const all = sets({ ...rl, ...lengths, ...steps, ...keep });
    await mustRun([...dapo, ...all], { cwd: ctx.scratch, onLine: ctx.log });
  }
  const made = (await readdir(path.join(ctx.scratch, 'tiny-rl/checkpoints'))).filter((name) => /\d/.test(name)).sort();
  return [...new Set([made[0], made.at(-1)])].flatMap((name) => (name ? [`tiny-rl/checkpoints/${name}`] : []));
}

/** Accuracy against the limit of tokens: a raw task has no tags to cut at, so the limit itself is the budget. */
async function curve(ctx: CheckContext, checkpoint: string): Promise<string> {
  const points: string[] = [];
  for (const budget of BUDGETS) {
    const out = `curve-${path.basename(checkpoint)}-${budget}.json`;
    const limits = ['--n', '200', '--max-tokens', String(budget), '--seed', '11', '--out', out];
    await once(ctx, out, ['eval', './ascii-task.ts', '--model', checkpoint, ...limits]);
    const result = Result.parse(JSON.parse(await readFile(path.join(ctx.scratch, out), 'utf8')));
    points.push(percent(result.accuracy));
  }
  return `| ${path.basename(checkpoint)} | ${points.join(' | ')} |`;
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  const checkpoints = await trainTiny(ctx);
  const tinyArgs = ['./ascii-task.ts', '--model', 'tiny-rl', '--n', '100', '--max-tokens', '140'];
  const tiny = await table(ctx, { label: 'tiny, last-digit', prefix: 'tiny-', args: tinyArgs });
  const curves: string[] = [];
  for (const checkpoint of checkpoints) curves.push(await curve(ctx, checkpoint));
  if (!(await present(path.join(ctx.scratch, 'smollm2/config.json'))))
    await mustRun(['models', 'import', ctx.smollm2 as string, '--out', 'smollm2'], { cwd: ctx.scratch });
  const gsm8k = ['gsm8k', '--data', ctx.data as string, '--model', 'smollm2', '--n', '100', '--max-tokens', '256'];
  const real = await table(ctx, { label: 'SmolLM2-135M, GSM8K', prefix: 'real-', args: gsm8k });
  const text = [
    '| model, problems | method | accuracy [95 %] | tokens | calls | no answer or cut off, % | seconds |',
    '|---|---|---|---|---|---|---|',
    ...[...real.lines, ...tiny.lines],
    '',
    `| checkpoint | ${BUDGETS.map((budget) => `${budget} tokens`).join(' | ')} |`,
    `|---|${BUDGETS.map(() => '---').join('|')}|`,
    ...curves,
  ].join('\n');
  await writeFile(path.join(ctx.scratch, 'table.md'), `${text}\n`);
  ctx.log(`\n${text}`);
  const missing = [...real.missing, ...tiny.missing];
  if (missing.length > 0)
    return { status: 'skipped', detail: `not finished (again with the same --folder): ${missing.join(', ')}` };
  return { status: 'passed', detail: `${real.lines.length + tiny.lines.length} rows and ${curves.length} curves` };
}

const check: Check = {
  name: 'thinking-table',
  shows:
    'direct, self-consistency@8, Multi-round (2, 3), SIFT and the tool loop on SmolLM2 and 100 GSM8K problems, and on a tiny model; accuracy by token limit for two checkpoints of one RL run (long: give --folder, and run it again until it is done)',
  needs: ['data', 'smollm2'],
  run,
};
export default check;
