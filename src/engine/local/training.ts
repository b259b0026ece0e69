import { join } from 'node:path';
import { HoneError } from '../../core/index.js';
import { type ModelConfig, readTensors } from '../../model/index.js';
import type { OptimResult, OptimStep } from '../types.js';
import type { Board } from './board.js';
import { Body, type HeldBatch } from './body.js';
import { Head, type HeadRow } from './head.js';
import type { BatchShape } from './llama/layer-graph.js';
import { EMBEDDING } from './llama/weights.js';
import { planMicroBatches, type MicroBatch } from './micro-batches.js';
import { Optimizer } from './optimizer.js';
import { zerosLike, type Arrays, type Parameters } from './parameters.js';
import { SessionCache } from './session-cache.js';
import { loadOrt, tensorOf, type SessionOptions, type Tensor } from './session.js';
import { ValueHead } from './value-head.js';

/** Sequences as the graphs need them: targets already shifted. */
export interface Sequence {
  input: Int32Array;
  target: Int32Array;
}

/** Per sequence, per token. A critic has values, and no sequence in `logprobs`. */
export interface TokenOutputs {
  logprobs: Float32Array[];
  entropy?: Float32Array[];
  values?: Float32Array[];
  /** Of a call that does both passes: seconds of the forward pass. */
  forwardSeconds?: number;
}

/** d loss / d output, per sequence, per token; for those outputs there are. */
export interface Coefficients {
  dLogprobs: Float32Array[];
  dEntropy?: Float32Array[];
  dValues?: Float32Array[];
}

export interface TrainingOptions extends SessionOptions {
  tokensPerMicroBatch: number;
  /** Bound for the estimated memory of all training sessions together. */
  sessionBytes: number;
}

const WEIGHTS_FILE = 'weights.safetensors';

/** Outputs of zeros to be filled in. */
export function emptyOutputs(
  sequences: readonly Sequence[],
  { entropy, critic }: { entropy: boolean; critic: boolean },
): TokenOutputs {
  const empty = (): Float32Array[] => sequences.map(({ input }) => new Float32Array(input.length));
  if (critic) return { logprobs: [], values: empty() };
  return { logprobs: empty(), ...(entropy ? { entropy: empty() } : {}) };
}

/** Every token of the batch's sequences. */
function rowsOf({ B, members }: MicroBatch, sequences: readonly { length: number }[]): HeadRow[] {
  return members.flatMap((member, b) =>
    Array.from({ length: sequences[member]?.length ?? 0 }, (_, t) => ({ n: t * B + b, member, t })),
  );
}

/** Time-major token ids of a batch, [T * B]; padding is 0. */
function packIds({ T, B, members }: MicroBatch, rows: readonly Int32Array[]): Int32Array {
  const packed = new Int32Array(T * B);
  members.forEach((member, b) => rows[member]?.forEach((id, t) => (packed[t * B + b] = id)));
  return packed;
}

/** A micro-batch between its forward and its backward pass. */
interface Held {
  batch: MicroBatch;
  body: HeldBatch;
  sequences: readonly Sequence[];
  entropy: boolean;
  temperature: number;
}

/** Weights, gradients and optimiser state of one model, and the graphs that train it. One call at a time. */
export class Training {
  #gradients: Record<string, Tensor> | undefined;
  readonly #optimizer: Optimizer;
  readonly #sessions: SessionCache;
  readonly #body: Body;
  readonly #head: Head | ValueHead;
  #held: Held | undefined;

  constructor(
    readonly parameters: Parameters,
    private readonly options: TrainingOptions,
  ) {
    this.#sessions = new SessionCache(options.sessionBytes);
    this.#body = new Body(parameters, this.#sessions, options);
    this.#head = parameters.isCritic ? new ValueHead(parameters) : new Head(parameters, this.#sessions, options);
    this.#optimizer = new Optimizer(parameters);
  }

