import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HoneError, RandomStream } from '../../src/core/index.js';
import type {
  Datum,
  Engine,
  EngineCapabilities,
  ForwardBackwardResult,
  Loss,
  ModelInfo,
  ModelRole,
  OpenModelOptions,
  OptimResult,
  OptimStep,
  Outputs,
  Sampler,
  TrainableModel,
} from '../../src/engine/types.js';
import { mergeMetrics } from '../../src/engine/metrics.js';
import { adamwTensor, clipScale } from './reference-adamw.js';
import {
  backwardSequence,
  copyTensors,
  forwardSequence,
  parameterShapes,
  zeros,
  type SequenceOutputs,
  type Shape,
  type Tensors,
} from './reference-model.js';
import { ReferenceSampler } from './reference-sampler.js';

/** `config` of a reference model; `chars` gives the text of token 1, 2, ... and token 0 ends a reply. */
export interface ReferenceConfig {
  chars: string;
  hidden: number;
  lags: number;
  maxContext: number;
}

export interface ReferenceEngineOptions {
  /** Sequences of one loss call; the batch is cut into such pieces. Default: all at once. */
  sequencesPerMicroBatch?: number;
}

export const EOS = 0;

export function tokenBytes(chars: string, id: number): Uint8Array {
  return Buffer.from(id === EOS ? '' : (chars[id - 1] ?? ''), 'utf8');
}

export function encodeChars(chars: string, text: string): Int32Array {
  return Int32Array.from(text, (char) => {
    const index = chars.indexOf(char);
    if (index < 0) throw new Error(`no token for ${JSON.stringify(char)}`);
    return index + 1;
  });
}

export function decodeChars(chars: string, tokens: ArrayLike<number>): string {
  return Array.from(tokens, (id) => (id === EOS ? '' : chars[id - 1])).join('');
}

/**
 * A slow engine in plain TypeScript, so that trainers are tested without ONNX Runtime and the engine contract has a
 * second implementation to hold it against.
 */
export class ReferenceEngine implements Engine {
  readonly name = 'reference';
  readonly capabilities: EngineCapabilities = {
    fullFineTuning: true,
    lora: false,
    critic: true,
    customLosses: true,
    exactEntropy: true,
    weightAveraging: true,
    trainingTemperature: true,
    samplerLogprobs: ['raw', 'sampling'],
    minP: true,
    seeds: true,
    deterministic: true,
  };
  readonly #options: ReferenceEngineOptions;

  constructor(options: ReferenceEngineOptions = {}) {
    this.#options = options;
  }

  openModel({ source, role = 'policy', maxContext }: OpenModelOptions): Promise<ReferenceModel> {
    if (source.kind !== 'random') throw new HoneError('usage', 'the reference engine opens random models only');
    const { chars, hidden, lags, maxContext: most } = source.config as unknown as ReferenceConfig;
    const shape = { vocab: chars.length + 1, hidden, lags };
    const config = { chars, shape, maxContext: maxContext ?? most };
    return Promise.resolve(new ReferenceModel(role, config, randomWeights(shape, source.seed), this.#options));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function randomWeights(shape: Shape, seed: number): Tensors {
  const weights = zeros(shape);
  for (const [name, { data }] of weights) {
    const random = new RandomStream(seed, 'init', name);
    if (name !== 'hidden.bias') data.forEach((_, i) => (data[i] = 0.5 * random.nextNormal()));
  }
  return weights;
}

interface ModelConfig {
  chars: string;
  shape: Shape;
  maxContext: number;
}

export class ReferenceModel implements TrainableModel {
  readonly role: ModelRole;
  readonly info: ModelInfo;
  readonly #config: ModelConfig;
  readonly #options: ReferenceEngineOptions;
  readonly #weights: Tensors;
  #gradients: Tensors;
  #m: Tensors;
  #v: Tensors;
  #steps = 0;
  #version = 0;
  #frozen = false;
  #disposed = false;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(role: ModelRole, config: ModelConfig, weights: Tensors, options: ReferenceEngineOptions) {
    this.role = role;
    this.#config = config;
    this.#options = options;
    this.#weights = weights;
    this.#gradients = zeros(config.shape);
    this.#m = zeros(config.shape);
    this.#v = zeros(config.shape);
    const parameters = [...weights.values()].reduce((sum, { data }) => sum + data.length, 0);
    const { maxContext, shape } = config;
    this.info = {
      architecture: 'reference',
      parameters,
      trainedParameters: parameters,
      vocabSize: shape.vocab,
      maxContext,
    };
  }

  get weightsVersion(): number {
    return this.#version;
  }

  /** Runs jobs one after another in call order; a failed job does not stop the next. */
  #enqueue<T>(job: () => Promise<T> | T): Promise<T> {
    const result = this.#queue.then(() => {
      if (this.#disposed) throw new Error('the model was disposed');
      return job();
    });
    this.#queue = result.catch(() => undefined);
    return result;
  }

