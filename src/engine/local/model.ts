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
import { divideSequences } from './divide.js';
import { planMicroBatches, type MicroBatch } from './micro-batches.js';
import { REPLICA_PARAMETERS, Replicas, together, type Lane, type ReplicaPool } from './replicas.js';
import { LocalSampler, type Copies, type Enqueue } from './sampler.js';
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

/** Rows of some of the sequences. */
function rowsOf<T>(rows: readonly T[], members: readonly number[]): T[] {
  return members.map((member) => rows[member] as T);
}

function coefficientsFor({ dLogprobs, dEntropy, dValues }: Coefficients, members: readonly number[]): Coefficients {
  return {
    dLogprobs: dLogprobs.length > 0 ? rowsOf(dLogprobs, members) : [],
    ...(dEntropy ? { dEntropy: rowsOf(dEntropy, members) } : {}),
    ...(dValues ? { dValues: rowsOf(dValues, members) } : {}),
  };
}

/** What one worker does of a pass over many sequences. */
interface Share {
  lane: Lane;
  batches: readonly MicroBatch[];
  /** All sequences of its batches, ascending. */
  members: readonly number[];
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
  readonly #replicas: Replicas | undefined;
  /** Adapters share its weights: it does not train any more. */
  #isBase = false;

  constructor(
    private readonly channel: Channel,
    private readonly opened: Opened,
    readonly role: ModelRole,
    /** Where copies of small models go. */
    private readonly pool?: ReplicaPool,
  ) {
    this.info = opened.info;
    this.#version = opened.version;
    this.#replicas = this.#replicasOf(opened.handle);
  }

  #replicasOf(handle: number): Replicas | undefined {
    if (!this.pool || this.info.parameters > REPLICA_PARAMETERS.sampling) return undefined;
    return new Replicas(this.pool, { channel: this.channel, handle });
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

