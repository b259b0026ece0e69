import type { Sample, SampleOptions, SampleParams, Sampler, SampleRequest } from '../../src/engine/index.js';
import { characterTokenizer } from './text-model.js';

/** What comes after a text: to be cut at stop strings and lengths; ends with the end token where nothing stops it. */
export type Continue = (text: string, seed: number, attempt: number) => string;

/** A sampler over one token a character that says what a script says next. Keeps every request for inspection. */
export class ScriptSampler implements Sampler {
  readonly weightsVersion = 3;
  readonly calls: { requests: readonly SampleRequest[] }[] = [];

  constructor(
    private readonly next: Continue,
    readonly maxContext = 1000,
  ) {}

  async sample(promptTokens: Int32Array, params: SampleParams, options?: SampleOptions): Promise<Sample[]> {
    return (await this.sampleBatch([{ promptTokens, params }], options))[0] ?? [];
  }

  sampleBatch(requests: readonly SampleRequest[], _options?: SampleOptions): Promise<Sample[][]> {
    this.calls.push({ requests });
    return Promise.resolve(
      requests.map(({ promptTokens, params }) =>
        Array.from({ length: params.n }, (_, i) => {
          const text = characterTokenizer.decode(promptTokens);
          return sampled(this.next(text, params.seed, i), params, this.weightsVersion);
        }),
      ),
    );
  }

  continueFrom(): Promise<never> {
    return Promise.reject(new Error('this sampler keeps no cache'));
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }
}

function sampled(text: string, params: SampleParams, weightsVersion: number): Sample {
  const ends = (params.stop ?? []).map((stop) => text.indexOf(stop) + stop.length).filter((end) => end > 0);
  const stops = (params.stop ?? []).some((stop) => text.includes(stop));
  const ids = stops
    ? [...characterTokenizer.encode(text.slice(0, Math.min(...ends)))]
    : [...characterTokenizer.encode(text), 0];
  const tokens = Int32Array.from(ids.slice(0, params.maxTokens));
  const logprobs = new Float32Array(tokens.length).fill(-0.5);
  const stopReason = ids.length > params.maxTokens ? 'length' : stops ? 'stop' : 'eos';
  return { tokens, rawLogprobs: logprobs, samplingLogprobs: logprobs, stopReason, weightsVersion };
}
