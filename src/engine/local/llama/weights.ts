import type { ModelConfig } from '../../../model/index.js';
import type { Graph } from '../graph/graph.js';
import type { Shape, Value } from '../graph/values.js';

/** Names of one layer's tensors, as Hugging Face has them. */
export function layerNames(layer: number) {
  const prefix = `model.layers.${layer}`;
  return {
    inputNorm: `${prefix}.input_layernorm.weight`,
    q: `${prefix}.self_attn.q_proj.weight`,
    k: `${prefix}.self_attn.k_proj.weight`,
    v: `${prefix}.self_attn.v_proj.weight`,
    o: `${prefix}.self_attn.o_proj.weight`,
    mlpNorm: `${prefix}.post_attention_layernorm.weight`,
    gate: `${prefix}.mlp.gate_proj.weight`,
    up: `${prefix}.mlp.up_proj.weight`,
    down: `${prefix}.mlp.down_proj.weight`,
  } as const;
}

export const EMBEDDING = 'model.embed_tokens.weight';
export const FINAL_NORM = 'model.norm.weight';
export const LM_HEAD = 'lm_head.weight';

/** Adds every weight as an input of the graph, by Hugging Face name. */
export function weightInputs(g: Graph, shapes: ReadonlyMap<string, Shape>): (name: string) => Value {
  const values = new Map([...shapes].map(([name, shape]) => [name, g.input(name, 'float32', shape)]));
  return (name) => {
    const value = values.get(name);
    if (!value) throw new Error(`the model has no tensor ${name}`);
    return value;
  };
}

/** The matrix of the LM head: its own, or the embedding where they are tied. */
export function headName(config: ModelConfig): string {
  return config.tieEmbeddings ? EMBEDDING : LM_HEAD;
}
