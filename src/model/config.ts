import { z } from 'zod';
import { HoneError } from '../core/index.js';
import { parseWith } from './parse.js';

/** Frequency-dependent stretching of the rotary angles, as Llama 3.1 introduced it. */
export interface Llama3RopeScaling {
  type: 'llama3';
  factor: number;
  lowFreqFactor: number;
  highFreqFactor: number;
  originalMaxContext: number;
}

/** The shape of a Llama-family decoder, as its `config.json` states it. */
export interface ModelConfig {
  architecture: 'llama';
  vocabSize: number;
  hiddenSize: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  mlpSize: number;
  ropeTheta: number;
  ropeScaling: Llama3RopeScaling | undefined;
  rmsEps: number;
  /** Longest sequence in tokens. */
  maxContext: number;
  /** The LM head is the embedding matrix. */
  tieEmbeddings: boolean;
  bosId: number | undefined;
  eosIds: readonly number[];
}

const count = (max: number) => z.int().positive().max(max);
const tokenId = z.int().nonnegative();
const rope = z.object({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: count(2 ** 24).optional(),
});

/** Bounds are far above any published Llama; they keep a damaged file from asking for absurd allocations. */
const hfConfig = z.object({
  vocab_size: count(2 ** 22),
  hidden_size: count(2 ** 17),
  num_hidden_layers: count(1024),
  num_attention_heads: count(1024),
  num_key_value_heads: count(1024).nullish(),
  head_dim: count(4096).nullish(),
  intermediate_size: count(2 ** 19),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: rope.nullish(),
  rope_parameters: rope.nullish(),
  rms_norm_eps: z.number().positive(),
  max_position_embeddings: count(2 ** 24),
  tie_word_embeddings: z.boolean().nullish(),
  bos_token_id: tokenId.nullish(),
  eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish(),
});
type HfConfig = z.infer<typeof hfConfig>;

const architecture = z.object({
  model_type: z.string({ error: 'is missing (the kind of model, e.g. "llama")' }),
  architectures: z.array(z.string()).nullish(),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  hidden_act: z.string().nullish(),
  pretraining_tp: z.number().nullish(),
  quantization_config: z.unknown().optional(),
});

/**
 * Reads a Hugging Face `config.json` of the Llama family.
 * Fields that may be absent mean what `LlamaConfig` of transformers says they mean: as many key-value heads as heads,
 * head_dim = hidden / heads, rope_theta 10000, untied embeddings, hidden_act silu, no biases. Special tokens that
 * are absent are undefined here, not 1 and 2.
 * @param where the file or option the values come from, for error messages.
 * @throws HoneError('input') that names the field: another architecture, a variation the engine cannot compute
 *   exactly, or sizes that do not fit together.
 */
export function parseModelConfig(json: unknown, where: string): ModelConfig {
  refuseOtherArchitectures(json, where);
  const hf = parseWith(hfConfig, json, where);
  const heads = hf.num_attention_heads;
  const config: ModelConfig = {
    architecture: 'llama',
    vocabSize: hf.vocab_size,
    hiddenSize: hf.hidden_size,
    layers: hf.num_hidden_layers,
    heads,
    kvHeads: hf.num_key_value_heads ?? heads,
    headDim: hf.head_dim ?? hf.hidden_size / heads,
    mlpSize: hf.intermediate_size,
    ropeTheta: hf.rope_parameters?.rope_theta ?? hf.rope_theta ?? hf.rope_scaling?.rope_theta ?? 10000,
    ropeScaling: ropeScalingOf(hf, where),
    rmsEps: hf.rms_norm_eps,
    maxContext: hf.max_position_embeddings,
    tieEmbeddings: hf.tie_word_embeddings ?? false,
    bosId: hf.bos_token_id ?? undefined,
    eosIds: eosIdsOf(hf.eos_token_id),
  };
  checkConsistency(config, where);
  return config;
}

function refuseOtherArchitectures(json: unknown, where: string): void {
  const { model_type, architectures, ...features } = parseWith(architecture, json, where);
  const hint = 'hone reads models of the Llama family (model_type "llama", LlamaForCausalLM).';
  const refuse = (message: string): never => {
    throw new HoneError('input', message, { where, hint });
  };
  if (model_type !== 'llama') refuse(`model_type: unknown architecture "${model_type}"`);
  const [named] = architectures ?? [];
  if (named !== undefined && named !== 'LlamaForCausalLM') refuse(`architectures: unknown architecture "${named}"`);
  if (features.attention_bias) refuse('attention_bias: biases are not supported');
  if (features.mlp_bias) refuse('mlp_bias: biases are not supported');
  if ((features.hidden_act ?? 'silu') !== 'silu') refuse(`hidden_act: must be "silu", not "${features.hidden_act}"`);
  if (features.quantization_config) refuse('quantization_config: quantised weights are not supported');
}

