import { EpochOrder } from '../core/epoch-order.js';
import { HoneError, silentProgress } from '../core/index.js';
import { TrainingRun } from '../engine/training-run.js';
import type { TrainableModel } from '../engine/types.js';
import { parseRlConfig, type RlConfig } from './config.js';
import { openReference } from './reference.js';
import type { RolloutContext } from './rollouts.js';
import { rlStateOf, type RlState } from './state.js';
import type { TrainRlOptions } from './trainer.js';

/** The models of a run. */
export interface RlModels {
  policy: TrainableModel;
  /** With advantage.kind gae. */
  critic: TrainableModel | undefined;
  /** With a KL. */
  reference: TrainableModel | undefined;
}

/** A run while it is going on. */
export interface Session {
  options: TrainRlOptions;
  config: RlConfig;
  context: RolloutContext;
  models: RlModels;
  training: TrainingRun;
  state: RlState;
}

/** Checks the options, opens the reference, and takes up a checkpoint where there is one. */
export async function openSession(options: TrainRlOptions): Promise<Session> {
  const config = parseRlConfig(options.config);
  const { policy, run, signal, progress = silentProgress } = options;
  const critic = criticOf(options, config);
  const reference = await openReference(policy, config);
  const planned = config.iterations + (critic ? config.critic.pretrain.iterations : 0);
  const training = new TrainingRun({
    ...{ model: policy, run, progress, signal, iterations: planned, checkpointEvery: config.checkpoint.every },
    companions: { ...(critic ? { critic } : {}), ...(reference ? { reference } : {}) },
  });
  if (options.resumeFrom) await training.restore(options.resumeFrom);
  const state = rlStateOf(training, config);
  return {
    options,
    config,
    context: contextOf(options, config),
    models: { policy, critic, reference },
    training,
    state,
  };
}

function criticOf({ critic }: TrainRlOptions, { advantage }: RlConfig): TrainableModel | undefined {
  if (advantage.kind !== 'gae') return undefined;
  if (critic?.role === 'critic') return critic;
  throw new HoneError('usage', 'GAE needs a critic, and none was given', {
    where: 'advantage.kind',
    hint: 'Open one with role critic, or set advantage.kind to group or leave-one-out.',
  });
}

function contextOf(options: TrainRlOptions, config: RlConfig): RolloutContext {
  const { task, run, policy, render, signal, gradeConcurrency = 8, progress = silentProgress } = options;
  const seed = run.manifest.seed;
  const problems = options.problems ?? task.problems('train', seed);
  const order = new EpochOrder(problems.size, seed, 'problems');
  const { maxContext } = policy.info;
  return { task, problems, order, render, config, seed, maxContext, gradeConcurrency, progress, signal };
}

/** Iterations done that train the policy. */
export function rlIterations({ training, state }: Session): number {
  return training.iteration - state.pretrained;
}
