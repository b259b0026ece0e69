import type { Value } from './graph/values.js';
import { IO, layerGraph, layerGraphs, type BatchShape, type Given, type LayerForm } from './llama/layer-graph.js';
import { inLayer, tensorsOfLayer } from './llama/weights.js';
import type { Parameters } from './parameters.js';
import type { SessionCache } from './session-cache.js';
import { CompiledGraph, type SessionOptions, type Tensor } from './session.js';

export type Pass = 'forward' | 'hold' | 'backward';

/** What a forward graph gives out besides `y`. */
export interface LayerOutputs {
  /** Of a graph whose backward pass is to come. */
  carried: readonly Value[];
  /** Of a graph of prefixes. */
  given?: Given;
}

type Tensors = Readonly<Record<string, Tensor>>;

/** What has been made of a record of tensors for each layer, while the record lives: it keeps the same tensors. */
class ByLayer<T> {
  readonly #known = new WeakMap<Tensors, T[]>();

  of(tensors: Tensors, layer: number, make: () => T): T {
    const list = this.#known.get(tensors) ?? [];
    this.#known.set(tensors, list);
    return (list[layer] ??= make());
  }
}

/** The graphs of a decoder's layers: layers of one kind share them. */
export class LayerSessions {
  readonly #outputs = new Map<string, LayerOutputs>();
  readonly #weights = new ByLayer<Tensors>();
  readonly #accumulators = new ByLayer<{ feeds: Tensors; fetches: Tensors }>();
  readonly #trained: ReadonlySet<string>;
  /** For each layer the first of its kind, whose graphs it runs. */
  readonly #models: readonly number[];
  /** Of each layer's tensors, the name and the one that its graph has for it. */
  readonly #names: readonly (readonly (readonly [name: string, inGraph: string])[])[];

  constructor(
    private readonly parameters: Parameters,
    private readonly sessions: SessionCache,
    private readonly options: SessionOptions,
  ) {
    this.#trained = new Set(parameters.trained().keys());
    const layers = Array.from({ length: parameters.config.layers }, (_, layer) => tensorsOfLayer(parameters, layer));
    const kinds = layers.map((names, layer) => this.#kind(names, layer));
    this.#models = kinds.map((kind) => kinds.indexOf(kind));
    this.#names = layers.map((names, layer) =>
      names.map((name) => [name, inLayer(name, layer, this.#models[layer] as number)] as const),
    );
  }

  /** Layers differ in their tensors (adapters may be on some only) and in whether they rotate. */
  #kind(names: readonly string[], layer: number): string {
    const own = names.map((name) => inLayer(name, layer, 0));
    return `${own.join()} ${this.parameters.config.nopeLayers.includes(layer)}`;
  }

  #key({ blocks, past, ragged, shared }: LayerForm, layer: number): string {
    return `${this.#models[layer]} ${blocks} ${past} ${ragged} ${shared}`;
  }

  /** Bytes that a session keeps after its largest run: temporaries of one layer. */
  #estimateBytes({ T, B, past }: BatchShape, pass: Pass): number {
    const { hiddenSize, mlpSize, heads } = this.parameters.config;
    const [hidden, mlp, maps] = pass === 'backward' ? [12, 6, 3] : [6, 3, 2];
    return 4 * B * (T * (hidden * hiddenSize + mlp * mlpSize + maps * heads * (past + T)) + 4 * past * hiddenSize);
  }

  #graphs(form: LayerForm, layer: number) {
    const model = this.#models[layer] as number;
    return layerGraphs(this.parameters, model, form, (name) => this.#trained.has(name));
  }

  /** @param shape of the batch that is to be run */
  get(form: LayerForm, shape: BatchShape, layer: number, pass: Pass): Promise<CompiledGraph> {
    const graph = () => {
      if (pass === 'forward') return layerGraph(this.parameters, this.#models[layer] as number, form).graph;
      const { first, second } = this.#graphs(form, layer);
      return pass === 'hold' ? first : second;
    };
    const compile = (): Promise<CompiledGraph> => CompiledGraph.compile(graph(), this.options);
    return this.sessions.get(`${pass} ${this.#key(form, layer)}`, this.#estimateBytes(shape, pass), compile);
  }

  /** @param held whether a backward pass is to come */
  outputsOf(form: LayerForm, layer: number, held: boolean): LayerOutputs {
    const key = `${held} ${this.#key(form, layer)}`;
    const known = this.#outputs.get(key);
    if (known) return known;
    const { carried, given } = held
      ? this.#graphs(form, layer)
      : { carried: [], ...layerGraph(this.parameters, this.#models[layer] as number, form) };
    const outputs = { carried, ...(given ? { given } : {}) };
    this.#outputs.set(key, outputs);
    return outputs;
  }

  /** Tensors of a layer under the names that its graph has for them. */
  tensorsOf(layer: number, tensors: Tensors): Tensors {
    return this.#weights.of(tensors, layer, () => {
      const found = (this.#names[layer] ?? []).map(([name, inGraph]) => [inGraph, tensors[name]] as const);
      return Object.fromEntries(found.filter((pair): pair is [string, Tensor] => pair[1] !== undefined));
    });
  }

  /** Gradients of a layer's weights, as inputs of its graph and as outputs. */
  accumulatorsOf(layer: number, gradients: Tensors): { feeds: Tensors; fetches: Tensors } {
    return this.#accumulators.of(gradients, layer, () => {
      const named = (name: (weight: string) => string): Tensors =>
        Object.fromEntries(
          Object.entries(this.tensorsOf(layer, gradients)).map(([weight, tensor]) => [name(weight), tensor]),
        );
      return { feeds: named(IO.accumulator), fetches: named(IO.gradient) };
    });
  }

  clear(): void {
    this.#outputs.clear();
  }
}
