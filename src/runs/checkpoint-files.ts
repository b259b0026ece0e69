import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HoneError } from '../core/index.js';
import { errorCode, explainSystemError, sha256, sha256File, stringifyJson } from '../formats/index.js';
import { jsonSchema } from './manifest.js';
import type { CheckpointState } from './types.js';

export const CHECKPOINT_MANIFEST = 'manifest.json';
const NUMBERED = /^\d{6,}$/;

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

/** Files and folders below `root`, by path with '/', in a fixed order. @throws HoneError('input') on links and odd files */
export async function listTree(root: string, below = ''): Promise<{ files: string[]; folders: string[] }> {
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

export function digestOf(state: CheckpointState, files: FileHashes): string {
  return sha256(stringifyJson({ state, files }));
}

/**
 * A checkpoint's manifest, itself checked against its digest, not the files.
 * @throws HoneError('input') when it is damaged
 */
export async function readCheckpointManifest(folder: string, iteration: number): Promise<Checkpoint> {
  const path = join(folder, iterationName(iteration));
  let text: string;
  try {
    text = await readFile(join(path, CHECKPOINT_MANIFEST), 'utf8');
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
  const extra = files.find((file) => file !== CHECKPOINT_MANIFEST && !Object.hasOwn(checkpoint.files, file));
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

/** What `load` returns, or undefined after `onDamaged` was told why the checkpoint does not hold. */
export async function unlessDamaged(
  folder: string,
  iteration: number,
  load: (folder: string, iteration: number) => Promise<Checkpoint>,
  onDamaged: (folder: string, why: string) => void,
): Promise<Checkpoint | undefined> {
  try {
    return await load(folder, iteration);
  } catch (error) {
    if (!(error instanceof HoneError) || error.kind !== 'input') throw error;
    const path = join(folder, iterationName(iteration));
    onDamaged(path, error.where === path ? error.message.slice(`${path}: `.length) : error.message);
    return undefined;
  }
}

export interface Scored {
  iteration: number;
  score: number;
}

/** Best first; of equal scores the newest first. */
export function byScore(a: Scored, b: Scored): number {
  return b.score - a.score || b.iteration - a.iteration;
}

export async function readScores(folder: string, onDamaged: (folder: string, why: string) => void): Promise<Scored[]> {
  const scored: Scored[] = [];
  for (const iteration of await listCheckpoints(folder)) {
    const checkpoint = await unlessDamaged(folder, iteration, readCheckpointManifest, onDamaged);
    if (checkpoint?.state.score !== undefined) scored.push({ iteration, score: checkpoint.state.score });
  }
  return scored;
}
