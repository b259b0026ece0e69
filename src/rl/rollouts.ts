import { HoneError, messageOf, RandomStream, type Progress } from '../core/index.js';
import type { Sample, Sampler, SampleParams } from '../engine/types.js';
import type { RolloutRow } from '../runs/types.js';
import type { Problem, ProblemSource, Task, Verdict } from '../tasks/types.js';
import type { Attempt, Group } from './attempt.js';
import { hasFilters, samplerReportsTrained, trainingTemperature, type RlConfig } from './config.js';
import type { Rendering } from './rendering.js';
import { baseReward, softOverlongPunishment } from './shaping.js';

export type { Attempt, Group } from './attempt.js';

export interface RolloutContext {
  task: Pick<Task, 'grade' | 'stop'>;
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

/**
 * Samples and grades `count` prompts from position `cursor` of the problem order.
 * @param ordinal prompts this iteration has sampled before; keeps the sampling seeds of an iteration apart.
 * @throws HoneError('usage') when a prompt leaves no room for a response, HoneError('input') when no sample got a verdict.
 */
export async function sampleGroups(
  context: RolloutContext,
  sampler: Sampler,
  at: { iteration: number; cursor: number; ordinal: number; count: number },
): Promise<{ groups: Group[]; timing: RolloutTiming }> {
  const { config, problems, order, render, progress } = context;
  const seeds = new RandomStream(context.seed, 'rollout', at.iteration);
  const requests = Array.from({ length: at.count }, (_, i) => {
    const problem = problems.at(order.at(at.cursor + i));
    const promptTokens = render.prompt(problem);
    assertRoom(problem, promptTokens.length, context);
    return { problem, promptTokens, params: sampleParams(context, seeds.seed(at.ordinal + i)) };
  });
  const started = performance.now();
  const samples_PG = await sampler.sampleBatch(requests, {
    signal: context.signal,
    onProgress: (done, total, tokens) => progress.update(at.iteration - 1, { sampling: `${done}/${total}`, tokens }),
  });
  const sampled = performance.now();
  context.signal?.throwIfAborted();
  const groups = requests.map(({ problem, promptTokens }, p) => ({
    problem,
    prompt: promptTokens,
    attempts: (samples_PG[p] ?? []).map((sample) => ungraded(sample, context)),
  }));
  await gradeGroups(groups, context);
  context.signal?.throwIfAborted();
  const graded = performance.now();
  for (const attempt of groups.flatMap((group) => group.attempts)) attempt.reward = rewardOf(attempt, config);
  return {
    groups,
    timing: {
      sampleSeconds: (sampled - started) / 1000,
      gradeSeconds: (graded - sampled) / 1000,
      sampledTokens: groups.reduce((sum, group) => sum + group.attempts.reduce((n, a) => n + a.tokens.length, 0), 0),
    },
  };
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

function sampleParams({ config, task }: RolloutContext, seed: number): SampleParams {
  const { groupSize: n, maxTokens, temperature, topP, topK, minP } = config;
  const filters = { topP: topP ?? undefined, topK: topK ?? undefined, minP: minP ?? undefined };
  return { n, maxTokens, temperature, ...filters, stop: task.stop, seed };
}

function ungraded(sample: Sample, { config, render }: RolloutContext): Attempt {
  const { tokens, stopReason, rawLogprobs, samplingLogprobs } = sample;
  return {
    tokens,
    segments: undefined,
    mask: undefined,
    stopReason,
    response: render.response(tokens, stopReason),
    verdict: { status: 'no_verdict', score: 0, cause: 'grader', reason: 'not graded' },
    modelLogprobs: trainedLogprobs(sample, config),
    samplingLogprobs: samplingLogprobs ?? rawLogprobs,
    reward: 0,
    rewards: undefined,
    advantage: 0,
    advantages: undefined,
    trained: false,
  };
}

/** The sampler's logprobs of the distribution that is trained (logits over the training temperature, no filters). */
export function trainedLogprobs({ rawLogprobs, samplingLogprobs }: Sample, config: RlConfig): Float32Array | undefined {
  if (!samplerReportsTrained(config)) return undefined;
  const sampled = config.temperature === trainingTemperature(config) && !hasFilters(config);
  return trainingTemperature(config) === 1
    ? (rawLogprobs ?? (sampled ? samplingLogprobs : undefined))
    : samplingLogprobs;
}

/** Grades all attempts, `gradeConcurrency` at a time, in order. */
async function gradeGroups(groups: readonly Group[], context: RolloutContext): Promise<void> {
  const queue = groups.flatMap((group) => group.attempts.map((attempt) => ({ group, attempt })));
  let next = 0;
  const worker = async () => {
    for (let job = queue[next++]; job && !context.signal?.aborted; job = queue[next++])
      job.attempt.verdict = await gradeOne(job.group.problem, job.attempt, context);
  };
  await Promise.all(Array.from({ length: Math.min(context.gradeConcurrency, queue.length) }, worker));
  const [first] = queue;
  if (first && !context.signal?.aborted && queue.every(({ attempt }) => attempt.verdict.status === 'no_verdict'))
    throw new HoneError('input', `no sample got a verdict: ${first.attempt.verdict.reason}`, {
      where: first.group.problem.id,
      hint: 'Check the grader and the gold answers; `hone tasks preview` grades a few problems.',
    });
}

/** A grader that throws is a fault of ours, not of the response: no verdict, with the error as reason. */
async function gradeOne(problem: Problem, attempt: Attempt, context: RolloutContext): Promise<Verdict> {
  try {
    return await context.task.grade(problem, attempt.response, { signal: context.signal });
  } catch (error) {
    if (!context.signal?.aborted) context.progress.note(`grader failed on ${problem.id}: ${messageOf(error)}`, 'warn');
    return { status: 'no_verdict', score: 0, cause: 'grader', reason: messageOf(error) };
  }
}

/** Base reward and the soft overlong punishment; 0 without a verdict. */
function rewardOf({ verdict, tokens }: Attempt, { rewards, overlong }: RlConfig): number {
  if (verdict.status === 'no_verdict') return 0;
  const { enabled, maxTokens, cacheTokens, factor } = overlong.soft;
  const punishment = enabled ? softOverlongPunishment(tokens.length, maxTokens, cacheTokens, factor) : 0;
  return baseReward(verdict.score, rewards) + punishment;
}

/** The rows of one iteration as stored in the run folder. */
export function rolloutRows(iteration: number, groups: readonly Group[]): RolloutRow[] {
  return groups.flatMap(({ problem, attempts }) =>
    attempts.map(({ response, stopReason, tokens, verdict, reward, advantage, trained }, sample) => ({
      iteration,
      problemId: problem.id,
      prompt: problem.prompt,
      sample,
      text: response.text,
      stopReason,
      tokens: tokens.length,
      status: verdict.status,
      score: verdict.score,
      reason: verdict.reason,
      extracted: verdict.extracted,
      wellFormed: verdict.wellFormed,
      reward,
      advantage,
      trained,
    })),
  );
}
