import type { Sizes } from './graph/sizes.js';
import type { KvCache } from './kv-cache.js';
import { ropeTables } from './llama/rope.js';
import { samplingGraph, samplingSizes, SAMPLING_IO as IO, type SamplingShape } from './llama/sampling-graph.js';
import type { Parameters } from './parameters.js';
import { SessionCache } from './session-cache.js';
import { CompiledGraph, loadOrt, tensorOf, type SessionOptions, type Tensor } from './session.js';

const SESSION_BYTES = 2 ** 31;
/**
 * Weights of up to so many bytes are constants of the graph. Products of few rows then take little more than half the
 * time, since the weights are arranged for them once and not in every step (experiments/LOG.md); it costs a copy of the
 * weights, and a new graph for new ones.
 */
const CONSTANT_BYTES = 2 ** 26;

/** Distributions of the next token of some rows, both [rows, V]. */
export interface NextTokens {
  /** At temperature 1. */
  logprobs: Float32Array;
  /** At the row's temperature. */
  probabilities: Float32Array;
}

/** One row's line of the distributions, both [V]. */
export function lineOf({ logprobs, probabilities }: NextTokens, row: number, V: number): NextTokens {
  const line = (data: Float32Array): Float32Array => data.subarray(row * V, (row + 1) * V);
  return { logprobs: line(logprobs), probabilities: line(probabilities) };
}

/** A greedy row's temperature of 0 leaves its probabilities unused. */
const inverse = (temperature: number): number => (temperature > 0 ? 1 / temperature : 1);

/** What a decoding step reads of a row. */
export interface Decoding {
  newest: number;
  /** Tokens in the cache; the newest is not there yet. */
  cached: number;
  temperature: number;
}

/** Tensors of a run over B slots; those of decoding are used again. */
interface Buffers {
  feeds: Record<string, Tensor>;
  fetches: Record<string, Tensor>;
  sizes: Sizes;
  ids: BigInt64Array;
  lastPosition: Int32Array;
  lastIndex: BigInt64Array;
  totalLength: Int32Array;
  inverseTemperature: Float32Array;
  next: NextTokens;
}

/** Runs the sampling graph of one model over slots of a cache. */
export class ModelRunner {
  readonly #graphs = new SessionCache(SESSION_BYTES);
  readonly #decodeBuffers = new Map<number, Buffers>();
  readonly #shared = new Map<string, Float32Array>();
  /** The graph that holds weights of this version. */
  #holding: { version: number; graph: CompiledGraph } | undefined;
  #rope: { rows: number; tensors: Record<string, Tensor> } | undefined;

  constructor(
    readonly parameters: Parameters,
    private readonly options: SessionOptions,
    private readonly constantBytes = CONSTANT_BYTES,
  ) {}

  /** Reads whole texts into slots [first, first + texts.length) by one graph run, each padded to S tokens. */
  async read(cache: KvCache, first: number, texts: readonly Int32Array[], S: number, temperatures: readonly number[]) {
    const shape = { B: texts.length, S };
    const buffers = await this.#buffers(cache, first, shape);
    texts.forEach((text, b) => {
      text.forEach((token, t) => (buffers.ids[b * S + t] = BigInt(token)));
      buffers.lastPosition[b] = text.length - 1;
      buffers.lastIndex[b] = BigInt(b * S + text.length - 1);
      buffers.inverseTemperature[b] = inverse(temperatures[b] ?? 1);
    });
    buffers.totalLength[0] = S;
    await this.#run(shape, buffers);
    return buffers.next;
  }

  /**
   * Reads the last S tokens of a text into a slot that holds at least the ones before.
   * @returns the distributions after the text
   */
  async readOn(cache: KvCache, slot: number, text: Int32Array, S: number, temperature: number): Promise<NextTokens> {
    const shape = { B: 1, S };
    const buffers = await this.#buffers(cache, slot, shape);
    text.subarray(text.length - S).forEach((token, t) => (buffers.ids[t] = BigInt(token)));
    buffers.lastPosition[0] = text.length - 1;
    buffers.lastIndex[0] = BigInt(S - 1);
    buffers.totalLength[0] = text.length;
    buffers.inverseTemperature[0] = inverse(temperature);
    await this.#run(shape, buffers);
    return buffers.next;
  }

  /**
   * Reads the newest token of every row, which sit in the first slots, into the cache.
   * @returns the distributions of the next ones, good until the next step
   */
  async step(cache: KvCache, rows: readonly Decoding[]): Promise<NextTokens> {
    const shape = { B: rows.length, S: 1 };
    const buffers = this.#decodeBuffers.get(shape.B) ?? (await this.#buffers(cache, 0, shape));
    this.#decodeBuffers.set(shape.B, buffers);
    let longest = 1;
    rows.forEach(({ newest, cached, temperature }, slot) => {
      buffers.ids[slot] = BigInt(newest);
      buffers.lastPosition[slot] = cached;
      buffers.inverseTemperature[slot] = inverse(temperature);
      longest = Math.max(longest, cached + 1);
    });
    buffers.totalLength[0] = longest;
    await this.#run(shape, buffers);
    return buffers.next;
  }