  get config(): ModelConfig {
    return this.parameters.config;
  }

  get tokensPerMicroBatch(): number {
    return this.options.tokensPerMicroBatch;
  }

  /** Gradients of what training changes; zeros before the first backward pass. */
  gradients(): Arrays {
    if (!this.#gradients) return zerosLike(this.parameters.trained());
    return new Map(Object.entries(this.#gradients).map(([name, tensor]) => [name, tensor.data as Float32Array]));
  }

  /** Adds what copies of the model have gathered. */
  async addGradients(gathered: readonly Board[]): Promise<void> {
    await this.#gradientTensors();
    for (const board of gathered) board.addTo(this.gradients());
  }

  /** Made on first use: a model that is never trained has no gradients to hold. */
  async #gradientTensors(): Promise<Record<string, Tensor>> {
    if (this.#gradients) return this.#gradients;
    this.parameters.assertOwn();
    const ort = await loadOrt();
    const tensor = (name: string, data: Float32Array): Tensor =>
      tensorOf(ort, 'float32', this.parameters.shapes.get(name) ?? [], data);
    this.#gradients = Object.fromEntries(
      [...zerosLike(this.parameters.trained())].map(([name, data]) => [name, tensor(name, data)]),
    );
    return this.#gradients;
  }

  #plan(sequences: readonly { length: number }[]): MicroBatch[] {
    return planMicroBatches(
      sequences.map(({ length }) => length),
      this.options.tokensPerMicroBatch,
    );
  }

  #empty(sequences: readonly Sequence[], entropy: boolean): TokenOutputs {
    return emptyOutputs(sequences, { entropy, critic: this.parameters.isCritic });
  }

  async forward(sequences: readonly Sequence[], entropy: boolean, temperature: number): Promise<TokenOutputs> {
    const outputs = this.#empty(sequences, entropy);
    const inputs = sequences.map(({ input }) => input);
    for (const batch of this.#plan(inputs)) {
      const hidden = await this.#body.forward(batch, packIds(batch, inputs));
      await this.#head.run(rowsOf(batch, inputs), hidden, sequences, temperature, outputs);
    }
    return outputs;
  }

  /** Logits of every position at temperature 1, one [T * V] array a sequence. */
  async logits(sequences: readonly Int32Array[]): Promise<Float32Array[]> {
    const head = this.#head;
    if (head instanceof ValueHead) throw new HoneError('usage', 'a critic has no logits');
    const logits = sequences.map(({ length }) => new Float32Array(length * this.config.vocabSize));
    for (const batch of this.#plan(sequences)) {
      const hidden = await this.#body.forward(batch, packIds(batch, sequences));
      await head.logits(rowsOf(batch, sequences), hidden, logits);
    }
    return logits;
  }

  /** Forward and backward for derivatives known beforehand; adds to the gradients. */
  async backward(
    sequences: readonly Sequence[],
    coefficients: Coefficients,
    temperature: number,
  ): Promise<TokenOutputs> {
    const outputs = this.#empty(sequences, coefficients.dEntropy !== undefined);
    const inputs = sequences.map(({ input }) => input);
    let forward = 0;
    for (const batch of this.#plan(inputs)) {
      const started = performance.now();
      const body = await this.#body.hold(batch, packIds(batch, inputs));
      const rows = rowsOf(batch, inputs);
      const idle = rows.filter((row) => !isSeed(row, coefficients));
      await this.#head.run(idle, body.hidden, sequences, temperature, outputs);
      forward += performance.now() - started;
      await this.#backward({ batch, body, sequences, temperature }, rows, coefficients, outputs);
    }
    outputs.forwardSeconds = forward / 1000;
    return outputs;
  }

