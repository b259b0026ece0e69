import { copyFile, link, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { HoneError } from '../core/index.js';
import { errorCode, writeFileAtomic } from '../formats/index.js';
import { copyTokenizerFiles } from '../model/index.js';

/** Where a run keeps what its checkpoints lack to be models: config.json and the tokenizer's files. */
export const RUN_MODEL_FOLDER = 'model';
const CHECKPOINT_WEIGHTS = 'weights.safetensors';

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

/** Makes a Hugging Face folder of one checkpoint of a run. */
export async function writeCheckpointModel(run: string, checkpoint: string, folder: string): Promise<void> {
  const side = path.join(run, RUN_MODEL_FOLDER);
  if (!(await exists(path.join(side, 'config.json'))))
    throw new HoneError('input', 'the run has no model/config.json, so its checkpoints cannot be read as models', {
      where: run,
      hint: 'hone resume writes it when the run can go on; else train again.',
    });
  await copySideFiles(side, folder);
  await linkOrCopy(path.join(checkpoint, CHECKPOINT_WEIGHTS), path.join(folder, 'model.safetensors'));
}

/** Folders that hold checkpoints as models while a command runs. */
export class Scratch {
  readonly #folders: string[] = [];

  async folder(): Promise<string> {
    const folder = await mkdtemp(path.join(tmpdir(), 'hone-model-'));
    this.#folders.push(folder);
    return folder;
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
  }
}
