import { join } from 'node:path';
import { HoneError } from '../../core/index.js';
import { makeFolder, writeFileAtomic } from '../../formats/index.js';
import { mergeMetrics } from '../metrics.js';
import type {
  AdapterSource,
  Datum,
  ForwardBackwardResult,
  Loss,
  LossResult,
  ModelInfo,
  ModelRole,
  ModelTime,
  OptimResult,
  OptimStep,
  Outputs,
  TrainableModel,
} from '../types.js';
import type { Opened } from './backend.js';
import type { Channel } from './channel.js';
import { planMicroBatches } from './micro-batches.js';
import { LocalSampler, type Enqueue } from './sampler.js';
import { emptyOutputs, type Coefficients, type Sequence, type TokenOutputs } from './training.js';

function sequencesOf(data: readonly Datum[]): Sequence[] {
  return data.map(({ input, target }, i) => {
    if (input.length === 0) throw new HoneError('usage', `datum ${i} is empty`);
    if (input.length !== target.length) {
      throw new HoneError('usage', `datum ${i} has ${input.length} input and ${target.length} target tokens`);
    }
    return { input, target };
  });
}

/** The derivatives a loss gave, complete and in shape. */
function coefficientsOf(loss: Loss, result: LossResult, sequences: readonly Sequence[], role: ModelRole): Coefficients {
  const complete = (rows: Float32Array[] | undefined, name: string): Float32Array[] => {
    const full = rows ?? sequences.map(({ input }) => new Float32Array(input.length));
    const wrong = full.length !== sequences.length || full.some((row, i) => row.length !== sequences[i]?.input.length);
    if (wrong) throw new HoneError('usage', `loss ${loss.name} returned ${name} of the wrong shape`);
    return full;
  };
  if (role === 'critic') return { dLogprobs: [], dValues: complete(result.dValues, 'dValues') };
  const dLogprobs = complete(result.dLogprobs, 'dLogprobs');
  return loss.needs.entropy ? { dLogprobs, dEntropy: complete(result.dEntropy, 'dEntropy') } : { dLogprobs };
}

/** @throws HoneError that names the option whose value would leave weights that are not numbers. */
function checkStep(step: OptimStep): void {
  for (const [name, value] of Object.entries(step)) {
    const finite = Number.isFinite(value) || (name === 'gradClipNorm' && value === Infinity);
    if (!finite || value < 0)
      throw new HoneError('usage', `must be a number from 0, not ${value}`, { where: `optimizer.${name}` });
  }
  for (const name of ['beta1', 'beta2'] as const)
    if (step[name] >= 1)
      throw new HoneError('usage', `must be below 1, not ${step[name]}`, { where: `optimizer.${name}` });
}

/** @throws HoneError when a loss asks for what a model of this role does not put out */
function checkNeeds({ name, needs }: Loss, role: ModelRole): void {
  if (role === 'policy' && needs.values)
    throw new HoneError('usage', `loss ${name} needs a critic; this model is a policy`);
  if (role === 'critic' && (!needs.values || needs.entropy))
    throw new HoneError('usage', `loss ${name} needs a policy; this model is a critic`, {
      hint: 'The loss of a critic reads values alone and says so: needs: { values: true }.',
    });
}

/** Puts the outputs of some of the sequences in their places. */
function placeOutputs(into: TokenOutputs, out: TokenOutputs, members: readonly number[]): void {
  const place = (to: Float32Array[] | undefined, from: Float32Array[] | undefined): void =>
    from?.forEach((row, i) => to?.[members[i] as number]?.set(row));
  place(into.logprobs, out.logprobs);
  place(into.entropy, out.entropy);
  place(into.values, out.values);
}

function checkTemperature(temperature: number): number {
  if (temperature > 0 && temperature < Infinity) return temperature;
  throw new HoneError('usage', `must be above 0, not ${temperature}`, { where: 'temperature' });
}

/** A model whose weights live in the local engine's thread. */
export class LocalModel implements TrainableModel {
  readonly info: ModelInfo;
  #version: number;
  #tail: Promise<unknown> = Promise.resolve();
  readonly #spent = { forward: 0, backward: 0, optimizer: 0 };

  constructor(
    private readonly channel: Channel,
    private readonly opened: Opened,
    readonly role: ModelRole,
  ) {
    this.info = opened.info;
    this.#version = opened.version;
  }

