import { HoneError, RandomStream } from '../../core/index.js';
import type { Sample, SampleRequest, StopReason } from '../types.js';
import { argMax, drawToken } from './draw.js';
import { KvCache } from './kv-cache.js';
import { samplingGraph, SAMPLING_IO as IO, type SamplingGraphKey } from './llama/sampling-graph.js';
import { bucketLength } from './micro-batches.js';
import type { Parameters } from './parameters.js';
import { SessionCache } from './session-cache.js';
import { CompiledGraph, loadOrt, tensorOf, type SessionOptions, type Tensor } from './session.js';
import { StopWatch, type Vocabulary } from './stop.js';

export interface SamplingOptions extends SessionOptions {
  /** Sequences decoded at once. */
  slots: number;
  maxContext: number;
}

export interface SamplingHooks {
  aborted(): boolean;
  progress(done: number, total: number, tokens: number): void;
}

/** Batch sizes of decoding graphs: steps of at most a third, so that few graphs serve all counts with little padding. */
export function batchSize(count: number): number {
  const power = 2 ** Math.ceil(Math.log2(count));
  return power > 8 && count <= power * 0.75 ? power * 0.75 : power;
}

/** Padded tokens of one prefill run. */
const PREFILL_TOKENS = 2048;
const CACHE_STEP = 64;
const SESSION_BYTES = 2 ** 31;

/** Logits that are NaN or infinite: nothing can be drawn from them. */
function notFinite(version: number): HoneError {
  return new HoneError('numeric', `the model's logits are not finite at weights version ${version}`, {
    hint: 'Training diverged: go back to an earlier checkpoint and lower optimizer.lr.',
  });
}

/** A sequence being generated in a slot. */
interface Row {
  request: number;
  sample: number;
  params: SampleRequest['params'];
  random: RandomStream;
  stop: StopWatch;
  /** Tokens in the cache; the newest token is not there yet. */
  cached: number;
  limit: number;
  tokens: number[];
  raw: number[];
  sampling: number[];
}

/** Distributions for the next token of some rows, both [rows, V]. */
interface NextToken {
  logprobs: Float32Array;
  probabilities: Float32Array;
}

/** A prompt that has been read: its cache row, and where its first token is drawn from. */
interface Prefilled {
  cache: KvCache;
  cacheRow: number;
  next: NextToken;
}

/** Reusable tensors of one decoding graph. */
interface DecodeGraph {
  graph: CompiledGraph;
  feeds: Record<string, Tensor>;
  fetches: Record<string, Tensor>;
  ids: BigInt64Array;
  lastPosition: Int32Array;
  totalLength: Int32Array;
  inverseTemperature: Float32Array;
  next: NextToken;
}

/**
 * Generates with continuous batching: a prompt is read once for all its samples, a finished sequence's slot goes to
 * the next one waiting, and running sequences stay packed in the first slots, so that the graph can shrink as the
 * queue runs dry. Slots are a pure function of (requests, lengths).
 */
export class Sampling {
  readonly #decode: SessionCache;
  readonly #prefill: SessionCache;
  readonly #buffers = new Map<number, Omit<DecodeGraph, 'graph'>>();
  #cache: KvCache | undefined;

  constructor(
    readonly parameters: Parameters,
    readonly vocabulary: Vocabulary,
    private readonly options: SamplingOptions,
  ) {
    this.#decode = new SessionCache(SESSION_BYTES);
    this.#prefill = new SessionCache(SESSION_BYTES);
  }

