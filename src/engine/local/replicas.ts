import type { Args, Channel, Method } from './channel.js';

/** Up to so many parameters models work faster as copies with a thread each (experiments/LOG.md). */
export const REPLICA_PARAMETERS = { training: 2 ** 22, sampling: 2 ** 23 } as const;

/** Worker threads that hold copies of small models, with a share of the machine's threads each. */
export class ReplicaPool {
  #channels: Channel[] | undefined;

  constructor(
    readonly size: number,
    private readonly open: () => Channel,
  ) {}

  /** They start when they are first needed. */
  get channels(): readonly Channel[] {
    return (this.#channels ??= Array.from({ length: this.size }, () => this.open()));
  }

  async close(): Promise<void> {
    await Promise.all((this.#channels ?? []).map((channel) => channel.close()));
  }
}

/** A model or sampler in one worker. */
export interface Lane {
  channel: Channel;
  handle: number;
}

/** Waits for all of them, so that nothing is still under way. @throws the first failure */
export async function together<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(work);
  return settled.map((result) => {
    if (result.status === 'rejected') throw result.reason as Error;
    return result.value;
  });
}

/**
 * Copies of one model's weights, or of a snapshot's, for work that divides (data parallelism). They are made when
 * first needed and brought up to date before use; their gradients are added to the model's in the order of the copies,
 * so that the result does not depend on who was quicker.
 */
export class Replicas {
  #copies: Promise<Lane[]> | undefined;
  #gradients: SharedArrayBuffer[] = [];
  #version = -1;
  #samplers: { version: number; lanes: Promise<Lane[]> } | undefined;
  /** Whether they hold gradients that the model has not got yet. */
  #dirty = false;

  constructor(
    private readonly pool: ReplicaPool,
    private readonly model: Lane,
  ) {}

  get size(): number {
    return this.pool.size;
  }

  /** The copies, with the weights of this version. */
  async upToDate(version: number): Promise<readonly Lane[]> {
    const copies = await (this.#copies ??= this.#make());
    if (this.#version === version) return copies;
    await this.#call(this.model, 'showWeights', []);
    await together(copies.map((copy) => this.#call(copy, 'takeWeights', [version])));
    this.#version = version;
    return copies;
  }

  /** The copies, to train: until `collect` or `discard` they have gradients. */
  toTrain(version: number): Promise<readonly Lane[]> {
    this.#dirty = true;
    return this.upToDate(version);
  }

  /** Samplers over the copies, with the weights of this version. */
  async samplers(version: number): Promise<readonly Lane[]> {
    const copies = await this.upToDate(version);
    const before = this.#samplers;
    if (before?.version === version) return before.lanes;
    const made = copies.map(async (copy) => {
      const { handle } = await this.#call(copy, 'liveSampler', []);
      return { channel: copy.channel, handle };
    });
    this.#samplers = { version, lanes: together(made) };
    await together(((await before?.lanes) ?? []).map((sampler) => this.#call(sampler, 'dispose', [])));
    return this.#samplers.lanes;
  }

  async #make(): Promise<Lane[]> {
    const shared = await this.#call(this.model, 'share', []);
    this.#version = shared.version;
    const made = this.pool.channels.map(async (channel) => {
      const { handle, gradients } = await channel.call('replica', [shared, this.pool.size]);
      return { channel, handle, gradients };
    });
    const copies = await together(made);
    this.#gradients = copies.map(({ gradients }) => gradients);
    return copies;
  }

  #call<M extends Method>(
    { channel, handle }: Lane,
    method: M,
    rest: Args<M> extends [handle: number, ...infer R] ? R : never,
  ) {
    return channel.call(method, [handle, ...(rest as unknown[])] as unknown as Args<M>);
  }

  /** Moves their gradients into the model's. */
  async collect(): Promise<void> {
    if (!this.#dirty || !this.#copies) return;
    await together((await this.#copies).map((copy) => this.#call(copy, 'showGradients', [])));
    await this.#call(this.model, 'addGradients', [this.#gradients]);
    this.#dirty = false;
  }

  /** Forgets their gradients. */
  async discard(): Promise<void> {
    if (!this.#dirty || !this.#copies) return;
    await together((await this.#copies).map((copy) => this.#call(copy, 'zeroGrad', [])));
    this.#dirty = false;
  }

  async dispose(): Promise<void> {
    const copies = this.#copies;
    this.#copies = undefined;
    if (copies) await together((await copies).map((copy) => this.#call(copy, 'dispose', [])));
  }
}
