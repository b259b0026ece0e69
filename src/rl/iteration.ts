import type { MetricsLine } from '../runs/types.js';
import { decided, nextRollouts, type Collecting } from './collect.js';
import { diagnosisLine } from './diagnosis.js';
import { iterationMetrics } from './iteration-metrics.js';
import { learnFrom } from './learning.js';
import { memoryToJson } from './rollout-memory.js';
import { rolloutRows } from './rollouts.js';
import { enterStage, rlIterations, type Session } from './session.js';
import type { RolloutContext } from './rollouts.js';
import type { RlState } from './state.js';
import type { UpdateReport } from './updates.js';

/**
 * One iteration. Aborted while it samples or grades, it leaves no trace, since nothing has changed by then; aborted while
 * it validates, it is saved, and validated when the run goes on.
 * @returns the metrics; undefined when aborted before anything changed.
 */
export async function iterate(session: Session): Promise<MetricsLine | undefined> {
  const { training, context, course } = session;
  const metrics = training.unvalidated ?? (await trainIteration(session));
  if (!metrics) return undefined;
  const finished = await training.finish(metrics, (line) => validateIfDue(session, line));
  const told = course.pass(finished);
  if (told !== undefined) context.progress.note(told);
  context.progress.update(finished.iteration, facts(finished));
  return finished;
}

/** Samples, grades and updates. */
async function trainIteration(session: Session): Promise<MetricsLine | undefined> {
  await enterStage(session);
  const { training, context, config, options } = session;
  const iteration = training.iteration + 1;
  const sampled = await collectUnlessAborted(session, rlIterations(session) + 1 >= config.iterations);
  if (!sampled) return undefined;
  const { collected } = sampled;
  if (collected.diagnosis) context.progress.note(diagnosisLine(iteration, collected.diagnosis), 'warn');
  context.progress.update(training.iteration, { training: `${collected.kept.length} groups` });
  const report = await learnFrom(session, collected.kept);
  const metrics = await storeIteration(session, sampled, report);
  if (!report.diverged) return metrics;
  await options.run.appendMetrics(metrics);
  throw training.diverged(iteration, config.maxSkippedUpdates, config.optimizer.lr);
}

/** What an iteration has sampled, and since when it is going on. */
export interface Sampled extends Collecting {
  /** `performance.now()`. */
  started: number;
}

/**
 * What this iteration samples and grades; undefined when the user asked to stop meanwhile.
 * @param isLast nothing is sampled ahead.
 */
export async function collectUnlessAborted(
  session: Session,
  isLast: boolean,
  context: RolloutContext = session.context,
): Promise<Sampled | undefined> {
  const { models, training, options, memory } = session;
  const started = performance.now();
  const sampler = await models.policy.liveSampler();
  try {
    const at = { iteration: training.iteration + 1, isLast };
    return { ...(await nextRollouts(context, sampler, at, memory)), started };
  } catch (error) {
    if (!options.signal?.aborted) throw error;
    return undefined;
  } finally {
    await sampler.dispose();
  }
}

/** Remembers what sampling needs next, writes the rollouts and returns the metrics of an iteration that is done. */
export async function storeIteration(
  session: Session,
  { collected, memory, started }: Sampled,
  report: UpdateReport,
): Promise<MetricsLine> {
  const { training, state, course, options } = session;
  const iteration = training.iteration + 1;
  session.memory = memory;
  training.state.cursor = memory.cursor;
  state.rollouts = memoryToJson(memory) as RlState['rollouts'];
  await options.run.writeRollouts(iteration, rolloutRows(iteration, decided(collected)));
  const seconds = (performance.now() - started) / 1000;
  return { ...iterationMetrics(iteration, collected, report, seconds), ...course.metrics };
}

/** Adds `val.*` to the metrics when a validation is due; returns the score that ranks checkpoints. */
async function validateIfDue(session: Session, metrics: MetricsLine): Promise<number | undefined> {
  const { options, config, context, models } = session;
  const { every } = config.validation;
  const done = rlIterations(session) + 1;
  const due = every > 0 && (done % every === 0 || done === config.iterations);
  if (!due || !options.validate) return undefined;
  context.progress.update(metrics.iteration - 1, { validating: metrics.iteration });
  const validation = await options.validate(models.policy, metrics.iteration);
  for (const [name, value] of Object.entries(validation.metrics)) metrics[`val.${name}`] = value;
  metrics['val.score'] = validation.score;
  return validation.score;
}

/** The few numbers worth watching while a run goes on. */
function facts(metrics: MetricsLine): Record<string, string | number> {
  const shown: Record<string, string | number> = {};
  for (const name of ['accuracy', 'reward.mean', 'length.mean', 'entropy.estimate', 'critic.explained_variance']) {
    const value = metrics[name];
    if (typeof value === 'number') shown[name] = Number(value.toPrecision(3));
  }
  return shown;
}
