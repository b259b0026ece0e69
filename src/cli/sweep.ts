import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import PQueue from 'p-queue';
import { HoneError } from '../core/index.js';
import { compareOverSeeds, readRun, type SeedGroup } from '../runs/index.js';
import { exists } from './checkpoint-model.js';
import type { Io, JsonValue } from './io.js';
import { oneLine, shellWord } from './text.js';
import { printOverSeeds } from './runs-over-seeds.js';
import { type GridAxis, sweepPlan, type SweepRun } from './sweep-plan.js';

export interface SweepOptions {
  model: string;
  task?: string;
  taskOption?: [string, string][];
  preset: string;
  set?: [string, string][];
  grid?: GridAxis[];
  seeds: number[];
  acceptAssumed: boolean;
  out: string;
  jobs: number;
  threads?: number;
  metric: string;
}

/**
 * Trains every point of a grid under every seed, each run in a process of its own, so that one that fails takes no other
 * with it. Called again it goes on: finished runs are kept, stopped ones resumed.
 * @throws HoneError('interrupted') on abort; HoneError('resource') at the end when runs failed, which it names.
 */
export async function runSweep(recipe: string, options: SweepOptions, io: Io): Promise<void> {
  const runs = sweepPlan(options.grid ?? [], options.seeds, options.out);
  const threads = options.threads ?? Math.max(1, Math.floor(availableParallelism() / options.jobs));
  io.progress.phase(`sweep of ${runs.length} runs`, runs.length);
  const failed: { run: SweepRun; why: string }[] = [];
  let done = 0;
  const queue = new PQueue({ concurrency: options.jobs });
  for (const run of runs)
    void queue.add(async () => {
      if (io.signal.aborted) return;
      const why = await oneRun(recipe, run, { ...options, threads }, io);
      if (why !== undefined) failed.push({ run, why });
      io.progress.update(++done, { failed: failed.length });
    });
  await queue.onIdle();
  io.progress.end();
  if (io.signal.aborted)
    throw new HoneError('interrupted', `stopped after ${done} of ${runs.length} runs`, {
      hint: 'The same command goes on from here.',
    });
  const whole = runs.filter((run) => failed.every((failure) => failure.run !== run));
  await report(whole, failed, options, io);
}

/** @returns why it failed; undefined: it is done. */
async function oneRun(
  recipe: string,
  run: SweepRun,
  options: SweepOptions & { threads: number },
  io: Io,
): Promise<string | undefined> {
  const started = await exists(path.join(run.out, 'run.json'));
  if (started && (await isFinished(run))) return undefined;
  const args = started ? ['resume', run.out] : trainArguments(recipe, run, options);
  const { code, lastLine } = await hone([...args, '--threads', String(options.threads), '--json'], io.signal);
  if (code === 0 || io.signal.aborted) return undefined;
  io.progress.note(`${run.name} failed: ${oneLine(lastLine, 300)}`, 'warn');
  return lastLine;
}

async function isFinished({ out }: SweepRun): Promise<boolean> {
  return (await (await readRun(out)).readResult('result.json')) !== undefined;
}

function trainArguments(recipe: string, run: SweepRun, options: SweepOptions): string[] {
  const { model, task, taskOption = [], preset, set = [], acceptAssumed } = options;
  const pairs = (flag: string, values: readonly string[]): string[] => values.flatMap((value) => [flag, value]);
  const joined = (given: readonly [string, string][]): string[] => given.map(([name, value]) => `${name}=${value}`);
  return [
    ...['train', recipe, '--model', model, '--preset', preset, '--out', run.out, '--seed', String(run.seed)],
    ...(task === undefined ? [] : ['--task', task]),
    ...pairs('--task-option', joined(taskOption)),
    ...pairs('--set', [...joined(set), ...run.settings]),
    ...(acceptAssumed ? ['--accept-assumed'] : []),
  ];
}

/** Runs this program with other arguments, in a process group of its own; an abort asks it to stop cleanly. */
function hone(args: readonly string[], signal: AbortSignal): Promise<{ code: number | null; lastLine: string }> {
  const program = [...process.execArgv, process.argv[1] as string, ...args];
  const child = spawn(process.execPath, program, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  const stop = (): void => void child.kill('SIGINT');
  signal.addEventListener('abort', stop, { once: true });
  let tail = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (tail = (tail + text).slice(-4000)));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      signal.removeEventListener('abort', stop);
      const error = tail.split('\n').findLast((line) => line.startsWith('error'));
      resolve({ code, lastLine: error ?? tail.trimEnd().split('\n').at(-1) ?? '' });
    });
  });
}

async function report(
  runs: readonly SweepRun[],
  failed: readonly { run: SweepRun; why: string }[],
  { metric, out }: SweepOptions,
  io: Io,
): Promise<void> {
  const groups = groupsOf(runs);
  const comparison = await compareOverSeeds(groups, metric);
  const failures = failed.map(({ run, why }) => ({ run: run.out, why }));
  const json = { out, runs: runs.map(({ out: folder }) => folder), failed: failures, ...comparison };
  io.result(JSON.parse(JSON.stringify(json)) as JsonValue, () => {
    printOverSeeds(comparison, io);
    io.print(`\nRuns: ${shellWord(out)}`);
  });
  if (failures.length > 0)
    throw new HoneError('resource', `${failures.length} runs failed: ${failures.map(({ run }) => run).join(', ')}`, {
      hint: 'See what each said above; the same command tries them again and keeps the others.',
    });
}

function groupsOf(runs: readonly SweepRun[]): SeedGroup[] {
  const points = new Map<number, SeedGroup>();
  for (const { point, settings, out } of runs) {
    const group = points.get(point) ?? { name: settings.join(' ') || 'as given', runs: [] };
    points.set(point, { ...group, runs: [...group.runs, out] });
  }
  return [...points.values()];
}
