/** What the engine benchmark runs: shapes of models, batches to train on, batches to sample. */

export interface BenchModel {
  config: Readonly<Record<string, number | string | boolean>>;
  layers: number;
  hidden: number;
}

interface Shape {
  vocab: number;
  hidden: number;
  layers: number;
  heads: number;
  kvHeads: number;
  mlp: number;
}

function llama({ vocab, hidden, layers, heads, kvHeads, mlp }: Shape): BenchModel {
  const config = {
    model_type: 'llama',
    vocab_size: vocab,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    intermediate_size: mlp,
    max_position_embeddings: 1024,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: true,
    hidden_act: 'silu',
    eos_token_id: 1,
  };
  return { config, layers, hidden };
}

export const MODELS = {
  '1M': llama({ vocab: 64, hidden: 128, layers: 4, heads: 4, kvHeads: 4, mlp: 384 }),
  '5M': llama({ vocab: 64, hidden: 256, layers: 6, heads: 4, kvHeads: 4, mlp: 768 }),
  '27M': llama({ vocab: 64, hidden: 512, layers: 8, heads: 8, kvHeads: 8, mlp: 1536 }),
  'SmolLM2-135M': llama({ vocab: 49152, hidden: 576, layers: 30, heads: 9, kvHeads: 3, mlp: 1536 }),
} as const;
export type ModelName = keyof typeof MODELS;

export interface TrainingCase {
  model: ModelName;
  B: number;
  T: number;
  /** Updates timed together, so that a reading takes long enough to mean something. */
  repeats: number;
  /** Also with a loss that needs the outputs first, computed in TypeScript. */
  curved?: boolean;
}

export const TRAINING: readonly TrainingCase[] = [
  { model: '1M', B: 8, T: 128, repeats: 8, curved: true },
  { model: '5M', B: 8, T: 128, repeats: 3, curved: true },
  { model: '5M', B: 1, T: 1024, repeats: 2 },
  { model: '27M', B: 8, T: 128, repeats: 1, curved: true },
  { model: 'SmolLM2-135M', B: 8, T: 128, repeats: 1, curved: true },
  { model: 'SmolLM2-135M', B: 1, T: 1024, repeats: 1 },
];

export interface SamplingCase {
  model: ModelName;
  B: number;
  /** Tokens of each prompt, and of prompt and reply together. */
  prompt: number;
  length: number;
  /** Against llama.cpp too. */
  llamaCpp?: boolean;
}

export const SAMPLING: readonly SamplingCase[] = [
  { model: '5M', B: 1, prompt: 16, length: 256 },
  { model: '5M', B: 16, prompt: 16, length: 256 },
  { model: '5M', B: 64, prompt: 16, length: 256 },
  { model: 'SmolLM2-135M', B: 16, prompt: 16, length: 128, llamaCpp: true },
];

/**
 * Operations of one forward and backward pass for a token: 6 for each parameter, and 12 x layers x hidden for each of
 * the T / 2 tokens that causal attention looks back on; nothing is counted for what is computed twice.
 */
export function flopsPerToken(model: ModelName, parameters: number, T: number): number {
  const { layers, hidden } = MODELS[model];
  return 6 * parameters + 12 * layers * hidden * (T / 2);
}

export const trainingLabel = ({ model, B, T }: TrainingCase): string => `training ${model}, ${B} x ${T}`;
export const samplingLabel = ({ model, B, length }: SamplingCase): string =>
  `sampling ${model}, batch ${B} to length ${length}`;
