import { copyFile, link, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { HoneError } from '../core/index.js';
import { errorCode, writeFileAtomic } from '../formats/index.js';
import { copyTokenizerFiles } from '../model/index.js';

/** Where a run keeps what its checkpoints lack to be models: config.json and the tokenizer's files. */
export const RUN_MODEL_FOLDER = 'model';
export const CHECKPOINT_WEIGHTS = 'weights.safetensors';

export async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return false;
    throw error;
  }
}

/** Copies config, tokenizer and template files from one model folder into another, each whole or not at all; config.json last. */
export async function copySideFiles(from: string, to: string): Promise<void> {
  await copyTokenizerFiles(from, to);
  await writeFileAtomic(path.join(to, 'config.json'), await readFile(path.join(from, 'config.json')));
}

/** A second name for a file where the file system allows it, else a copy. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP'].includes(errorCode(error) ?? '')) throw error;
    await copyFile(from, to);
  }
}

/** The folder with a run's config.json and tokenizer. @throws HoneError('input') when it is not there. */
export async function sideFolder(run: string): Promise<string> {
  const side = path.join(run, RUN_MODEL_FOLDER);
  if (await exists(path.join(side, 'config.json'))) return side;
  throw new HoneError('input', 'the run has no model/config.json, so its checkpoints cannot be read as models', {
    where: run,
    hint: 'hone resume writes it when the run can go on; else train again.',
  });
}

/**
 * Makes a Hugging Face folder of one checkpoint of a run.
 * @param given what the user named: what errors call the folder.
 */
export async function checkpointModel(
  run: string,
  checkpoint: string,
  { scratch, given }: { scratch: Scratch; given: string },
): Promise<string> {
  const side = await sideFolder(run);
  const folder = await scratch.folder();
  const weights = path.join(folder, 'model.safetensors');
  scratch.call(folder, given);
  scratch.call(`${folder}${path.sep}`, `${side}${path.sep}`);
  scratch.call(weights, path.join(checkpoint, CHECKPOINT_WEIGHTS));
  await copySideFiles(side, folder);
  await linkOrCopy(path.join(checkpoint, CHECKPOINT_WEIGHTS), weights);
  return folder;
}

/** Folders that hold checkpoints as models while a command runs, and what a person knows them by. */
export class Scratch {
  readonly #folders: string[] = [];
  readonly #names = new Map<string, string>();

  async folder(): Promise<string> {
    const folder = await mkdtemp(path.join(tmpdir(), 'hone-model-'));
    this.#folders.push(folder);
    return folder;
  }

  /** From here on errors say `name` for a path. */
  call(path: string, name: string): void {
    this.#names.set(path, name);
  }

  /** An error with the names of things that the user knows, for those of this command's temporary folders. */
  #renamed(error: unknown): unknown {
    if (!(error instanceof HoneError)) return error;
    const longestFirst = [...this.#names].sort(([a], [b]) => b.length - a.length);
    const rename = (text: string): string => longestFirst.reduce((all, [from, to]) => all.replaceAll(from, to), text);
    const { kind, where, hint } = error;
    const message = where === undefined ? error.message : error.message.slice(where.length + 2);
    if (rename(`${error.message}${hint}`) === `${error.message}${hint}`) return error;
    return new HoneError(kind, rename(message), {
      ...(where === undefined ? {} : { where: rename(where) }),
      ...(hint === undefined ? {} : { hint: rename(hint) }),
      cause: error,
    });
  }

  /** Runs `use` with temporary folders that go when it ends. */
  static async with<T>(use: (scratch: Scratch) => Promise<T>): Promise<T> {
    const scratch = new Scratch();
    try {
      return await use(scratch);
    } catch (error) {
      throw scratch.#renamed(error);
    } finally {
      await scratch.#dispose();
    }
  }

  async #dispose(): Promise<void> {
    await Promise.all(this.#folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
  }
}