  forward(
    data: readonly Datum[],
    { entropy = false, temperature = 1 }: { entropy?: boolean; temperature?: number } = {},
  ): Promise<Outputs> {
    return this.#enqueue(() => {
      if (entropy && this.role === 'critic') throw new HoneError('usage', 'a critic has no entropy');
      return this.#outputs(data, entropy, temperature);
    });
  }

  forwardBackward(
    data: readonly Datum[],
    loss: Loss,
    { temperature = 1 }: { temperature?: number } = {},
  ): Promise<ForwardBackwardResult> {
    return this.#enqueue(() => {
      if (this.#frozen) throw new Error('a frozen model has no gradients');
      if ((loss.needs.values ?? false) !== (this.role === 'critic'))
        throw new HoneError('usage', `loss ${loss.name} does not fit a ${this.role}`);
      const size = this.#options.sequencesPerMicroBatch ?? Math.max(1, data.length);
      const parts: ForwardBackwardResult[] = [];
      for (let i = 0; i < data.length; i += size)
        parts.push(this.#microBatch(data.slice(i, i + size), loss, temperature));
      return joinParts(parts);
    });
  }

  #microBatch(data: readonly Datum[], loss: Loss, temperature: number): ForwardBackwardResult {
    const outputs = this.#outputs(data, loss.needs.entropy === true, temperature);
    const { lossSum, dLogprobs, dEntropy, dValues, metrics } = loss.fn(outputs, data);
    data.forEach(({ input, target }, i) => {
      const coefficients = { logprobs: dLogprobs?.[i], entropy: dEntropy?.[i], values: dValues?.[i] };
      backwardSequence(this.#weights, this.#gradients, this.#config.shape, input, target, coefficients, temperature);
    });
    return { outputs, lossSum, metrics };
  }

  #outputs(data: readonly Datum[], entropy: boolean, temperature: number): Outputs {
    const sequences = data.map(({ input, target }) =>
      forwardSequence(this.#weights, this.#config.shape, input, target, temperature),
    );
    const pick = (name: keyof SequenceOutputs) => sequences.map((outputs) => Float32Array.from(outputs[name]));
    if (this.role === 'critic') return { logprobs: [], values: pick('values') };
    return { logprobs: pick('logprobs'), ...(entropy ? { entropy: pick('entropy') } : {}) };
  }

  optimStep(step: OptimStep): Promise<OptimResult> {
    return this.#enqueue(() => {
      let squares = 0;
      for (const { data } of this.#gradients.values()) for (const g of data) squares += g * g;
      const gradNorm = Math.sqrt(squares);
      const skipped = !Number.isFinite(gradNorm);
      if (!skipped) this.#applyAdamW(step, gradNorm);
      this.#gradients = zeros(this.#config.shape);
      return { gradNorm, skipped };
    });
  }

  #applyAdamW(step: OptimStep, gradNorm: number): void {
    this.#steps++;
    this.#version++;
    const scale = clipScale(gradNorm, step.gradClipNorm);
    for (const [name, { shape, data }] of this.#weights) {
      const moments = { m: this.#m.get(name)!.data, v: this.#v.get(name)!.data };
      adamwTensor(data, this.#gradients.get(name)!.data, moments, step, this.#steps, scale, shape.length > 1);
    }
  }

  zeroGrad(): Promise<void> {
    return this.#enqueue(() => {
      this.#gradients = zeros(this.#config.shape);
    });
  }

  resetOptimizer(): Promise<void> {
    return this.#enqueue(() => {
      this.#m = zeros(this.#config.shape);
      this.#v = zeros(this.#config.shape);
      this.#steps = 0;
    });
  }

  snapshot(): Promise<Sampler> {
    return this.#enqueue(() => {
      this.#assertPolicy();
      return this.#sampler(
        copyTensors(this.#weights),
        () => undefined,
        async (job) => await job(),
      );
    });
  }

  liveSampler(): Promise<Sampler> {
    return this.#enqueue(() => {
      this.#assertPolicy();
      const version = this.#version;
      const assertCurrent = () => {
        if (this.#version !== version)
          throw new HoneError('usage', 'the live sampler belongs to weights that have changed since', {
            hint: 'Ask the model for a new liveSampler, or use snapshot().',
          });
      };
      return this.#sampler(this.#weights, assertCurrent, (job) => this.#enqueue(job));
    });
  }

  #assertPolicy(): void {
    if (this.role === 'critic') throw new HoneError('usage', 'a critic cannot sample');
  }

  #sampler(weights: Tensors, assertUsable: () => void, enqueue: <T>(job: () => Promise<T> | T) => Promise<T>): Sampler {
    const { chars, shape, maxContext } = this.#config;
    return new ReferenceSampler({
      ...{ shape, weights, maxContext, assertUsable, enqueue },
      weightsVersion: this.#version,
      eosIds: [EOS],
      tokenBytes: (id) => tokenBytes(chars, id),
    });
  }

  cloneFrozen(): Promise<TrainableModel> {
    return this.#enqueue(() => {
      const clone = new ReferenceModel(this.role, this.#config, copyTensors(this.#weights), this.#options);
      clone.#frozen = true;
      return clone;
    });
  }

  withAdapter(): Promise<TrainableModel> {
    return Promise.reject(new HoneError('usage', 'the reference engine has no adapters'));
  }

  exportAdapter(): Promise<void> {
    return Promise.reject(new HoneError('usage', 'this model has no adapter'));
  }

  copyFrom(other: TrainableModel): Promise<void> {
    return this.lerpFrom(other, 0);
  }

  lerpFrom(other: TrainableModel, keep: number): Promise<void> {
    const source = referenceModel(other);
    if (source.role !== this.role)
      return Promise.reject(new HoneError('usage', `a ${source.role} does not fit a ${this.role}`));
    const theirs = source.#enqueue(() => copyTensors(source.#weights));
    return this.#enqueue(async () => {
      for (const [name, { data }] of await theirs) {
        const mine = this.#weights.get(name)!.data;
        mine.forEach((w, i) => (mine[i] = keep === 0 ? data[i]! : keep * w + (1 - keep) * data[i]!));
      }
      this.#version++;
    });
  }

  save(folder: string): Promise<void> {
    return this.#enqueue(async () => {
      await writeDoubles(join(folder, 'weights.safetensors'), [this.#weights], 0);
      await writeDoubles(join(folder, 'optimizer.safetensors'), [this.#m, this.#v], this.#steps);
    });
  }

  load(folder: string): Promise<void> {
    return this.#enqueue(async () => {
      await readDoubles(join(folder, 'weights.safetensors'), [this.#weights]);
      this.#steps = await readDoubles(join(folder, 'optimizer.safetensors'), [this.#m, this.#v]);
      this.#gradients = zeros(this.#config.shape);
      this.#version++;
    });
  }

  export(): Promise<void> {
    return Promise.reject(new HoneError('usage', 'a reference model has no Hugging Face form'));
  }

  tensors(what: 'weights' | 'gradients'): Promise<Map<string, { shape: number[]; data: Float32Array }>> {
    return this.#enqueue(() => {
      const source = what === 'weights' ? this.#weights : this.#gradients;
      return new Map(
        parameterShapes(this.#config.shape).map(([name, shape]) => [
          name,
          { shape, data: Float32Array.from(source.get(name)!.data) },
        ]),
      );
    });
  }

  dispose(): Promise<void> {
    return this.#enqueue(() => {
      this.#disposed = true;
      this.#version++;
    });
  }
}

