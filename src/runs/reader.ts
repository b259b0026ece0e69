import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { HoneError } from '../core/index.js';
import { errorCode, explainSystemError } from '../formats/index.js';
import {
  bestWhole,
  type Checkpoint,
  listCheckpoints,
  newestWhole,
  readCheckpointManifest,
} from './checkpoint-files.js';
import { lockHolder, type LockHolder } from './lock.js';
import * as logs from './logs.js';
import { manifestOf, readRunFile, RUN_FILE, type RunFile } from './manifest.js';
import { CHECKPOINTS_FOLDER } from './run.js';
import type { Json, MetricsLine, RolloutRow, RunManifest } from './types.js';

type OnDamaged = (folder: string, why: string) => void;

/** A run as it lies on disk: read-only, without a lock, also while another process writes it. */
export interface RunReader {
  readonly path: string;
  readonly manifest: RunManifest;
  /** All of run.json. */
  readonly file: RunFile;
  readMetrics(): Promise<MetricsLine[]>;
  /** Iterations whose rollouts are stored, in order. */
  rolloutIterations(): Promise<number[]>;
  readRollouts(iteration: number): Promise<RolloutRow[]>;
  /** Iterations that have a checkpoint folder, in order; nothing is verified. */
  checkpointIterations(): Promise<number[]>;
  /** State and file hashes of one checkpoint, from its manifest; the files are not read. */
  readCheckpoint(iteration: number): Promise<Checkpoint>;
  /** Verified, as `Run.latestCheckpoint`. */
  latestCheckpoint(onDamaged?: OnDamaged): Promise<Checkpoint | undefined>;
  bestCheckpoint(onDamaged?: OnDamaged): Promise<Checkpoint | undefined>;
  /** Value of a result file, e.g. `result.json`; undefined when there is none. */
  readResult(name: string): Promise<Json | undefined>;
  /** The process that has the run open; undefined when none has. */
  holder(): Promise<LockHolder | 'unknown' | undefined>;
}

/** @throws HoneError('input') when `path` is not a run folder */
export async function readRun(path: string): Promise<RunReader> {
  const folder = resolve(path);
  const file = await readRunFile(folder);
  const checkpoints = join(folder, CHECKPOINTS_FOLDER);
  const ignore: OnDamaged = () => undefined;
  return {
    path: folder,
    manifest: manifestOf(file),
    file,
    readMetrics: () => logs.readMetricsLines(folder),
    rolloutIterations: () => logs.listRollouts(folder),
    readRollouts: (iteration) => logs.readRolloutRows(folder, iteration),
    checkpointIterations: () => listCheckpoints(checkpoints),
    readCheckpoint: (iteration) => readCheckpointManifest(checkpoints, iteration),
    latestCheckpoint: (onDamaged = ignore) => newestWhole(checkpoints, onDamaged),
    bestCheckpoint: (onDamaged = ignore) => bestWhole(checkpoints, onDamaged),
    readResult: (name) => logs.readResultFile(folder, name),
    holder: () => lockHolder(folder),
  };
}

/** One line of a list of runs. */
export interface RunSummary {
  path: string;
  name: string;
  kind: string;
  recipe: string;
  seed: number;
  /** ISO 8601. */
  created: string;
  /** `running`: a process has it open. `finished`: it wrote result.json. `stopped`: neither; resume goes on. */
  state: 'running' | 'finished' | 'stopped';
  /** Iterations completed, by the last metrics line. */
  iterations: number;
  lastMetrics: MetricsLine | undefined;
}

/**
 * All runs right below `root`, oldest first. A folder without run.json is no run and is left out; a run that cannot
 * be read is reported through `onDamaged`.
 * @throws HoneError('input') when `root` does not exist
 */
export async function listRuns(root: string, onDamaged: OnDamaged = () => undefined): Promise<RunSummary[]> {
  const summaries: RunSummary[] = [];
  for (const name of await foldersIn(root)) {
    const path = join(resolve(root), name);
    if (!(await readdir(path)).includes(RUN_FILE)) continue;
    try {
      summaries.push(await summarise(await readRun(path)));
    } catch (error) {
      if (!(error instanceof HoneError) || error.kind !== 'input') throw error;
      onDamaged(path, error.message);
    }
  }
  return summaries.sort((a, b) => (a.created < b.created ? -1 : a.created > b.created ? 1 : 0));
}

async function foldersIn(root: string): Promise<string[]> {
  try {
    const entries = await readdir(root, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    const code = errorCode(error);
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw explainSystemError(error, root);
    throw new HoneError('input', 'no such folder of runs', {
      where: root,
      hint: 'Start a run first (hone quickstart), or name the folder that holds your runs.',
      cause: error,
    });
  }
}

async function summarise(run: RunReader): Promise<RunSummary> {
  const { name, kind, recipe, seed } = run.manifest;
  const [metrics, holder, result] = [await run.readMetrics(), await run.holder(), await run.readResult('result.json')];
  const lastMetrics = metrics.at(-1);
  return {
    path: run.path,
    name,
    kind,
    recipe,
    seed,
    created: run.file.created,
    state: holder !== undefined ? 'running' : result !== undefined ? 'finished' : 'stopped',
    iterations: lastMetrics?.iteration ?? 0,
    lastMetrics,
  };
}
