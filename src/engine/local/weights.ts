import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HoneError } from '../../core/index.js';
import { parseCriticConfig, parseModelConfig, type ModelConfig } from '../../model/index.js';
import type { ModelSource, OpenModelOptions } from '../types.js';
import { Parameters } from './parameters.js';

/** Weights drawn at random. @throws HoneError('input') for a config that the engine cannot run. */
export function randomWeights({
  config,
  seed,
  initStd,
}: Extract<ModelSource, { kind: 'random' }>): Promise<Parameters> {
  const where = 'model config';
  return Parameters.random(supported(parseModelConfig(config, where), where), seed, initStd);
}

export function noCriticAdapter(): HoneError {
  return new HoneError('usage', 'the local engine trains critics in full; this one is to get an adapter', {
    where: 'adapter',
    hint: 'Leave the adapter away for the critic; the policy may have one.',
  });
}

/** Weights of a critic, with a head. @throws HoneError('usage') for a critic that is to get an adapter. */
export async function criticWeights({ source, adapter }: OpenModelOptions): Promise<Parameters> {
  if (adapter) throw noCriticAdapter();
  if (source.kind === 'random') {
    const where = 'model config';
    const { config } = parseCriticConfig(source.config, where);
    return Parameters.randomCritic(supported(config, where), source.seed, source.initStd);
  }
  const file = join(source.path, 'config.json');
  const { config, head } = parseCriticConfig(await readJsonFile(file), file);
  return Parameters.loadCritic(supported(config, file), source.path, head);
}

/** Weights of a model folder. @throws HoneError('input') for files that are missing or damaged. */
export async function folderWeights(path: string): Promise<Parameters> {
  const file = join(path, 'config.json');
  const config = withEosIds(parseModelConfig(await readJsonFile(file), file), await generationConfig(path));
  return Parameters.load(supported(config, file), path);
}

/** The attention kernel of the sampling graph works on groups of sixteen channels. */
function supported(config: ModelConfig, where: string): ModelConfig {
  if (config.headDim % 16 === 0) return config;
  throw new HoneError('input', `head_dim is ${config.headDim}; the local engine needs a multiple of 16`, {
    where,
    hint: 'Choose hidden_size and num_attention_heads so that their quotient is a multiple of 16.',
  });
}

async function readJsonFile(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new HoneError('input', 'is missing or is not JSON', {
      where: file,
      hint: 'Give a model folder (hone models import makes one).',
      cause,
    });
  }
}

async function generationConfig(folder: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(join(folder, 'generation_config.json'), 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new HoneError('input', 'is not JSON', { where: join(folder, 'generation_config.json'), cause: error });
  }
}

/** generation_config.json may name more end tokens than config.json; any of them ends a reply. */
function withEosIds(config: ModelConfig, generation: unknown): ModelConfig {
  const listed = (generation as { eos_token_id?: unknown } | null)?.eos_token_id;
  const more = [listed].flat().filter((id): id is number => Number.isInteger(id));
  return { ...config, eosIds: [...new Set([...config.eosIds, ...more])] };
}
