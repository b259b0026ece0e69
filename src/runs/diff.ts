import { readRun, type RunReader } from './reader.js';
import type { Json } from './types.js';

/** One thing that two runs do not share. A side that has nothing there is undefined. */
export interface RunDifference {
  part: 'manifest' | 'environment' | 'config' | 'data' | 'metrics' | 'rollouts' | 'checkpoint' | 'result';
  /** Dotted path, or iteration, row and field. */
  where: string;
  a: Json | undefined;
  b: Json | undefined;
}

/** Where a run was put is not what it was. */
const PLACE_OPTIONS = new Set(['out', 'name', 'path', 'root']);
/** Wall-clock readings and places inside result files and trainer state, at any depth. */
const NOT_COMPARED = new Set(['timing', 'seconds', 'path', 'run', 'report', 'name']);

/**
 * Everything that differs between two runs, except wall-clock readings, names and places (docs/runs.md lists them).
 * Empty: the runs are bit-identical. Numbers are compared by their bits: 0 and -0 differ.
 * @throws HoneError('input') when one is not a run, or its final checkpoint's manifest is damaged
 */
export async function diffRuns(a: string, b: string): Promise<RunDifference[]> {
  const [runA, runB] = [await readRun(a), await readRun(b)];
  return [
    ...diffFiles(runA, runB),
    ...(await diffMetrics(runA, runB)),
    ...(await diffRollouts(runA, runB)),
    ...(await diffFinalCheckpoints(runA, runB)),
    ...diffJson('result', await runA.readResult('result.json'), await runB.readResult('result.json'), NOT_COMPARED),
  ];
}

function diffFiles(a: RunReader, b: RunReader): RunDifference[] {
  const [fileA, fileB] = [a.file, b.file];
  const identity = ({ kind, recipe, seed, checkpoints, rolloutShare }: typeof fileA): Json => ({
    kind,
    recipe,
    seed,
    checkpoints,
    rolloutShare,
  });
  const environment = ({ versions, machine, git }: typeof fileA): Json => ({ versions, machine, git });
  const places = (config: typeof fileA.config): Json =>
    Object.fromEntries(Object.entries(config).filter(([key]) => !PLACE_OPTIONS.has(key)));
  return [
    ...diffJson('manifest', identity(fileA), identity(fileB)),
    ...diffJson('environment', environment(fileA), environment(fileB)),
    ...diffJson('config', places(fileA.config), places(fileB.config)),
    ...diffData(fileA.dataHashes, fileB.dataHashes),
  ];
}

/** The same files under other paths are the same data. */
function diffData(a: { readonly [path: string]: string }, b: { readonly [path: string]: string }): RunDifference[] {
  const hashes = (data: { readonly [path: string]: string }): string => Object.values(data).sort().join();
  return hashes(a) === hashes(b) ? [] : diffJson('data', a, b);
}

async function diffMetrics(a: RunReader, b: RunReader): Promise<RunDifference[]> {
  const [linesA, linesB] = [await a.readMetrics(), await b.readMetrics()];
  for (let i = 0; i < Math.max(linesA.length, linesB.length); i++) {
    const [lineA, lineB] = [linesA[i], linesB[i]];
    const prefix = `line ${i + 1}, iteration ${(lineA ?? lineB)?.iteration}`;
    if (lineA === undefined || lineB === undefined)
      return [{ part: 'metrics', where: prefix, a: presence(lineA), b: presence(lineB) }];
    const found = diffJson('metrics', withoutTiming(lineA), withoutTiming(lineB), new Set(), prefix);
    if (found.length > 0) return found;
  }
  return [];
}

function presence(value: unknown): Json | undefined {
  return value === undefined ? undefined : 'present';
}

function withoutTiming(line: { [key: string]: Json | undefined }): Json {
  const entries = Object.entries(line).filter(([key, value]) => key !== 'timing' && value !== undefined);
  return Object.fromEntries(entries as [string, Json][]);
}

async function diffRollouts(a: RunReader, b: RunReader): Promise<RunDifference[]> {
  const [storedA, storedB] = [new Set(await a.rolloutIterations()), new Set(await b.rolloutIterations())];
  for (const iteration of [...new Set([...storedA, ...storedB])].sort((x, y) => x - y)) {
    const where = `iteration ${iteration}`;
    if (!storedA.has(iteration) || !storedB.has(iteration)) {
      const has = (stored: Set<number>): Json | undefined => (stored.has(iteration) ? 'present' : undefined);
      return [{ part: 'rollouts', where, a: has(storedA), b: has(storedB) }];
    }
    const found = diffRows(await a.readRollouts(iteration), await b.readRollouts(iteration), where);
    if (found.length > 0) return found;
  }
  return [];
}

/** The fields of the first row that differs. */
function diffRows(a: readonly object[], b: readonly object[], where: string): RunDifference[] {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [rowA, rowB] = [a[i], b[i]];
    const row = `${where}, row ${i + 1}`;
    if (rowA === undefined || rowB === undefined)
      return [{ part: 'rollouts', where: row, a: presence(rowA), b: presence(rowB) }];
    const found = diffJson('rollouts', { ...rowA } as Json, { ...rowB } as Json, new Set(), row);
    if (found.length > 0) return found;
  }
  return [];
}

async function diffFinalCheckpoints(a: RunReader, b: RunReader): Promise<RunDifference[]> {
  const [lastA, lastB] = [(await a.checkpointIterations()).at(-1), (await b.checkpointIterations()).at(-1)];
  if (lastA !== lastB) return [{ part: 'checkpoint', where: 'final iteration', a: lastA, b: lastB }];
  if (lastA === undefined) return [];
  const [finalA, finalB] = [await a.readCheckpoint(lastA), await b.readCheckpoint(lastA)];
  const hashes = (files: { readonly [file: string]: { readonly sha256: string } }): Json =>
    Object.fromEntries(Object.entries(files).map(([file, { sha256 }]) => [file, sha256]));
  const { trainer: trainerA, ...stateA } = finalA.state;
  const { trainer: trainerB, ...stateB } = finalB.state;
  return [
    ...diffJson('checkpoint', stateA, stateB),
    ...diffJson('checkpoint', trainerA, trainerB, NOT_COMPARED, 'trainer'),
    ...diffJson('checkpoint', hashes(finalA.files), hashes(finalB.files), new Set(), 'files'),
  ];
}

/** Leaves that differ, by dotted path. `skip`: keys left out at every depth. */
export function diffJson(
  part: RunDifference['part'],
  a: Json | undefined,
  b: Json | undefined,
  skip: ReadonlySet<string> = new Set(),
  where = '',
): RunDifference[] {
  if (!isBranch(a) || !isBranch(b) || Array.isArray(a) !== Array.isArray(b))
    return Object.is(a, b) ? [] : [{ part, where: where || 'value', a, b }];
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((key) => !skip.has(key));
  return keys.flatMap((key) =>
    diffJson(
      part,
      own(a, key),
      own(b, key),
      skip,
      where === '' ? key : `${where}${where.includes(' ') ? ': ' : '.'}${key}`,
    ),
  );
}

type Branch = { readonly [key: string]: Json };

/** Arrays are branches whose keys are their indices. */
function isBranch(value: Json | undefined): value is Branch {
  return typeof value === 'object' && value !== null;
}

function own(value: Branch, key: string): Json | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}
