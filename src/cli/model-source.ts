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
import { readRun } from '../runs/index.js';
import type { Task } from '../tasks/index.js';
import { checkpointModel, exists, type Scratch } from './checkpoint-model.js';
import { randomConfig, randomPreset } from './random-models.js';

/** A model that is ready to be opened by an engine, with what turns text into its tokens. */
export interface ResolvedModel {
  source: ModelSource;
  folder: ModelFolder;
}

export interface ResolveOptions {
  /** For random weights: whose alphabet the tokenizer gets, and the seed of the weights. */
  random?: { task: Task | undefined; seed: number };
  scratch: Scratch;
  /** Told of a damaged checkpoint that was passed over. */
  warn: (line: string) => void;
}

/**
 * What `--model` names: `tiny` and `random:<preset>`, a model folder, a run folder or one checkpoint of a run.
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
    source: { kind: 'random', config, seed: random.seed, tokenizerPath: folder },
    folder: await loadModelFolder(folder),
  };
}

/** The Hugging Face folder behind a path; checkpoints of runs are made into one in `scratch`. */
export async function modelFolder(model: string, options: Pick<ResolveOptions, 'scratch' | 'warn'>): Promise<string> {
  const { scratch } = options;
  if (await exists(path.join(model, 'run.json'))) return ofRun(model, options);
  if (await exists(path.join(model, 'config.json'))) return model;
  const run = path.resolve(model, '..', '..');
  if ((await exists(path.join(model, 'weights.safetensors'))) && (await exists(path.join(run, 'run.json')))) {
    return checkpointModel(run, model, { scratch, given: model });
  }
  throw noModel(model, await exists(model));
}

async function ofRun(run: string, { scratch, warn }: Pick<ResolveOptions, 'scratch' | 'warn'>): Promise<string> {
  const onDamaged = (folder: string, why: string): void => warn(`${folder} is damaged and passed over: ${why}`);
  const reader = await readRun(run);
  const checkpoint = (await reader.bestCheckpoint(onDamaged)) ?? (await reader.latestCheckpoint(onDamaged));
  if (checkpoint === undefined)
    throw new HoneError('input', 'the run has no checkpoint yet', {
      where: run,
      hint: `Go on with it: hone resume ${run}`,
    });
  return checkpointModel(run, checkpoint.folder, { scratch, given: run });
}

function noModel(model: string, isThere: boolean): HoneError {
  if (model.endsWith('.gguf'))
    return new HoneError('usage', 'a GGUF file has to be imported first', {
      where: model,
      hint: `hone models import ${model} --out models/${path.basename(model, '.gguf')}`,
    });
  const message = isThere ? 'not a model: there is no config.json and no run.json' : 'there is no such model';
  return new HoneError('input', message, {
    where: model,
    hint: 'Give a model folder (hone models import makes one), a run folder, a checkpoint, or tiny.',
  });
}
