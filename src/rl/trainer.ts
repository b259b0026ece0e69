import { EpochOrder } from '../core/epoch-order.js';
import { silentProgress, type Progress } from '../core/index.js';
import { TrainingRun, type ResumePoint, type Validation } from '../engine/training-run.js';
import type { TrainableModel } from '../engine/types.js';
import type { MetricsLine, Run } from '../runs/types.js';
import type { ProblemSource, Task } from '../tasks/types.js';
import { collectGroups, type Collected } from './collect.js';
import { hasFilters, parseRlConfig, type RlConfig } from './config.js';
import { iterationMetrics } from './iteration-metrics.js';
import type { Rendering } from './rendering.js';
import { rolloutRows, type RolloutContext } from './rollouts.js';
import { planUpdates, runUpdates } from './updates.js';

export interface TrainRlOptions {
  policy: TrainableModel;
  task: Pick<Task, 'name' | 'problems' | 'grade' | 'stop'>;
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
 * into group-relative advantages, and makes one or more updates with a clipped surrogate. GRPO, DAPO and Dr. GRPO are
 * configurations of it (src/recipes).
 *
 * @throws HoneError('interrupted') on abort, after a checkpoint of the last trained iteration; HoneError('numeric')
 * after `maxSkippedUpdates` non-finite updates in a row; HoneError('usage' | 'input') for options and data.
 */
export async function trainRl(options: TrainRlOptions): Promise<TrainRlResult> {
  const config = parseRlConfig(options.config);
  const { policy, run, signal, resumeFrom, stopWhen, progress = silentProgress } = options;
  const { iterations, checkpoint } = config;
  const training = new TrainingRun({
    ...{ model: policy, run, progress, signal, iterations },
    checkpointEvery: checkpoint.every,
  });
  if (resumeFrom) await training.restore(resumeFrom);
  if (hasFilters(config))
    progress.note('top-p, top-k and min-p shape the sampling only: training uses the full distribution.', 'warn');
  progress.phase('RL', iterations);
  if (training.iteration > 0) progress.update(training.iteration, { resumed: training.iteration });
  const context = rolloutContext(options, config, progress);
  while (training.iteration < iterations) {
    await training.stopIfAborted();
    const metrics = await iterate(options, context, training);
    if (metrics && stopWhen?.(metrics)) break;
  }
  await training.checkpoint();
  progress.end();
  const { iteration, state, lastMetrics } = training;
  return { iterations: iteration, bestScore: state.bestScore ?? undefined, lastMetrics };
}

function rolloutContext(options: TrainRlOptions, config: RlConfig, progress: Progress): RolloutContext {
  const { task, run, policy, render, signal, gradeConcurrency = 8 } = options;
  const seed = run.manifest.seed;
  const problems = options.problems ?? task.problems('train', seed);
  const order = new EpochOrder(problems.size, seed, 'problems');
  const { maxContext } = policy.info;
  return { task, problems, order, render, config, seed, maxContext, gradeConcurrency, progress, signal };
}

/**
 * One iteration. Aborted while it samples or grades, it leaves no trace, since nothing has changed by then; aborted while
 * it validates, it is saved, and validated when the run goes on.
 */
async function iterate(
  options: TrainRlOptions,
  context: RolloutContext,
  training: TrainingRun,
): Promise<MetricsLine | undefined> {
  const metrics = training.unvalidated ?? (await trainIteration(options, context, training));
  if (!metrics) return undefined;
  const finished = await training.finish(metrics, (line) => validateIfDue(options, context, line));
  context.progress.update(finished.iteration, facts(finished));
  return finished;
}

/** Samples, grades and updates. @returns the metrics; undefined when aborted before anything changed. */
async function trainIteration(
  options: TrainRlOptions,
  context: RolloutContext,
  training: TrainingRun,
): Promise<MetricsLine | undefined> {
  const { policy, run } = options;
  const { config, progress } = context;
  const iteration = training.iteration + 1;
  const collected = await collectUnlessAborted(options, context, training);
  if (!collected) return undefined;
  if (collected.kept.length === 0)
    progress.note(
      `iteration ${iteration} has nothing to train on: no prompt had mixed results or enough verdicts`,
      'warn',
    );
  progress.update(training.iteration, { training: `${collected.kept.length} groups` });
  const plan = planUpdates(collected.kept, config);
  const report = await runUpdates(policy, plan, config, training.state, training.iteration / config.iterations);
  training.state.cursor = collected.cursor;
  const metrics = iterationMetrics(iteration, collected, report);
  await run.writeRollouts(iteration, rolloutRows(iteration, collected.sampled));
  if (!report.diverged) return metrics;
  await run.appendMetrics(metrics);
  throw training.diverged(iteration, config.maxSkippedUpdates, config.optimizer.lr);
}

async function collectUnlessAborted(
  { policy, signal }: TrainRlOptions,
  context: RolloutContext,
  training: TrainingRun,
): Promise<Collected | undefined> {
  const sampler = await policy.liveSampler();
  try {
    const at = { iteration: training.iteration + 1, cursor: training.state.cursor };
    return await collectGroups(context, sampler, at);
  } catch (error) {
    if (!signal?.aborted) throw error;
    return undefined;
  } finally {
    await sampler.dispose();
  }
}

/** Adds `val.*` to the metrics when a validation is due; returns the score that ranks checkpoints. */
async function validateIfDue(
  { policy, validate }: TrainRlOptions,
  { config, progress }: RolloutContext,
  metrics: MetricsLine,
): Promise<number | undefined> {
  const { iteration } = metrics;
  const { every } = config.validation;
  const due = every > 0 && (iteration % every === 0 || iteration === config.iterations);
  if (!due || !validate) return undefined;
  progress.update(iteration - 1, { validating: iteration });
  const validation = await validate(policy, iteration);
  for (const [name, value] of Object.entries(validation.metrics)) metrics[`val.${name}`] = value;
  metrics['val.score'] = validation.score;
  return validation.score;
}

/** The few numbers worth watching while a run goes on. */
function facts(metrics: MetricsLine): Record<string, string | number> {
  const shown: Record<string, string | number> = {};
  for (const name of ['accuracy', 'reward.mean', 'length.mean', 'entropy.estimate']) {
    const value = metrics[name];
    if (typeof value === 'number') shown[name] = Number(value.toPrecision(3));
  }
  return shown;
}
