import { HoneError } from '../../core/index.js';
import { parseModelConfig, type Llama3RopeScaling, type ModelConfig } from '../config.js';
import { architectureOf, FAMILIES, type Architecture } from '../families.js';
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
 * The model configuration that a GGUF file of one of the families states in its metadata.
 * SmolLM3's files do not say which layers rotate: as in llama.cpp (src/models/smollm3.cpp) it is every fourth that
 * does not.
 * @throws HoneError('input') on other architectures and on variants hone cannot compute exactly.
 */
export async function ggufConfig(file: GgufFile): Promise<ModelConfig> {
  const architecture = ggufArchitecture(file);
  const meta = new GgufMetadata(file, `${architecture}.`);
  const tokenizer = new GgufMetadata(file, 'tokenizer.ggml.');
  refuseVariants(file, architecture, meta);
  const embedding = file.tensors.get('token_embd.weight');
  if (!embedding) throw new HoneError('input', 'has no tensor token_embd.weight', { where: file.path });
  const family = FAMILIES[architecture];
  const heads = meta.requiredNumber('attention.head_count');
  const hidden = meta.requiredNumber('embedding_length');
  const config = parseModelConfig(
    {
      model_type: architecture,
      vocab_size: embedding.shape[0],
      hidden_size: hidden,
      num_hidden_layers: meta.requiredNumber('block_count'),
      num_attention_heads: heads,
      num_key_value_heads: meta.number('attention.head_count_kv') ?? heads,
      head_dim: meta.number('attention.key_length') ?? meta.number('rope.dimension_count') ?? hidden / heads,
      intermediate_size: meta.requiredNumber('feed_forward_length'),
      rope_theta: shortest(meta.number('rope.freq_base') ?? 10000),
      rms_norm_eps: shortest(meta.requiredNumber('attention.layer_norm_rms_epsilon')),
      max_position_embeddings: meta.requiredNumber('context_length'),
      tie_word_embeddings: !file.tensors.has('output.weight'),
      attention_bias: family.qkvBias === 'attention_bias' && file.tensors.has('blk.0.attn_output.bias'),
      mlp_bias: family.mlpBias && file.tensors.has('blk.0.ffn_down.bias'),
      bos_token_id: tokenizer.number('bos_token_id'),
      eos_token_id: eosIds(tokenizer),
    },
    file.path,
  );
  return { ...config, ropeScaling: await ropeScaling(file, config) };
}

/** @throws HoneError('input') on an architecture that hone does not compute. */
export function ggufArchitecture(file: GgufFile): Architecture {
  const name = new GgufMetadata(file, 'general.').string('architecture') ?? 'none';
  return architectureOf(name, 'general.architecture', file.path);
}

/** Ids that end a reply: end of text, and end of turn where the file names one apart. */
export function eosIds(tokenizer: GgufMetadata): number[] {
  const ids = [tokenizer.number('eos_token_id'), tokenizer.number('eot_token_id')];
  return [...new Set(ids.filter((id) => id !== undefined))];
}

function refuseVariants(file: GgufFile, architecture: Architecture, meta: GgufMetadata): void {
  const refuse = (key: string, why: string): never => {
    throw new HoneError('input', `${architecture}.${key}: ${why} is not supported`, { where: file.path });
  };
  if ((meta.number('expert_count') ?? 0) > 0) refuse('expert_count', 'a mixture of experts');
  const scaling = meta.string('rope.scaling.type') ?? 'none';
  if (scaling !== 'none') refuse('rope.scaling.type', `rotary scaling "${scaling}"`);
  const keyLength = meta.number('attention.key_length');
  const rotary = meta.number('rope.dimension_count');
  if (rotary !== undefined && keyLength !== undefined && rotary !== keyLength)
    refuse('rope.dimension_count', 'rotating a part of each head');
  if (meta.number('attention.value_length') !== keyLength)
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
