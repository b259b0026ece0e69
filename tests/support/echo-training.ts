import type { TrainableModel } from '../../src/engine/types.js';
import { trainRl, type RlConfig, type TrainRlOptions } from '../../src/rl/index.js';
import { CHARS, echoTask, openEchoPolicy, rendering } from './echo-task.js';
import { MemoryRun } from './memory-run.js';
import { ReferenceEngine, type ReferenceEngineOptions } from './reference-engine.js';
import { rlConfig } from './rl-config.js';

/** A configuration with some options of some parts changed. */
export function withOptions(changes: {
  [K in keyof RlConfig]?: RlConfig[K] extends Record<string, unknown> ? Partial<RlConfig[K]> : RlConfig[K];
}): RlConfig {
  const base = rlConfig();
  const merged = Object.entries(changes).map(([name, value]) => {
    const old = base[name as keyof RlConfig];
    return [name, typeof old === 'object' && old !== null ? { ...old, ...(value as object) } : value];
  });
  return { ...base, ...(Object.fromEntries(merged) as Partial<RlConfig>) };
}

export function openEchoCritic(seed: number, options: ReferenceEngineOptions = {}) {
  return new ReferenceEngine(options).openModel({
    role: 'critic',
    source: { kind: 'random', seed, config: { chars: CHARS, hidden: 8, lags: 2, maxContext: 16 } },
  });
}

/** Trains the echo task; the critic is opened where the configuration needs one. */
export async function trainEcho(config: RlConfig, options: Partial<TrainRlOptions> & { run?: MemoryRun } = {}) {
  const policy = options.policy ?? (await openEchoPolicy(1));
  const critic = options.critic ?? (config.advantage.kind === 'gae' ? await openEchoCritic(2) : undefined);
  const run = options.run ?? (await MemoryRun.create(7));
  const result = await trainRl({ task: echoTask(), render: rendering, ...options, policy, critic, run, config });
  return { policy, critic, run, result };
}

/** All weights of a model in one row. */
export async function weightsOf(model: TrainableModel): Promise<number[]> {
  return [...(await model.tensors('weights')).values()].flatMap(({ data }) => [...data]);
}

export async function gradientsOf(model: TrainableModel): Promise<number[]> {
  return [...(await model.tensors('gradients')).values()].flatMap(({ data }) => [...data]);
}

/** Largest difference as a share of the largest number. */
export function maxRelativeDifference(a: readonly number[], b: readonly number[]): number {
  const scale = Math.max(...a.map(Math.abs));
  return Math.max(...a.map((x, i) => Math.abs(x - (b[i] ?? NaN)))) / scale;
}
