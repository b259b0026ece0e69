import { HoneError } from '../core/index.js';

/** The families of decoders hone computes, named as `model_type` of config.json and GGUF's general.architecture. */
export type Architecture = 'llama' | 'qwen2' | 'qwen3' | 'smollm3';

/** How a family reads its config.json, and what it leaves out there. Source: its configuration class in transformers. */
export interface Family {
  /** The class in transformers that config.json names. */
  readonly className: string;
  /** Published models of the family. */
  readonly models: string;
  /** What an absent tie_word_embeddings means. */
  readonly tied: boolean;
  /** What an absent rope_theta means. */
  readonly ropeTheta: number;
  /** What an absent head_dim means; undefined: hidden size / heads. */
  readonly headDim?: number;
  /** Biases of queries, keys and values: always, or with the output projection where attention_bias says so. */
  readonly qkvBias: 'always' | 'attention_bias';
  /** Reads mlp_bias. */
  readonly mlpBias: boolean;
  /** Normalises each head's queries and keys before they are rotated. */
  readonly qkNorm: boolean;
  /** Has layers without rotary positions (no_rope_layers, no_rope_layer_interval). */
  readonly nope: boolean;
  /** llama.cpp interleaves the rows of query and key projections (convert_hf_to_gguf.py, LlamaModel.permute). */
  readonly ggufPermutes: boolean;
}

const LLAMA: Family = {
  className: 'LlamaForCausalLM',
  models: 'Llama, SmolLM, SmolLM2',
  tied: false,
  ropeTheta: 10_000,
  qkvBias: 'attention_bias',
  mlpBias: true,
  qkNorm: false,
  nope: false,
  ggufPermutes: true,
};

export const FAMILIES: Readonly<Record<Architecture, Family>> = {
  llama: LLAMA,
  qwen2: {
    ...LLAMA,
    className: 'Qwen2ForCausalLM',
    models: 'Qwen2, Qwen2.5',
    qkvBias: 'always',
    mlpBias: false,
    ggufPermutes: false,
  },
  qwen3: {
    ...LLAMA,
    className: 'Qwen3ForCausalLM',
    models: 'Qwen3',
    headDim: 128,
    mlpBias: false,
    qkNorm: true,
    ggufPermutes: false,
  },
  smollm3: {
    ...LLAMA,
    className: 'SmolLM3ForCausalLM',
    models: 'SmolLM3',
    tied: true,
    ropeTheta: 2_000_000,
    nope: true,
  },
};

/** The families in words, for hints. */
export const SUPPORTED_FAMILIES = `hone reads ${Object.entries(FAMILIES)
  .map(([name, { className, models }]) => `${name} (${className}: ${models})`)
  .join(', ')}.`;

/** @throws HoneError('input') that names the field and the families there are. */
export function architectureOf(name: string, field: string, where: string): Architecture {
  if (Object.hasOwn(FAMILIES, name)) return name as Architecture;
  throw new HoneError('input', `${field}: unknown architecture "${name}"`, { where, hint: SUPPORTED_FAMILIES });
}
