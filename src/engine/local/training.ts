import { join } from 'node:path';
import { writeSafetensors, type ModelConfig } from '../../model/index.js';
import type { OptimResult, OptimStep } from '../types.js';
import { adamw, clipScale, globalNorm } from './adamw.js';
import { logitsGraph, trainingGraph, IO, type TrainingGraphKey } from './llama/training-graph.js';
import { planMicroBatches, type MicroBatch } from './micro-batches.js';
import { readArrays, zerosLike, type Arrays, type Parameters } from './parameters.js';
import { SessionCache } from './session-cache.js';
import { CompiledGraph, loadOrt, tensorOf, type SessionOptions, type Tensor } from './session.js';

/** Sequences as the graphs need them: targets already shifted. */
export interface Sequence {
  input: Int32Array;
  target: Int32Array;
}

/** Per sequence, per token. */
export interface TokenOutputs {
  logprobs: Float32Array[];
  entropy?: Float32Array[];
}

/** d loss / d output, per sequence, per token. */
export interface Coefficients {
  dLogprobs: Float32Array[];
  dEntropy?: Float32Array[];
}

export interface TrainingOptions extends SessionOptions {
  tokensPerMicroBatch: number;
  /** Bound for the estimated memory of all training sessions together. */
  sessionBytes: number;
}

const WEIGHTS_FILE = 'weights.safetensors';
const OPTIMIZER_FILE = 'optimizer.safetensors';

/**
 * Bytes that a session keeps after its largest run: vocabulary-sized rows, attention maps and about 24 hidden-sized rows
 * a layer. Fitted to resident memory: 2.4 GiB for 384 tokens of SmolLM2-135M forward and backward.
 */
function estimateBytes(config: ModelConfig, { T, B, backward }: TrainingGraphKey): number {
  const perToken =
    config.vocabSize * (backward ? 6 : 3) +
    (backward ? config.layers : 1) * (24 * config.hiddenSize + 12 * config.mlpSize + 4 * config.heads * T);
  return 4 * T * B * perToken;
}

/** Where the caller sets no budget: 1,024 tokens, or the next lower power of two that fits; at least 128. */
const DEFAULT_TOKENS = { most: 1024, least: 128, bytes: 1.5 * 2 ** 30 };

/** Tokens of one graph run, so that it takes about 1.5 GiB at the most. A pure function of the model's shape. */
export function defaultTokensPerMicroBatch(config: ModelConfig): number {
  const { most, least, bytes } = DEFAULT_TOKENS;
  const fits = (tokens: number): boolean =>
    estimateBytes(config, { T: 256, B: tokens / 256, entropy: false, backward: true }) <= bytes;
  let tokens = most;
  while (tokens > least && !fits(tokens)) tokens /= 2;
  return tokens;
}

/** Time-major rows of one micro-batch, [T * B]; padding is `fill`. */
function pack(batch: MicroBatch, rows: readonly ArrayLike<number>[], put: (n: number, value: number) => void): void {
  batch.members.forEach((member, b) => {
    const row = rows[member] as ArrayLike<number>;
    for (let t = 0; t < row.length; t++) put(t * batch.B + b, row[t] as number);
  });
}

function packIds(batch: MicroBatch, rows: readonly Int32Array[]): BigInt64Array {
  const packed = new BigInt64Array(batch.T * batch.B);
  pack(batch, rows, (n, value) => (packed[n] = BigInt(value)));
  return packed;
}

/** Weights, gradients and optimiser state of one model, and the graphs that train it. One call at a time. */
export class Training {
  readonly #gradients: Arrays;
  readonly #gradientTensors = new Map<string, Tensor>();
  #moments: { m: Arrays; v: Arrays; step: number } | undefined;
  readonly #sessions: SessionCache;

  constructor(
    readonly parameters: Parameters,
    private readonly options: TrainingOptions,
  ) {
    this.#gradients = zerosLike(parameters.arrays);
    this.#sessions = new SessionCache(options.sessionBytes);
  }

  get gradients(): Arrays {
    return this.#gradients;
  }

  async forward(sequences: readonly Sequence[], entropy: boolean, temperature: number): Promise<TokenOutputs> {
    return this.#run(sequences, temperature, { entropy, backward: false });
  }

