import type { LocalEngine, LocalEngineOptions } from '../src/engine/local/index.js';

/** The built engine: it starts a worker, so it has to run from dist. */
export async function localEngine(options: LocalEngineOptions = {}): Promise<LocalEngine> {
  const built = new URL('../dist/engine/local/index.js', import.meta.url).href;
  const module = (await import(built)) as { createLocalEngine(options: LocalEngineOptions): Promise<LocalEngine> };
  return module.createLocalEngine(options);
}

/** A Llama of 0.2M parameters with grouped queries. */
export const SMALL_LLAMA: Record<string, unknown> = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: 61,
  hidden_size: 64,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 160,
  max_position_embeddings: 256,
  rope_theta: 10000,
  rms_norm_eps: 1e-6,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  eos_token_id: 1,
};
