import type { MetricsLine } from '../runs/types.js';
import { collectGroups, type Collected } from './collect.js';
import { iterationMetrics } from './iteration-metrics.js';
import { learnFrom } from './learning.js';
import { rolloutRows } from './rollouts.js';
import { rlIterations, type Session } from './session.js';
import type { UpdateReport } from './updates.js';

/**
 * One iteration. Aborted while it samples or grades, it leaves no trace, since nothing has changed by then; aborted while
 * it validates, it is saved, and validated when the run goes on.
 * @returns the metrics; undefined when aborted before anything changed.
 */
export async function iterate(session: Session): Promise<MetricsLine | undefined> {
  const { training, context } = session;
  const metrics = training.unvalidated ?? (await trainIteration(session));
  if (!metrics) return undefined;
  const finished = await training.finish(metrics, (line) => validateIfDue(session, line));
  context.progress.update(finished.iteration, facts(finished));
  return finished;
}

/** Samples, grades and updates. */
async function trainIteration(session: Session): Promise<MetricsLine | undefined> {
  const { training, context, config, options } = session;
  const iteration = training.iteration + 1;
  const collected = await collectUnlessAborted(session);
  if (!collected) return undefined;
  if (collected.kept.length === 0)
    context.progress.note(
      `iteration ${iteration} has nothing to train on: no prompt had mixed results or enough verdicts`,
      'warn',
    );
  context.progress.update(training.iteration, { training: `${collected.kept.length} groups` });
  const report = await learnFrom(session, collected.kept);
  const metrics = await storeIteration(session, collected, report);
  if (!report.diverged) return metrics;
  await options.run.appendMetrics(metrics);
  throw training.diverged(iteration, config.maxSkippedUpdates, config.optimizer.lr);
}

/** What this iteration samples and grades; undefined when the user asked to stop meanwhile. */
export async function collectUnlessAborted(session: Session): Promise<Collected | undefined> {
  const { models, context, training, options } = session;
  const sampler = await models.policy.liveSampler();
  try {
    const at = { iteration: training.iteration + 1, cursor: training.state.cursor };
    return await collectGroups(context, sampler, at);
  } catch (error) {
    if (!options.signal?.aborted) throw error;
    return undefined;
  } finally {
    await sampler.dispose();
  }
}

/** Moves the cursor, writes the rollouts and returns the metrics of an iteration that is done. */
export async function storeIteration(
  { training, options: { run } }: Session,
  collected: Collected,
  report: UpdateReport,
): Promise<MetricsLine> {
  const iteration = training.iteration + 1;
  training.state.cursor = collected.cursor;
  await run.writeRollouts(iteration, rolloutRows(iteration, collected.sampled));
  return iterationMetrics(iteration, collected, report);
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