  /** Who does what of a pass: this model's worker all of it, or copies their shares side by side where that is faster. */
  async #shares(sequences: readonly Sequence[], train: boolean): Promise<Share[]> {
    const lengths = sequences.map(({ input }) => input.length);
    const { tokensPerMicroBatch, handle } = this.opened;
    const whole = this.info.parameters > REPLICA_PARAMETERS.training || (train && this.#isBase);
    const replicas = whole ? undefined : this.#replicas;
    const divided = replicas && divideSequences(lengths, tokensPerMicroBatch, replicas.size);
    if (!divided) {
      const batches = planMicroBatches(lengths, tokensPerMicroBatch);
      return [{ lane: { channel: this.channel, handle }, batches, members: sequences.map((_, i) => i) }];
    }
    const lanes = await (train ? replicas.toTrain(this.#version) : replicas.upToDate(this.#version));
    return divided.map((batches, i) => {
      const members = batches.flatMap((batch) => batch.members).sort((a, b) => a - b);
      return { lane: lanes[i] as Lane, batches, members };
    });
  }

  async #forward(sequences: Sequence[], entropy: boolean, temperature: number): Promise<TokenOutputs> {
    const outputs = emptyOutputs(sequences, { entropy, critic: this.role === 'critic' });
    const shares = await this.#shares(sequences, false);
    const work = shares.map(async ({ lane: { channel, handle }, members }) => {
      const part = rowsOf(sequences, members);
      placeOutputs(outputs, await channel.call('forward', [handle, part, entropy, temperature]), members);
    });
    await this.#timed('forward', () => together(work));
    return outputs;
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
    const outputs = this.#empty(sequences, loss);
    const coefficients = coefficientsOf(loss, loss.fn(outputs, data), sequences, this.role);
    const shares = await this.#shares(sequences, true);
    const work = shares.map(async ({ lane: { channel, handle }, members }) => {
      const part = [rowsOf(sequences, members), coefficientsFor(coefficients, members)] as const;
      const { forwardSeconds = 0, ...out } = await channel.call('backward', [handle, ...part, temperature]);
      placeOutputs(outputs, out, members);
      return forwardSeconds;
    });
    const forward = await this.#timed('backward', () => together(work));
    const forwardSeconds = forward.reduce((sum, seconds) => sum + seconds, 0) / shares.length;
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
    const outputs = this.#empty(sequences, loss);
    const shares = await this.#shares(sequences, true);
    const spent = { forward: 0, backward: 0 };
    const oneBatch = async ({ channel, handle }: Lane, { T, B, members }: MicroBatch): Promise<LossResult> => {
      const part = rowsOf(sequences, members);
      const started = performance.now();
      const out = await channel.call('hold', [handle, part, { T, B }, entropy, temperature]);
      const held = performance.now();
      const result = loss.fn(out, rowsOf(data, members));
      const coefficients = coefficientsOf(loss, result, part, this.role);
      const computed = performance.now();
      await channel.call('backwardHeld', [handle, coefficients]);
      spent.forward += (held - started) / 1000;
      spent.backward += (performance.now() - computed) / 1000;
      placeOutputs(outputs, out, members);
      return result;
    };
    const work = shares.map(async ({ lane, batches }) => {
      const results: LossResult[] = [];
      for (const batch of batches) results.push(await oneBatch(lane, batch));
      return results;
    });
    const results = (await together(work)).flat();
    this.#spent.forward += spent.forward / shares.length;
    this.#spent.backward += spent.backward / shares.length;
    const lossSum = results.reduce((sum, result) => sum + result.lossSum, 0);
    return { outputs, lossSum, metrics: mergeMetrics(results.map(({ metrics }) => metrics)) };
  }

  async optimStep(step: OptimStep): Promise<OptimResult> {
    checkStep(step);
    return this.#enqueue(async () => {
      const { result, version } = await this.#timed('optimizer', async () => {
        await this.#replicas?.collect();
        return this.channel.call('optimStep', [this.opened.handle, step]);
      });
      this.#version = version;
      return result;
    });
  }

  zeroGrad(): Promise<void> {
    return this.#enqueue(async () => {
      await this.#replicas?.discard();
      await this.channel.call('zeroGrad', [this.opened.handle]);
    });
  }

  resetOptimizer(): Promise<void> {
    return this.#enqueue(() => this.channel.call('resetOptimizer', [this.opened.handle]));
  }

  #copiesOf(replicas: Replicas | undefined, samplers: Copies['samplers']): Copies | undefined {
    const cache = { positions: this.opened.cachePositions, maxContext: this.info.maxContext };
    return replicas && { size: replicas.size, cache, samplers };
  }

  async snapshot(): Promise<LocalSampler> {
    return this.#enqueue(async () => {
      const { handle, version } = await this.channel.call('snapshot', [this.opened.handle]);
      const replicas = this.#replicasOf(handle);
      const copies = this.#copiesOf(replicas, async () => replicas?.samplers(version));
      const lane = { channel: this.channel, handle };
      return new LocalSampler(
        lane,
        version,
        this.info.maxContext,
        (task) => task(),
        copies,
        () => replicas?.dispose(),
      );
    });
  }

  async liveSampler(): Promise<LocalSampler> {
    return this.#enqueue(async () => {
      const { handle, version } = await this.channel.call('liveSampler', [this.opened.handle]);
      const replicas = this.#replicas;
      // After an update it is this model's own worker that refuses.
      const samplers = async () => (version === this.#version ? replicas?.samplers(version) : undefined);
      const copies = this.#copiesOf(replicas, samplers);
      return new LocalSampler({ channel: this.channel, handle }, version, this.info.maxContext, this.#enqueue, copies);
    });
  }

  async cloneFrozen(options: { merged?: boolean } = {}): Promise<LocalModel> {
    return this.#enqueue(async () => {
      const opened = await this.channel.call('clone', [this.opened.handle, options.merged ?? false]);
      return new LocalModel(this.channel, opened, this.role, this.pool);
    });
  }

  async withAdapter(source: AdapterSource): Promise<LocalModel> {
    return this.#enqueue(async () => {
      const opened = await this.channel.call('withAdapter', [this.opened.handle, source]);
      this.#isBase = true;
      return new LocalModel(this.channel, opened, this.role, this.pool);
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
      await this.#replicas?.discard();
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
    const list = await this.#enqueue(async () => {
      if (what === 'gradients') await this.#replicas?.collect();
      return this.channel.call('tensors', [this.opened.handle, what]);
    });
    return new Map(list.map(({ name, shape, data }) => [name, { shape, data }]));
  }

  dispose(): Promise<void> {
    return this.#enqueue(async () => {
      await this.#replicas?.dispose();
      await this.channel.call('dispose', [this.opened.handle]);
    });
  }
}