  /** The forward pass of sequences as one micro-batch of this shape; what its backward pass needs is kept until `backwardHeld`. */
  async hold(
    sequences: readonly Sequence[],
    shape: BatchShape,
    entropy: boolean,
    temperature: number,
  ): Promise<TokenOutputs> {
    const outputs = this.#empty(sequences, entropy);
    const inputs = sequences.map(({ input }) => input);
    const batch = { ...shape, members: sequences.map((_, member) => member) };
    const body = await this.#body.hold(batch, packIds(batch, inputs));
    this.#held = { batch, body, sequences, entropy, temperature };
    await this.#head.run(rowsOf(batch, inputs), body.hidden, sequences, temperature, outputs);
    return outputs;
  }

  /** The backward pass of the batch held; adds to the gradients. */
  async backwardHeld(coefficients: Coefficients): Promise<void> {
    const held = this.#held;
    if (!held) throw new Error('backwardHeld() without hold()');
    this.#held = undefined;
    const rows = rowsOf(
      held.batch,
      held.sequences.map(({ input }) => input),
    );
    await this.#backward(held, rows, coefficients, this.#empty(held.sequences, held.entropy));
  }

  async #backward(
    held: Omit<Held, 'entropy'>,
    rows: HeadRow[],
    coefficients: Coefficients,
    outputs: TokenOutputs,
  ): Promise<void> {
    const { batch, body, sequences, temperature } = held;
    const gradients = await this.#gradientTensors();
    const seeds = rows.filter((row) => isSeed(row, coefficients));
    if (seeds.length === 0) return;
    body.dHidden.fill(0);
    const backward = { coefficients, dHidden: body.dHidden, gradients };
    await this.#head.run(seeds, body.hidden, sequences, temperature, outputs, backward);
    const dEmbedded = await this.#body.backward(body, gradients);
    const embedding = gradients[EMBEDDING];
    if (embedding) this.#addEmbeddedRows(batch, sequences, dEmbedded, embedding.data as Float32Array);
  }

  /** d embedding[id] += the gradient of every token with that id. */
  #addEmbeddedRows(
    { B, members }: MicroBatch,
    sequences: readonly Sequence[],
    dEmbedded: Float32Array,
    gradient: Float32Array,
  ): void {
    const H = this.config.hiddenSize;
    members.forEach((member, b) => {
      const input = sequences[member]?.input as Int32Array;
      for (let t = 0; t < input.length; t++) {
        const [to, from] = [(input[t] as number) * H, (t * B + b) * H];
        for (let j = 0; j < H; j++) gradient[to + j] = (gradient[to + j] as number) + (dEmbedded[from + j] as number);
      }
    });
  }

  zeroGrad(): void {
    for (const { data } of Object.values(this.#gradients ?? {})) (data as Float32Array).fill(0);
  }

  resetOptimizer(): void {
    this.#optimizer.reset();
  }

  optimStep(options: OptimStep): OptimResult {
    const result = this.#optimizer.step(this.gradients(), options);
    this.zeroGrad();
    return result;
  }

  async save(folder: string): Promise<void> {
    await this.parameters.write(join(folder, WEIGHTS_FILE), this.parameters.trained());
    await this.#optimizer.save(folder);
  }

  async load(folder: string): Promise<void> {
    const shapes = [...this.parameters.trained().keys()].map(
      (name) => [name, this.parameters.shapes.get(name) ?? []] as const,
    );
    const weights = await readTensors(join(folder, WEIGHTS_FILE), new Map(shapes));
    const putMoments = await this.#optimizer.read(folder);
    this.parameters.set(weights);
    putMoments();
    this.zeroGrad();
  }

  async dispose(): Promise<void> {
    this.#body.release();
    await this.#sessions.clear();
  }
}

/** Whether a token's derivative is not zero: the others need no backward pass through the head. */
function isSeed({ member, t }: HeadRow, { dLogprobs, dEntropy, dValues }: Coefficients): boolean {
  return [dLogprobs, dEntropy, dValues].some((rows) => (rows?.[member]?.[t] ?? 0) !== 0);
}
