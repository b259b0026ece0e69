import type { Engine, EngineCapabilities, OpenModelOptions } from '../types.js';
import { defaultThreads, InlineChannel, WorkerChannel, type Channel } from './channel.js';
import type { BackendOptions } from './backend.js';
import { LocalModel } from './model.js';
import { ReplicaPool } from './replicas.js';
import { loadOrt, type SessionOptions } from './session.js';

export interface LocalEngineOptions {
  /** Threads of the native kernels; default: what the machine runs at once. */
  threads?: number;
  /**
   * Small models (up to 4 million parameters to train, 8 to sample) work as so many copies in worker threads, which share
   * `threads`; 1: no copies. Default: one for each thread, at most 8; inline none. Results depend on the number by
   * rounding alone.
   */
  replicas?: number;
  /** Run in the caller's thread instead of a worker: for tests and debugging. */
  inline?: boolean;
  /** See SessionOptions; `plain` is the slower, documented path. */
  outputs?: SessionOptions['outputs'];
  /** Bound for the estimated memory of a model's training graphs, in bytes. Default 2 GiB. */
  sessionBytes?: number;
}

const SESSION_BYTES = 2 * 2 ** 30;
const MOST_REPLICAS = 8;

const CAPABILITIES: EngineCapabilities = {
  fullFineTuning: true,
  lora: true,
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

/** The engine on this machine's processor. */
export class LocalEngine implements Engine {
  readonly name = 'local';
  readonly capabilities = CAPABILITIES;

  constructor(
    private readonly channel: Channel,
    private readonly pool?: ReplicaPool,
  ) {}

  async openModel(options: OpenModelOptions): Promise<LocalModel> {
    const opened = await this.channel.call('open', [options]);
    return new LocalModel(this.channel, opened, options.role ?? 'policy', this.pool);
  }

  async close(): Promise<void> {
    await this.pool?.close();
    await this.channel.close();
  }
}

/**
 * The engine on this machine's processor (ONNX Runtime).
 * @throws HoneError('resource') when onnxruntime-node is not installed
 */
export async function createLocalEngine(options: LocalEngineOptions = {}): Promise<LocalEngine> {
  await loadOrt();
  const backend = {
    threads: options.threads ?? defaultThreads(),
    outputs: options.outputs ?? ('in-place' as const),
    sessionBytes: options.sessionBytes ?? SESSION_BYTES,
  };
  const open = (share: BackendOptions): Channel =>
    options.inline ? new InlineChannel(share) : new WorkerChannel(share);
  const replicas = options.replicas ?? (options.inline ? 1 : Math.min(backend.threads, MOST_REPLICAS));
  const each = { ...backend, threads: Math.max(1, Math.floor(backend.threads / replicas)) };
  return new LocalEngine(open(backend), replicas > 1 ? new ReplicaPool(replicas, () => open(each)) : undefined);
}
