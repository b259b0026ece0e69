import type { Engine, EngineCapabilities, OpenModelOptions } from '../types.js';
import { defaultThreads, InlineChannel, WorkerChannel, type Channel } from './channel.js';
import { LocalModel } from './model.js';
import { loadOrt, type SessionOptions } from './session.js';

export interface LocalEngineOptions {
  /** Threads of the native kernels; default: what the machine runs at once. */
  threads?: number;
  /** Run in the caller's thread instead of a worker: for tests and debugging. */
  inline?: boolean;
  /** See SessionOptions; `plain` is the slower, documented path. */
  outputs?: SessionOptions['outputs'];
  /** Bound for the estimated memory of a model's training graphs, in bytes. Default 2 GiB. */
  sessionBytes?: number;
}

const SESSION_BYTES = 2 * 2 ** 30;

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

  constructor(private readonly channel: Channel) {}

  async openModel(options: OpenModelOptions): Promise<LocalModel> {
    return new LocalModel(this.channel, await this.channel.call('open', [options]), options.role ?? 'policy');
  }

  close(): Promise<void> {
    return this.channel.close();
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
  return new LocalEngine(options.inline ? new InlineChannel(backend) : new WorkerChannel(backend));
}
