import { join } from 'node:path';
import { z } from 'zod';
import { HoneError, silentProgress, type Progress } from '../core/index.js';
import { makeFolder } from '../formats/index.js';
import { loadChatTemplate } from './chat-template.js';
import { llamaTensorShapes, parseModelConfig, toHfConfig, type ModelConfig } from './config.js';
import { copyAtomically, pathKind, readJson, writeJson } from './files.js';
import { parseWith } from './parse.js';
import { openSafetensors, writeSafetensors, type SafetensorsFile, type TensorSource } from './safetensors.js';
import { checkShapes } from './tensors.js';
import { loadTokenizer } from './tokenizer.js';
import type { ModelFolder } from './types.js';

const MAX_CONFIG_BYTES = 16 * 1024 * 1024;

/** Files that make a folder of weights a complete model: tokenizer, chat template, generation defaults. */
export const TOKENIZER_FILES: readonly string[] = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'tokenizer.model',
  'chat_template.jinja',
  'generation_config.json',
];

/**
 * Everything about a model folder that is not weights.
 * @throws HoneError('input') when the folder, its config.json or its tokenizer is missing, damaged or does not fit.
 */
export async function loadModelFolder(path: string): Promise<ModelFolder> {
  if ((await pathKind(path))?.kind !== 'folder')
    throw new HoneError('input', 'there is no such model folder', {
      where: path,
      hint: 'Import a model first: hone models import SOURCE.',
    });
  const config = await readHfConfig(path);
  return { path, config, tokenizer: await loadTokenizer(path), chatTemplate: await loadChatTemplate(path) };
}

/** config.json as it stands. */
async function readHfConfig(folder: string): Promise<Record<string, unknown>> {
  const file = join(folder, 'config.json');
  const json = await readJson(file, MAX_CONFIG_BYTES);
  if (json === undefined)
    throw new HoneError('input', 'has no config.json', {
      where: folder,
      hint: 'Give a complete model folder; an import that was interrupted lacks this file: run it again.',
    });
  return parseWith(z.looseObject({}), json, file);
}

/** The model configuration of a folder. @throws HoneError('input') as parseModelConfig. */
export async function loadModelConfig(folder: string): Promise<ModelConfig> {
  return parseModelConfig(await readHfConfig(folder), join(folder, 'config.json'));
}

/** Tensors that say nothing a config does not: rotary frequencies of old files, and the head beside a tied embedding. */
const REDUNDANT = /(^|\.)rotary_emb\.inv_freq$|^lm_head\.weight$/;

/**
 * Checks that weights hold every tensor a config needs, with its shape, and none that it would leave out.
 * @throws HoneError('input') that names the first tensor that is missing, misshapen or has no place.
 */
export function checkTensors(weights: SafetensorsFile, config: ModelConfig, where: string): void {
  const shapes = llamaTensorShapes(config);
  const strange = weights.names().find((name) => !shapes.has(name) && !REDUNDANT.test(name));
  if (strange !== undefined)
    throw new HoneError('input', `tensor ${strange} has no place in a ${config.architecture} model`, {
      where,
      hint: 'The weights do not belong to this config.json, or the model has parts that hone does not compute.',
    });
  checkShapes(weights, shapes, where);
}

/** Copies tokenizer, chat template and generation files that `from` has next to the weights in `to`. */
export async function copyTokenizerFiles(from: string, to: string): Promise<string[]> {
  await makeFolder(to);
  const present: string[] = [];
  for (const name of TOKENIZER_FILES) if (await pathKind(join(from, name))) present.push(name);
  for (const name of present) await copyAtomically(join(from, name), join(to, name));
  return present;
}

/**
 * Copies a model folder to a new one that any Hugging Face tool reads: config.json, model.safetensors in float32,
 * tokenizer, chat template and generation files. config.json is written last.
 * @param options.change changes the values of each tensor in place, as its turn comes
 * @throws HoneError('usage') when `out` already holds a model; HoneError('input') on damaged models.
 */
export async function exportModel(
  folder: string,
  out: string,
  options: { onProgress?: Progress; change?: (name: string, values: Float32Array) => void } = {},
): Promise<void> {
  const progress = options.onProgress ?? silentProgress;
  await refuseExistingModel(out);
  const config = await loadModelConfig(folder);
  const weights = await openSafetensors(folder);
  checkTensors(weights, config, folder);
  await copyTokenizerFiles(folder, out);
  const shapes = llamaTensorShapes(config);
  progress.phase('copy weights', shapes.size);
  let done = 0;
  const tensors = [...shapes].map(([name, shape]): [string, TensorSource] => {
    const data = async () => {
      progress.update(++done);
      const { data: values } = await weights.read(name);
      options.change?.(name, values);
      return values;
    };
    return [name, { shape, data }];
  });
  await writeSafetensors(join(out, 'model.safetensors'), tensors);
  await writeJson(join(out, 'config.json'), toHfConfig(config));
  progress.end();
}

/** @throws HoneError('usage') when `folder` has a config.json, the file that marks a complete model. */
export async function refuseExistingModel(folder: string): Promise<void> {
  const found = await pathKind(folder);
  if (found?.kind === 'file') throw new HoneError('usage', 'is a file, not a folder', { where: folder });
  if (await pathKind(join(folder, 'config.json')))
    throw new HoneError('usage', 'already holds a model', { where: folder, hint: 'Choose another folder with --out.' });
}
