import type { ModelConfig } from '../../../model/index.js';
import type { Graph } from '../graph/graph.js';
import type { Shape, Value } from '../graph/values.js';

/** Names of one layer's parts, as Hugging Face has them: norms by their tensor, projections by their module. */
export function layerNames(layer: number) {
  const prefix = `model.layers.${layer}`;
  return {
    inputNorm: `${prefix}.input_layernorm.weight`,
    q: `${prefix}.self_attn.q_proj`,
    k: `${prefix}.self_attn.k_proj`,
    qNorm: `${prefix}.self_attn.q_norm.weight`,
    kNorm: `${prefix}.self_attn.k_norm.weight`,
    v: `${prefix}.self_attn.v_proj`,
    o: `${prefix}.self_attn.o_proj`,
    mlpNorm: `${prefix}.post_attention_layernorm.weight`,
    gate: `${prefix}.mlp.gate_proj`,
    up: `${prefix}.mlp.up_proj`,
    down: `${prefix}.mlp.down_proj`,
  } as const;
}

export const EMBEDDING = 'model.embed_tokens.weight';
export const FINAL_NORM = 'model.norm.weight';
export const LM_HEAD = 'lm_head.weight';

/** Every weight of a model as an input of a graph, by Hugging Face name. */
export class WeightInputs {
  readonly #values: ReadonlyMap<string, Value>;

  constructor(
    private readonly g: Graph,
    shapes: ReadonlyMap<string, Shape>,
  ) {
    this.#values = new Map([...shapes].map(([name, shape]) => [name, g.input(name, 'float32', shape)]));
  }

  readonly weight = (name: string): Value => {
    const value = this.#values.get(name);
    if (!value) throw new Error(`the model has no tensor ${name}`);
    return value;
  };

  /**
   * The projection `module` of rows x [N, in]: x times `<module>.weight` transposed, plus `<module>.bias` where the
   * model has one, [N, out]. Both graphs make every projection of their layers here.
   */
  readonly linear = (x: Value, module: string): Value =>
    this.g.linear(x, this.weight(`${module}.weight`), this.#values.get(`${module}.bias`));
}

/** The matrix of the LM head: its own, or the embedding where they are tied. */
export function headName(config: ModelConfig): string {
  return config.tieEmbeddings ? EMBEDDING : LM_HEAD;
}
