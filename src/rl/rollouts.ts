import { HoneError, messageOf, RandomStream, type Progress } from '../core/index.js';
import type { Sampler } from '../engine/types.js';
import type { RolloutRow } from '../runs/types.js';
import { playEpisodes, type Episode, type EpisodeStart } from '../tasks/episodes.js';
import { stopsOf } from '../tasks/render.js';
import type { Problem, ProblemSource, Task, Verdict } from '../tasks/types.js';
import { modelLength, type Attempt, type Group } from './attempt.js';
import type { RlConfig } from './config.js';
import { attemptOf, attemptStream, codecOf, episodeLimits } from './environment.js';
import type { Rendering } from './rendering.js';
import { effortOf, rewardOf, turnRewardsOf } from './rewards.js';

export type { Attempt, Group } from './attempt.js';
export { trainedLogprobs } from './environment.js';

export interface RolloutContext {
  task: Pick<Task, 'grade' | 'stop' | 'environment' | 'effort'>;
  problems: ProblemSource;
  /** Index of the problem at a position of the walk over the training problems. */
  order: { at(position: number): number };
  render: Rendering;
  config: RlConfig;
  seed: number;
  maxContext: number;
  /** Grader calls in flight at once. */
  gradeConcurrency: number;
  progress: Progress;
  signal?: AbortSignal;
}

export interface RolloutTiming {
  sampleSeconds: number;
  gradeSeconds: number;
  sampledTokens: number;
}

/** An attempt and the episode it was made of. */
interface Played {
  problem: Problem;
  attempt: Attempt;
  episode: Episode;
}

/**
 * Samples, grades and rewards `count` prompts from position `cursor` of the problem order. Rewards are those of
 * `rewardOf`, not normalised yet.
 * @param at.ordinal prompts this iteration has sampled before; keeps the sampling seeds of an iteration apart.
 * @throws HoneError('usage') when a prompt leaves no room for a response, HoneError('input') when no sample got a verdict.
 */
export async function sampleGroups(
  context: RolloutContext,
  sampler: Sampler,
  at: { iteration: number; cursor: number; ordinal: number; count: number },
): Promise<{ groups: Group[]; timing: RolloutTiming }> {
  const starts = startsOf(context, at);
  const started = performance.now();
  const episodes_PG = await play(context, sampler, starts, at.iteration);
  const sampled = performance.now();
  const { groups, played } = groupsOf(starts, episodes_PG, context);
  await gradeAll(played, context);
  context.signal?.throwIfAborted();
  for (const { problem, attempt, episode } of played) {
    const effort = effortOf(context.task, problem, attempt, context.config);
    const environment = episode.rewards.reduce((sum, reward) => sum + reward, 0);
    const { value, components } = rewardOf(attempt, context.config, { effort, environment });
    Object.assign(attempt, { reward: value, components });
    attempt.turnRewards = turnRewardsOf(attempt, episode.rewards, context.config);
  }
  return {
    groups,
    timing: {
      sampleSeconds: (sampled - started) / 1000,
      gradeSeconds: (performance.now() - sampled) / 1000,
      sampledTokens: played.reduce((sum, { attempt }) => sum + modelLength(attempt), 0),
    },
  };
}

function startsOf(
  context: RolloutContext,
  at: { iteration: number; cursor: number; ordinal: number; count: number },
): EpisodeStart[] {
  const { problems, order, render, seed } = context;
  const seeds = new RandomStream(seed, 'rollout', at.iteration);
  return Array.from({ length: at.count }, (_, i) => {
    const problem = problems.at(order.at(at.cursor + i));
    const promptTokens = render.prompt(problem).slice(); // Groups are told apart by this array.
    assertRoom(problem, promptTokens.length, context);
    const params = sampleParams(context, seeds.seed(at.ordinal + i));
    return { problem, promptTokens, params, random: attemptStream(seed, at.iteration, at.ordinal + i) };
  });
}

async function play(
  { task, config, maxContext, render, signal, progress }: RolloutContext,
  sampler: Sampler,
  starts: readonly EpisodeStart[],
  iteration: number,
): Promise<Episode[][]> {
  const limits = episodeLimits(config, maxContext, task.environment !== undefined);
  const episodes = await playEpisodes(sampler, starts, limits, codecOf(render), task.environment, {
    signal,
    onProgress: (done, total, tokens, turn) =>
      progress.update(iteration - 1, { sampling: `${done}/${total}`, ...(turn > 1 ? { turn } : {}), tokens }),
  });
  signal?.throwIfAborted();
  return episodes;
}

