import { z } from 'zod';
import { HoneError } from '../core/index.js';
import { architectureOf, FAMILIES, SUPPORTED_FAMILIES, type Architecture, type Family } from './families.js';
import { parseWith } from './parse.js';

/** Frequency-dependent stretching of the rotary angles, as Llama 3.1 introduced it. */
export interface Llama3RopeScaling {
  type: 'llama3';
  factor: number;
  lowFreqFactor: number;
  highFreqFactor: number;
  originalMaxContext: number;
}

/** The shape of a decoder of Llama's kind, as its `config.json` states it. */
export interface ModelConfig {
  architecture: Architecture;
  vocabSize: number;
  hiddenSize: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  mlpSize: number;
  ropeTheta: number;
  ropeScaling: Llama3RopeScaling | undefined;
  /** Layers, counted from 0, whose queries and keys are not rotated (NoPE). */
  nopeLayers: readonly number[];
  /** Projections with a bias: queries, keys and values; attention's output; the MLP's three. */
  biases: Readonly<Record<'qkv' | 'output' | 'mlp', boolean>>;
  /** RMS norms, with a gain of headDim values each, over every head's queries and keys before rotation. */
  qkNorm: boolean;
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
  partial_rotary_factor: z.number().optional(),
});

/** Bounds are far above any published model's; they keep a damaged file from asking for absurd allocations. */
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
  no_rope_layers: z.array(z.union([z.literal(0), z.literal(1)])).nullish(),
  no_rope_layer_interval: count(1024).nullish(),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
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
  hidden_act: z.string().nullish(),
  use_sliding_window: z.boolean().nullish(),
  layer_types: z.array(z.string()).nullish(),
  partial_rotary_factor: z.number().nullish(),
  quantization_config: z.unknown().optional(),
});

/**
 * Reads a Hugging Face `config.json` of one of the families.
 * Fields that may be absent mean what the family's configuration class in transformers says they mean: as many
 * key-value heads as heads, no biases, hidden_act silu; head_dim, rope_theta and tied embeddings as families.ts has
 * them. Special tokens that are absent are undefined here, not a default of the class.
 * @param where the file or option the values come from, for error messages.
 * @throws HoneError('input') that names the field: another architecture, a variation the engine cannot compute
 *   exactly, or sizes that do not fit together.
 */
export function parseModelConfig(json: unknown, where: string): ModelConfig {
  const architecture = readArchitecture(json, where);
  const family = FAMILIES[architecture];
  const hf = parseWith(hfConfig, json, where);
  const heads = hf.num_attention_heads;
  const config: ModelConfig = {
    architecture,
    vocabSize: hf.vocab_size,
    hiddenSize: hf.hidden_size,
    layers: hf.num_hidden_layers,
    heads,
    kvHeads: hf.num_key_value_heads ?? heads,
    headDim: hf.head_dim ?? family.headDim ?? hf.hidden_size / heads,
    mlpSize: hf.intermediate_size,
    ropeTheta: hf.rope_parameters?.rope_theta ?? hf.rope_theta ?? hf.rope_scaling?.rope_theta ?? family.ropeTheta,
    ropeScaling: ropeScalingOf(hf, where),
    nopeLayers: family.nope ? nopeLayersOf(hf, where) : [],
    biases: biasesOf(hf, family, where),
    qkNorm: family.qkNorm,
    rmsEps: hf.rms_norm_eps,
    maxContext: hf.max_position_embeddings,
    tieEmbeddings: hf.tie_word_embeddings ?? family.tied,
    bosId: hf.bos_token_id ?? undefined,
    eosIds: eosIdsOf(hf.eos_token_id),
  };
  checkConsistency(config, where);
  return config;
}

/** The family, after refusing what none of them computes. */
function readArchitecture(json: unknown, where: string): Architecture {
  const { model_type, architectures, ...features } = parseWith(architecture, json, where);
  const refuse = (message: string): never => {
    throw new HoneError('input', message, { where, hint: SUPPORTED_FAMILIES });
  };
  const family = architectureOf(model_type, 'model_type', where);
  const [named] = architectures ?? [];
  if (named !== undefined && named !== FAMILIES[family].className)
    refuse(`architectures: unknown architecture "${named}" for model_type "${model_type}"`);
  if ((features.hidden_act ?? 'silu') !== 'silu') refuse(`hidden_act: must be "silu", not "${features.hidden_act}"`);
  if (features.use_sliding_window) refuse('use_sliding_window: attention over a sliding window is not supported');
  const layerType = features.layer_types?.find((type) => type !== 'full_attention');
  if (layerType !== undefined) refuse(`layer_types: layers of type "${layerType}" are not supported`);
  if ((features.partial_rotary_factor ?? 1) !== 1)
    refuse('partial_rotary_factor: rotating a part of each head is not supported');
  if (features.quantization_config) refuse('quantization_config: quantised weights are not supported');
  return family;
}

