import { join } from 'node:path';
import { HoneError } from '../../core/index.js';
import { type ModelConfig, readTensors } from '../../model/index.js';
import type { OptimResult, OptimStep } from '../types.js';
import { addRow } from './add-rows.js';
import type { Board } from './board.js';
import { Body, type BodyBatch, type HeldBatch } from './body.js';
import { Head, type HeadRow } from './head.js';
import type { HeldPrefixes } from './held-prefixes.js';
import { paddedLength } from './llama/layer-graph.js';
import { EMBEDDING } from './llama/weights.js';
import { planMicroBatches } from './micro-batches.js';
import { Optimizer } from './optimizer.js';
import { zerosLike, type Arrays, type Parameters } from './parameters.js';
import { SessionCache } from './session-cache.js';
import { loadOrt, tensorOf, type SessionOptions, type Tensor } from './session.js';
import { ValueHead } from './value-head.js';
import { WaveRows, type Rest } from './wave-rows.js';
import { planWaves, type TokenBudget, type Wave } from './waves.js';

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
  budget: TokenBudget;
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

/** Every token of sequences that are one batch. */
function rowsOf(sequences: readonly { length: number }[]): HeadRow[] {
  const B = sequences.length;
  return sequences.flatMap(({ length }, b) => Array.from({ length }, (_, t) => ({ n: t * B + b, member: b, t })));
}

async function seconds(work: Promise<void>): Promise<number> {
  const started = performance.now();
  await work;
  return (performance.now() - started) / 1000;
}

const inputsOf = (sequences: readonly Sequence[]): Int32Array[] => sequences.map(({ input }) => input);

/** One batch of these rows: token ids time-major, [T * B], padding 0. */
function packed(rows: readonly Int32Array[]): { T: number; B: number; ids: Int32Array } {
  const [T, B] = [paddedLength(rows.reduce((most, { length }) => Math.max(most, length), 0)), rows.length];
  const ids = new Int32Array(T * B);
  rows.forEach((row, b) => row.forEach((id, t) => (ids[t * B + b] = id)));
  return { T, B, ids };
}

/** A micro-batch between its forward and its backward pass. */
interface Held {
  body: HeldBatch;
  /** Every token. */
  rows: readonly HeadRow[];
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
  #heldPrefixes: { held: Held; prefixes: HeldPrefixes } | undefined;

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

