import { RandomStream } from '../../src/core/index.js';
import type {
  Continuation,
  Sample,
  SampleOptions,
  SampleParams,
  SampleRequest,
  Sampler,
  StopReason,
} from '../../src/engine/types.js';
import { logSoftmaxAt, type Shape, type Tensors } from './reference-model.js';

export interface SamplerParts {
  shape: Shape;
  weights: Tensors;
  weightsVersion: number;
  maxContext: number;
  eosIds: readonly number[];
  tokenBytes: (id: number) => Uint8Array;
  /** Throws when the sampler may no longer be used. */
  assertUsable: () => void;
  /** Runs a job after every call made before it. */
  enqueue: <T>(job: () => Promise<T> | T) => Promise<T>;
}

/** One sequence after another, one token after another. */
export class ReferenceSampler implements Sampler {
  readonly #parts: SamplerParts;
  #disposed = false;

  constructor(parts: SamplerParts) {
    this.#parts = parts;
  }

  get weightsVersion(): number {
    return this.#parts.weightsVersion;
  }

  get maxContext(): number {
    return this.#parts.maxContext;
  }

  async sample(promptTokens: Int32Array, params: SampleParams, options?: SampleOptions): Promise<Sample[]> {
    return (await this.sampleBatch([{ promptTokens, params }], options))[0] ?? [];
  }

  sampleBatch(requests: readonly SampleRequest[], options: SampleOptions = {}): Promise<Sample[][]> {
    return this.#parts.enqueue(async () => {
      if (this.#disposed) throw new Error('the sampler was disposed');
      this.#parts.assertUsable();
      const total = requests.reduce((sum, { params }) => sum + params.n, 0);
      const results: Sample[][] = [];
      let done = 0;
      let tokens = 0;
      for (const [request, { promptTokens, params }] of requests.entries()) {
        const samples: Sample[] = [];
        for (let i = 0; i < params.n; i++) {
          const sample = sampleOne(this.#parts, promptTokens, params, i, options.signal);
          samples.push(sample);
          for (const token of sample.tokens) options.onToken?.(request, i, token);
          tokens += sample.tokens.length;
          options.onProgress?.(++done, total, tokens);
          await Promise.resolve();
        }
        results.push(samples);
      }
      return results;
    });
  }

  continueFrom(prefix: Int32Array): Promise<Continuation> {
    let disposed = false;
    const sampleBatch: Continuation['sampleBatch'] = (requests, options) => {
      if (disposed) return Promise.reject(new Error('the continuation was disposed'));
      const whole = requests.map(({ promptTokens, params }) => ({
        promptTokens: Int32Array.from([...prefix, ...promptTokens]),
        params,
      }));
      return this.sampleBatch(whole, options);
    };
    return Promise.resolve({
      prefix,
      sampleBatch,
      sample: async (promptTokens, params, options) =>
        (await sampleBatch([{ promptTokens, params }], options))[0] ?? [],
      dispose: () => {
        disposed = true;
        return Promise.resolve();
      },
    });
  }

  dispose(): Promise<void> {
    this.#disposed = true;
    return Promise.resolve();
  }
}

function sampleOne(
  parts: SamplerParts,
  prompt: Int32Array,
  params: SampleParams,
  attempt: number,
  signal?: AbortSignal,
): Sample {
  if (prompt.length === 0) throw new RangeError('the prompt is empty');
  const random = new RandomStream(params.seed, 'sample', attempt);
  const tokens = [...prompt];
  const raw: number[] = [];
  const sampling: number[] = [];
  let text = '';
  let stopReason: StopReason | undefined = signal?.aborted ? 'aborted' : undefined;
  for (let t = 0; stopReason === undefined; t++) {
    if (t >= params.maxTokens || tokens.length >= parts.maxContext) {
      stopReason = 'length';
      break;
    }
    const raw_V = logSoftmaxAt(parts.weights, parts.shape, tokens, tokens.length - 1);
    const drawn_V = drawDistribution(parts, tokens, params);
    const token = inverseCdf(drawn_V, random.uniform(t));
    tokens.push(token);
    raw.push(raw_V[token]!);
    sampling.push(drawn_V[token]!);
    text += Buffer.from(parts.tokenBytes(token)).toString('latin1');
    if (stopsAtEos(params.stop) && parts.eosIds.includes(token)) stopReason = 'eos';
    else if (params.stop?.some((string) => text.includes(Buffer.from(string, 'utf8').toString('latin1'))))
      stopReason = 'stop';
  }
  return {
    tokens: Int32Array.from(tokens.slice(prompt.length)),
    rawLogprobs: Float32Array.from(raw),
    samplingLogprobs: Float32Array.from(sampling),
    stopReason,
    weightsVersion: parts.weightsVersion,
  };
}

/** `stop: []` disables EOS; anything else keeps it. */
function stopsAtEos(stop: SampleParams['stop']): boolean {
  return stop === undefined || stop.length > 0;
}

/** Log-probabilities of the draw, [V]: temperature, then top-k, top-p, min-p, renormalised; -Infinity where cut. */
function drawDistribution(parts: SamplerParts, tokens: number[], params: SampleParams): Float64Array {
  const greedy = params.temperature === 0;
  const logp_V = logSoftmaxAt(parts.weights, parts.shape, tokens, tokens.length - 1, greedy ? 1 : params.temperature);
  const order = [...logp_V.keys()].sort((a, b) => logp_V[b]! - logp_V[a]! || a - b);
  const kept = greedy ? order.slice(0, 1) : keep(order, logp_V, params);
  const logSum = Math.log(kept.reduce((sum, id) => sum + Math.exp(logp_V[id]!), 0));
  const result = new Float64Array(logp_V.length).fill(-Infinity);
  for (const id of kept) result[id] = greedy ? 0 : logp_V[id]! - logSum;
  return result;
}

function keep(order: number[], logp_V: Float64Array, { topK, topP, minP }: SampleParams): number[] {
  let kept = topK === undefined ? order : order.slice(0, topK);
  if (topP !== undefined && topP < 1) {
    const total = kept.reduce((sum, id) => sum + Math.exp(logp_V[id]!), 0);
    let mass = 0;
    kept = kept.filter((id) => {
      const before = mass;
      mass += Math.exp(logp_V[id]!) / total;
      return before < topP;
    });
  }
  const best = logp_V[kept[0]!]!;
  return minP === undefined ? kept : kept.filter((id) => logp_V[id]! - best >= Math.log(minP));
}

function inverseCdf(logp_V: Float64Array, uniform: number): number {
  let mass = 0;
  let last = 0;
  for (let id = 0; id < logp_V.length; id++) {
    const p = Math.exp(logp_V[id]!);
    if (p === 0) continue;
    mass += p;
    last = id;
    if (uniform < mass) return id;
  }
  return last;
}