  async #run(shape: SamplingShape, { feeds, fetches, sizes }: Buffers): Promise<void> {
    const graph = await this.#graph(shape);
    const holds = graph === this.#holding?.graph;
    await graph.run(holds ? feeds : { ...this.parameters.tensors, ...feeds }, fetches, sizes);
  }

  async #graph(shape: SamplingShape): Promise<CompiledGraph> {
    const { arrays, version } = this.parameters;
    const bytes = [...arrays.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (bytes > this.constantBytes)
      return this.#graphs.get('sampling', this.#estimateBytes(shape), () =>
        CompiledGraph.compile(samplingGraph(this.parameters), this.options),
      );
    if (this.#holding?.version !== version) {
      await this.#dropHolding();
      const graph = await CompiledGraph.compile(samplingGraph(this.parameters, arrays), this.options);
      this.#holding = { version, graph };
    }
    return this.#holding.graph;
  }

  async #dropHolding(): Promise<void> {
    const dropped = this.#holding;
    this.#holding = undefined;
    await dropped?.graph.release();
  }

  /** Memory for so many numbers, the same for all steps; it grows with the largest. */
  #numbers(name: string, length: number): Float32Array {
    const known = this.#shared.get(name);
    if (known && known.length >= length) return known.subarray(0, length);
    const numbers = new Float32Array(length);
    this.#shared.set(name, numbers);
    return numbers;
  }

  async #buffers(cache: KvCache, first: number, { B, S }: SamplingShape): Promise<Buffers> {
    const ort = await loadOrt();
    const V = this.parameters.config.vocabSize;
    const rope = await this.#ropeFor(cache.length);
    const ids = new BigInt64Array(B * S);
    const lastPosition = new Int32Array(B);
    const lastIndex = BigInt64Array.from({ length: B }, (_, b) => BigInt(b));
    const totalLength = new Int32Array(1);
    const inverseTemperature = new Float32Array(B).fill(1);
    const row = (name: string): Float32Array => (S === 1 ? this.#numbers(name, B * V) : new Float32Array(B * V));
    const next = { logprobs: row(IO.logprobs), probabilities: row(IO.probabilities) };
    const view = await cache.view(first, B);
    return {
      feeds: {
        ...rope,
        ...view.feeds,
        [IO.ids]: tensorOf(ort, 'int64', [B * S], ids),
        [IO.lastPosition]: tensorOf(ort, 'int32', [B], lastPosition),
        [IO.lastIndex]: tensorOf(ort, 'int64', [B], lastIndex),
        [IO.totalLength]: tensorOf(ort, 'int32', [1], totalLength),
        [IO.inverseTemperature]: tensorOf(ort, 'float32', [B, 1], inverseTemperature),
      },
      fetches: {
        ...view.fetches,
        [IO.logprobs]: tensorOf(ort, 'float32', [B, V], next.logprobs),
        [IO.probabilities]: tensorOf(ort, 'float32', [B, V], next.probabilities),
      },
      sizes: samplingSizes(this.parameters.config, { B, S }),
      ids,
      lastPosition,
      lastIndex,
      totalLength,
      inverseTemperature,
      next,
    };
  }

  async #ropeFor(rows: number): Promise<Record<string, Tensor>> {
    if (this.#rope && this.#rope.rows >= rows) return this.#rope.tensors;
    const ort = await loadOrt();
    const { config } = this.parameters;
    const { cos, sin } = ropeTables(config, rows);
    const shape = [rows, config.headDim / 2];
    const tensors = { [IO.cos]: tensorOf(ort, 'float32', shape, cos), [IO.sin]: tensorOf(ort, 'float32', shape, sin) };
    this.#rope = { rows, tensors };
    return tensors;
  }

  #estimateBytes({ B, S }: SamplingShape): number {
    const { vocabSize, hiddenSize, mlpSize } = this.parameters.config;
    return 4 * B * (3 * vocabSize + S * (8 * hiddenSize + 3 * mlpSize));
  }

  /** To be called whenever the cache's memory or the length of its slots has changed. */
  forgetViews(): void {
    this.#decodeBuffers.clear();
  }

  async dispose(): Promise<void> {
    await this.#graphs.clear();
    await this.#dropHolding();
    this.#decodeBuffers.clear();
    this.#shared.clear();
    this.#rope = undefined;
  }
}
