import { HoneError } from '../../core/index.js';
import { parseModelConfig, type Llama3RopeScaling, type ModelConfig } from '../config.js';
import { GgufMetadata, type GgufFile } from './file.js';

/** The rotary scalings that Meta published (Llama 3.1: factor 8; Llama 3.2: factor 32). */
const PUBLISHED_SCALINGS: readonly Llama3RopeScaling[] = [8, 32].map((factor) => ({
  type: 'llama3',
  factor,
  lowFreqFactor: 1,
  highFreqFactor: 4,
  originalMaxContext: 8192,
}));

/**
 * The model configuration that a GGUF file of the llama architecture states in its metadata.
 * @throws HoneError('input') on other architectures and on variants hone cannot compute exactly.
 */
export async function ggufConfig(file: GgufFile): Promise<ModelConfig> {
  const general = new GgufMetadata(file, 'general.');
  const architecture = general.string('architecture');
  if (architecture !== 'llama')
    throw new HoneError('input', `general.architecture: unknown architecture "${architecture}"`, {
      where: file.path,
      hint: 'hone imports GGUF files of the llama architecture.',
    });
  const llama = new GgufMetadata(file, 'llama.');
  const tokenizer = new GgufMetadata(file, 'tokenizer.ggml.');
  refuseVariants(file, llama);
  const embedding = file.tensors.get('token_embd.weight');
  if (!embedding) throw new HoneError('input', 'has no tensor token_embd.weight', { where: file.path });
  const heads = llama.requiredNumber('attention.head_count');
  const hidden = llama.requiredNumber('embedding_length');
  const config = parseModelConfig(
    {
      model_type: 'llama',
      vocab_size: embedding.shape[0],
      hidden_size: hidden,
      num_hidden_layers: llama.requiredNumber('block_count'),
      num_attention_heads: heads,
      num_key_value_heads: llama.number('attention.head_count_kv') ?? heads,
      head_dim: llama.number('attention.key_length') ?? llama.number('rope.dimension_count') ?? hidden / heads,
      intermediate_size: llama.requiredNumber('feed_forward_length'),
      rope_theta: shortest(llama.number('rope.freq_base') ?? 10000),
      rms_norm_eps: shortest(llama.requiredNumber('attention.layer_norm_rms_epsilon')),
      max_position_embeddings: llama.requiredNumber('context_length'),
      tie_word_embeddings: !file.tensors.has('output.weight'),
      bos_token_id: tokenizer.number('bos_token_id'),
      eos_token_id: eosIds(tokenizer),
    },
    file.path,
  );
  return { ...config, ropeScaling: await ropeScaling(file, config) };
}

/** Ids that end a reply: end of text, and end of turn where the file names one apart. */
export function eosIds(tokenizer: GgufMetadata): number[] {
  const ids = [tokenizer.number('eos_token_id'), tokenizer.number('eot_token_id')];
  return [...new Set(ids.filter((id) => id !== undefined))];
}

function refuseVariants(file: GgufFile, llama: GgufMetadata): void {
  const refuse = (key: string, why: string): never => {
    throw new HoneError('input', `llama.${key}: ${why} is not supported`, { where: file.path });
  };
  if ((llama.number('expert_count') ?? 0) > 0) refuse('expert_count', 'a mixture of experts');
  const scaling = llama.string('rope.scaling.type') ?? 'none';
  if (scaling !== 'none') refuse('rope.scaling.type', `rotary scaling "${scaling}"`);
  const rotary = llama.number('rope.dimension_count');
  const headDim = llama.number('attention.key_length') ?? rotary;
  if (rotary !== headDim) refuse('rope.dimension_count', 'rotating a part of each head');
  if (llama.number('attention.value_length') !== llama.number('attention.key_length'))
    refuse('attention.value_length', 'a value size other than the key size');
}

/** Metadata keeps float32: the shortest decimal that rounds to the same float32 is what the config.json said. */
function shortest(value: number): number {
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
}

/** GGUF keeps Llama 3.1's scaling as divisors per frequency; they are recognised by the published settings. */
async function ropeScaling(file: GgufFile, config: ModelConfig): Promise<Llama3RopeScaling | undefined> {
  if (!file.tensors.has('rope_freqs.weight')) return undefined;
  const divisors = await file.read('rope_freqs.weight');
  const match = PUBLISHED_SCALINGS.find((scaling) => {
    const expected = llama3Divisors(scaling, config);
    return expected.length === divisors.length && expected.every((x, i) => Math.abs(x / (divisors[i] ?? 0) - 1) < 1e-4);
  });
  if (!match)
    throw new HoneError('input', 'rope_freqs.weight: a rotary scaling other than those of Llama 3.1 and 3.2', {
      where: file.path,
      hint: 'Import the Hugging Face folder of the model instead.',
    });
  return match;
}

/** What each rotary frequency is divided by under Llama 3.1's scaling, [headDim / 2]. */
export function llama3Divisors(scaling: Llama3RopeScaling, config: ModelConfig): number[] {
  const { factor, lowFreqFactor: low, highFreqFactor: high, originalMaxContext } = scaling;
  return Array.from({ length: config.headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * config.ropeTheta ** ((2 * i) / config.headDim);
    const blend = Math.min(1, Math.max(0, (originalMaxContext / wavelength - low) / (high - low)));
    return 1 / ((1 - blend) / factor + blend);
  });
}
