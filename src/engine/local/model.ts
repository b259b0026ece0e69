import { join } from 'node:path';
import { HoneError } from '../../core/index.js';
import { makeFolder, writeFileAtomic } from '../../formats/index.js';
import type {
  AdapterSource,
  Datum,
  ForwardBackwardResult,
  Loss,
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
import { checkNeeds, Passes } from './passes.js';
import { REPLICA_PARAMETERS, Replicas, type ReplicaPool } from './replicas.js';
import { LocalSampler, type Copies, type Enqueue } from './sampler.js';

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

function checkTemperature(temperature: number): number {
  if (temperature > 0 && temperature < Infinity) return temperature;
  throw new HoneError('usage', `must be above 0, not ${temperature}`, { where: 'temperature' });
}

/** A model whose weights live in the local engine's thread. */
export class LocalModel implements TrainableModel {
  readonly info: ModelInfo;
  #version: number;
  #tail: Promise<unknown> = Promise.resolve();
  readonly #replicas: Replicas | undefined;
  readonly #passes: Passes;

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
    this.#passes = new Passes({ channel, handle: opened.handle }, opened, role, this.#replicas);
  }

  #replicasOf(handle: number): Replicas | undefined {
    if (!this.pool || this.info.parameters > REPLICA_PARAMETERS.sampling) return undefined;
    return new Replicas(this.pool, { channel: this.channel, handle });
  }

  get weightsVersion(): number {
    return this.#version;
  }

  get spent(): ModelTime {
    return { ...this.#passes.spent };
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
    const entropy = options.entropy ?? false;
    return this.#enqueue(() => this.#passes.forward(data, this.#version, { entropy, temperature }));
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
    return this.#enqueue(() => this.#passes.forwardBackward(data, this.#version, loss, temperature));
  }

  async optimStep(step: OptimStep): Promise<OptimResult> {
    checkStep(step);
    return this.#enqueue(async () => {
      const { result, version } = await this.#passes.timed('optimizer', async () => {
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
      this.#passes.isBase = true;
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
