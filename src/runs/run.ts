import { readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { HoneError } from '../core/index.js';
import { type DurableFs, errorCode, explaining, nodeFs, stringifyJson, writeFileAtomic } from '../formats/index.js';
import { bestWhole, newestWhole } from './checkpoint-files.js';
import { dropLater, retain, sweepCheckpoints, writeCheckpoint } from './checkpoints.js';
import { LOCK_NAMES, lockRun, type RunLock } from './lock.js';
import * as logs from './logs.js';
import { checkRunName, describeRun, formatRunFile, manifestOf, readRunFile, RUN_FILE } from './manifest.js';
import { EventFile, hasTensorboard, TENSORBOARD_FOLDER } from './tensorboard.js';
import type { CheckpointPolicy, CheckpointState, Json, MetricsLine, RolloutRow, Run, RunManifest } from './types.js';

export const CHECKPOINTS_FOLDER = 'checkpoints';

export interface CreateRunOptions {
  /** The run folder itself; or `root`, and the folder is `root/<manifest.name>`. Exactly one of the two. */
  path?: string;
  root?: string;
  manifest: RunManifest;
  policy: CheckpointPolicy;
  /** Share of each iteration's problems whose rollouts are stored, 0 to 1. */
  rolloutShare: number;
  /** Keep TensorBoard event files beside the metrics. Default: no. */
  tensorboard?: boolean;
  /** Replaces the file system below all durable writes, for tests. */
  fs?: DurableFs;
}

/**
 * Makes a new run folder and locks it.
 * @throws HoneError('usage') the folder is not empty, or an option is out of range
 * @throws HoneError('resource') in use, no space, no permission
 */
export async function createRun(options: CreateRunOptions): Promise<Run> {
  const path = runPath(options);
  checkStorage(options.policy, options.rolloutShare);
  const fs = explaining(options.fs ?? nodeFs);
  await refuseUsed(path);
  await fs.mkdir(path);
  const state = new RunState();
  state.lock = await lockRun(path, (why) => state.fail(why));
  try {
    await refuseUsed(path); // Another process may have been quicker.
    const file = await describeRun(options.manifest, options.policy, options.rolloutShare);
    await fs.mkdir(join(path, logs.ROLLOUTS_FOLDER));
    await fs.mkdir(join(path, CHECKPOINTS_FOLDER));
    await writeFileAtomic(join(path, RUN_FILE), formatRunFile(file), { fs });
    await fs.syncFolder(dirname(path));
    const events = options.tensorboard === true ? new EventFile(path, file, fs) : undefined;
    await events?.rewrite([]);
    return new FolderRun(path, options.manifest, options.policy, options.rolloutShare, fs, state, events);
  } catch (error) {
    await state.release();
    throw error;
  }
}

/**
 * Opens an existing run to go on with it, and locks it. Repairs what a crash can leave: temporary files and folders,
 * a torn last line of metrics.jsonl. The manifest's secrets were redacted when it was stored.
 * @throws HoneError('input') not a run; HoneError('resource') in use
 */
export async function openRun(path: string, options: { fs?: DurableFs } = {}): Promise<Run> {
  const folder = resolve(path);
  const fs = explaining(options.fs ?? nodeFs);
  await readRunFile(folder); // Before locking, which would leave a lock in a folder that is no run.
  const state = new RunState();
  state.lock = await lockRun(folder, (why) => state.fail(why));
  try {
    const file = await readRunFile(folder);
    await fs.mkdir(join(folder, logs.ROLLOUTS_FOLDER));
    await fs.mkdir(join(folder, CHECKPOINTS_FOLDER));
    await sweepCheckpoints(join(folder, CHECKPOINTS_FOLDER), fs);
    await retain(join(folder, CHECKPOINTS_FOLDER), file.checkpoints, fs);
    await logs.sweepTemporaryFiles(folder, fs);
    await logs.sweepTemporaryFiles(join(folder, logs.ROLLOUTS_FOLDER), fs);
    await logs.repairMetrics(folder, fs);
    const events = (await hasTensorboard(folder)) ? new EventFile(folder, file, fs) : undefined;
    await events?.rewrite(await logs.readMetricsLines(folder));
    return new FolderRun(folder, manifestOf(file), file.checkpoints, file.rolloutShare, fs, state, events);
  } catch (error) {
    await state.release();
    throw error;
  }
}

function runPath(options: CreateRunOptions): string {
  if ((options.path === undefined) === (options.root === undefined))
    throw new HoneError('usage', 'give a run either its path or a root folder', { hint: 'Set path or root.' });
  if (options.path !== undefined) return resolve(options.path);
  checkRunName(options.manifest.name);
  return resolve(options.root ?? '.', options.manifest.name);
}

function checkStorage(policy: CheckpointPolicy, share: number): void {
  const whole = (name: string, value: number): void => {
    if (Number.isInteger(value) && value >= 1) return;
    throw new HoneError('usage', `must be a whole number from 1, not ${value}`, {
      where: `checkpoints.${name}`,
      hint: `Set checkpoints.${name} to 1 or more.`,
    });
  };
  whole('every', policy.every);
  whole('keep', policy.keep);
  if (share >= 0 && share <= 1) return;
  throw new HoneError('usage', `must lie between 0 and 1, not ${share}`, {
    where: 'rolloutShare',
    hint: '1 stores every rollout, 0 none.',
  });
}

/** A folder counts as empty when it holds only what a crash at the very start of a run can leave. */
async function refuseUsed(path: string): Promise<void> {
  const skeleton = [logs.ROLLOUTS_FOLDER, CHECKPOINTS_FOLDER, TENSORBOARD_FOLDER];
  const names = await namesIn(path);
  const inner = await Promise.all(skeleton.filter((name) => names.includes(name)).map((n) => namesIn(join(path, n))));
  const harmless = (name: string): boolean =>
    skeleton.includes(name) || LOCK_NAMES.includes(name) || /^\.(run|\.lock-holder)\.json\.tmp-/.test(name);
  if (names.every(harmless) && inner.flat().length === 0) return;
  const isRun = names.includes(RUN_FILE);
  throw new HoneError('usage', isRun ? 'there is a run in this folder already' : 'the folder is not empty', {
    where: path,
    hint: isRun ? `Go on with it (hone resume ${path}), or choose another --out.` : 'Choose another folder with --out.',
  });
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') return [];
    if (code !== 'ENOTDIR') throw error;
    throw new HoneError('usage', 'this is a file, not a folder', { where: path, hint: 'Choose another --out.' });
  }
}

