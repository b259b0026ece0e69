import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { HoneError } from '../core/index.js';
import type { ModelSource } from '../engine/index.js';
import {
  checkTensors,
  loadModelConfig,
  loadModelFolder,
  loadTokenizer,
  type ModelFolder,
  openSafetensors,
  writeCharTokenizer,
} from '../model/index.js';
import type { Task } from '../tasks/index.js';
import { type FolderOptions, modelFolder } from './model-folder.js';
import { randomConfig, randomPreset } from './random-models.js';

/** A model that is ready to be opened by an engine, with what turns text into its tokens. */
export interface ResolvedModel {
  source: ModelSource;
  folder: ModelFolder;
}

export interface ResolveOptions extends FolderOptions {
  /** For random weights: whose alphabet the tokenizer gets, and the seed of the weights. */
  random?: { task: Task | undefined; seed: number };
}

/**
 * What `--model` names: `tiny` and `random:<preset>`, a model folder, a run folder, one checkpoint of a
 * run, or a PEFT folder whose base is here.
 * @throws HoneError with what exists when it is none of these.
 */
export async function resolveModel(model: string, options: ResolveOptions): Promise<ResolvedModel> {
  const preset = randomPreset(model);
  if (preset !== undefined) return randomModel(model, preset, options);
  const folder = await modelFolder(model, options);
  // Headers alone: what does not fit is found before a run folder is made.
  checkTensors(await openSafetensors(folder), await loadModelConfig(folder), folder);
  return { source: { kind: 'folder', path: folder }, folder: await loadModelFolder(folder) };
}

async function randomModel(
  model: string,
  preset: NonNullable<ReturnType<typeof randomPreset>>,
  { random, scratch }: ResolveOptions,
): Promise<ResolvedModel> {
  if (random === undefined)
    throw new HoneError('usage', `${model} has random weights: there is nothing to ask it`, {
      where: '--model',
      hint: 'Train it first (hone train sft --model tiny --task ...) and name the run folder.',
    });
  const alphabet = random.task?.alphabet;
  if (alphabet === undefined)
    throw new HoneError('usage', `${model} reads single characters, and needs a task that names its alphabet`, {
      where: '--task',
      hint: 'Choose a procedural task (hone tasks list), or give --model a model folder.',
    });
  const folder = await scratch.folder();
  scratch.call(folder, model);
  await writeCharTokenizer(folder, alphabet);
  const config = randomConfig(preset, await loadTokenizer(folder));
  await writeFile(path.join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  return {
    source: { kind: 'random', config, seed: random.seed, initStd: preset.initStd, tokenizerPath: folder },
    folder: await loadModelFolder(folder),
  };
}
