import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { RandomStream } from '../../src/core/index.js';
import type { Datum, Loss } from '../../src/engine/index.js';

/** Shape of a tiny Llama; what matters is that the variants of the architecture are all there. */
export interface TinyShape {
  name: string;
  tied: boolean;
  llama3Rope: boolean;
  heads: number;
  kvHeads: number;
}

const [VOCAB, HEAD_DIM, LAYERS, MLP] = [60, 16, 2, 72];

export const TINY_SHAPES: readonly TinyShape[] = [
  { name: 'tied', tied: true, llama3Rope: false, heads: 3, kvHeads: 3 },
  { name: 'untied', tied: false, llama3Rope: false, heads: 2, kvHeads: 2 },
  { name: 'tied, grouped queries', tied: true, llama3Rope: false, heads: 4, kvHeads: 2 },
  { name: 'untied, one key head, llama3 rope', tied: false, llama3Rope: true, heads: 4, kvHeads: 1 },
];

/** config.json of a shape. */
export function tinyConfig({ tied, llama3Rope, heads, kvHeads }: TinyShape): Record<string, unknown> {
  const scaling = {
    rope_type: 'llama3',
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 16,
  };
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    vocab_size: VOCAB,
    hidden_size: heads * HEAD_DIM,
    intermediate_size: MLP,
    num_hidden_layers: LAYERS,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: HEAD_DIM,
    max_position_embeddings: 64,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    rope_scaling: llama3Rope ? scaling : null,
    tie_word_embeddings: tied,
    bos_token_id: 1,
    eos_token_id: 2,
  };
}

/** Ragged sequences; old logprobs lie around -log V, so that some ratios are clipped and some are not. */
export function tinyData(seed: number, name: string): Datum[] {
  const random = new RandomStream(seed, 'fidelity-tiny', name);
  return [4, 9, 16, 17, 33].map((length) => {
    const tokens = Int32Array.from({ length: length + 1 }, () => random.nextInt(3, VOCAB - 1));
    const prompt = Math.floor(length / 3);
    const [scale, advantage] = [0.02 + 0.05 * random.next(), random.nextNormal()];
    return {
      input: tokens.slice(0, -1),
      target: tokens.slice(1),
      vectors: {
        weight: Float32Array.from({ length }, (_, t) => (t < prompt ? 0 : scale)),
        advantage: new Float32Array(length).fill(advantage),
        oldLogprob: Float32Array.from({ length }, () => -Math.log(VOCAB) + 0.5 * random.nextNormal()),
      },
    };
  });
}

/** Writes datums as the peer reads them. @returns the file. */
export async function writeDatums(folder: string, data: readonly Datum[]): Promise<string> {
  await mkdir(folder, { recursive: true });
  const rows = data.map(({ input, target, vectors }) => ({
    input: [...input],
    target: [...target],
    vectors: Object.fromEntries(Object.entries(vectors).map(([name, values]) => [name, [...values]])),
  }));
  const file = path.join(folder, 'datums.json');
  await writeFile(file, JSON.stringify(rows));
  return file;
}

/** Sum over the tokens of -weight log p: supervised fine-tuning. */
export const crossEntropy: Loss = {
  name: 'cross_entropy',
  needs: {},
  linear: true,
  fn: (_, data) => ({
    lossSum: 0,
    dLogprobs: data.map(({ vectors }) => (vectors['weight'] as Float32Array).map((weight) => -weight)),
    metrics: {},
  }),
};

/** |a - b| over |b|, both as one vector. */
export function relativeNorm(a: Float32Array, b: Float32Array): number {
  let [difference, norm] = [0, 0];
  b.forEach((value, i) => {
    difference += ((a[i] as number) - value) ** 2;
    norm += value ** 2;
  });
  return Math.sqrt(difference) / Math.max(Math.sqrt(norm), 1e-12);
}
