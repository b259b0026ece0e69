import { Arena } from './arena.js';
import type { Value } from './graph/values.js';
import { bodyGraph, bodyGraphs, IO, type BodyShape } from './llama/training-graph.js';
import type { Parameters } from './parameters.js';
import type { SessionCache } from './session-cache.js';
import { CompiledGraph, loadOrt, tensorOf, type SessionOptions, type Tensor } from './session.js';

/** A forward pass whose backward pass is still to come; good until the next pass of the same body. */
export interface HeldBatch {
  shape: BodyShape;
  /** Hidden states after the final norm, [T * B, H], time-major. */
  hidden: Float32Array;
  /** For the caller to fill with the derivative of the loss by `hidden`, [T * B, H]. */
  dHidden: Float32Array;
  /** Everything the backward graph reads besides weights and gradients. */
  feeds: Record<string, Tensor>;
  /** Where the backward graph puts the gradient of the embedded tokens, [T * B, H]. */
  dEmbedded: Tensor;
}

type Pass = 'forward' | 'hold' | 'backward';

/** Runs the decoder up to the LM head, forward and backward. Activations live in one arena that all shapes share. */
export class Body {
  readonly #arena = new Arena();
  readonly #carried = new Map<string, readonly Value[]>();
  readonly #trained: ReadonlySet<string>;

  constructor(
    private readonly parameters: Parameters,
    private readonly sessions: SessionCache,
    private readonly options: SessionOptions,
  ) {
    this.#trained = new Set(parameters.trained().keys());
  }

  /** Bytes that a session keeps after its largest run: activations of a layer or two. */
  #estimateBytes({ T, B }: BodyShape, pass: Pass): number {
    const { hiddenSize, mlpSize, heads } = this.parameters.config;
    const rows = pass === 'backward' ? 12 * hiddenSize + 8 * mlpSize + 4 * heads * T : 6 * hiddenSize + 3 * mlpSize;
    return 4 * T * B * rows;
  }

  #session({ T, B }: BodyShape, pass: Pass): Promise<CompiledGraph> {
    const compile = (): Promise<CompiledGraph> => {
      if (pass === 'forward') return CompiledGraph.compile(bodyGraph(this.parameters, { T, B }), this.options);
      const { first, second } = bodyGraphs(this.parameters, { T, B }, this.#trained);
      return CompiledGraph.compile(pass === 'hold' ? first : second, this.options);
    };
    return this.sessions.get(`${pass} ${T} ${B}`, this.#estimateBytes({ T, B }, pass), compile);
  }

  #carriedBy({ T, B }: BodyShape): readonly Value[] {
    const key = `${T} ${B}`;
    const carried = this.#carried.get(key) ?? bodyGraphs(this.parameters, { T, B }, this.#trained).carried;
    this.#carried.set(key, carried);
    return carried;
  }

  /** The weights that a graph reads; the LM head's own matrix is none of them. */
  #weights(graph: CompiledGraph): Record<string, Tensor> {
    return Object.fromEntries(Object.entries(this.parameters.tensors).filter(([name]) => graph.reads(name)));
  }

  /** @param ids time-major, [T * B]. @returns hidden states after the final norm, [T * B, H] */
  async forward(shape: BodyShape, ids: BigInt64Array): Promise<Float32Array> {
    const ort = await loadOrt();
    const graph = await this.#session(shape, 'forward');
    const [hidden] = (await this.#arena.carve([this.#hiddenShape(shape)])) as [Tensor];
    const feeds = { ...this.#weights(graph), [IO.ids]: tensorOf(ort, 'int64', [ids.length], ids) };
    await graph.run(feeds, { [IO.hidden]: hidden });
    return hidden.data as Float32Array;
  }

  #hiddenShape({ T, B }: BodyShape): [rows: number, width: number] {
    return [T * B, this.parameters.config.hiddenSize];
  }

  /** As `forward`, and keeps what `backward` needs. */
  async hold(shape: BodyShape, ids: BigInt64Array): Promise<HeldBatch> {
    const ort = await loadOrt();
    const graph = await this.#session(shape, 'hold');
    const values = this.#carriedBy(shape);
    const rows = this.#hiddenShape(shape);
    const [hidden, dHidden, dEmbedded, ...carried] = (await this.#arena.carve([
      rows,
      rows,
      rows,
      ...values.map((value) => value.shape),
    ])) as [Tensor, Tensor, Tensor, ...Tensor[]];
    const byName = Object.fromEntries(values.map(({ name }, i) => [name, carried[i] as Tensor]));
    const feeds = { ...this.#weights(graph), [IO.ids]: tensorOf(ort, 'int64', [ids.length], ids) };
    await graph.run(feeds, { [IO.hidden]: hidden, ...byName });
    return {
      shape,
      hidden: hidden.data as Float32Array,
      dHidden: dHidden.data as Float32Array,
      feeds: { ...byName, [IO.dHidden]: dHidden },
      dEmbedded,
    };
  }

  /**
   * Adds the gradients of the batch's weights to `gradients`.
   * @returns the gradient of the embedded tokens, [T * B, H], if the embedding is trained
   */
  async backward(held: HeldBatch, gradients: ReadonlyMap<string, Tensor>): Promise<Float32Array | undefined> {
    const graph = await this.#session(held.shape, 'backward');
    const feeds: Record<string, Tensor> = { ...this.#weights(graph), ...held.feeds };
    const fetches: Record<string, Tensor> = {};
    for (const [name, tensor] of gradients) {
      if (!graph.reads(IO.accumulator(name))) continue;
      feeds[IO.accumulator(name)] = tensor;
      fetches[IO.gradient(name)] = tensor;
    }
    const embedded = graph.gives(IO.dEmbedded);
    if (embedded) fetches[IO.dEmbedded] = held.dEmbedded;
    await graph.run(feeds, fetches);
    return embedded ? (held.dEmbedded.data as Float32Array) : undefined;
  }

  release(): void {
    this.#arena.release();
    this.#carried.clear();
  }
}
