import { HoneError, RandomStream, silentProgress, type Progress } from '../core/index.js';
import type { Sampler } from '../engine/index.js';
import {
  codecOf,
  compareAnswers,
  episodeResponse,
  noVerdict,
  playEpisodes,
  renderPrompt,
  responseLength,
  stopsOf,
  type Episode,
  type EpisodeLimits,
  type EpisodeStart,
  type Problem,
  type RenderModel,
  type Response,
  type Split,
  type Task,
  type Verdict,
} from '../tasks/index.js';
import { gradeAttempt, stopIfAsked } from './grade.js';
import { summarize, type EvalRow, type EvalSummary } from './summary.js';

export interface EvaluateOptions {
  sampler: Sampler;
  task: Task;
  model: RenderModel;
  split: Split;
  /** Problems; fewer when the split has fewer. */
  n: number;
  /** Which problems instead, by index; each is sampled as it would be among the first n. */
  indices?: readonly number[];
  /** Samples a problem. */
  k: number;
  /** 0 with k = 1: greedy. */
  temperature: number;
  topP?: number;
  /** Tokens of the model; in a task with an environment over all turns. */
  maxTokens: number;
  /** In a task with an environment; default: as many turns as the task suggests, each of any length. */
  turns?: Pick<EpisodeLimits, 'maxTurns' | 'maxTokensPerTurn'>;
  /** Seed of sampling, and of the choice of problems unless `problemSeed` is given. */
  seed: number;
  /** Keeps the problems the same while the sampling seed changes. */
  problemSeed?: number;
  /** Responses graded at once. Default 8. */
  gradingConcurrency?: number;
  signal?: AbortSignal;
  progress?: Progress;
}

/** What an evaluation found, and every completion behind it. */
export interface EvalResult extends EvalSummary {
  task: string;
  split: Split;
  temperature: number;
  topP?: number;
  maxTokens: number;
  seed: number;
  problemSeed: number;
  weightsVersion: number;
  rows: EvalRow[];
}

/**
 * Samples k responses to each of n problems, grades them, and sums up. A pure function of its options, the weights and
 * the task: problem i is `task.problems(split, problemSeed).at(i)`, its samples use a seed drawn from (seed, i).
 * A grader that throws gives `no_verdict`, cause `grader`; that counts as wrong in the headline.
 * @throws HoneError usage when greedy decoding is asked for more than one sample, or a prompt leaves no room for a
 * response; interrupted when the signal fires.
 */
export async function evaluate(options: EvaluateOptions): Promise<EvalResult> {
  const { task, split, seed, k, progress = silentProgress } = options;
  checkOptions(options);
  const problemSeed = options.problemSeed ?? seed;
  const source = task.problems(split, problemSeed);
  const indices = options.indices ?? indicesOf(source, options.n);
  const problems = indices.map((index) => source.at(index));
  const starts = problems.map((problem, i) => startOf(problem, indices[i] as number, options));
  progress.phase(`sampling ${task.name}`, problems.length * k);
  const episodes_PG = await sampleAll(starts, options, progress);
  progress.phase(`grading ${task.name}`, problems.length * k);
  const rows = await gradeAll(problems, episodes_PG, options);
  progress.end();
  return {
    task: task.name,
    split,
    ...summarize(rows, { k, same: (a, b) => compareAnswers(a, b).equal === true }),
    temperature: options.temperature,
    ...(options.topP === undefined ? {} : { topP: options.topP }),
    maxTokens: options.maxTokens,
    seed,
    problemSeed,
    weightsVersion: options.sampler.weightsVersion,
    rows,
  };
}

