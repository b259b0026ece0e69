import { setMonteCarloReturns } from './credit.js';
import { recordValues, updateCritic } from './critic-updates.js';
import { collectUnlessAborted, storeIteration } from './iteration.js';
import { isFiltered, sequencesOf } from './sequences.js';
import type { RolloutContext } from './rollouts.js';
import type { Session } from './session.js';
import { emptyReport } from './updates.js';

/**
 * Value pretraining (VC-PPO, arXiv 2503.01491; VAPO, arXiv 2504.05118 section 4.1): the starting policy samples, and the
 * critic alone learns the Monte-Carlo returns. Every iteration's rollouts are new to the critic when its values are held
 * against them, so `critic.explained_variance` is a held-out one. Dynamic sampling is off meanwhile. Its iterations are the first of the run, and it goes on
 * from a checkpoint like any other.
 */
export async function pretrainCritic(session: Session): Promise<void> {
  const { config, context, training, state } = session;
  const { iterations, stopAtExplainedVariance: enough } = config.critic.pretrain;
  if (!state.pretraining) return;
  context.progress.phase('critic pretraining', iterations);
  if (training.iteration > 0) context.progress.update(training.iteration, { resumed: training.iteration });
  while (state.pretraining) {
    await training.stopIfAborted();
    const explained = await pretrainOnce(session, (reached) => {
      state.pretrained++;
      state.pretraining = state.pretrained < iterations && !(enough !== null && reached >= enough);
    });
    if (explained !== undefined && !state.pretraining && state.pretrained < iterations)
      context.progress.note(
        `critic pretraining ends after ${state.pretrained} iterations: it explains ${(100 * explained).toFixed(1)} % of the variance of new returns`,
      );
  }
  await training.checkpoint();
}

/** One iteration. @param count marks it as done, before it is stored. @returns the explained variance. */
async function pretrainOnce(session: Session, count: (explained: number) => void): Promise<number | undefined> {
  const { config, models, training, state, context } = session;
  // Nothing is sampled ahead: the policy stays as it is.
  const sampled = await collectUnlessAborted(session, true, withoutDynamicSampling(session.context));
  if (!sampled || !models.critic) return undefined;
  const { collected } = sampled;
  const started = performance.now();
  const sequences_PG = sequencesOf(collected.kept).map((group) =>
    group.filter(({ attempt }) => !isFiltered(attempt, config)),
  );
  await recordValues(models.critic, sequences_PG.flat(), config);
  setMonteCarloReturns(sequences_PG.flat(), config.advantage.gamma);
  const metrics = await updateCritic(models.critic, sequences_PG, config, state.critic, 0);
  const explained = metrics['critic.explained_variance'];
  const report = { ...emptyReport(), more: { 'critic.pretraining': 1, ...metrics } };
  report.trainSeconds = (performance.now() - started) / 1000;
  count(explained ?? -Infinity);
  const line = await storeIteration(session, sampled, report);
  await training.finish(line, () => Promise.resolve(undefined));
  context.progress.update(training.iteration, shown(metrics));
  return explained;
}

/** A critic that saw mixed groups alone would take every prompt for one of them. */
function withoutDynamicSampling(context: RolloutContext): RolloutContext {
  const { config } = context;
  return { ...context, config: { ...config, dynamicSampling: { ...config.dynamicSampling, enabled: false } } };
}

function shown(metrics: Readonly<Record<string, number>>): Record<string, number> {
  const names = ['critic.loss', 'critic.explained_variance'];
  return Object.fromEntries(
    names.flatMap((name) => (name in metrics ? [[name, Number(metrics[name]?.toPrecision(3))]] : [])),
  );
}
