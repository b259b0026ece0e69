import { z } from 'zod';
import { silentProgress, type Progress } from '../core/index.js';
import { TrainingRun, type ResumePoint, type Validation } from '../engine/training-run.js';
import type { TrainableModel } from '../engine/types.js';
import type { MetricsLine, Run } from '../runs/types.js';
import type { ProblemSource, Task } from '../tasks/types.js';
import { decided, nextRollouts, type Collecting } from './collect.js';
import { hasFilters, parseRlConfig, type RlConfig } from './config.js';
import { diagnosisLine } from './diagnosis.js';
import { iterationMetrics } from './iteration-metrics.js';
import type { Rendering } from './rendering.js';
import { checkRewards } from './rewards.js';
import { EMPTY_MEMORY, memoryFromJson, memoryToJson, type RolloutMemory } from './rollout-memory.js';
import { rolloutRows, type RolloutContext } from './rollouts.js';
import { Course, planStages } from './stages.js';
import { planUpdates, runUpdates } from './updates.js';

export interface TrainRlOptions {
  policy: TrainableModel;
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
 * into group-relative advantages, and makes one or more updates with a clipped surrogate. GRPO, DAPO and Dr. GRPO are
 * configurations of it (src/recipes).
 *
 * @throws HoneError('interrupted') on abort, after a checkpoint of the last trained iteration; HoneError('numeric')
 * after `maxSkippedUpdates` non-finite updates in a row; HoneError('usage' | 'input') for options and data.
 */
export async function trainRl(options: TrainRlOptions): Promise<TrainRlResult> {
  const config = parseRlConfig(options.config);
  const { policy, run, signal, stopWhen, progress = silentProgress } = options;
  const { iterations, checkpoint } = config;
  const training = new TrainingRun({
    ...{ model: policy, run, progress, signal, iterations },
    checkpointEvery: checkpoint.every,
  });
  const rl = await begin(options, config, training, progress);
  progress.phase('RL', iterations);
  if (training.iteration > 0) progress.update(training.iteration, { resumed: training.iteration });
  while (training.iteration < iterations) {
    await training.stopIfAborted();
    const metrics = await iterate(rl);
    if (metrics && stopWhen?.(metrics)) break;
  }
  await training.checkpoint();
  progress.end();
  const { iteration, state, lastMetrics } = training;
  return { iterations: iteration, bestScore: state.bestScore ?? undefined, lastMetrics };
}

/** A run under way. */
interface RlRun {
  options: TrainRlOptions;
  config: RlConfig;
  training: TrainingRun;
  course: Course;
  memory: RolloutMemory;
  progress: Progress;
}

/** Checks what can be checked before any work, and restores the checkpoint to go on from. */
async function begin(
  options: TrainRlOptions,
  config: RlConfig,
  training: TrainingRun,
  progress: Progress,
): Promise<RlRun> {
  const { run, task, resumeFrom } = options;
  const { seed } = run.manifest;
  const stretches = await planStages(config, options.problems ?? task.problems('train', seed), seed);
  for (const stretch of stretches) checkRewards(task, stretch.config);
  if (stretches.some((stretch) => hasFilters(stretch.config)))
    progress.note('top-p, top-k and min-p shape the sampling only: training uses the full distribution.', 'warn');
  if (resumeFrom) await training.restore(resumeFrom);
  const course = new Course(stretches, resumeFrom ? await run.readMetrics() : []);
  return { options, config, training, course, memory: memoryOf(training, resumeFrom?.folder), progress };
}

const extraSchema = z.looseObject({ rollouts: z.json() });

function memoryOf({ state }: TrainingRun, folder: string | undefined): RolloutMemory {
  const extra = extraSchema.safeParse(state.extra);
  if (!extra.success) return { ...EMPTY_MEMORY, cursor: state.cursor };
  return memoryFromJson(extra.data.rollouts, folder ?? 'checkpoint');
}

/** What the next iteration samples with. */
function contextOf({ options, course, progress }: RlRun): RolloutContext {
  const { task, run, policy, render, signal, gradeConcurrency = 8 } = options;
  const { problems, order, config } = course.now;
  const { maxContext } = policy.info;
  const { seed } = run.manifest;
  return { task, problems, order, render, config, seed, maxContext, gradeConcurrency, progress, signal };
}

/**
 * One iteration. Aborted while it samples or grades, it leaves no trace, since nothing has changed by then; aborted while
 * it validates, it is saved, and validated when the run goes on.
 */
async function iterate(rl: RlRun): Promise<MetricsLine | undefined> {
  const { training, course, progress } = rl;
  const metrics = training.unvalidated ?? (await trainIteration(rl));
  if (!metrics) return undefined;
  const finished = await training.finish(metrics, (line) => validateIfDue(rl, line));
  const told = course.pass(finished);
  if (told !== undefined) progress.note(told);
  progress.update(finished.iteration, facts(finished));
  return finished;
}

/** Samples, grades and updates. @returns the metrics; undefined when aborted before anything changed. */
async function trainIteration(rl: RlRun): Promise<MetricsLine | undefined> {
  const { options, training, course, progress } = rl;
  const { policy, run } = options;
  const { config } = course.now;
  const iteration = training.iteration + 1;
  const started = performance.now();
  const next = await collectUnlessAborted(rl, contextOf(rl));
  if (!next) return undefined;
  const { collected, memory } = next;
  if (collected.diagnosis) progress.note(diagnosisLine(iteration, collected.diagnosis), 'warn');
  progress.update(training.iteration, { training: `${collected.kept.length} groups` });
  const plan = planUpdates(collected.kept, config);
  const report = await runUpdates(policy, plan, config, training.state, training.iteration / rl.config.iterations);
  rl.memory = memory;
  training.state.cursor = memory.cursor;
  training.state.extra = { rollouts: memoryToJson(memory) as z.core.util.JSONType };
  const seconds = (performance.now() - started) / 1000;
  const metrics = { ...iterationMetrics(iteration, collected, report, seconds), ...course.metrics };
  await run.writeRollouts(iteration, rolloutRows(iteration, decided(collected)));
  if (!report.diverged) return metrics;
  await run.appendMetrics(metrics);
  throw training.diverged(iteration, config.maxSkippedUpdates, config.optimizer.lr);
}

async function collectUnlessAborted(
  { options: { policy, signal }, training, memory }: RlRun,
  context: RolloutContext,
): Promise<Collecting | undefined> {
  const sampler = await policy.liveSampler();
  try {
    return await nextRollouts(context, sampler, training.iteration + 1, memory);
  } catch (error) {
    if (!signal?.aborted) throw error;
    return undefined;
  } finally {
    await sampler.dispose();
  }
}

/** Adds `val.*` to the metrics when a validation is due; returns the score that ranks checkpoints. */
async function validateIfDue(
  { options: { policy, validate }, config, progress }: RlRun,
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
