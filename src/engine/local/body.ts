import { Arena } from './arena.js';
import type { Value } from './graph/values.js';
import { IO, layerGraph, layerGraphs, type BatchShape } from './llama/layer-graph.js';
import { EMBEDDING, inLayer, tensorsOfLayer } from './llama/weights.js';
import type { Parameters } from './parameters.js';
import type { SessionCache } from './session-cache.js';
import { CompiledGraph, type SessionOptions, type Tensor } from './session.js';

/** A forward pass whose backward pass is still to come; good until the next pass of the same body. */
export interface HeldBatch {
  shape: BatchShape;
  /** What the LM head reads, before the final norm: [T * B, H], time-major. */
  hidden: Float32Array;
  /** For the caller to fill with the derivative of the loss by `hidden`, [T * B, H]. */
  dHidden: Float32Array;
  /** What goes into each layer and out of the last, [T * B, H] each. */
  stream: Tensor[];
  /** Further activations of each layer, by name in the backward graph. */
  carried: Record<string, Tensor>[];
  /** Gradients on their way back, [T * B, H]: two to take turns, the first of them dHidden. */
  gradients: [Tensor, Tensor];
}

type Pass = 'forward' | 'hold' | 'backward';

/**
 * Runs the layers of the decoder, forward and backward, one graph run a layer: layers of one kind share their graphs,
 * and no graph holds more than one layer's temporaries. Activations live in one arena that all batch shapes share.
 */
export class Body {
  readonly #arena = new Arena();
  readonly #carried = new Map<string, readonly Value[]>();
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

  /** Bytes that a session keeps after its largest run: temporaries of one layer. */
  #estimateBytes({ T, B }: BatchShape, pass: Pass): number {
    const { hiddenSize, mlpSize, heads } = this.parameters.config;
    const [hidden, mlp, maps] = pass === 'backward' ? [12, 6, 3] : [6, 3, 2];
    return 4 * T * B * (hidden * hiddenSize + mlp * mlpSize + maps * heads * T);
  }

  #session({ T, B }: BatchShape, model: number, pass: Pass): Promise<CompiledGraph> {
    const compile = (): Promise<CompiledGraph> => {
      if (pass === 'forward') return CompiledGraph.compile(layerGraph(this.parameters, model, { T, B }), this.options);
      const { first, second } = this.#graphs({ T, B }, model);
      return CompiledGraph.compile(pass === 'hold' ? first : second, this.options);
    };
    return this.sessions.get(`${pass} ${model} ${T} ${B}`, this.#estimateBytes({ T, B }, pass), compile);
  }

  #graphs(shape: BatchShape, model: number) {
    return layerGraphs(this.parameters, model, shape, (name) => this.#trained.has(name));
  }

  #carriedBy({ T, B }: BatchShape, model: number): readonly Value[] {
    const key = `${model} ${T} ${B}`;
    const carried = this.#carried.get(key) ?? this.#graphs({ T, B }, model).carried;
    this.#carried.set(key, carried);
    return carried;
  }

  /** Tensors of a layer under the names that its graph has for them. */
  #ofLayer(layer: number, tensors: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
    const found: Record<string, Tensor> = {};
    for (const [name, inGraph] of this.#names[layer] ?? []) {
      const tensor = tensors[name];
      if (tensor) found[inGraph] = tensor;
    }
    return found;
  }

  #rows({ T, B }: BatchShape): [rows: number, width: number] {
    return [T * B, this.parameters.config.hiddenSize];
  }

  /** Rows of the embedding, one for each token. */
  #embed(ids: Int32Array, into: Tensor): void {
    const H = this.parameters.config.hiddenSize;
    const table = this.parameters.arrays.get(EMBEDDING) as Float32Array;
    const rows = into.data as Float32Array;
    ids.forEach((id, n) => rows.set(table.subarray(id * H, (id + 1) * H), n * H));
  }

  /** @param ids time-major, [T * B]. @returns what the LM head reads, before the final norm, [T * B, H] */
  async forward(shape: BatchShape, ids: Int32Array): Promise<Float32Array> {
    const rows = this.#rows(shape);
    let [x, y] = (await this.#arena.carve([rows, rows])) as [Tensor, Tensor];
    this.#embed(ids, x);
    for (let layer = 0; layer < this.parameters.config.layers; layer++) {
      const graph = await this.#session(shape, this.#models[layer] as number, 'forward');
      await graph.run({ ...this.#ofLayer(layer, this.parameters.tensors), [IO.x]: x }, { [IO.y]: y });
      [x, y] = [y, x];
    }
    return x.data as Float32Array;
  }

  /** As `forward`, and keeps what `backward` needs. */
  async hold(shape: BatchShape, ids: Int32Array): Promise<HeldBatch> {
    const { layers } = this.parameters.config;
    const rows = this.#rows(shape);
    const values = this.#models.map((model) => this.#carriedBy(shape, model));
    const shapes = values.flat().map((value) => value.shape);
    const tensors = await this.#arena.carve([...new Array<typeof rows>(layers + 3).fill(rows), ...shapes]);
    const stream = tensors.splice(0, layers + 1);
    const gradients = tensors.splice(0, 2) as [Tensor, Tensor];
    const carried = values.map((list) => {
      const own = tensors.splice(0, list.length);
      return Object.fromEntries(list.map(({ name }, i) => [name, own[i] as Tensor]));
    });
    this.#embed(ids, stream[0] as Tensor);
    for (let layer = 0; layer < layers; layer++) {
      const graph = await this.#session(shape, this.#models[layer] as number, 'hold');
      const [x, y] = [stream[layer] as Tensor, stream[layer + 1] as Tensor];
      const feeds = { ...this.#ofLayer(layer, this.parameters.tensors), [IO.x]: x };
      await graph.run(feeds, { ...carried[layer], [IO.y]: y });
    }
    const hidden = stream[layers]?.data as Float32Array;
    return { shape, hidden, dHidden: gradients[0].data as Float32Array, stream, carried, gradients };
  }

  /**
   * Adds the gradients of the layers' weights to `accumulators`.
   * @returns the gradient of the embedded tokens, [T * B, H]
   */
  async backward(held: HeldBatch, accumulators: Readonly<Record<string, Tensor>>): Promise<Float32Array> {
    let [dy, dx] = held.gradients;
    for (let layer = this.parameters.config.layers - 1; layer >= 0; layer--) {
      const graph = await this.#session(held.shape, this.#models[layer] as number, 'backward');
      const feeds: Record<string, Tensor> = {
        ...held.carried[layer],
        [IO.x]: held.stream[layer] as Tensor,
        [IO.dy]: dy,
      };
      const fetches: Record<string, Tensor> = { [IO.dx]: dx };
      for (const [name, tensor] of Object.entries(this.#ofLayer(layer, this.parameters.tensors)))
        if (graph.reads(name)) feeds[name] = tensor;
      for (const [name, tensor] of Object.entries(this.#ofLayer(layer, accumulators))) {
        feeds[IO.accumulator(name)] = tensor;
        fetches[IO.gradient(name)] = tensor;
      }
      await graph.run(feeds, fetches);
      [dy, dx] = [dx, dy];
    }
    return dy.data as Float32Array;
  }

  release(): void {
    this.#arena.release();
    this.#carried.clear();
  }
}
