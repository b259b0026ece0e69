import { messageOf, type RandomStream } from '../core/index.js';
import type { Sample, SampleParams, Sampler, SampleRequest, StopReason } from '../engine/types.js';
import type { Environment, EnvironmentState, Problem, Response, Segment } from './types.js';

/** How far an attempt may go. */
export interface EpisodeLimits {
  /** Turns of the model. */
  maxTurns: number;
  /** Tokens of one turn; null: `maxTokens` alone bounds it. */
  maxTokensPerTurn: number | null;
  /** Tokens of the model over all turns. */
  maxTokens: number;
  /** Tokens of prompt, model and environment together. */
  maxContext: number;
}

/** A prompt and how its attempts are sampled. */
export interface EpisodeStart {
  problem: Problem;
  promptTokens: Int32Array;
  /** Of the first turn; `maxTokens` is set by the limits. */
  params: Omit<SampleParams, 'maxTokens'>;
  /** Draws of the environment and seeds of the later turns of one attempt. */
  random: (attempt: number, purpose: 'environment' | 'turns') => RandomStream;
}

/** Between tokens and text. */
export interface EpisodeCodec {
  /** What the environment reads of a turn: decoded, cut after a stop string, without the end token. */
  text(tokens: Int32Array, stopReason: StopReason): string;
  /** Tokens of what the environment says after a turn that ended so. Encoded once, never again. */
  environment(text: string, after: StopReason): Int32Array;
}

/** A turn of the model, or what the environment said to it. */
export type EpisodePart =
  { source: 'model'; sample: Sample; text: string } | { source: 'tool'; tokens: Int32Array; text: string };

/** One attempt: turns of the model and replies of the environment. */
export interface Episode {
  parts: EpisodePart[];
  /** How it ended. `length`: at a limit, also that of turns. */
  stopReason: StopReason;
  /** What the environment gave for each turn that it was handed, in order. */
  rewards: number[];
  /** The environment threw: the fault is not the model's. */
  failure?: string;
}

export interface EpisodeHooks {
  signal?: AbortSignal | undefined;
  /** Called as samples finish: done and total of this turn, tokens of this turn. */
  onProgress?: (done: number, total: number, tokens: number, turn: number) => void;
}

/** An attempt under way. */
interface Running {
  prompt: Int32Array;
  params: EpisodeStart['params'];
  turnSeeds: RandomStream;
  state: EnvironmentState | undefined;
  episode: Episode;
}

/**
 * Samples all attempts at all prompts. Without an environment an attempt is one turn; with one, every turn is handed to
 * it, its reply is appended, and the model goes on, all attempts together. Tokens are never encoded again.
 *
 * A pure function of starts, limits, weights and environment, and of nothing that a sampler has kept from other calls:
 * what was said so far is read again in each turn, all attempts in one batch. An environment that throws ends its
 * attempt alone.
 * @returns [prompt][attempt]; with an aborted signal some attempts are missing their end (`aborted`).
 */
export async function playEpisodes(
  sampler: Sampler,
  starts: readonly EpisodeStart[],
  limits: EpisodeLimits,
  codec: EpisodeCodec,
  environment: Environment | undefined,
  hooks: EpisodeHooks = {},
): Promise<Episode[][]> {
  const running_PG = await Promise.all(starts.map((start) => begin(start, environment)));
  const all = running_PG.flat();
  await firstTurn(sampler, starts, running_PG, { limits, codec, hooks });
  for (let turn = 2; ; turn++) {
    const open = await stepAll(all, limits, codec);
    if (open.length === 0 || hooks.signal?.aborted) break;
    const requests = open.map((attempt) => nextRequest(attempt, limits, turn));
    const samples = await sampleTurn(sampler, requests, turn, hooks);
    open.forEach((attempt, i) => addTurn(attempt, samples[i]?.[0], codec));
  }
  return running_PG.map((attempts) => attempts.map(({ episode }) => episode));
}

async function begin({ problem, promptTokens, params, random }: EpisodeStart, environment: Environment | undefined) {
  const attempts = Array.from({ length: params.n }, async (_, attempt): Promise<Running> => {
    const episode: Episode = { parts: [], stopReason: 'aborted', rewards: [] };
    const state = await attemptTo(episode, async () => environment?.reset(problem, random(attempt, 'environment')));
    return { prompt: promptTokens, params, turnSeeds: random(attempt, 'turns'), state, episode };
  });
  return Promise.all(attempts);
}

/** What `work` gives; undefined, and the episode marked, when the environment throws. */
async function attemptTo<T>(episode: Episode, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    episode.failure = `the environment failed: ${messageOf(error)}`;
    return undefined;
  }
}

