import { HoneError } from '../core/index.js';

/** Shape of a Llama to be made from random weights. */
export interface RandomPreset {
  hidden: number;
  layers: number;
  heads: number;
  kvHeads: number;
  mlp: number;
  maxContext: number;
  /** Standard deviation of the random matrices; narrow models learn sooner from larger ones (experiments/LOG.md). */
  initStd: number;
}

/** Sizes without the embedding, which follows from the task's alphabet. */
export const RANDOM_PRESETS: Readonly<Record<string, RandomPreset>> = {
  /** 0.2M parameters: for tests and for trying a task file out. */
  nano: { hidden: 64, layers: 2, heads: 2, kvHeads: 2, mlp: 192, maxContext: 512, initStd: 0.1 },
  /** 0.85M parameters: learns the procedural tasks in minutes on two cores. Tokens are characters, hence the long context. */
  tiny: { hidden: 128, layers: 4, heads: 4, kvHeads: 4, mlp: 384, maxContext: 4096, initStd: 0.1 },
  /** 5.1M parameters: an hour rather than minutes. */
  small: { hidden: 256, layers: 6, heads: 4, kvHeads: 4, mlp: 768, maxContext: 1024, initStd: 0.02 },
};

/** `tiny` -> tiny, `random:small` -> small; undefined: not the name of a random model. @throws HoneError on an unknown preset. */
export function randomPreset(model: string): RandomPreset | undefined {
  if (model !== 'tiny' && !model.startsWith('random:')) return undefined;
  const name = model === 'tiny' ? model : model.slice('random:'.length);
  const preset = Object.hasOwn(RANDOM_PRESETS, name) ? RANDOM_PRESETS[name] : undefined;
  if (preset !== undefined) return preset;
  throw new HoneError('usage', `there is no random model "${name}"`, {
    where: '--model',
    hint: `There are ${Object.keys(RANDOM_PRESETS).join(', ')}; or give a model folder.`,
  });
}

/** The preset as a Hugging Face config.json for a vocabulary. */
export function randomConfig(
  preset: Omit<RandomPreset, 'initStd'>,
  tokenizer: { vocabSize: number; bosId: number | undefined; eosIds: readonly number[]; padId: number | undefined },
): Record<string, unknown> {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: tokenizer.vocabSize,
    hidden_size: preset.hidden,
    num_hidden_layers: preset.layers,
    num_attention_heads: preset.heads,
    num_key_value_heads: preset.kvHeads,
    head_dim: preset.hidden / preset.heads,
    intermediate_size: preset.mlp,
    max_position_embeddings: preset.maxContext,
    rope_theta: 10000,
    rms_norm_eps: 1e-6,
    hidden_act: 'silu',
    tie_word_embeddings: true,
    bos_token_id: tokenizer.bosId ?? null,
    eos_token_id: tokenizer.eosIds[0] ?? null,
    pad_token_id: tokenizer.padId ?? null,
    torch_dtype: 'float32',
  };
}