function groupsOf(
  starts: readonly EpisodeStart[],
  episodes_PG: readonly Episode[][],
  { task, render, config }: RolloutContext,
): { groups: Group[]; played: Played[] } {
  const played: Played[] = [];
  const groups = starts.map(({ problem, promptTokens }, p) => {
    const attempts = (episodes_PG[p] ?? []).map((episode) => {
      const attempt = attemptOf(episode, render, config, task.environment !== undefined);
      played.push({ problem, attempt, episode });
      return attempt;
    });
    return { problem, prompt: promptTokens, attempts };
  });
  return { groups, played };
}

function assertRoom(problem: Problem, promptLength: number, { config, maxContext }: RolloutContext): void {
  if (promptLength === 0)
    throw new HoneError('input', 'the prompt renders to no tokens, so nothing can be sampled', { where: problem.id });
  if (promptLength + config.maxTokens > maxContext)
    throw new HoneError(
      'usage',
      `problem ${problem.id}: ${promptLength} prompt tokens and ${config.maxTokens} of response exceed the model's context of ${maxContext}`,
      { where: 'maxTokens', hint: `Set maxTokens to at most ${Math.max(0, maxContext - promptLength)}.` },
    );
}

function sampleParams({ config, task }: RolloutContext, seed: number): EpisodeStart['params'] {
  const { groupSize: n, temperature, topP, topK, minP } = config;
  const filters = { topP: topP ?? undefined, topK: topK ?? undefined, minP: minP ?? undefined };
  return { n, temperature, ...filters, stop: stopsOf(task), seed };
}

/** Grades all attempts, `gradeConcurrency` at a time, in order. */
async function gradeAll(played: readonly Played[], context: RolloutContext): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let job = played[next++]; job && !context.signal?.aborted; job = played[next++])
      job.attempt.verdict = await gradeOne(job, context);
  };
  await Promise.all(Array.from({ length: Math.min(context.gradeConcurrency, played.length) }, worker));
  const [first] = played;
  if (first && !context.signal?.aborted && played.every(({ attempt }) => attempt.verdict.status === 'no_verdict'))
    throw new HoneError('input', `no sample got a verdict: ${first.attempt.verdict.reason}`, {
      where: first.problem.id,
      hint: 'Check the grader and the gold answers; `hone tasks preview` grades a few problems.',
    });
}

/** A grader or an environment that throws is a fault of ours, not of the response: no verdict, with the error as reason. */
async function gradeOne({ problem, attempt, episode }: Played, context: RolloutContext): Promise<Verdict> {
  if (episode.failure !== undefined) {
    context.progress.note(`problem ${problem.id}: ${episode.failure}`, 'warn');
    return attempt.verdict;
  }
  try {
    return await context.task.grade(problem, attempt.response, { signal: context.signal });
  } catch (error) {
    if (!context.signal?.aborted) context.progress.note(`grader failed on ${problem.id}: ${messageOf(error)}`, 'warn');
    return { status: 'no_verdict', score: 0, cause: 'grader', reason: messageOf(error) };
  }
}

/** The rows of one iteration as stored in the run folder. */
export function rolloutRows(iteration: number, groups: readonly Group[]): RolloutRow[] {
  return groups.flatMap(({ problem, attempts }) =>
    attempts.map((attempt, sample) => rowOf(iteration, problem, attempt, sample)),
  );
}

function rowOf(iteration: number, problem: Problem, attempt: Attempt, sample: number): RolloutRow {
  const { response, stopReason, verdict, reward, components = {}, advantage, trained } = attempt;
  const parts = Object.keys(components).length > 1 ? { components } : {};
  return {
    ...{ iteration, problemId: problem.id, prompt: problem.prompt, sample, text: response.text, stopReason },
    tokens: modelLength(attempt),
    ...{ status: verdict.status, score: verdict.score, reason: verdict.reason },
    ...{ extracted: verdict.extracted, wellFormed: verdict.wellFormed },
    ...{ reward, ...parts, advantage, trained },
  };
}