/** transformers 5 writes `rope_parameters`; earlier versions `rope_scaling`, at first with `type` for `rope_type`. */
function ropeScalingOf(hf: HfConfig, where: string): Llama3RopeScaling | undefined {
  const [field, values] = hf.rope_parameters
    ? ['rope_parameters', hf.rope_parameters]
    : ['rope_scaling', hf.rope_scaling ?? {}];
  const kind = values.rope_type ?? values.type ?? 'default';
  if (kind === 'default') return undefined;
  if (kind !== 'llama3')
    throw new HoneError('input', `${field}: unknown rope type "${kind}"`, {
      where,
      hint: 'Supported are no scaling and "llama3".',
    });
  const { factor, low_freq_factor, high_freq_factor } = values;
  const original = values.original_max_position_embeddings;
  if (!factor || !low_freq_factor || !high_freq_factor || !original)
    throw new HoneError(
      'input',
      `${field}: llama3 needs factor, low_freq_factor, high_freq_factor and original_max_position_embeddings`,
      { where },
    );
  if (high_freq_factor <= low_freq_factor)
    throw new HoneError('input', `${field}: high_freq_factor must be above low_freq_factor`, { where });
  return {
    type: 'llama3',
    factor,
    lowFreqFactor: low_freq_factor,
    highFreqFactor: high_freq_factor,
    originalMaxContext: original,
  };
}

function eosIdsOf(value: number | number[] | null | undefined): number[] {
  if (value === null || value === undefined) return [];
  return typeof value === 'number' ? [value] : [...new Set(value)];
}

function checkConsistency(config: ModelConfig, where: string): void {
  const refuse = (message: string): never => {
    throw new HoneError('input', message, { where });
  };
  const { heads, kvHeads, headDim, vocabSize } = config;
  if (!Number.isInteger(headDim)) refuse(`hidden_size: ${config.hiddenSize} is not a multiple of ${heads} heads`);
  if (headDim % 2 !== 0) refuse(`head_dim: must be even for rotary positions, not ${headDim}`);
  if (heads % kvHeads !== 0)
    refuse(`num_key_value_heads: ${heads} heads cannot be shared evenly by ${kvHeads} key-value heads`);
  for (const [field, id] of [['bos_token_id', config.bosId], ...config.eosIds.map((id) => ['eos_token_id', id])])
    if (typeof id === 'number' && id >= vocabSize)
      refuse(`${field}: ${id} is outside the vocabulary of ${vocabSize} tokens`);
}

/** The `config.json` that describes `config`, readable by transformers 4 and 5. Weights are written as float32. */
export function toHfConfig(config: ModelConfig): Record<string, unknown> {
  const scaling = config.ropeScaling && {
    rope_type: config.ropeScaling.type,
    factor: config.ropeScaling.factor,
    low_freq_factor: config.ropeScaling.lowFreqFactor,
    high_freq_factor: config.ropeScaling.highFreqFactor,
    original_max_position_embeddings: config.ropeScaling.originalMaxContext,
  };
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    attention_bias: false,
    attention_dropout: 0,
    bos_token_id: config.bosId ?? null,
    eos_token_id: config.eosIds.length > 1 ? [...config.eosIds] : (config.eosIds[0] ?? null),
    head_dim: config.headDim,
    hidden_act: 'silu',
    hidden_size: config.hiddenSize,
    intermediate_size: config.mlpSize,
    max_position_embeddings: config.maxContext,
    mlp_bias: false,
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    num_key_value_heads: config.kvHeads,
    rms_norm_eps: config.rmsEps,
    rope_scaling: scaling ?? null,
    rope_theta: config.ropeTheta,
    tie_word_embeddings: config.tieEmbeddings,
    torch_dtype: 'float32',
    vocab_size: config.vocabSize,
  };
}

/** Every tensor of the model by its Hugging Face name, with its shape ([out, in] for linear layers), in layer order. */
export function llamaTensorShapes(config: ModelConfig): Map<string, number[]> {
  const { hiddenSize: H, mlpSize: M, vocabSize: V, headDim: D } = config;
  const Q = config.heads * D;
  const KV = config.kvHeads * D;
  const shapes = new Map<string, number[]>([['model.embed_tokens.weight', [V, H]]]);
  for (let layer = 0; layer < config.layers; layer++) {
    const at = (name: string) => `model.layers.${layer}.${name}.weight`;
    shapes.set(at('input_layernorm'), [H]);
    shapes.set(at('self_attn.q_proj'), [Q, H]);
    shapes.set(at('self_attn.k_proj'), [KV, H]);
    shapes.set(at('self_attn.v_proj'), [KV, H]);
    shapes.set(at('self_attn.o_proj'), [H, Q]);
    shapes.set(at('post_attention_layernorm'), [H]);
    shapes.set(at('mlp.gate_proj'), [M, H]);
    shapes.set(at('mlp.up_proj'), [M, H]);
    shapes.set(at('mlp.down_proj'), [H, M]);
  }
  shapes.set('model.norm.weight', [H]);
  if (!config.tieEmbeddings) shapes.set('lm_head.weight', [V, H]);
  return shapes;
}

/** Number of trainable values. */
export function parameterCount(config: ModelConfig): number {
  let total = 0;
  for (const shape of llamaTensorShapes(config).values()) total += shape.reduce((a, b) => a * b, 1);
  return total;
}