  /** @returns samples[request][sample]. @throws HoneError when a prompt is empty or leaves no room to generate. */
  async sample(requests: readonly SampleRequest[], hooks: SamplingHooks): Promise<Sample[][]> {
    const waiting = requests.flatMap((_, request) => this.#rowsOf(requests, request));
    await this.#ensureCache(waiting);
    const total = waiting.length;
    const finished: Sample[][] = requests.map(({ params }) => new Array<Sample>(params.n));
    const running: Row[] = [];
    let tokens = 0;
    let done = 0;
    let held: { request: number; prefilled: Prefilled } | undefined;
    const finish = (row: Row, stopReason: StopReason): void => {
      (finished[row.request] as Sample[])[row.sample] = this.#result(row, stopReason);
      hooks.progress(++done, total, tokens);
    };
    while (running.length + waiting.length > 0) {
      if (hooks.aborted()) {
        for (const row of [...running, ...waiting]) finish(row, 'aborted');
        break;
      }
      const free = this.options.slots - running.length;
      if (waiting.length > 0 && free >= Math.min(waiting.length, Math.max(1, this.options.slots >> 3))) {
        const admitted = waiting.splice(0, free);
        const prompts = await this.#readPrompts(requests, admitted, held);
        for (const row of admitted) {
          const prefilled = prompts.get(row.request) as Prefilled;
          tokens++;
          const reason = this.#choose(row, prefilled.next, 0);
          if (reason) {
            finish(row, reason);
            continue;
          }
          this.#cacheOrThrow().copySlot(prefilled.cache, prefilled.cacheRow, running.length, row.cached);
          running.push(row);
        }
        const last = admitted.at(-1)?.request as number;
        held = waiting[0]?.request === last ? { request: last, prefilled: prompts.get(last) as Prefilled } : undefined;
      }
      if (running.length === 0) continue;
      const next = await this.#step(running);
      // From the back, so that a row moved into a freed slot has already been seen.
      for (let slot = running.length - 1; slot >= 0; slot--) {
        const row = running[slot] as Row;
        row.cached++;
        tokens++;
        const reason = this.#choose(row, next, slot);
        if (!reason) continue;
        finish(row, reason);
        this.#vacate(running, slot);
      }
    }
    return finished;
  }

  #rowsOf(requests: readonly SampleRequest[], request: number): Row[] {
    const { promptTokens, params } = requests[request] as SampleRequest;
    const room = this.options.maxContext - promptTokens.length;
    if (promptTokens.length === 0) throw new HoneError('usage', `prompt ${request} has no tokens`);
    if (room < 1) {
      throw new HoneError(
        'usage',
        `prompt ${request} has ${promptTokens.length} tokens and the context holds ${this.options.maxContext}`,
        { hint: 'Shorten the prompt or open the model with a larger maxContext.' },
      );
    }
    if (params.stop?.length && !this.vocabulary.tokenBytes) {
      throw new HoneError('usage', 'stop strings need a tokenizer, and this model was opened without one', {
        hint: 'Give tokenizerPath with the model source, or end replies with the end token.',
      });
    }
    const limit = Math.min(params.maxTokens, room);
    return Array.from({ length: params.n }, (_, sample) => ({
      request,
      sample,
      params,
      random: new RandomStream(params.seed, 'sample', sample),
      stop: new StopWatch(params.stop, this.vocabulary),
      cached: promptTokens.length,
      limit,
      tokens: [],
      raw: [],
      sampling: [],
    }));
  }

  #cacheOrThrow(): KvCache {
    if (!this.#cache) throw new Error('no cache');
    return this.#cache;
  }

  /** Makes the cache large enough; it never shrinks, since graphs are made for its length. */
  async #ensureCache(rows: readonly Row[]): Promise<void> {
    if (rows.length === 0) return;
    const longest = rows.reduce((most, row) => Math.max(most, row.cached + row.limit), this.#cache?.length ?? 0);
    const length = Math.ceil(longest / CACHE_STEP) * CACHE_STEP;
    const slots = Math.max(batchSize(Math.min(this.options.slots, rows.length)), this.#cache?.slots ?? 0);
    if (this.#cache && this.#cache.length === length && this.#cache.slots === slots) return;
    this.#buffers.clear();
    if (this.#cache?.length !== length) await this.#decode.clear();
    this.#cache = new KvCache(this.parameters.config, slots, length);
  }

  #result(row: Row, stopReason: StopReason): Sample {
    return {
      tokens: Int32Array.from(row.tokens),
      rawLogprobs: Float32Array.from(row.raw),
      samplingLogprobs: Float32Array.from(row.sampling),
      stopReason,
      weightsVersion: this.parameters.version,
    };
  }

  /** Draws the row's next token from line `line` of the distributions. @returns why the reply ends, if it does. */
  #choose(row: Row, { logprobs, probabilities }: NextToken, line: number): StopReason | undefined {
    const V = this.parameters.config.vocabSize;
    const slice = (data: Float32Array): Float32Array => data.subarray(line * V, (line + 1) * V);
    const greedy = row.params.temperature === 0;
    const { token, probability } = greedy
      ? { token: argMax(slice(logprobs)), probability: 1 }
      : drawToken(slice(probabilities), row.random.uniform(row.tokens.length), row.params);
    const raw = logprobs[line * V + token] as number;
    if (!Number.isFinite(raw)) throw notFinite(this.parameters.version);
    row.tokens.push(token);
    row.raw.push(raw);
    row.sampling.push(Math.log(probability));
    return row.stop.push(token) ?? (row.tokens.length >= row.limit ? 'length' : undefined);
  }

  /** Frees a slot by moving the last running row into it. */
  #vacate(running: Row[], slot: number): void {
    const last = running.length - 1;
    const moved = running.pop() as Row;
    if (slot === last) return;
    const cache = this.#cacheOrThrow();
    cache.copySlot(cache, last, slot, moved.cached);
    running[slot] = moved;
  }

