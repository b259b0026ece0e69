import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HoneError, messageOf } from '../core/index.js';
import {
  type DurableFs,
  errorCode,
  explainSystemError,
  sha256,
  sha256File,
  stringifyJson,
  syncFile,
  writeFileAtomic,
} from '../formats/index.js';
import { jsonSchema } from './manifest.js';
import type { CheckpointPolicy, CheckpointState } from './types.js';

const MANIFEST = 'manifest.json';
const NUMBERED = /^\d{6,}$/;
const TEMPORARY = /^\.(?:tmp-\d+|gone)-\d+$/;
const REPLACED = /^\.old-(\d{6,})$/;

const fileSchema = z.object({ bytes: z.number().int().nonnegative(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const stateSchema = z.object({
  iteration: z.number().int().nonnegative(),
  score: z.number().optional(),
  trainer: jsonSchema,
});
const manifestSchema = z.object({
  schema: z.literal(1),
  state: stateSchema,
  files: z.record(z.string(), fileSchema),
  /** SHA-256 of the exact JSON of {state, files}. */
  digest: z.string(),
});

/** Size and hash of every file of a checkpoint, by path inside its folder ('/' on every system). */
export type FileHashes = { readonly [file: string]: { readonly bytes: number; readonly sha256: string } };
export interface Checkpoint {
  folder: string;
  state: CheckpointState;
  files: FileHashes;
}

/** 12 -> `000012`: names sort as numbers do. */
export function iterationName(iteration: number): string {
  return String(iteration).padStart(6, '0');
}

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
    if (Object.hasOwn(files, MANIFEST)) throw new Error(`${MANIFEST} is written by the run, not by the trainer`);
    const text = stringifyJson({ schema: 1, state, files, digest: digestOf(state, files) });
    await writeFileAtomic(join(temporary, MANIFEST), `${text}\n`, { fs });
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

async function listTree(root: string, below = ''): Promise<{ files: string[]; folders: string[] }> {
  const files: string[] = [];
  const folders: string[] = [];
  const entries = await readdir(join(root, below), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) {
      const inner = await listTree(root, name);
      folders.push(name, ...inner.folders);
      files.push(...inner.files);
    } else if (entry.isFile()) files.push(name);
    else
      throw new HoneError('input', 'a checkpoint holds plain files and folders only', {
        where: join(root, name),
        hint: 'Remove this link or special file.',
      });
  }
  return { files, folders };
}

function digestOf(state: CheckpointState, files: FileHashes): string {
  return sha256(stringifyJson({ state, files }));
}

/** Iterations that have a checkpoint folder, oldest first. Nothing is verified. */
export async function listCheckpoints(folder: string): Promise<number[]> {
  try {
    const names = await readdir(folder);
    return names
      .filter((name) => NUMBERED.test(name))
      .map(Number)
      .sort((a, b) => a - b);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw explainSystemError(error, folder);
  }
}

/**
 * A checkpoint's manifest, itself checked against its digest, not the files.
 * @throws HoneError('input') when it is damaged
 */
export async function readCheckpointManifest(folder: string, iteration: number): Promise<Checkpoint> {
  const path = join(folder, iterationName(iteration));
  let text: string;
  try {
    text = await readFile(join(path, MANIFEST), 'utf8');
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw explainSystemError(error, path);
    throw damaged(path, 'it has no manifest.json');
  }
  const parsed = manifestSchema.safeParse(parseOrUndefined(text));
  if (!parsed.success) throw damaged(path, 'its manifest.json is not readable');
  const { state, files, digest } = parsed.data;
  if (digestOf(state, files) !== digest) throw damaged(path, 'its manifest.json was changed');
  if (state.iteration !== iteration) throw damaged(path, `its manifest.json is of iteration ${state.iteration}`);
  return { folder: path, state, files };
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The schema refuses it with its own message.
  }
}

/** The checkpoint with every file checked. @throws HoneError('input') that says what is damaged */
export async function verifyCheckpoint(folder: string, iteration: number): Promise<Checkpoint> {
  const checkpoint = await readCheckpointManifest(folder, iteration);
  const { files } = await listTree(checkpoint.folder);
  const present = new Set(files);
  for (const [file, { bytes, sha256: expected }] of Object.entries(checkpoint.files)) {
    if (!present.has(file)) throw damaged(checkpoint.folder, `${file} is missing`);
    const path = join(checkpoint.folder, file);
    const { size } = await stat(path);
    if (size !== bytes) throw damaged(checkpoint.folder, `${file} has ${size} bytes instead of ${bytes}`);
    if ((await sha256File(path)) !== expected) throw damaged(checkpoint.folder, `the SHA-256 of ${file} does not hold`);
  }
  const extra = files.find((file) => file !== MANIFEST && !Object.hasOwn(checkpoint.files, file));
  if (extra !== undefined) throw damaged(checkpoint.folder, `${extra} is not in its manifest`);
  return checkpoint;
}

function damaged(path: string, why: string): HoneError {
  return new HoneError('input', `damaged checkpoint: ${why}`, {
    where: path,
    hint: 'Resume goes on from the newest checkpoint that is whole; delete this folder when you no longer need it.',
  });
}

/** The newest checkpoint that `load` accepts; others are reported and passed over. */
export async function newestWhole(
  folder: string,
  onDamaged: (folder: string, why: string) => void,
): Promise<Checkpoint | undefined> {
  for (const iteration of (await listCheckpoints(folder)).reverse()) {
    const checkpoint = await unlessDamaged(folder, iteration, verifyCheckpoint, onDamaged);
    if (checkpoint !== undefined) return checkpoint;
  }
  return undefined;
}

/** The checkpoint with the highest score among those that hold; of equal scores the newest. */
export async function bestWhole(
  folder: string,
  onDamaged: (folder: string, why: string) => void,
): Promise<Checkpoint | undefined> {
  const scored = await readScores(folder, onDamaged);
  for (const { iteration } of scored.sort(byScore)) {
    const checkpoint = await unlessDamaged(folder, iteration, verifyCheckpoint, onDamaged);
    if (checkpoint !== undefined) return checkpoint;
  }
  return undefined;
}

async function unlessDamaged(
  folder: string,
  iteration: number,
  load: (folder: string, iteration: number) => Promise<Checkpoint>,
  onDamaged: (folder: string, why: string) => void,
): Promise<Checkpoint | undefined> {
  try {
    return await load(folder, iteration);
  } catch (error) {
    if (!(error instanceof HoneError) || error.kind !== 'input') throw error;
    onDamaged(join(folder, iterationName(iteration)), messageOf(error));
    return undefined;
  }
}

interface Scored {
  iteration: number;
  score: number;
}

function byScore(a: Scored, b: Scored): number {
  return b.score - a.score || b.iteration - a.iteration;
}

async function readScores(folder: string, onDamaged: (folder: string, why: string) => void): Promise<Scored[]> {
  const scored: Scored[] = [];
  for (const iteration of await listCheckpoints(folder)) {
    const checkpoint = await unlessDamaged(folder, iteration, readCheckpointManifest, onDamaged);
    if (checkpoint?.state.score !== undefined) scored.push({ iteration, score: checkpoint.state.score });
  }
  return scored;
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

/** Removes checkpoints of later iterations: they belong to a future that is being computed again. */
export async function dropLater(folder: string, iteration: number, fs: DurableFs): Promise<void> {
  for (const later of (await listCheckpoints(folder)).filter((n) => n > iteration))
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