/** The attempts at a prompt share it, so it is read once. */
async function firstTurn(
  sampler: Sampler,
  starts: readonly EpisodeStart[],
  running_PG: readonly Running[][],
  { limits, codec, hooks }: { limits: EpisodeLimits; codec: EpisodeCodec; hooks: EpisodeHooks },
): Promise<void> {
  const most = Math.min(limits.maxTokens, limits.maxTokensPerTurn ?? Infinity);
  const requests = starts.map(({ promptTokens, params }) => ({
    promptTokens,
    params: { ...params, maxTokens: Math.min(most, limits.maxContext - promptTokens.length) },
  }));
  const samples_PG = await sampleTurn(sampler, requests, 1, hooks);
  running_PG.forEach((attempts, p) => attempts.forEach((attempt, g) => addTurn(attempt, samples_PG[p]?.[g], codec)));
}

function sampleTurn(
  sampler: Sampler,
  requests: readonly SampleRequest[],
  turn: number,
  { signal, onProgress }: EpisodeHooks,
): Promise<Sample[][]> {
  return sampler.sampleBatch(requests, {
    ...(signal ? { signal } : {}),
    onProgress: (done, total, tokens) => onProgress?.(done, total, tokens, turn),
  });
}

function addTurn({ episode }: Running, sample: Sample | undefined, codec: EpisodeCodec): void {
  episode.stopReason = sample?.stopReason ?? 'aborted';
  if (!sample) return;
  const text = codec.text(sample.tokens, sample.stopReason);
  episode.parts.push({ source: 'model', sample, text });
}

/** Hands the newest turn of every open attempt to its environment. @returns the attempts that go on. */
async function stepAll(all: readonly Running[], limits: EpisodeLimits, codec: EpisodeCodec): Promise<Running[]> {
  const goesOn = await Promise.all(all.map((attempt) => step(attempt, limits, codec)));
  return all.filter((_, i) => goesOn[i]);
}

async function step(attempt: Running, limits: EpisodeLimits, codec: EpisodeCodec): Promise<boolean> {
  const { episode, state } = attempt;
  const last = episode.parts.at(-1);
  const ended = episode.stopReason;
  if (!state || last?.source !== 'model' || (ended !== 'eos' && ended !== 'stop')) return close(attempt);
  const reply = await attemptTo(episode, () => state.step(last.text));
  if (reply) episode.rewards.push(reply.reward ?? 0);
  if (!reply || reply.done) return close(attempt);
  const tokens = codec.environment(reply.append, ended);
  if (!hasRoom(attempt, tokens.length, limits)) {
    episode.stopReason = 'length';
    return close(attempt);
  }
  episode.parts.push({ source: 'tool', tokens, text: reply.append });
  return true;
}

/** A closed attempt is not stepped again. */
function close(attempt: Running): false {
  attempt.state = undefined;
  return false;
}

const tokensOf = (part: EpisodePart): Int32Array => (part.source === 'model' ? part.sample.tokens : part.tokens);

function count(parts: readonly EpisodePart[], source: EpisodePart['source']): { parts: number; tokens: number } {
  const chosen = parts.filter((part) => part.source === source);
  return { parts: chosen.length, tokens: chosen.reduce((sum, part) => sum + tokensOf(part).length, 0) };
}

/** Whether a turn fits after `more` tokens of the environment. */
function hasRoom({ prompt, episode: { parts } }: Running, more: number, limits: EpisodeLimits): boolean {
  const [model, tool] = [count(parts, 'model'), count(parts, 'tool')];
  const length = prompt.length + model.tokens + tool.tokens + more;
  return model.parts < limits.maxTurns && model.tokens < limits.maxTokens && length < limits.maxContext;
}

function nextRequest(attempt: Running, limits: EpisodeLimits, turn: number): SampleRequest {
  const { prompt, params, turnSeeds, episode } = attempt;
  const promptTokens = Int32Array.from([prompt, ...episode.parts.map(tokensOf)].flatMap((tokens) => [...tokens]));
  const left = limits.maxTokens - count(episode.parts, 'model').tokens;
  const maxTokens = Math.min(left, limits.maxTokensPerTurn ?? Infinity, limits.maxContext - promptTokens.length);
  return { promptTokens, params: { ...params, n: 1, maxTokens, seed: turnSeeds.seed(turn) } };
}

/** Tokens of all parts in order, without the prompt. */
export function episodeTokens({ parts }: Pick<Episode, 'parts'>): Int32Array {
  return Int32Array.from(parts.flatMap((part) => [...tokensOf(part)]));
}

/** The parts as segments, with the text of each. `logprobs` are the sampler's raw ones. */
export function segmentsOf({ parts }: Pick<Episode, 'parts'>): Segment[] {
  return parts.map((part): Segment => {
    if (part.source === 'tool') return { tokens: part.tokens, source: 'tool', text: part.text };
    const { tokens, rawLogprobs, weightsVersion } = part.sample;
    const logprobs = rawLogprobs ? { logprobs: rawLogprobs } : {};
    return { tokens, source: 'model', text: part.text, version: weightsVersion, ...logprobs };
  });
}

/** What the grader sees: the text of all parts, and the parts themselves where there was an environment. */
export function episodeResponse(episode: Episode, withSegments: boolean): Response {
  return {
    text: episode.parts.map(({ text }) => text).join(''),
    tokens: episodeTokens(episode),
    stopReason: episode.stopReason,
    ...(withSegments ? { segments: segmentsOf(episode) } : {}),
  };
}