  #estimateBytes({ B, S }: SamplingGraphKey): number {
    const { vocabSize, hiddenSize, mlpSize } = this.parameters.config;
    return 4 * B * (3 * vocabSize + S * (8 * hiddenSize + 3 * mlpSize));
  }

  #compile(key: SamplingGraphKey, cache: SessionCache): Promise<CompiledGraph> {
    return cache.get(JSON.stringify(key), this.#estimateBytes(key), () =>
      CompiledGraph.compile(samplingGraph(this.parameters, key), this.options),
    );
  }

  /** Reads the prompts of the rows about to start; each once. */
  async #readPrompts(
    requests: readonly SampleRequest[],
    rows: readonly Row[],
    held: { request: number; prefilled: Prefilled } | undefined,
  ): Promise<Map<number, Prefilled>> {
    const prompts = new Map<number, Prefilled>(held ? [[held.request, held.prefilled]] : []);
    const fresh = [...new Set(rows.map((row) => row.request))].filter((request) => !prompts.has(request));
    for (let start = 0; start < fresh.length;) {
      const longest = (count: number): number =>
        Math.max(...fresh.slice(start, start + count).map((i) => requests[i]?.promptTokens.length ?? 0));
      let count = 1;
      while (start + count < fresh.length && bucketLength(longest(count + 1)) * (count + 1) <= PREFILL_TOKENS) count++;
      const chunk = fresh.slice(start, start + count);
      const read = await this.#prefillChunk(chunk.map((request) => requests[request] as SampleRequest));
      chunk.forEach((request, i) => prompts.set(request, read[i] as Prefilled));
      start += count;
    }
    return prompts;
  }

  async #prefillChunk(requests: readonly SampleRequest[]): Promise<Prefilled[]> {
    const ort = await loadOrt();
    const { config } = this.parameters;
    const lengths = requests.map(({ promptTokens }) => promptTokens.length);
    const S = bucketLength(Math.max(...lengths));
    const B = batchSize(requests.length);
    const graph = await this.#compile({ B, S, Tmax: S }, this.#prefill);
    const ids = new BigInt64Array(B * S);
    const lastPosition = new Int32Array(B);
    const lastIndex = BigInt64Array.from({ length: B }, (_, b) => BigInt(b * S));
    const inverseTemperature = new Float32Array(B).fill(1);
    requests.forEach(({ promptTokens, params }, b) => {
      promptTokens.forEach((token, t) => (ids[b * S + t] = BigInt(token)));
      lastPosition[b] = promptTokens.length - 1;
      lastIndex[b] = BigInt(b * S + promptTokens.length - 1);
      if (params.temperature > 0) inverseTemperature[b] = 1 / params.temperature;
    });
    const cache = new KvCache(config, B, S);
    const view = await cache.view(B);
    const next = {
      logprobs: new Float32Array(B * config.vocabSize),
      probabilities: new Float32Array(B * config.vocabSize),
    };
    await graph.run(
      {
        ...this.parameters.tensors,
        ...view.feeds,
        [IO.ids]: tensorOf(ort, 'int64', [B * S], ids),
        [IO.lastPosition]: tensorOf(ort, 'int32', [B], lastPosition),
        [IO.totalLength]: tensorOf(ort, 'int32', [1], Int32Array.of(S)),
        [IO.lastIndex]: tensorOf(ort, 'int64', [B], lastIndex),
        [IO.inverseTemperature]: tensorOf(ort, 'float32', [B, 1], inverseTemperature),
      },
      {
        ...view.fetches,
        [IO.logprobs]: tensorOf(ort, 'float32', [B, config.vocabSize], next.logprobs),
        [IO.probabilities]: tensorOf(ort, 'float32', [B, config.vocabSize], next.probabilities),
      },
    );
    const line = (data: Float32Array, b: number): Float32Array =>
      data.subarray(b * config.vocabSize, (b + 1) * config.vocabSize);
    return requests.map((_, b) => ({
      cache,
      cacheRow: b,
      next: { logprobs: line(next.logprobs, b), probabilities: line(next.probabilities, b) },
    }));
  }

  async #decodeGraph(B: number): Promise<DecodeGraph> {
    const cache = this.#cacheOrThrow();
    const graph = await this.#compile({ B, S: 1, Tmax: cache.length }, this.#decode);
    const known = this.#buffers.get(B);
    if (known) return { graph, ...known };
    const ort = await loadOrt();
    const V = this.parameters.config.vocabSize;
    const ids = new BigInt64Array(B);
    const lastPosition = new Int32Array(B);
    const totalLength = new Int32Array(1);
    const inverseTemperature = new Float32Array(B);
    const next = { logprobs: new Float32Array(B * V), probabilities: new Float32Array(B * V) };
    const view = await cache.view(B);
    const buffers = {
      feeds: {
        ...this.parameters.tensors,
        ...view.feeds,
        [IO.ids]: tensorOf(ort, 'int64', [B], ids),
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
    this.#buffers.set(B, buffers);
    return { graph, ...buffers };
  }

  /** Reads the newest token of every running row into the cache. @returns the distributions of the next ones. */
  async #step(running: readonly Row[]): Promise<NextToken> {
    const B = batchSize(running.length);
    const decode = await this.#decodeGraph(B);
    let longest = 1;
    for (let slot = 0; slot < B; slot++) {
      const row = running[slot];
      decode.ids[slot] = BigInt(row?.tokens.at(-1) ?? 0);
      decode.lastPosition[slot] = row?.cached ?? 0;
      decode.inverseTemperature[slot] = row && row.params.temperature > 0 ? 1 / row.params.temperature : 1;
      longest = Math.max(longest, (row?.cached ?? 0) + 1);
    }
    decode.totalLength[0] = longest;
    await decode.graph.run(decode.feeds, decode.fetches);
    return decode.next;
  }

  async dispose(): Promise<void> {
    await this.#decode.clear();
    await this.#prefill.clear();
    this.#buffers.clear();
    this.#cache = undefined;
  }
}
