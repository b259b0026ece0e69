import type { OpenModelOptions } from '../../src/engine/index.js';

/** One update, and how much memory its process may have held at most. */
export interface MemoryCase {
  model: OpenModelOptions;
  sequences: number;
  /** Tokens of each sequence. */
  tokens: number;
  limitGB: number;
}

/** What HuggingFaceTB/SmolLM2-135M has in its config.json. */
const SMOLLM2_135M = {
  model_type: 'llama',
  vocab_size: 49152,
  hidden_size: 576,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  intermediate_size: 1536,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  rope_theta: 100000,
  tie_word_embeddings: true,
  hidden_act: 'silu',
  eos_token_id: 0,
};

/** What Qwen/Qwen2.5-0.5B has. */
const QWEN25_05B = {
  model_type: 'qwen2',
  vocab_size: 151936,
  hidden_size: 896,
  num_hidden_layers: 24,
  num_attention_heads: 14,
  num_key_value_heads: 2,
  intermediate_size: 4864,
  max_position_embeddings: 32768,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000,
  tie_word_embeddings: true,
  hidden_act: 'silu',
  eos_token_id: 151643,
};

const ADAPTER = { kind: 'random', rank: 16, alpha: 32, seed: 1 } as const;
const random = (config: Record<string, unknown>) => ({ kind: 'random', config, seed: 1 }) as const;

export const MEMORY_CASES: Readonly<Record<string, MemoryCase>> = {
  'smollm2-full': { model: { source: random(SMOLLM2_135M) }, sequences: 8, tokens: 256, limitGB: 5 },
  'smollm2-lora': {
    model: { source: random(SMOLLM2_135M), adapter: ADAPTER },
    sequences: 8,
    tokens: 256,
    limitGB: 2.5,
  },
  'qwen2.5-0.5b-lora': {
    model: { source: random(QWEN25_05B), adapter: ADAPTER },
    sequences: 4,
    tokens: 512,
    limitGB: 10,
  },
};
