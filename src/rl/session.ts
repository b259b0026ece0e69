import { HoneError, silentProgress, type Progress } from '../core/index.js';
import { TrainingRun } from '../engine/training-run.js';
import type { TrainableModel } from '../engine/types.js';
import { hasFilters, parseRlConfig, type RlConfig } from './config.js';
import { openReference } from './reference.js';
import { openStart } from './start-kl.js';
import { checkRewards } from './rewards.js';
import { EMPTY_MEMORY, memoryFromJson, type RolloutMemory } from './rollout-memory.js';
import type { RolloutContext } from './rollouts.js';
import { Course, planStages, type Stretch } from './stages.js';
import { rlStateOf, type RlState } from './state.js';
import type { TrainRlOptions } from './trainer.js';

/** The models of a run. */
export interface RlModels {
  policy: TrainableModel;
  /** With advantage.kind gae. */
  critic: TrainableModel | undefined;
  /** With a KL. */
  reference: TrainableModel | undefined;
  /** With monitors.startKl; may be the reference. */
  start: TrainableModel | undefined;
}

/** A run while it is going on. */
export interface Session {
  options: TrainRlOptions;
  /** Those of the stage, where the run has stages. */
  config: RlConfig;
  context: RolloutContext;
  models: RlModels;
  training: TrainingRun;
  state: RlState;
  course: Course;
  memory: RolloutMemory;
}

/** Checks the options, opens the reference, and takes up a checkpoint where there is one. */
export async function openSession(options: TrainRlOptions): Promise<Session> {
  const config = parseRlConfig(options.config);
  const { policy, run, signal, resumeFrom, progress = silentProgress } = options;
  const stretches = await planned(options, config, progress);
  const critic = criticOf(options, config);
  const reference = await openReference(policy, config);
  const start = await openStart(policy, reference, config);
  const iterations = config.iterations + (critic ? config.critic.pretrain.iterations : 0);
  const training = new TrainingRun({
    ...{ model: policy, run, progress, signal, iterations, checkpointEvery: config.checkpoint.every },
    companions: {
      ...(critic ? { critic } : {}),
      ...(reference ? { reference } : {}),
      ...(start && start !== reference ? { start } : {}),
    },
  });
  if (resumeFrom) await training.restore(resumeFrom);
  const state = rlStateOf(training, config);
  const course = new Course(stretches, resumeFrom ? await run.readMetrics() : []);
  const memory =
    state.rollouts === undefined
      ? { ...EMPTY_MEMORY, cursor: training.state.cursor }
      : memoryFromJson(state.rollouts, resumeFrom?.folder ?? run.path);
  const models = { policy, critic, reference, start };
  return {
    ...{ options, models, training, state, course, memory },
    ...{ config: course.now.config, context: contextOf(options, course.now) },
  };
}

/** The stages of the run, with what the task has to give for their rewards. */
async function planned(options: TrainRlOptions, config: RlConfig, progress: Progress): Promise<Stretch[]> {
  const { task, run } = options;
  const { seed } = run.manifest;
  const stretches = await planStages(config, options.problems ?? task.problems('train', seed), seed);
  for (const stretch of stretches) checkRewards(task, stretch.config);
  if (stretches.some((stretch) => hasFilters(stretch.config)))
    progress.note('top-p, top-k and min-p shape the sampling only: training uses the full distribution.', 'warn');
  const turns = Math.min(...stretches.map((stretch) => stretch.config.environment.maxTurns));
  const suggested = task.environment?.suggestedMaxTurns ?? 1;
  if (turns < suggested)
    progress.note(
      `environment.maxTurns is ${turns}, and task ${task.name} suggests ${suggested}: attempts that need more turns are cut`,
      'warn',
    );
  return stretches;
}

/**
 * Goes over to the stage that the next iteration belongs to; does nothing within a stage. What was sampled ahead or carried
 * over belongs to the problems and the options of the stage before, so the new one begins without it.
 */
export async function enterStage(session: Session): Promise<void> {
  const { course, options, models } = session;
  const { config, stage } = course.now;
  session.config = config;
  session.context = contextOf(options, course.now);
  if (!course.begins) return;
  session.memory = { ...session.memory, carried: [], pending: undefined };
  if (stage?.resetReference && models.reference) await models.reference.copyFrom(models.policy);
  if (stage?.resetOptimizer) {
    await models.policy.resetOptimizer();
    // New moments need a warm-up again: its clock counts updates.
    session.training.state.updates = 0;
  }
}

function criticOf({ critic }: TrainRlOptions, { advantage }: RlConfig): TrainableModel | undefined {
  if (advantage.kind !== 'gae') return undefined;
  if (critic?.role === 'critic') return critic;
  throw new HoneError('usage', 'GAE needs a critic, and none was given', {
    where: 'advantage.kind',
    hint: 'Open one with role critic, or set advantage.kind to group or leave-one-out.',
  });
}

function contextOf(options: TrainRlOptions, { problems, order, config }: Stretch): RolloutContext {
  const { task, run, policy, render, signal, gradeConcurrency = 8, progress = silentProgress } = options;
  const { maxContext } = policy.info;
  const { seed } = run.manifest;
  return { task, problems, order, render, config, seed, maxContext, gradeConcurrency, progress, signal };
}

/** Iterations done that train the policy. */
export function rlIterations({ training, state }: Session): number {
  return training.iteration - state.pretrained;
}
