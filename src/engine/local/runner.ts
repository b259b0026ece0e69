import type { KvCache } from './kv-cache.js';
import { ropeTables } from './llama/rope.js';
import { samplingGraph, SAMPLING_IO as IO, type SamplingGraphKey } from './llama/sampling-graph.js';
import type { Parameters } from './parameters.js';
import { SessionCache } from './session-cache.js';
import { CompiledGraph, loadOrt, tensorOf, type SessionOptions, type Tensor } from './session.js';

/** Batch sizes of graphs: steps of at most a third, so that few graphs serve all counts with little padding. */
export function batchSize(count: number): number {
  const power = 2 ** Math.ceil(Math.log2(count));
  return power > 8 && count <= power * 0.75 ? power * 0.75 : power;
}

const SESSION_BYTES = 2 ** 31;

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

/** Reusable tensors of one graph over the cache's first B slots. */
interface Buffers {
  feeds: Record<string, Tensor>;
  fetches: Record<string, Tensor>;
  ids: BigInt64Array;
  lastPosition: Int32Array;
  totalLength: Int32Array;
  inverseTemperature: Float32Array;
  next: NextTokens;
}

/** Runs the sampling graphs of one model over slots of a cache. */
export class ModelRunner {
  readonly #graphs = new SessionCache(SESSION_BYTES);
  readonly #decodeBuffers = new Map<number, Buffers>();
  #rope: { rows: number; tensors: Record<string, Tensor> } | undefined;

  constructor(
    readonly parameters: Parameters,
    private readonly options: SessionOptions,
  ) {}

  /**
   * Reads whole texts into slots [first, first + texts.length) by one graph run, each padded to S tokens. The batch is
   * padded with the slots that follow, so these are overwritten up to position S.
   */
  async read(cache: KvCache, first: number, texts: readonly Int32Array[], S: number, temperatures: readonly number[]) {
    const B = Math.min(batchSize(texts.length), cache.rows - first);
    const buffers = await this.#buffers(cache, first, { B, S });
    const lastIndex = BigInt64Array.from({ length: B }, (_, b) => BigInt(b * S));
    texts.forEach((text, b) => {
      text.forEach((token, t) => (buffers.ids[b * S + t] = BigInt(token)));
      buffers.lastPosition[b] = text.length - 1;
      lastIndex[b] = BigInt(b * S + text.length - 1);
      buffers.inverseTemperature[b] = inverse(temperatures[b] ?? 1);
    });
    buffers.totalLength[0] = S;
    await this.#run({ B, S }, buffers, lastIndex);
    return buffers.next;
  }

  /**
   * Reads the last S tokens of a text into a slot that holds at least the ones before.
   * @returns the distributions after the text
   */
  async readOn(cache: KvCache, slot: number, text: Int32Array, S: number, temperature: number): Promise<NextTokens> {
    const key = { B: 1, S };
    const buffers = await this.#buffers(cache, slot, key);
    text.subarray(text.length - S).forEach((token, t) => (buffers.ids[t] = BigInt(token)));
    buffers.lastPosition[0] = text.length - 1;
    buffers.totalLength[0] = text.length;
    buffers.inverseTemperature[0] = inverse(temperature);
    await this.#run(key, buffers, BigInt64Array.of(BigInt(S - 1)));
    return buffers.next;
  }

  /**
   * Reads the newest token of every row, which sit in the first slots, into the cache.
   * @returns the distributions of the next ones, good until the next step
   */
  async step(cache: KvCache, rows: readonly Decoding[]): Promise<NextTokens> {
    const key = { B: Math.min(batchSize(rows.length), cache.rows), S: 1 };
    const buffers = this.#decodeBuffers.get(key.B) ?? (await this.#buffers(cache, 0, key));
    this.#decodeBuffers.set(key.B, buffers);
    let longest = 1;
    for (let slot = 0; slot < key.B; slot++) {
      const row = rows[slot];
      buffers.ids[slot] = BigInt(row?.newest ?? 0);
      buffers.lastPosition[slot] = row?.cached ?? 0;
      buffers.inverseTemperature[slot] = inverse(row?.temperature ?? 1);
      longest = Math.max(longest, (row?.cached ?? 0) + 1);
    }
    buffers.totalLength[0] = longest;
    await this.#run(key, buffers);
    return buffers.next;
  }

  async #run(key: SamplingGraphKey, { feeds, fetches }: Buffers, lastIndex?: BigInt64Array): Promise<void> {
    const graph = await this.#graphs.get(JSON.stringify(key), this.#estimateBytes(key), () =>
      CompiledGraph.compile(samplingGraph(this.parameters, key), this.options),
    );
    const index = lastIndex ? tensorOf(await loadOrt(), 'int64', [key.B], lastIndex) : undefined;
    await graph.run(index ? { ...feeds, [IO.lastIndex]: index } : feeds, fetches);
  }

  async #buffers(cache: KvCache, first: number, { B, S }: SamplingGraphKey): Promise<Buffers> {
    const ort = await loadOrt();
    const V = this.parameters.config.vocabSize;
    const rope = await this.#ropeFor(cache.length);
    const ids = new BigInt64Array(B * S);
    const lastPosition = new Int32Array(B);
    const totalLength = new Int32Array(1);
    const inverseTemperature = new Float32Array(B).fill(1);
    const next = { logprobs: new Float32Array(B * V), probabilities: new Float32Array(B * V) };
    const view = await cache.view(first, B);
    return {
      feeds: {
        ...this.parameters.tensors,
        ...rope,
        ...view.feeds,
        [IO.ids]: tensorOf(ort, 'int64', [B * S], ids),
        [IO.lastPosition]: tensorOf(ort, 'int32', [B], lastPosition),
        [IO.totalLength]: tensorOf(ort, 'int32', [1], totalLength),
        [IO.inverseTemperature]: tensorOf(ort, 'float32', [B, 1], inverseTemperature),
      },
      fetches: {
        ...view.fetches,
        [IO.logprobs]: tensorOf(ort, 'float32', [B, V], next.logprobs),
        [IO.probabilities]: tensorOf(ort, 'float32', [B, V], next.probabilities),
      },
      ids,
      lastPosition,
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

  #estimateBytes({ B, S }: SamplingGraphKey): number {
    const { vocabSize, hiddenSize, mlpSize } = this.parameters.config;
    return 4 * B * (3 * vocabSize + S * (8 * hiddenSize + 3 * mlpSize));
  }

  /** To be called whenever the cache's memory or the length of its slots has changed. */
  forgetViews(): void {
    this.#decodeBuffers.clear();
  }

  async dispose(): Promise<void> {
    await this.#graphs.clear();
    this.#decodeBuffers.clear();
    this.#rope = undefined;
  }
}