/** A flag that the family's class ignores is refused where it asks for biases: no checkpoint of the class has them. */
function biasesOf(hf: HfConfig, family: Family, where: string): ModelConfig['biases'] {
  const refuse = (field: string): never => {
    throw new HoneError('input', `${field}: ${family.className} does not read it`, { where });
  };
  if (hf.mlp_bias && !family.mlpBias) refuse('mlp_bias');
  if (hf.attention_bias && family.qkvBias === 'always') refuse('attention_bias');
  const attention = hf.attention_bias ?? false;
  return { qkv: family.qkvBias === 'always' || attention, output: attention, mlp: hf.mlp_bias ?? false };
}

/** SmolLM3: no_rope_layers has a 0 for each layer that does not rotate; without it, that is every fourth. */
function nopeLayersOf(hf: HfConfig, where: string): number[] {
  const layers = Array.from({ length: hf.num_hidden_layers }, (_, layer) => layer);
  const interval = hf.no_rope_layer_interval ?? 4;
  const rotates = hf.no_rope_layers;
  if (!rotates) return layers.filter((layer) => (layer + 1) % interval === 0);
  if (rotates.length < layers.length)
    throw new HoneError('input', `no_rope_layers: lists ${rotates.length} layers, the model has ${layers.length}`, {
      where,
    });
  return layers.filter((layer) => rotates[layer] === 0);
}

/** transformers 5 writes `rope_parameters`; earlier versions `rope_scaling`, at first with `type` for `rope_type`. */
function ropeScalingOf(hf: HfConfig, where: string): Llama3RopeScaling | undefined {
  const [field, values] = hf.rope_parameters
    ? ['rope_parameters', hf.rope_parameters]
    : ['rope_scaling', hf.rope_scaling ?? {}];
  if ((values.partial_rotary_factor ?? 1) !== 1)
    throw new HoneError('input', `${field}.partial_rotary_factor: rotating a part of each head is not supported`, {
      where,
    });
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
  const family = FAMILIES[config.architecture];
  return {
    architectures: [family.className],
    model_type: config.architecture,
    ...(family.qkvBias === 'attention_bias' && { attention_bias: config.biases.output }),
    attention_dropout: 0,
    bos_token_id: config.bosId ?? null,
    eos_token_id: config.eosIds.length > 1 ? [...config.eosIds] : (config.eosIds[0] ?? null),
    head_dim: config.headDim,
    hidden_act: 'silu',
    hidden_size: config.hiddenSize,
    intermediate_size: config.mlpSize,
    max_position_embeddings: config.maxContext,
    ...(family.mlpBias && { mlp_bias: config.biases.mlp }),
    ...(family.nope && { no_rope_layers: rotatingLayers(config) }),
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    num_key_value_heads: config.kvHeads,
    // Null, since the default of SmolLM3Config lies outside a small vocabulary.
    pad_token_id: null,
    rms_norm_eps: config.rmsEps,
    rope_scaling: scaling ?? null,
    rope_theta: config.ropeTheta,
    tie_word_embeddings: config.tieEmbeddings,
    torch_dtype: 'float32',
    ...(config.architecture !== 'llama' && { use_sliding_window: false }),
    vocab_size: config.vocabSize,
  };
}

/** no_rope_layers: 1 for each layer that rotates, 0 for each that does not. */
function rotatingLayers(config: ModelConfig): number[] {
  return Array.from({ length: config.layers }, (_, layer) => Number(!config.nopeLayers.includes(layer)));
}

/** Every tensor of the model by its Hugging Face name, with its shape ([out, in] for linear layers), in layer order. */
export function llamaTensorShapes(config: ModelConfig): Map<string, number[]> {
  const { hiddenSize: H, mlpSize: M, vocabSize: V, headDim: D } = config;
  const Q = config.heads * D;
  const KV = config.kvHeads * D;
  const shapes = new Map<string, number[]>([['model.embed_tokens.weight', [V, H]]]);
  const { biases } = config;
  for (let layer = 0; layer < config.layers; layer++) {
    const at = (name: string) => `model.layers.${layer}.${name}`;
    const gain = (name: string, size: number) => shapes.set(`${at(name)}.weight`, [size]);
    const projection = (name: string, out: number, input: number, bias: boolean) => {
      shapes.set(`${at(name)}.weight`, [out, input]);
      if (bias) shapes.set(`${at(name)}.bias`, [out]);
    };
    gain('input_layernorm', H);
    projection('self_attn.q_proj', Q, H, biases.qkv);
    projection('self_attn.k_proj', KV, H, biases.qkv);
    projection('self_attn.v_proj', KV, H, biases.qkv);
    if (config.qkNorm) {
      gain('self_attn.q_norm', D);
      gain('self_attn.k_norm', D);
    }
    projection('self_attn.o_proj', H, Q, biases.output);
    gain('post_attention_layernorm', H);
    projection('mlp.gate_proj', M, H, biases.mlp);
    projection('mlp.up_proj', M, H, biases.mlp);
    projection('mlp.down_proj', H, M, biases.mlp);
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
