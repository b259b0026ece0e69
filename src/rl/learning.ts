import type { Group } from './attempt.js';
import type { RlConfig } from './config.js';
import { assignCredit } from './credit.js';
import { recordValues, updateCritic } from './critic-updates.js';
import { klCoefficient, moveReference, recordOldLogprobs, recordReferenceLogprobs } from './reference.js';
import { isFiltered, planOf, sequencesOf, type PlannedUpdate, type Sequence } from './sequences.js';
import { rlIterations, type RlModels, type Session } from './session.js';
import { startKl } from './start-kl.js';
import { timeBetween, timeSpent } from './monitors.js';
import { emptyReport, runUpdates, type UpdateReport } from './updates.js';

/**
 * What one iteration makes of its graded groups: look up what the old policy, the reference and the critic say; give
 * credit; update critic and policy; move the reference.
 */
export async function learnFrom(session: Session, groups: readonly Group[]): Promise<UpdateReport> {
  const { config, models } = session;
  const started = performance.now();
  const before = timeSpent(allOf(models));
  const done = rlIterations(session);
  const beta = klCoefficient(config, done);
  const sequences_PG = sequencesOf(groups);
  const plan = planOf(sequences_PG, config);
  const sequences = { all: sequences_PG.flat(), trained: plan.flatMap((update) => update.sequences) };
  await lookUp(models, sequences, config, beta);
  const credit = assignCredit({ groups, sequences: sequences.all, config, klCoefficient: beta });
  const moved = models.start
    ? await startKl(models.start, models.policy, sequences.trained, config, session.training.iteration)
    : {};
  const critic = () => trainCritic(session, sequences_PG);
  const early = config.critic.order === 'before' ? await critic() : {};
  const report = await trainPolicy(session, plan, beta, done);
  const late = config.critic.order === 'after' ? await critic() : {};
  if (models.reference) await moveReference(models.reference, models.policy, config.kl.reference, done + 1);
  report.more = { ...credit, ...moved, ...(models.reference ? { 'kl.coefficient': beta } : {}), ...early, ...late };
  report.trainSeconds = (performance.now() - started) / 1000;
  report.spent = timeBetween(before, timeSpent(allOf(models)));
  return report;
}

const allOf = ({ policy, critic, reference, start }: RlModels) => [policy, critic, reference, start];

/** Forward passes before anything changes, and none that is not needed. */
async function lookUp(
  { policy, critic, reference }: RlModels,
  sequences: { all: Sequence[]; trained: Sequence[] },
  config: RlConfig,
  beta: number,
): Promise<void> {
  const inReward = config.kl.placement === 'reward' && beta !== 0;
  if (inReward && config.oldLogprobs === 'trainer') await recordOldLogprobs(policy, sequences.all, config);
  if (reference && beta !== 0)
    await recordReferenceLogprobs(reference, inReward ? sequences.all : sequences.trained, config);
  if (critic) await recordValues(critic, sequences.trained, config);
}

/** @returns `critic.*`; nothing without a critic. */
function trainCritic(session: Session, sequences_PG: readonly Sequence[][]): Promise<Record<string, number>> {
  const { config, models, state } = session;
  if (!models.critic) return Promise.resolve({});
  const trained_PG = sequences_PG.map((group) => group.filter(({ attempt }) => !isFiltered(attempt, config)));
  return updateCritic(models.critic, trained_PG, config, state.critic, rlIterations(session) / config.iterations);
}

async function trainPolicy(
  { config, models, training }: Session,
  plan: readonly PlannedUpdate[],
  beta: number,
  done: number,
): Promise<UpdateReport> {
  const frozen = models.critic !== undefined && done < config.critic.freezePolicyIterations;
  if (frozen) return emptyReport();
  const progressOfRun = done / config.iterations;
  return runUpdates(models.policy, plan, { config, state: training.state, progressOfRun, klCoefficient: beta });
}
