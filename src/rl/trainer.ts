import type { Progress } from '../core/index.js';
import type { ResumePoint, Validation } from '../engine/training-run.js';
import type { TrainableModel } from '../engine/types.js';
import type { MetricsLine, Run } from '../runs/types.js';
import type { ProblemSource, Task } from '../tasks/types.js';
import type { RlConfig } from './config.js';
import { iterate } from './iteration.js';
import { pretrainCritic } from './pretraining.js';
import type { Rendering } from './rendering.js';
import { openSession, rlIterations, type Session } from './session.js';

export interface TrainRlOptions {
  policy: TrainableModel;
  /** A model of role critic; read by advantage.kind gae, which needs it. */
  critic?: TrainableModel;
  task: Pick<Task, 'name' | 'problems' | 'grade' | 'stop' | 'environment' | 'effort'>;
  /** Training problems; default: the task's train split under the run's seed. */
  problems?: ProblemSource;
  /** `renderingOf(task, model)`, or one of your own. */
  render: Rendering;
  /** Where metrics, rollouts and checkpoints go; its manifest's seed feeds every random draw. */
  run: Run;
  config: RlConfig;
  validate?: (policy: TrainableModel, iteration: number) => Promise<Validation>;
  /** Ends the run early after an iteration; a function of metrics, never of the clock, so that runs repeat. */
  stopWhen?: (metrics: MetricsLine) => boolean;
  /** Grader calls in flight at once; default 8. */
  gradeConcurrency?: number;
  progress?: Progress;
  signal?: AbortSignal;
  /** A checkpoint of this run (Run.latestCheckpoint). The continuation is bit for bit that of an unbroken run. */
  resumeFrom?: ResumePoint;
}

export interface TrainRlResult {
  /** Iterations completed, over all sittings. */
  iterations: number;
  /** Best validation score, if there was a validation. */
  bestScore: number | undefined;
  lastMetrics: MetricsLine | undefined;
}

/**
 * Reinforcement learning from verifiable rewards: every iteration samples groups of attempts, grades them, turns rewards
 * into advantages (of a group, or by a critic), and makes one or more updates. The published systems are configurations of
 * it (src/recipes); docs/rl.md goes through an iteration formula by formula.
 *
 * @throws HoneError('interrupted') on abort, after a checkpoint of the last trained iteration; HoneError('numeric')
 * after `maxSkippedUpdates` non-finite updates in a row; HoneError('usage' | 'input') for options and data.
 */
export async function trainRl(options: TrainRlOptions): Promise<TrainRlResult> {
  const session = await openSession(options);
  try {
    await pretrainCritic(session);
    return await reinforce(session);
  } finally {
    const { reference, start } = session.models;
    await reference?.dispose();
    if (start !== reference) await start?.dispose();
  }
}

async function reinforce(session: Session): Promise<TrainRlResult> {
  const { options, config, context, training, state } = session;
  const { progress } = context;
  progress.phase('RL', config.iterations + state.pretrained);
  if (training.iteration > 0) progress.update(training.iteration, { resumed: training.iteration });
  while (rlIterations(session) < config.iterations) {
    await training.stopIfAborted();
    const metrics = await iterate(session);
    if (metrics && options.stopWhen?.(metrics)) break;
  }
  await training.checkpoint();
  progress.end();
  const { iteration, lastMetrics } = training;
  return { iterations: iteration, bestScore: training.state.bestScore ?? undefined, lastMetrics };
}