async function sampleAll(
  starts: readonly EpisodeStart[],
  { sampler, signal, task, model, maxTokens, turns }: EvaluateOptions,
  progress: Progress,
): Promise<Episode[][]> {
  const { maxContext } = sampler;
  const suggested = { maxTurns: task.environment?.suggestedMaxTurns ?? 1, maxTokensPerTurn: null };
  const limits = { ...suggested, ...(task.environment ? turns : {}), maxTokens, maxContext };
  const onProgress = (done: number, _total: number, tokens: number, turn: number) =>
    progress.update(turn === 1 ? done : starts.length, turn === 1 ? { tokens } : { turn, tokens });
  try {
    return await playEpisodes(sampler, starts, limits, codecOf(task, model), task.environment, { signal, onProgress });
  } finally {
    // Samples that were broken off, and the error that some samplers break off with, both mean an interruption.
    stopIfAsked(signal);
  }
}

function checkOptions({ n, k, temperature, maxTokens, gradingConcurrency = 1 }: EvaluateOptions): void {
  for (const [name, value] of Object.entries({ n, k, maxTokens, gradingConcurrency }))
    if (!Number.isInteger(value) || value < 1)
      throw new HoneError('usage', `must be a whole number from 1, not ${value}`, {
        where: `evaluation option ${name}`,
        hint: `Give ${name} a value of at least 1.`,
      });
  if (temperature === 0 && k > 1)
    throw new HoneError('usage', `greedy decoding gives the same response ${k} times`, {
      where: 'evaluation option k',
      hint: 'Set k to 1, or a temperature above 0.',
    });
}

/** Of the first n problems; fewer when there are fewer. */
export function indicesOf({ size }: { size: number }, n: number): number[] {
  return Array.from({ length: Math.min(n, size) }, (_, index) => index);
}

function startOf(problem: Problem, index: number, options: EvaluateOptions): EpisodeStart {
  const { task, model, sampler, temperature, topP, seed, k } = options;
  const promptTokens = renderPrompt(task, problem, model);
  if (sampler.maxContext - promptTokens.length < 1)
    throw new HoneError('usage', `the prompt has ${promptTokens.length} tokens of a context of ${sampler.maxContext}`, {
      where: `task ${task.name}, problem ${problem.id}`,
      hint: 'Open the model with a longer context, or leave such problems out.',
    });
  const stop = stopsOf(task);
  const params = {
    n: k,
    temperature,
    seed: new RandomStream(seed, 'evaluate').seed(index),
    ...(topP === undefined ? {} : { topP }),
    ...(stop === undefined ? {} : { stop }),
  };
  const random = (attempt: number, purpose: string) => new RandomStream(seed, 'evaluate', purpose, index, attempt);
  return { problem, promptTokens, params, random };
}

/** Grades in order of problems and samples, at most `gradingConcurrency` at a time. */
async function gradeAll(
  problems: readonly Problem[],
  episodes_PG: readonly Episode[][],
  options: EvaluateOptions,
): Promise<EvalRow[]> {
  const { task, signal, progress = silentProgress, gradingConcurrency = 8 } = options;
  const jobs = problems.flatMap((problem, p) =>
    (episodes_PG[p] ?? []).map((episode, index) => ({ problem, episode, index })),
  );
  const rows: EvalRow[] = new Array(jobs.length);
  let next = 0;
  let done = 0;
  const worker = async () => {
    for (let at = next++; at < jobs.length; at = next++) {
      stopIfAsked(signal);
      const { problem, episode, index } = jobs[at] as (typeof jobs)[number];
      const response = episodeResponse(episode, task.environment !== undefined);
      const failed = episode.failure === undefined ? undefined : noVerdict('grader', episode.failure);
      rows[at] = rowOf(problem, index, response, failed ?? (await gradeAttempt(task, problem, response, signal)));
      progress.update(++done);
    }
  };
  await Promise.all(Array.from({ length: Math.min(gradingConcurrency, jobs.length) }, worker));
  return rows;
}

function rowOf(problem: Problem, sample: number, response: Response, verdict: Verdict): EvalRow {
  return {
    problemId: problem.id,
    sample,
    prompt: problem.prompt,
    ...(problem.answer === undefined ? {} : { answer: problem.answer }),
    text: response.text,
    tokens: responseLength(response),
    stopReason: response.stopReason,
    verdict,
  };
}