  /** Logits of every position at temperature 1, one [T * V] array a sequence. */
  async logits(sequences: readonly Int32Array[]): Promise<Float32Array[]> {
    const ort = await loadOrt();
    const { config, tensors } = this.parameters;
    const V = config.vocabSize;
    const logits = sequences.map(({ length }) => new Float32Array(length * V));
    const lengths = sequences.map(({ length }) => length);
    for (const batch of planMicroBatches(lengths, this.options.tokensPerMicroBatch)) {
      const { T, B } = batch;
      const key = { T, B, entropy: false, backward: false };
      const graph = await this.#sessions.get(`logits ${T} ${B}`, estimateBytes(config, key), () =>
        CompiledGraph.compile(logitsGraph(config, key), this.options),
      );
      const ids = tensorOf(ort, 'int64', [T * B], packIds(batch, sequences));
      const packed = tensorOf(ort, 'float32', [T * B, V]);
      const inverseTemperature = tensorOf(ort, 'float32', [], Float32Array.of(1));
      const feeds = { ...tensors, [IO.ids]: ids, [IO.inverseTemperature]: inverseTemperature };
      await graph.run(feeds, { [IO.logits]: packed });
      unpackRows(batch, packed, V, logits);
    }
    return logits;
  }

  /** Forward and backward in one graph, for derivatives known beforehand; adds to the gradients. */
  async backward(
    sequences: readonly Sequence[],
    coefficients: Coefficients,
    temperature: number,
  ): Promise<TokenOutputs> {
    const entropy = coefficients.dEntropy !== undefined;
    return this.#run(sequences, temperature, { entropy, backward: true }, coefficients);
  }

  async #run(
    sequences: readonly Sequence[],
    temperature: number,
    kind: { entropy: boolean; backward: boolean },
    coefficients?: Coefficients,
  ): Promise<TokenOutputs> {
    const empty = (): Float32Array[] => sequences.map(({ input }) => new Float32Array(input.length));
    const outputs: TokenOutputs = { logprobs: empty(), ...(kind.entropy ? { entropy: empty() } : {}) };
    const lengths = sequences.map(({ input }) => input.length);
    for (const batch of planMicroBatches(lengths, this.options.tokensPerMicroBatch)) {
      await this.#runBatch(batch, sequences, temperature, kind, coefficients, outputs);
    }
    return outputs;
  }

  async #runBatch(
    batch: MicroBatch,
    sequences: readonly Sequence[],
    temperature: number,
    kind: { entropy: boolean; backward: boolean },
    coefficients: Coefficients | undefined,
    outputs: TokenOutputs,
  ): Promise<void> {
    const ort = await loadOrt();
    const key = { T: batch.T, B: batch.B, ...kind };
    const graph = await this.#sessions.get(JSON.stringify(key), estimateBytes(this.parameters.config, key), () =>
      CompiledGraph.compile(trainingGraph(this.parameters.config, key), this.options),
    );
    const N = batch.T * batch.B;
    const column = (rows: Float32Array[]): Tensor => {
      const packed = new Float32Array(N);
      pack(batch, rows, (n, value) => (packed[n] = value));
      return tensorOf(ort, 'float32', [N, 1], packed);
    };
    const feeds: Record<string, Tensor> = {
      ...this.parameters.tensors,
      [IO.ids]: tensorOf(
        ort,
        'int64',
        [N],
        packIds(
          batch,
          sequences.map(({ input }) => input),
        ),
      ),
      [IO.targets]: tensorOf(
        ort,
        'int64',
        [N, 1],
        packIds(
          batch,
          sequences.map(({ target }) => target),
        ),
      ),
      [IO.inverseTemperature]: tensorOf(ort, 'float32', [], Float32Array.of(1 / temperature)),
    };
    const fetches: Record<string, Tensor> = { [IO.logprobs]: tensorOf(ort, 'float32', [N, 1]) };
    if (kind.entropy) fetches[IO.entropy] = tensorOf(ort, 'float32', [N, 1]);
    if (coefficients) {
      feeds[IO.dLogprobs] = column(coefficients.dLogprobs);
      if (coefficients.dEntropy) feeds[IO.dEntropy] = column(coefficients.dEntropy);
      for (const name of this.parameters.arrays.keys()) {
        const tensor = await this.#gradientTensor(name);
        feeds[IO.accumulator(name)] = tensor;
        fetches[IO.gradient(name)] = tensor;
      }
    }
    await graph.run(feeds, fetches);
    unpackRows(batch, fetches[IO.logprobs] as Tensor, 1, outputs.logprobs);
    if (outputs.entropy) unpackRows(batch, fetches[IO.entropy] as Tensor, 1, outputs.entropy);
  }

  async #gradientTensor(name: string): Promise<Tensor> {
    const known = this.#gradientTensors.get(name);
    if (known) return known;
    const ort = await loadOrt();
    const shape = this.parameters.shapes.get(name) as number[];
    const tensor = tensorOf(ort, 'float32', shape, this.#gradients.get(name));
    this.#gradientTensors.set(name, tensor);
    return tensor;
  }

  zeroGrad(): void {
    for (const data of this.#gradients.values()) data.fill(0);
  }

  optimStep(options: OptimStep): OptimResult {
    const gradNorm = globalNorm(this.#gradients.values());
    if (!Number.isFinite(gradNorm)) {
      this.zeroGrad();
      return { gradNorm, skipped: true };
    }
    const state = (this.#moments ??= {
      m: zerosLike(this.parameters.arrays),
      v: zerosLike(this.parameters.arrays),
      step: 0,
    });
    state.step++;
    const gradScale = clipScale(gradNorm, options.gradClipNorm);
    for (const [name, weight] of this.parameters.arrays) {
      const [gradient, m, v] = [this.#gradients, state.m, state.v].map((map) => map.get(name) as Float32Array);
      const weightDecay = this.parameters.decays(name) ? options.weightDecay : 0;
      adamw(weight, gradient as Float32Array, m as Float32Array, v as Float32Array, {
        ...options,
        weightDecay,
        gradScale,
        step: state.step,
      });
    }
    this.zeroGrad();
    this.parameters.version++;
    return { gradNorm, skipped: false };
  }

  async save(folder: string): Promise<void> {
    await this.parameters.write(join(folder, WEIGHTS_FILE));
    const state = this.#moments;
    const shapeOf = (name: string): number[] => this.parameters.shapes.get(name) ?? [];
    const rows = (prefix: string, arrays: Arrays) =>
      [...arrays].map(([name, data]) => [`${prefix}.${name}`, { shape: shapeOf(name), data }] as const);
    await writeSafetensors(join(folder, OPTIMIZER_FILE), [
      ['step', { shape: [1], data: Float32Array.of(state?.step ?? 0) }],
      ...(state ? [...rows('m', state.m), ...rows('v', state.v)] : []),
    ]);
  }

  async load(folder: string): Promise<void> {
    const { shapes } = this.parameters;
    const file = join(folder, OPTIMIZER_FILE);
    const weights = await readArrays(join(folder, WEIGHTS_FILE), shapes);
    const step = (await readArrays(file, new Map([['step', [1]]]))).get('step')?.[0] ?? 0;
    const moments = async (prefix: string): Promise<Arrays> => {
      const named = new Map([...shapes].map(([name, shape]) => [`${prefix}.${name}`, shape]));
      const read = await readArrays(file, named);
      return new Map([...read].map(([name, data]) => [name.slice(prefix.length + 1), data]));
    };
    this.#moments = step > 0 ? { m: await moments('m'), v: await moments('v'), step } : undefined;
    this.parameters.set(weights);
    this.zeroGrad();
  }

  async dispose(): Promise<void> {
    await this.#sessions.clear();
  }
}

/** Rows of `width` numbers of a time-major [T * B, width] tensor to where their sequences want them. */
function unpackRows({ B, members }: MicroBatch, tensor: Tensor, width: number, into: readonly Float32Array[]): void {
  const packed = tensor.data as Float32Array;
  members.forEach((member, b) => {
    const rows = into[member] as Float32Array;
    for (let t = 0; t * width < rows.length; t++) {
      const start = (t * B + b) * width;
      rows.set(packed.subarray(start, start + width), t * width);
    }
  });
}
