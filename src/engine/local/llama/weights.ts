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

/** Names of a module's adapter: the update of its weight is scale * B A, with A [rank, in] and B [out, rank]. */
export const loraA = (module: string): string => `${module}.lora_A.weight`;
export const loraB = (module: string): string => `${module}.lora_B.weight`;

/** What graphs need to know of a model. */
export interface GraphModel {
  config: ModelConfig;
  /** Every tensor, those of an adapter included. */
  shapes: ReadonlyMap<string, Shape>;
  /** alpha / rank; of no meaning without an adapter. */
  adapterScale: number;
}

const layerPrefix = (layer: number): string => `model.layers.${layer}.`;

/** Names of a layer's tensors, those of an adapter included. */
export function tensorsOfLayer({ shapes }: GraphModel, layer: number): string[] {
  return [...shapes.keys()].filter((name) => name.startsWith(layerPrefix(layer)));
}

/** The name that the tensor of one layer has in another. */
export function inLayer(name: string, from: number, to: number): string {
  return layerPrefix(to) + name.slice(layerPrefix(from).length);
}

/** Weights as inputs of a graph, or as its constants, by Hugging Face name. */
export class WeightInputs {
  readonly #values: ReadonlyMap<string, Value>;

  /**
   * @param names which; default: all of the model's
   * @param constants what they are, where they are not inputs
   */
  constructor(
    private readonly g: Graph,
    private readonly model: GraphModel,
    names: Iterable<string> = model.shapes.keys(),
    constants?: ReadonlyMap<string, Float32Array>,
  ) {
    const value = (name: string): Value => {
      const shape = model.shapes.get(name) as Shape;
      const data = constants?.get(name);
      return data ? g.constant(data, shape) : g.input(name, 'float32', shape);
    };
    this.#values = new Map([...names].map((name) => [name, value(name)]));
  }

  readonly weight = (name: string): Value => {
    const value = this.#values.get(name);
    if (!value) throw new Error(`the model has no tensor ${name}`);
    return value;
  };

  /**
   * The projection `module` of rows x [N, in]: x times `<module>.weight` transposed, plus `<module>.bias` where the
   * model has one, plus scale (x A^T) B^T where an adapter has one; [N, out]. All projections of the layers are made here.
   */
  readonly linear = (x: Value, module: string): Value => {
    const y = this.g.linear(x, this.weight(`${module}.weight`), this.#values.get(`${module}.bias`));
    const a = this.#values.get(loraA(module));
    if (!a) return y;
    return this.g.linear(this.g.scale(this.g.linear(x, a), this.model.adapterScale), this.weight(loraB(module)), y);
  };
}

/** The matrix of the LM head: its own, or the embedding where they are tied. */
export function headName(config: ModelConfig): string {
  return config.tieEmbeddings ? EMBEDDING : LM_HEAD;
}
