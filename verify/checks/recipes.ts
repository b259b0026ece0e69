import { existsSync } from 'node:fs';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import PQueue from 'p-queue';
import { pairedBootstrap, readResult } from '../../src/evals/index.js';
import { readRun, type MetricsLine } from '../../src/runs/index.js';
import { hone, mustRun } from '../hone.js';
import { CONTROL, type PlannedRun, RECIPES, RUNS, type Start, STARTS } from '../recipes/plan.js';
import { curveTable, type Measured, recipeTable } from '../recipes/table.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

/** Runs share two cores, one each: twice the time of a run, and more runs an hour. */
const AT_ONCE = 2;
/** A run has to take less on two cores; with one of them it takes more. */
const LIMIT_SECONDS = 180;
const PROBLEMS = '300';
const SAMPLES = '4';
const SEED_AND_THREADS = ['--seed', '1000', '--threads', '1'];

const taskArguments = ({ taskOptions }: Start): string[] => taskOptions.flatMap((option) => ['--task-option', option]);

const warmStart = (start: Start): string[] => [
  ...['train', 'sft', '--model', 'tiny', '--task', start.task, ...taskArguments(start), ...start.warmStart],
  ...['--threads', '1'],
];

async function trainStart(ctx: CheckContext, start: Start): Promise<void> {
  await runOnce(ctx, `start-${start.name}`, [warmStart(start)]);
  await evaluate(ctx, start, `start-${start.name}`);
}

/**
 * Runs the last of the commands, a training, into a folder of this name, unless that has been done after the same commands
 * before it; a run that was stopped goes on. What other commands left under the name goes.
 */
async function runOnce(ctx: CheckContext, name: string, commands: readonly (readonly string[])[]): Promise<void> {
  const at = (file: string): string => path.join(ctx.scratch, file);
  const [record, wanted] = [at(`${name}.commands.json`), JSON.stringify(commands)];
  if (existsSync(record) && (await readFile(record, 'utf8')) === wanted) {
    if (existsSync(at(`${name}/result.json`))) return;
    if (existsSync(at(`${name}/checkpoints`)) && (await hone(['resume', name], { cwd: ctx.scratch })).code === 0)
      return;
  }
  await rm(at(name), { recursive: true, force: true });
  await rm(at(`${name}.json`), { force: true });
  await writeFile(record, wanted);
  const { seconds } = await mustRun([...(commands.at(-1) ?? []), '--out', name], { cwd: ctx.scratch });
  ctx.log(`${name}: ${seconds.toFixed(0)} s`);
}

/** avg@4 at temperature 1 on problems that no run trains on, the same ones for all. */
async function evaluate(ctx: CheckContext, start: Start, name: string): Promise<void> {
  const out = `${name}.json`;
  if (existsSync(path.join(ctx.scratch, out))) return;
  const how = ['--n', PROBLEMS, '--k', SAMPLES, '--temperature', '1', '--max-tokens', String(start.maxTokens)];
  await mustRun(
    ['eval', start.task, ...taskArguments(start), '--model', name, ...how, ...SEED_AND_THREADS, '--out', out],
    {
      cwd: ctx.scratch,
    },
  );
}

const nameOf = ({ recipe, start, seed, arm }: PlannedRun): string => `${arm}-${recipe}-${start.name}-${seed}`;

async function one(ctx: CheckContext, run: PlannedRun): Promise<void> {
  const { recipe, start, seed, arm } = run;
  const name = nameOf(run);
  const train = [
    ...['train', recipe, '--model', `start-${start.name}`, '--task', start.task, ...taskArguments(start)],
    ...['--set', `maxTokens=${start.maxTokens}`, ...(arm === 'control' ? CONTROL : [])],
    ...['--seed', String(seed), '--threads', '1'],
  ];
  await runOnce(ctx, name, [warmStart(start), train]);
  await evaluate(ctx, start, name);
}

function curveOf(lines: readonly MetricsLine[]): Measured['curve'] {
  let tokens = 0;
  return lines.map((line) => {
    const number = (key: string): number => Number(line[key] ?? 0);
    tokens += number('samples') * number('length.mean');
    return { tokens, accuracy: number('accuracy') };
  });
}

async function measure(ctx: CheckContext, run: PlannedRun): Promise<Measured> {
  const name = nameOf(run);
  const shares = async (file: string): Promise<number[]> => {
    const { rows } = await readResult(path.join(ctx.scratch, `${file}.json`));
    const byProblem = new Map<string, number[]>();
    for (const { problemId, verdict } of rows)
      byProblem.set(problemId, [...(byProblem.get(problemId) ?? []), Number(verdict.status === 'correct')]);
    return [...byProblem.values()].map((marks) => marks.reduce((sum, mark) => sum + mark, 0) / marks.length);
  };
  const [before, after] = [await shares(`start-${run.start.name}`), await shares(name)];
  const lines = await (await readRun(path.join(ctx.scratch, name))).readMetrics();
  return {
    ...run,
    difference: pairedBootstrap(before, after, { seed: run.seed }),
    curve: curveOf(lines),
    seconds: lines.reduce((sum, { timing = {} }) => sum + (timing['iteration_s'] ?? 0), 0),
  };
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  await copyFile(
    path.resolve(import.meta.dirname, '../recipes/congruence.ts'),
    path.join(ctx.scratch, 'congruence.ts'),
  );
  for (const start of STARTS) await trainStart(ctx, start);
  const queue = new PQueue({ concurrency: AT_ONCE });
  await queue.addAll(RUNS.map((planned) => () => one(ctx, planned)));
  const measured = await Promise.all(RUNS.map((planned) => measure(ctx, planned)));
  for (const line of [...recipeTable(measured).split('\n'), '', ...curveTable(measured).split('\n')]) ctx.log(line);
  const trained = measured.filter(({ arm }) => arm === 'trained');
  const control = measured.filter(({ arm }) => arm === 'control');
  const gained = trained.filter(({ difference }) => difference.ci95[0] > 0);
  const still = control.filter(({ difference: { ci95 } }) => ci95[0] <= 0 && ci95[1] >= 0);
  const slowest = Math.max(...measured.map(({ seconds }) => seconds));
  const holds = gained.length === trained.length && still.length === control.length && slowest <= LIMIT_SECONDS;
  return {
    status: holds ? 'passed' : 'failed',
    detail: `${RECIPES.length} recipes, preset mini, on ${STARTS.map(({ name }) => name).join(' and ')}`,
    numbers: {
      gained: `${gained.length} of ${trained.length}`,
      controlsAtZero: `${still.length} of ${control.length}`,
      slowestRunSeconds: slowest.toFixed(0),
      without: [...trained.filter((r) => !gained.includes(r)), ...control.filter((r) => !still.includes(r))]
        .map(nameOf)
        .join(' '),
    },
  };
}

const check: Check = {
  name: 'recipes',
  shows:
    'every recipe, preset mini, gains over the shared start on two shared tasks: a paired bootstrap by problem above zero for each of 3 seeds, the control with zero advantages does not; at most 3 minutes a run',
  needs: [],
  run,
};
export default check;
