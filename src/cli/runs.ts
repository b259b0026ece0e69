import { HoneError } from '../core/index.js';
import {
  compareOverSeeds,
  compareRuns,
  diffRuns,
  exportTensorboard,
  groupBySettings,
  type Json,
  listRuns,
  type MetricsLine,
  type MetricSummary,
  readRun,
  type RunDifference,
  writeReport,
} from '../runs/index.js';
import type { Io } from './io.js';
import { printOverSeeds } from './runs-over-seeds.js';
import { table } from './table.js';
import { oneLine, short } from './text.js';

/** Metrics worth a place in a list of runs: the first of these that a line has. */
const HEADLINES = ['val.accuracy', 'accuracy', 'val.loss', 'loss'];

function headline(line: MetricsLine | undefined): string {
  const name = HEADLINES.find((metric) => typeof line?.[metric] === 'number');
  return name === undefined ? '' : `${name} ${short(line?.[name])}`;
}

export async function listCommand(folder: string, io: Io): Promise<void> {
  const runs = await listRuns(folder, (path, why) => io.progress.note(`${path}: ${why}`, 'warn'));
  io.result(
    runs.map((run) => ({ ...run, lastMetrics: run.lastMetrics ?? null })),
    () => {
      if (runs.length === 0) return io.print(`There are no runs in ${oneLine(folder)}.`);
      const rows = runs.map((run) => [
        run.name,
        run.recipe,
        String(run.seed),
        run.state,
        String(run.iterations),
        headline(run.lastMetrics),
        run.created.slice(0, 16).replace('T', ' '),
      ]);
      io.print(table(['run', 'recipe', 'seed', 'state', 'iterations', 'newest', 'created (UTC)'], rows, io));
    },
  );
}

export async function showCommand(path: string, io: Io): Promise<void> {
  const run = await readRun(path);
  const metrics = await run.readMetrics();
  const checkpoints = await run.checkpointIterations();
  const holder = await run.holder();
  const result = await run.readResult('result.json');
  const last = metrics.at(-1);
  const { name, kind, recipe, seed, config } = run.manifest;
  io.result(
    {
      ...{ path: run.path, name, kind, recipe, seed, config, checkpoints },
      ...{ running: holder !== undefined, iterations: last?.iteration ?? 0 },
      ...{ metrics: last ?? null, result: result ?? null },
    },
    () => {
      const state = holder !== undefined ? 'running' : result !== undefined ? 'finished' : 'stopped';
      io.print(`${oneLine(name)}: ${oneLine(recipe)} (${kind}), seed ${seed}, ${state}`);
      io.print(`${last?.iteration ?? 0} iterations done; checkpoints at ${checkpoints.join(', ') || 'none'}`);
      io.print(`\n${table(['setting', 'value'], flatten(config), io)}`);
      if (last !== undefined) io.print(`\n${table(['newest metric', 'value'], flatten(last as Json), io)}`);
      if (state === 'stopped') io.print(`\nGo on with it: hone resume ${oneLine(path)}`);
    },
  );
}

/** Leaves of a JSON value as rows of dotted path and text. */
function flatten(value: Json, path = ''): string[][] {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    return [[path, typeof value === 'number' ? short(value) : oneLine(JSON.stringify(value))]];
  return Object.entries(value).flatMap(([key, item]) => flatten(item, path === '' ? key : `${path}.${key}`));
}

const span = ({ first, last, min, max }: MetricSummary): string =>
  first === null ? '-' : `${short(first)} -> ${short(last)}  [${short(min)}, ${short(max)}]`;

export async function compareCommand(
  paths: readonly string[],
  { seeds: metric }: { seeds?: string },
  io: Io,
): Promise<void> {
  if (paths.length < 2)
    throw new HoneError('usage', 'one run cannot be compared', { hint: 'Name two run folders or more.' });
  if (metric !== undefined) {
    const overSeeds = await compareOverSeeds(await groupBySettings(paths), metric);
    return io.result(JSON.parse(JSON.stringify(overSeeds)) as Json, () => printOverSeeds(overSeeds, io));
  }
  const comparison = await compareRuns(paths);
  const json = {
    ...comparison,
    config: comparison.config.map(({ option, values }) => ({ option, values: values.map((value) => value ?? null) })),
  };
  io.result(JSON.parse(JSON.stringify(json)) as Json, () => {
    const head = comparison.runs.map((run) => oneLine(run.name, 30));
    const { config, metrics, results } = comparison;
    const settings = config.map(({ option, values }) => [
      option,
      ...values.map((v) => oneLine(JSON.stringify(v) ?? '-')),
    ]);
    io.print(settings.length === 0 ? 'The settings are equal.' : table(['setting', ...head], settings, io));
    const rows = metrics.map(({ metric, values }) => [metric, ...values.map(span)]);
    io.print(`\n${table(['metric: first -> last [min, max]', ...head], rows, io)}`);
    const numbers = results.map(({ metric, values }) => [metric, ...values.map((v) => (v === null ? '-' : short(v)))]);
    if (numbers.length > 0) io.print(`\n${table(['result', ...head], numbers, io)}`);
  });
}

/** Differences shown to a person; `--json` has all. */
const SHOWN = 20;

export async function diffCommand(a: string, b: string, io: Io): Promise<void> {
  const differences = await diffRuns(a, b);
  const text = (value: RunDifference['a']): string => oneLine(JSON.stringify(value) ?? 'absent', 40);
  io.result(
    { equal: differences.length === 0, differences: differences.map((difference) => ({ ...difference })) },
    () => {
      if (differences.length === 0) return io.print('The runs are equal, times left out.');
      const rows = differences.slice(0, SHOWN).map(({ part, where, a, b }) => [part, where, text(a), text(b)]);
      io.print(table(['part', 'where', oneLine(a, 40), oneLine(b, 40)], rows, io));
      if (differences.length > SHOWN) io.print(`... and ${differences.length - SHOWN} more (--json has all)`);
    },
  );
  if (differences.length > 0) process.exitCode = 1;
}

export async function reportCommand(path: string, io: Io): Promise<void> {
  const file = await writeReport(path);
  io.result({ path: file }, () => io.print(`Wrote ${oneLine(file, 1000)}`));
}

export async function tensorboardCommand(path: string, io: Io): Promise<void> {
  const written = await exportTensorboard(path);
  io.result(written, () => {
    io.print(`Wrote ${written.scalars} numbers of ${written.iterations} iterations: ${oneLine(written.path, 1000)}`);
    io.print(`See them with: tensorboard --logdir ${oneLine(written.folder, 1000)}`);
  });
}