function referenceModel(model: TrainableModel): ReferenceModel {
  if (!(model instanceof ReferenceModel)) throw new HoneError('usage', 'the other model belongs to another engine');
  return model;
}

function joinParts(parts: readonly ForwardBackwardResult[]): ForwardBackwardResult {
  const entropy = parts.flatMap(({ outputs }) => outputs.entropy ?? []);
  const values = parts.flatMap(({ outputs }) => outputs.values ?? []);
  return {
    outputs: {
      logprobs: parts.flatMap(({ outputs }) => outputs.logprobs),
      ...(entropy.length > 0 ? { entropy } : {}),
      ...(values.length > 0 ? { values } : {}),
    },
    lossSum: parts.reduce((sum, part) => sum + part.lossSum, 0),
    metrics: mergeMetrics(parts.map((part) => part.metrics)),
  };
}

/** All tensors as doubles in parameter order, after one double for a counter. */
async function writeDoubles(path: string, sets: readonly Tensors[], counter: number): Promise<void> {
  const all = sets.flatMap((tensors) => [...tensors.values()].map(({ data }) => [...data]));
  const file = await open(path, 'w');
  try {
    await file.writeFile(Buffer.from(Float64Array.from([counter, ...all.flat()]).buffer));
    await file.sync();
  } finally {
    await file.close();
  }
}

async function readDoubles(path: string, sets: readonly Tensors[]): Promise<number> {
  const bytes = await readFile(path);
  const doubles = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  let offset = 1;
  for (const tensors of sets)
    for (const { data } of tensors.values()) {
      data.set(doubles.subarray(offset, offset + data.length));
      offset += data.length;
    }
  return doubles[0]!;
}
