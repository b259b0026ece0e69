import { HoneError } from '../../core/index.js';
import type { Continuation, Sample, SampleOptions, SampleParams, Sampler, SampleRequest } from '../types.js';
import type { Channel } from './channel.js';
import type { SamplingStats } from './sampling.js';

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

/** What samplers and continuations have in common: a handle that prompts are given to. */
class Handle {
  constructor(
    protected readonly channel: Channel,
    protected readonly handle: number,
    protected readonly enqueue: Enqueue,
  ) {}

  async sample(promptTokens: Int32Array, params: SampleParams, options?: SampleOptions): Promise<Sample[]> {
    const [samples] = await this.sampleBatch([{ promptTokens, params }], options);
    return samples as Sample[];
  }

  async sampleBatch(requests: readonly SampleRequest[], options: SampleOptions = {}): Promise<Sample[][]> {
    for (const { params } of requests) check(params);
    return this.enqueue(() =>
      this.channel.call('sample', [this.handle, requests.slice(), options.keepCache ?? false], {
        aborted: () => options.signal?.aborted ?? false,
        progress: (done, total, tokens) => options.onProgress?.(done, total, tokens),
        ...(options.onToken ? { drawn: eachOf(options.onToken) } : {}),
      }),
    );
  }

  async dispose(): Promise<void> {
    await this.enqueue(() => this.channel.call('dispose', [this.handle]));
  }
}

class LocalContinuation extends Handle implements Continuation {
  constructor(
    channel: Channel,
    handle: number,
    enqueue: Enqueue,
    readonly prefix: Int32Array,
  ) {
    super(channel, handle, enqueue);
  }
}

export class LocalSampler extends Handle implements Sampler {
  constructor(
    channel: Channel,
    handle: number,
    readonly weightsVersion: number,
    readonly maxContext: number,
    enqueue: Enqueue,
  ) {
    super(channel, handle, enqueue);
  }

  async continueFrom(prefix: Int32Array): Promise<Continuation> {
    return this.enqueue(async () => {
      const handle = await this.channel.call('continueFrom', [this.handle, prefix]);
      return new LocalContinuation(this.channel, handle, this.enqueue, prefix.slice());
    });
  }

  /** Beyond the common interface: what reading and caching have cost since the weights were opened or copied. */
  stats(): Promise<SamplingStats> {
    return this.enqueue(() => this.channel.call('samplingStats', [this.handle]));
  }
}