/** Whether a run may still write: its lock, and what made it stop. */
class RunState {
  lock: RunLock | undefined;
  #failure: HoneError | undefined;
  #closed = false;

  fail(why: HoneError): void {
    this.#failure ??= why;
    this.lock = undefined; // It is somebody else's now.
  }

  check(path: string): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed)
      throw new HoneError('usage', 'the run was closed', { where: path, hint: 'Open it again with openRun.' });
  }

  async release(): Promise<void> {
    this.#closed = true;
    const lock = this.lock;
    this.lock = undefined;
    await lock?.release();
  }
}

class FolderRun implements Run {
  /** Work happens one piece at a time, in call order, awaited or not. */
  #last: Promise<unknown> = Promise.resolve();
  /** An append failed half-way: its torn line must go before the next is written. */
  #torn = false;

  constructor(
    readonly path: string,
    readonly manifest: RunManifest,
    private readonly policy: CheckpointPolicy,
    private readonly rolloutShare: number,
    private readonly fs: DurableFs,
    private readonly state: RunState,
    /** Where metrics go besides; undefined: nowhere. */
    private readonly events: EventFile | undefined,
  ) {}

  get #checkpoints(): string {
    return join(this.path, CHECKPOINTS_FOLDER);
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(() => {
      this.state.check(this.path);
      return work();
    });
    this.#last = result.catch(() => undefined); // The caller has `result`; the queue only waits.
    return result;
  }

  appendMetrics(line: MetricsLine): Promise<void> {
    return this.#inOrder(async () => {
      if (this.#torn) await logs.repairMetrics(this.path, this.fs);
      this.#torn = true;
      await logs.appendMetricsLine(this.path, line, this.fs);
      this.#torn = false;
      await this.events?.append(line);
    });
  }

  writeRollouts(iteration: number, rows: readonly RolloutRow[]): Promise<void> {
    const chosen = logs.chooseRollouts(rows, this.rolloutShare, this.manifest.seed, iteration);
    return this.#inOrder(() => logs.writeRolloutRows(this.path, iteration, chosen, this.fs));
  }

  saveCheckpoint(state: CheckpointState, write: (folder: string) => Promise<void>): Promise<void> {
    return this.#inOrder(async () => {
      const stillOurs = (): void => this.state.check(this.path);
      await writeCheckpoint(this.#checkpoints, state, write, this.fs, stillOurs);
      await retain(this.#checkpoints, this.policy, this.fs);
    });
  }

  latestCheckpoint(onDamaged?: (folder: string, why: string) => void) {
    return this.#inOrder(() => newestWhole(this.#checkpoints, onDamaged ?? (() => undefined)));
  }

  bestCheckpoint() {
    return this.#inOrder(() => bestWhole(this.#checkpoints, () => undefined));
  }

  truncateTo(iteration: number): Promise<void> {
    return this.#inOrder(async () => {
      // Checkpoints first: at no point is there one whose metrics and rollouts are gone.
      await dropLater(this.#checkpoints, iteration, this.fs);
      await logs.cutMetrics(this.path, iteration, this.fs);
      await logs.cutRollouts(this.path, iteration, this.fs);
      await this.events?.rewrite(await logs.readMetricsLines(this.path));
    });
  }

  readMetrics(): Promise<MetricsLine[]> {
    return this.#inOrder(() => logs.readMetricsLines(this.path));
  }

  readRollouts(iteration: number): Promise<RolloutRow[]> {
    return this.#inOrder(() => logs.readRolloutRows(this.path, iteration));
  }

  writeResult(name: string, value: Json): Promise<void> {
    return this.#inOrder(async () => {
      const file = logs.resultFile(this.path, name);
      await writeFileAtomic(file, `${stringifyJson(value)}\n`, { fs: this.fs });
    });
  }

  async close(): Promise<void> {
    await this.#last;
    await this.state.release();
  }
}
