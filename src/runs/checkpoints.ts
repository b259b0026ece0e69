import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type DurableFs,
  errorCode,
  explainSystemError,
  sha256File,
  stringifyJson,
  syncFile,
  writeFileAtomic,
} from '../formats/index.js';
import {
  byScore,
  CHECKPOINT_MANIFEST,
  digestOf,
  iterationName,
  listCheckpoints,
  listTree,
  readCheckpointManifest,
  type Scored,
  unlessDamaged,
} from './checkpoint-files.js';
import type { CheckpointPolicy, CheckpointState } from './types.js';

const TEMPORARY = /^\.(?:tmp-\d+|gone)-\d+$/;
const REPLACED = /^\.old-(\d{6,})$/;

/**
 * Writes one checkpoint: files into a temporary folder, each synced; the manifest with their hashes last; the folder
 * renamed to its number; the parent synced. At no point does a name that counts as a checkpoint hold half of one.
 * `beforePublish` runs just before the rename; when it throws, nothing was saved.
 */
export async function writeCheckpoint(
  folder: string,
  state: CheckpointState,
  write: (folder: string) => Promise<void>,
  fs: DurableFs,
  beforePublish: () => void,
): Promise<void> {
  const temporary = join(folder, `.tmp-${state.iteration}-${process.pid}`);
  const final = join(folder, iterationName(state.iteration));
  // Encoded first: a state that cannot be stored is refused before gigabytes are written.
  stringifyJson(state);
  try {
    await fs.rm(temporary);
    await fs.mkdir(temporary);
    await write(temporary);
    const files = await syncTree(temporary, fs);
    if (Object.hasOwn(files, CHECKPOINT_MANIFEST))
      throw new Error(`${CHECKPOINT_MANIFEST} is written by the run, not by the trainer`);
    const text = stringifyJson({ schema: 1, state, files, digest: digestOf(state, files) });
    await writeFileAtomic(join(temporary, CHECKPOINT_MANIFEST), `${text}\n`, { fs });
    beforePublish();
    await publish(temporary, final, fs);
  } catch (error) {
    // Frees the space; what cannot be removed now is swept when the run is next opened.
    await fs.rm(temporary).catch(() => undefined);
    throw explainSystemError(error, temporary);
  }
}

/** Renames into place. A checkpoint of the same iteration steps aside first and comes back if we do not finish. */
async function publish(temporary: string, final: string, fs: DurableFs): Promise<void> {
  const folder = join(final, '..');
  const aside = join(folder, `.old-${final.slice(folder.length + 1)}`);
  const replaces = await exists(final);
  if (replaces) {
    await fs.rename(final, aside);
    await fs.syncFolder(folder);
  }
  await fs.rename(temporary, final);
  await fs.syncFolder(folder);
  if (replaces) await removeFolder(aside, fs);
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw explainSystemError(error, path);
  }
}

/** Removes in two steps, so that a crash half-way never leaves a number that holds half a checkpoint. */
async function removeFolder(path: string, fs: DurableFs): Promise<void> {
  const parent = join(path, '..');
  const doomed = join(parent, `.gone-${process.pid}`);
  await fs.rm(doomed);
  await fs.rename(path, doomed);
  await fs.syncFolder(parent);
  await fs.rm(doomed);
}

/** Syncs every file and folder below `root`; hashes them. @throws HoneError('input') on links and odd files */
async function syncTree(root: string, fs: DurableFs): Promise<Record<string, { bytes: number; sha256: string }>> {
  const hashes: Record<string, { bytes: number; sha256: string }> = {};
  const { files, folders } = await listTree(root);
  for (const file of files) {
    const path = join(root, file);
    await syncFile(path, { fs });
    hashes[file] = { bytes: (await stat(path)).size, sha256: await sha256File(path) };
  }
  // Deepest first: a folder's own entry is in its parent.
  for (const sub of folders.reverse()) await fs.syncFolder(join(root, sub));
  return hashes;
}

/**
 * Removes all but the newest `keep` checkpoints and the best by score. A checkpoint whose manifest does not hold
 * counts for neither and goes when it is older than the newest `keep` that do.
 */
export async function retain(folder: string, policy: CheckpointPolicy, fs: DurableFs): Promise<void> {
  const whole: number[] = [];
  const scored: Scored[] = [];
  const all = await listCheckpoints(folder);
  for (const iteration of all) {
    const checkpoint = await unlessDamaged(folder, iteration, readCheckpointManifest, () => undefined);
    if (checkpoint === undefined) continue;
    whole.push(iteration);
    if (checkpoint.state.score !== undefined) scored.push({ iteration, score: checkpoint.state.score });
  }
  const newest = whole.slice(-policy.keep);
  const best = scored.sort(byScore)[0]?.iteration;
  const oldestKept = newest[0] ?? Infinity;
  for (const iteration of all)
    if (iteration < oldestKept && iteration !== best) await removeFolder(join(folder, iterationName(iteration)), fs);
}

/** Removes checkpoints of later iterations, the newest first: they belong to a future that is being computed again. */
export async function dropLater(folder: string, iteration: number, fs: DurableFs): Promise<void> {
  for (const later of (await listCheckpoints(folder)).filter((n) => n > iteration).reverse())
    await removeFolder(join(folder, iterationName(later)), fs);
}

/** After a crash: removes left-over temporary folders, and puts back a checkpoint whose replacement never arrived. */
export async function sweepCheckpoints(folder: string, fs: DurableFs): Promise<void> {
  const names = await readdir(folder);
  for (const name of names) {
    const replaced = REPLACED.exec(name)?.[1];
    if (replaced !== undefined && !names.includes(replaced)) {
      await fs.rename(join(folder, name), join(folder, replaced));
      await fs.syncFolder(folder);
    } else if (replaced !== undefined || TEMPORARY.test(name)) await fs.rm(join(folder, name));
  }
}
