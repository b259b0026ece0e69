import { HoneError } from '../../core/index.js';
import type { Continuation, Sample, SampleOptions, SampleParams, Sampler, SampleRequest } from '../types.js';
import { divideRequests, type CacheSize, type PartOfRequest } from './divide.js';
import { together, type Lane } from './replicas.js';
import type { SamplingHooks, SamplingStats } from './sampling.js';

/** Runs a task after everything that was asked of the same model before. */
export type Enqueue = <T>(task: () => Promise<T>) => Promise<T>;

/** Checks what the caller's types cannot. @throws HoneError naming the parameter. */
function check(params: SampleParams): void {
  const bad = (name: string, rule: string): never => {
    throw new HoneError('usage', `must be ${rule}`, { where: `sample.${name}` });
  };
  const whole = (value: number, least: number): boolean => Number.isSafeInteger(value) && value >= least;
  if (!whole(params.n, 1)) bad('n', 'a whole number from 1');
  if (!whole(params.maxTokens, 1)) bad('maxTokens', 'a whole number from 1');
  if (!whole(params.seed, 0)) bad('seed', 'a whole number from 0 to 2^53-1');
  if (!(params.temperature >= 0 && params.temperature < Infinity)) bad('temperature', '0 or more');
  if (params.topP !== undefined && !(params.topP > 0 && params.topP <= 1)) bad('topP', 'above 0 and at most 1');
  if (params.minP !== undefined && !(params.minP >= 0 && params.minP <= 1)) bad('minP', 'from 0 to 1');
  if (params.topK !== undefined && !whole(params.topK, 0)) bad('topK', 'a whole number; 0 is off');
  if (params.stop?.includes('')) bad('stop', 'a list of strings that are not empty');
}

/** Tells triples of request, sample and token one by one. */
function eachOf(tell: NonNullable<SampleOptions['onToken']>): (drawn: Int32Array) => void {
  return (drawn) => {
    for (let i = 0; i < drawn.length; i += 3) tell(drawn[i] as number, drawn[i + 1] as number, drawn[i + 2] as number);
  };
}

/** Samplers over copies of the weights, for calls that divide. */
export interface Copies {
  size: number;
  cache: CacheSize;
  /** Undefined where they may not be used any more. */
  samplers(): Promise<readonly Lane[] | undefined>;
}

/** Progress of a call as its parts tell of theirs. */
function progressOver(parts: number, total: number, tell: SamplingHooks['progress']) {
  const done = new Array<number>(parts).fill(0);
  const tokens = new Array<number>(parts).fill(0);
  const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);
  return (part: number): SamplingHooks['progress'] =>
    (partDone, _, partTokens) => {
      [done[part], tokens[part]] = [partDone, partTokens];
      tell(sum(done), total, sum(tokens));
    };
}

/** What samplers and continuations have in common: a handle that prompts are given to. */
class Handle {
  constructor(
    protected readonly lane: Lane,
    protected readonly enqueue: Enqueue,
    protected copies?: Copies,
  ) {}

  async sample(promptTokens: Int32Array, params: SampleParams, options?: SampleOptions): Promise<Sample[]> {
    const [samples] = await this.sampleBatch([{ promptTokens, params }], options);
    return samples as Sample[];
  }

  async sampleBatch(requests: readonly SampleRequest[], options: SampleOptions = {}): Promise<Sample[][]> {
    for (const { params } of requests) check(params);
    const { onToken } = options;
    const hooks: SamplingHooks = {
      aborted: () => options.signal?.aborted ?? false,
      progress: (done, total, tokens) => options.onProgress?.(done, total, tokens),
      ...(onToken ? { drawn: eachOf(onToken) } : {}),
    };
    return this.enqueue(async () => {
      // What is kept for continuations has to be in one place.
      const parts = this.copies && !options.keepCache && divideRequests(requests, this.copies.size, this.copies.cache);
      const samplers = parts && (await this.copies?.samplers());
      if (samplers) return this.#sideBySide(requests, parts, samplers, hooks);
      const { channel, handle } = this.lane;
      return channel.call('sample', [handle, requests.slice(), options.keepCache ?? false], hooks);
    });
  }

  /** Each part of a call by a sampler of its own. */
  async #sideBySide(
    requests: readonly SampleRequest[],
    parts: readonly (readonly PartOfRequest[])[],
    samplers: readonly Lane[],
    { aborted, progress, drawn }: SamplingHooks,
  ): Promise<Sample[][]> {
    const samples = requests.map(({ params }) => new Array<Sample>(params.n));
    const total = samples.reduce((sum, { length }) => sum + length, 0);
    const progressOf = progressOver(parts.length, total, progress);
    const work = parts.map(async (part, i) => {
      const { channel, handle } = samplers[i] as Lane;
      const inWhole = (triples: Int32Array): Int32Array =>
        triples.map((value, at) => {
          const { request, firstSample } = part[triples[at - (at % 3)] as number] as PartOfRequest;
          return [request, firstSample + value, value][at % 3] as number;
        });
      const hooks = {
        aborted,
        progress: progressOf(i),
        ...(drawn ? { drawn: (t: Int32Array) => drawn(inWhole(t)) } : {}),
      };
      const found = await channel.call('sample', [handle, part.slice(), false], hooks);
      found.forEach((some, j) => {
        const { request, firstSample } = part[j] as PartOfRequest;
        some.forEach((sample, k) => ((samples[request] as Sample[])[firstSample + k] = sample));
      });
    });
    await together(work);
    return samples;
  }

  async dispose(): Promise<void> {
    this.copies = undefined;
    await this.enqueue(() => this.lane.channel.call('dispose', [this.lane.handle]));
  }
}

class LocalContinuation extends Handle implements Continuation {
  constructor(
    lane: Lane,
    enqueue: Enqueue,
    readonly prefix: Int32Array,
  ) {
    super(lane, enqueue);
  }
}

export class LocalSampler extends Handle implements Sampler {
  constructor(
    lane: Lane,
    readonly weightsVersion: number,
    readonly maxContext: number,
    enqueue: Enqueue,
    copies?: Copies,
    /** Gives back what was made for this sampler alone. */
    private readonly release: () => Promise<void> | undefined = () => undefined,
  ) {
    super(lane, enqueue, copies);
  }

  async continueFrom(prefix: Int32Array): Promise<Continuation> {
    return this.enqueue(async () => {
      const { channel, handle } = this.lane;
      const made = await channel.call('continueFrom', [handle, prefix]);
      return new LocalContinuation({ channel, handle: made }, this.enqueue, prefix.slice());
    });
  }

  override async dispose(): Promise<void> {
    await this.release();
    await super.dispose();
  }

  /** Beyond the common interface: what reading and caching have cost since the weights were opened or copied, in all copies. */
  stats(): Promise<SamplingStats> {
    return this.enqueue(async () => {
      const lanes = [this.lane, ...((await this.copies?.samplers()) ?? [])];
      const all = await together(lanes.map(({ channel, handle }) => channel.call('samplingStats', [handle])));
      return all.reduce((sum, { tokensRead, setBack, peakCacheBytes }) => ({
        tokensRead: sum.tokensRead + tokensRead,
        setBack: sum.setBack + setBack,
        peakCacheBytes: sum.peakCacheBytes + peakCacheBytes,
      }));
    });
  }
}