  get weightsVersion(): number {
    return this.#version;
  }

  get spent(): ModelTime {
    return { ...this.#spent };
  }

  /** Counts the seconds of a call. */
  async #timed<T>(what: keyof ModelTime, work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    const result = await work();
    this.#spent[what] += (performance.now() - started) / 1000;
    return result;
  }

  /** Call order is effect order, also for calls of several steps. */
  readonly #enqueue: Enqueue = (task) => {
    const result = this.#tail.then(task);
    this.#tail = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  };

  async forward(data: readonly Datum[], options: { entropy?: boolean; temperature?: number } = {}): Promise<Outputs> {
    const temperature = checkTemperature(options.temperature ?? 1);
    if (options.entropy && this.role === 'critic') throw new HoneError('usage', 'a critic has no entropy');
    return this.#enqueue(() => this.#forward(sequencesOf(data), options.entropy ?? false, temperature));
  }

  #forward(sequences: Sequence[], entropy: boolean, temperature: number): Promise<TokenOutputs> {
    return this.#timed('forward', () =>
      this.channel.call('forward', [this.opened.handle, sequences, entropy, temperature]),
    );
  }

  /**
   * Beyond the common interface, for comparing models: logits at temperature 1 of every position of every sequence,
   * row-major [T, V]. Mind the memory: 4 T V bytes a sequence.
   */
  logits(sequences: readonly Int32Array[]): Promise<Float32Array[]> {
    if (sequences.some(({ length }) => length === 0)) throw new HoneError('usage', 'a sequence is empty');
    return this.#enqueue(() => this.channel.call('logits', [this.opened.handle, sequences.slice()]));
  }

  async forwardBackward(
    data: readonly Datum[],
    loss: Loss,
    options: { temperature?: number } = {},
  ): Promise<ForwardBackwardResult> {
    checkNeeds(loss, this.role);
    const temperature = checkTemperature(options.temperature ?? 1);
    return this.#enqueue(() => this.#forwardBackward(data, loss, temperature));
  }

  #empty(sequences: readonly Sequence[], { needs }: Loss): TokenOutputs {
    return emptyOutputs(sequences, { entropy: needs.entropy ?? false, critic: this.role === 'critic' });
  }

  async #forwardBackward(data: readonly Datum[], loss: Loss, temperature: number): Promise<ForwardBackwardResult> {
    const sequences = sequencesOf(data);
    return loss.linear
      ? this.#linearLoss(data, sequences, loss, temperature)
      : this.#anyLoss(data, sequences, loss, temperature);
  }

  /** Derivatives that do not depend on the outputs come first, so that the engine does all batches in one go. */
  async #linearLoss(
    data: readonly Datum[],
    sequences: Sequence[],
    loss: Loss,
    temperature: number,
  ): Promise<ForwardBackwardResult> {
    const nothing = this.#empty(sequences, loss);
    const coefficients = coefficientsOf(loss, loss.fn(nothing, data), sequences, this.role);
    const { forwardSeconds = 0, ...outputs } = await this.#timed('backward', () =>
      this.channel.call('backward', [this.opened.handle, sequences, coefficients, temperature]),
    );
    this.#spent.forward += forwardSeconds;
    this.#spent.backward -= forwardSeconds;
    const { lossSum, metrics } = loss.fn(outputs, data);
    return { outputs, lossSum, metrics };
  }

  /** Micro-batch by micro-batch: the forward pass there, `loss.fn` here, the backward pass there. */
  async #anyLoss(
    data: readonly Datum[],
    sequences: Sequence[],
    loss: Loss,
    temperature: number,
  ): Promise<ForwardBackwardResult> {
    const entropy = loss.needs.entropy ?? false;
    const lengths = sequences.map(({ input }) => input.length);
    const outputs = this.#empty(sequences, loss);
    const results: LossResult[] = [];
    for (const { T, B, members } of planMicroBatches(lengths, this.opened.tokensPerMicroBatch)) {
      const part = members.map((member) => sequences[member] as Sequence);
      const out = await this.#timed('forward', () =>
        this.channel.call('hold', [this.opened.handle, part, { T, B }, entropy, temperature]),
      );
      const result = loss.fn(
        out,
        members.map((member) => data[member] as Datum),
      );
      const coefficients = coefficientsOf(loss, result, part, this.role);
      await this.#timed('backward', () => this.channel.call('backwardHeld', [this.opened.handle, coefficients]));
      results.push(result);
      placeOutputs(outputs, out, members);
    }
    const lossSum = results.reduce((sum, result) => sum + result.lossSum, 0);
    return { outputs, lossSum, metrics: mergeMetrics(results.map(({ metrics }) => metrics)) };
  }

  async optimStep(step: OptimStep): Promise<OptimResult> {
    checkStep(step);
    return this.#enqueue(async () => {
      const { result, version } = await this.#timed('optimizer', () =>
        this.channel.call('optimStep', [this.opened.handle, step]),
      );
      this.#version = version;
      return result;
    });
  }

  zeroGrad(): Promise<void> {
    return this.#enqueue(() => this.channel.call('zeroGrad', [this.opened.handle]));
  }

  resetOptimizer(): Promise<void> {
    return this.#enqueue(() => this.channel.call('resetOptimizer', [this.opened.handle]));
  }

  async #sampler(method: 'snapshot' | 'liveSampler', enqueue: Enqueue): Promise<LocalSampler> {
    return this.#enqueue(async () => {
      const { handle, version } = await this.channel.call(method, [this.opened.handle]);
      return new LocalSampler(this.channel, handle, version, this.info.maxContext, enqueue);
    });
  }

  snapshot(): Promise<LocalSampler> {
    return this.#sampler('snapshot', (task) => task());
  }

  liveSampler(): Promise<LocalSampler> {
    return this.#sampler('liveSampler', this.#enqueue);
  }

  async cloneFrozen(options: { merged?: boolean } = {}): Promise<LocalModel> {
    return this.#enqueue(async () => {
      const opened = await this.channel.call('clone', [this.opened.handle, options.merged ?? false]);
      return new LocalModel(this.channel, opened, this.role);
    });
  }

  async withAdapter(source: AdapterSource): Promise<LocalModel> {
    return this.#enqueue(async () => {
      const opened = await this.channel.call('withAdapter', [this.opened.handle, source]);
      return new LocalModel(this.channel, opened, this.role);
    });
  }

  copyFrom(other: TrainableModel): Promise<void> {
    return this.lerpFrom(other, 0);
  }

  async lerpFrom(other: TrainableModel, keep: number): Promise<void> {
    if (!(other instanceof LocalModel) || other.channel !== this.channel) {
      throw new HoneError('usage', 'weights can only be copied between models of one engine');
    }
    if (other.role !== this.role)
      throw new HoneError('usage', `weights of a ${other.role} do not fit a ${this.role}`, {
        hint: "Open a critic on a policy's folder for its body.",
      });
    const before = other.#tail;
    const done = this.#enqueue(async () => {
      await before;
      this.#version = await this.channel.call('lerp', [this.opened.handle, other.opened.handle, keep]);
    });
    // It reads the other model, so what is asked of that one later has to wait for it.
    const read = done.then(
      () => undefined,
      () => undefined,
    );
    other.#tail = Promise.all([other.#tail, read]);
    return done;
  }

  save(folder: string): Promise<void> {
    return this.#enqueue(() => this.channel.call('save', [this.opened.handle, folder]));
  }

  load(folder: string): Promise<void> {
    return this.#enqueue(async () => {
      this.#version = await this.channel.call('load', [this.opened.handle, folder]);
    });
  }

  export(folder: string): Promise<void> {
    return this.#enqueue(async () => {
      await makeFolder(folder);
      const file = join(folder, 'model.safetensors');
      const config = await this.channel.call('writeWeights', [this.opened.handle, file]);
      await writeFileAtomic(join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
    });
  }

  exportAdapter(folder: string): Promise<void> {
    return this.#enqueue(async () => {
      await makeFolder(folder);
      await this.channel.call('writeAdapter', [this.opened.handle, folder]);
    });
  }

  async tensors(what: 'weights' | 'gradients'): Promise<Map<string, { shape: number[]; data: Float32Array }>> {
    const list = await this.#enqueue(() => this.channel.call('tensors', [this.opened.handle, what]));
    return new Map(list.map(({ name, shape, data }) => [name, { shape, data }]));
  }

  dispose(): Promise<void> {
    return this.#enqueue(() => this.channel.call('dispose', [this.opened.handle]));
  }
}