  #empty(sequences: readonly Sequence[], entropy: boolean): TokenOutputs {
    return emptyOutputs(sequences, { entropy, critic: this.parameters.isCritic });
  }

  /** What the layers take of a micro-batch. */
  #bodyBatch(sequences: readonly Rest[], prefixes?: HeldPrefixes): BodyBatch {
    const columns = sequences.flatMap(({ prefix }) => prefix ?? []);
    return {
      ...packed(inputsOf(sequences)),
      ...(prefixes && columns.length > 0 ? { past: { prefixes, columns } } : {}),
    };
  }

  async forward(sequences: readonly Sequence[], entropy: boolean, temperature: number): Promise<TokenOutputs> {
    const outputs = this.#empty(sequences, entropy);
    for (const wave of planWaves(sequences, this.options.budget)) {
      const rows = new WaveRows(wave, sequences);
      const prefixes = await this.#forwardPrefixes(wave, rows, outputs, temperature);
      for (const { members } of wave.batches) {
        const rests = rows.rests(members);
        const out = this.#empty(rests, entropy);
        const hidden = await this.#body.forward(this.#bodyBatch(rests, prefixes));
        await this.#head.run(rowsOf(inputsOf(rests)), hidden, rests, temperature, out);
        rows.placeRests(outputs, out, members);
      }
    }
    return outputs;
  }

  async #forwardPrefixes(
    wave: Wave,
    rows: WaveRows,
    outputs: TokenOutputs,
    temperature: number,
  ): Promise<HeldPrefixes | undefined> {
    if (wave.prefixes.length === 0) return undefined;
    const sequences = rows.prefixes();
    const inputs = inputsOf(sequences);
    const lengths = inputs.map(({ length }) => length);
    const { hidden, prefixes } = await this.#body.forwardPrefixes(this.#bodyBatch(sequences), lengths);
    const out = this.#empty(sequences, outputs.entropy !== undefined);
    await this.#head.run(rowsOf(inputs), hidden, sequences, temperature, out);
    for (const { members } of wave.prefixes) rows.placePrefixes(outputs, out, members);
    return prefixes;
  }

  /** Logits of every position at temperature 1, one [T * V] array a sequence. */
  async logits(inputs: readonly Int32Array[]): Promise<Float32Array[]> {
    const head = this.#head;
    if (head instanceof ValueHead) throw new HoneError('usage', 'a critic has no logits');
    const lengths = inputs.map(({ length }) => length);
    const logits = lengths.map((length) => new Float32Array(length * this.config.vocabSize));
    for (const { members } of planMicroBatches(lengths, this.options.budget.alone)) {
      const part = members.map((member) => inputs[member] as Int32Array);
      const hidden = await this.#body.forward(packed(part));
      const places = members.map((member) => logits[member] as Float32Array);
      await head.logits(rowsOf(part), hidden, places);
    }
    return logits;
  }

  /** Forward and backward for derivatives known beforehand; adds to the gradients. */
  async backward(
    sequences: readonly Sequence[],
    coefficients: Coefficients,
    temperature: number,
  ): Promise<TokenOutputs> {
    const entropy = coefficients.dEntropy !== undefined;
    const outputs = this.#empty(sequences, entropy);
    const how = { entropy, temperature };
    const started = performance.now();
    let backward = 0;
    for (const wave of planWaves(sequences, this.options.budget)) {
      const rows = new WaveRows(wave, sequences);
      const sums = rows.noPrefixCoefficients(coefficients);
      const members = wave.prefixes.flatMap((prefix) => prefix.members);
      rows.addPrefixCoefficients(sums, coefficients, members);
      const shared = wave.prefixes.length > 0;
      const ofPrefixes = shared ? await this.#startPrefixes(rows.prefixes(), how, sums) : undefined;
      for (const { members } of wave.batches) {
        const part = rows.restCoefficients(coefficients, members);
        const out = await this.#start(rows.rests(members), how, part);
        backward += await seconds(this.#finish(this.#takeHeld(), part, out));
        rows.placeRests(outputs, out, members);
      }
      if (!ofPrefixes) continue;
      backward += await seconds(this.#finishPrefixes(sums, ofPrefixes));
      rows.placePrefixes(outputs, ofPrefixes, members);
    }
    outputs.forwardSeconds = (performance.now() - started) / 1000 - backward;
    return outputs;
  }

  /**
   * The forward pass of sequences as one micro-batch; what its backward pass needs is kept until `backwardHeld`. Those
   * that name a prefix go on from it: one of the last `holdPrefixes`.
   */
  hold(sequences: readonly Rest[], entropy: boolean, temperature: number): Promise<TokenOutputs> {
    return this.#start(sequences, { entropy, temperature });
  }

  /** The backward pass of the batch held; adds to the gradients, and to those of the prefixes held. @returns the seconds it took */
  async backwardHeld(coefficients: Coefficients): Promise<number> {
    const held = this.#takeHeld();
    return seconds(this.#finish(held, coefficients, this.#empty(held.sequences, held.entropy)));
  }

  /** As `hold`, for prefixes: they are kept until `backwardPrefixes`, for batches that go on from them. */
  holdPrefixes(prefixes: readonly Sequence[], entropy: boolean, temperature: number): Promise<TokenOutputs> {
    return this.#startPrefixes(prefixes, { entropy, temperature });
  }

  /** The backward pass of the prefixes held, after those of the batches that went on from them. */
  async backwardPrefixes(coefficients: Coefficients): Promise<number> {
    const held = this.#heldPrefixes?.held;
    if (!held) throw new Error('backwardPrefixes() without holdPrefixes()');
    return seconds(this.#finishPrefixes(coefficients, this.#empty(held.sequences, held.entropy)));
  }

  #takeHeld(): Held {
    const held = this.#held;
    if (!held) throw new Error('backwardHeld() without hold()');
    this.#held = undefined;
    return held;
  }

  /** @param known derivatives, where they are: outputs that the backward pass computes anyway are left to it */
  async #start(
    sequences: readonly Rest[],
    { entropy, temperature }: { entropy: boolean; temperature: number },
    known?: Coefficients,
  ): Promise<TokenOutputs> {
    const body = await this.#body.hold(this.#bodyBatch(sequences, this.#heldPrefixes?.prefixes));
    this.#held = { body, rows: rowsOf(inputsOf(sequences)), sequences, entropy, temperature };
    return this.#outputsOf(this.#held, known);
  }

  async #startPrefixes(
    sequences: readonly Sequence[],
    { entropy, temperature }: { entropy: boolean; temperature: number },
    known?: Coefficients,
  ): Promise<TokenOutputs> {
    const lengths = sequences.map(({ input }) => input.length);
    const started = await this.#body.holdPrefixes(this.#bodyBatch(sequences), lengths);
    const rows = rowsOf(inputsOf(sequences));
    const held = { body: started.held, rows, sequences, entropy, temperature };
    this.#heldPrefixes = { held, prefixes: started.prefixes };
    return this.#outputsOf(held, known);
  }

  async #outputsOf({ body, rows, sequences, entropy, temperature }: Held, known?: Coefficients): Promise<TokenOutputs> {
    const outputs = this.#empty(sequences, entropy);
    const idle = known ? rows.filter((row) => !isSeed(row, known)) : rows;
    await this.#head.run(idle, body.hidden, sequences, temperature, outputs);
    return outputs;
  }

  async #finishPrefixes(coefficients: Coefficients, outputs: TokenOutputs): Promise<void> {
    const there = this.#heldPrefixes;
    this.#heldPrefixes = undefined;
    if (there) await this.#finish(there.held, coefficients, outputs, there.prefixes.touched);
  }

  /** @param reached whether gradients come in besides the head's */
  async #finish(
    { body, rows, sequences, temperature }: Held,
    coefficients: Coefficients,
    outputs: TokenOutputs,
    reached = false,
  ): Promise<void> {
    const gradients = await this.#gradientTensors();
    const seeds = rows.filter((row) => isSeed(row, coefficients));
    if (seeds.length === 0 && !reached) return;
    body.dHidden.fill(0);
    const backward = { coefficients, dHidden: body.dHidden, gradients };
    await this.#head.run(seeds, body.hidden, sequences, temperature, outputs, backward);
    const dEmbedded = await this.#body.backward(body, gradients);
    const embedding = gradients[EMBEDDING];
    if (embedding) this.#addEmbeddedRows(sequences, dEmbedded, embedding.data as Float32Array);
  }

  /** d embedding[id] += the gradient of every token with that id. */
  #addEmbeddedRows(sequences: readonly Sequence[], dEmbedded: Float32Array, gradient: Float32Array): void {
    const [H, B] = [this.config.hiddenSize, sequences.length];
    sequences.forEach(({ input }, b) => {
      for (let t = 0; t < input.length; t++) addRow(gradient, (input[t] as number) * H, dEmbedded, (t * B + b) * H, H);
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
