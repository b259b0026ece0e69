import { HoneError, RandomStream } from '../../core/index.js';
import type { Sample, SampleRequest, StopReason } from '../types.js';
import { argMax, drawToken } from './draw.js';
import type { NextTokens } from './runner.js';
import type { Extent } from './slots.js';
import { StopWatch, type Vocabulary } from './stop.js';

/** Logits that are NaN or infinite: nothing can be drawn from them. */
function notFinite(version: number): HoneError {
  return new HoneError('numeric', `the model's logits are not finite at weights version ${version}`, {
    hint: 'Training diverged: go back to an earlier checkpoint and lower optimizer.lr.',
  });
}

/** Most tokens a reply can have. @throws HoneError when the prompt is empty or leaves no room to generate. */
export function replyLimit({ promptTokens, params }: SampleRequest, request: number, maxContext: number): number {
  const room = maxContext - promptTokens.length;
  if (promptTokens.length === 0) throw new HoneError('usage', `prompt ${request} has no tokens`);
  if (room < 1) {
    throw new HoneError(
      'usage',
      `prompt ${request} has ${promptTokens.length} tokens and the context holds ${maxContext}`,
      { hint: 'Shorten the prompt or open the model with a larger maxContext.' },
    );
  }
  return Math.min(params.maxTokens, room);
}

/** A request, or some of its samples: attempt i of the whole draws what it draws, wherever it runs. */
export interface RowSource extends SampleRequest {
  /** Default 0. */
  firstSample?: number;
}

/** One sequence being generated. */
export class Row implements Extent {
  readonly tokens: number[] = [];
  /** Tokens in the cache; while it runs, the newest is not there yet. */
  cached = 0;
  readonly #raw: number[] = [];
  readonly #sampling: number[] = [];
  readonly #random: RandomStream;
  readonly #stop: StopWatch;

  constructor(
    readonly request: number,
    readonly sample: number,
    readonly source: RowSource,
    private readonly limit: number,
    vocabulary: Vocabulary,
  ) {
    this.#random = new RandomStream(source.params.seed, 'sample', (source.firstSample ?? 0) + sample);
    this.#stop = new StopWatch(source.params.stop, vocabulary);
  }

  get length(): number {
    return this.source.promptTokens.length + this.tokens.length;
  }

  get longest(): number {
    return this.source.promptTokens.length + this.limit;
  }

  get temperature(): number {
    return this.source.params.temperature;
  }

  get newest(): number {
    return this.tokens.at(-1) ?? 0;
  }

  /** Prompt and reply so far. */
  text(): Int32Array {
    const { promptTokens } = this.source;
    const text = new Int32Array(this.length);
    text.set(promptTokens);
    text.set(this.tokens, promptTokens.length);
    return text;
  }

  /** Whether one comes before the other, in the order of requests and samples. */
  before(other: Row): boolean {
    return this.request < other.request || (this.request === other.request && this.sample < other.sample);
  }

  /**
   * Draws the next token from its distributions, both [V].
   * @returns why the reply ends, if it does
   * @throws HoneError when there is nothing to draw from
   */
  draw({ logprobs, probabilities }: NextTokens, version: number): StopReason | undefined {
    const greedy = this.temperature === 0;
    const { token, probability } = greedy
      ? { token: argMax(logprobs), probability: 1 }
      : drawToken(probabilities, this.#random.uniform(this.tokens.length), this.source.params);
    const raw = logprobs[token] as number;
    if (!Number.isFinite(raw)) throw notFinite(version);
    this.tokens.push(token);
    this.#raw.push(raw);
    this.#sampling.push(Math.log(probability));
    return this.#stop.push(token) ?? (this.tokens.length >= this.limit ? 'length' : undefined);
  }

  result(stopReason: StopReason, weightsVersion: number): Sample {
    return {
      tokens: Int32Array.from(this.tokens),
      rawLogprobs: Float32Array.from(this.#raw),
      samplingLogprobs: Float32Array.from(this.#sampling),
      stopReason,
      weightsVersion,
    };
  }
}

/** The sequences still to run, in the order of requests; made when their turn comes, so that a long queue costs nothing. */
export class RowQueue {
  /** Those set back, oldest first, and then the next fresh one once it has been looked at. */
  readonly #front: Row[] = [];
  #request = 0;
  #sample = 0;
  #fresh: number;

  constructor(
    private readonly requests: readonly RowSource[],
    private readonly maxContext: number,
    private readonly vocabulary: Vocabulary,
  ) {
    this.#fresh = requests.reduce((sum, { params }) => sum + params.n, 0);
  }

  get size(): number {
    return this.#front.length + this.#fresh;
  }

  #make(): Row | undefined {
    const source = this.requests[this.#request];
    if (!source) return undefined;
    const limit = replyLimit(source, this.#request, this.maxContext);
    const row = new Row(this.#request, this.#sample++, source, limit, this.vocabulary);
    this.#fresh--;
    if (this.#sample === source.params.n) {
      this.#request++;
      this.#sample = 0;
    }
    return row;
  }

  peek(): Row | undefined {
    if (this.#front.length === 0) {
      const row = this.#make();
      if (row) this.#front.push(row);
    }
    return this.#front[0];
  }

  take(): Row | undefined {
    this.peek();
    return this.#front.shift();
  }

  /** Puts a row back in its place. */
  putBack(row: Row): void {
    const index = this.#front.findIndex((other) => row.before(other));
    this.#front.splice(index < 0 ? this.#front.length : index, 0, row);
  }
}
