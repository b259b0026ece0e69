import { RandomStream } from '../core/index.js';
import type { Sample } from '../engine/types.js';
import {
  segmentsOf,
  type Episode,
  type EpisodeCodec,
  type EpisodeLimits,
  type EpisodePart,
} from '../tasks/episodes.js';
import type { Segment } from '../tasks/types.js';
import { modelMask, type Attempt } from './attempt.js';
import { hasFilters, samplerReportsTrained, trainingTemperature, type RlConfig } from './config.js';
import type { Rendering } from './rendering.js';

/** How far an attempt may go: one turn where the task has no environment. */
export function episodeLimits(config: RlConfig, maxContext: number, hasEnvironment: boolean): EpisodeLimits {
  const { maxTokens, environment } = config;
  const turns = hasEnvironment ? environment : { maxTurns: 1, maxTokensPerTurn: null };
  return { ...turns, maxTokens, maxContext };
}

/** Streams of one attempt: what its environment draws, and the seeds of its turns after the first. */
export function attemptStream(seed: number, iteration: number, prompt: number): EpisodeRandom {
  return (attempt, purpose) => new RandomStream(seed, `rollout-${purpose}`, iteration, prompt, attempt);
}
type EpisodeRandom = (attempt: number, purpose: 'environment' | 'turns') => RandomStream;

/** Between tokens and text, by a rendering. */
export function codecOf(render: Rendering): EpisodeCodec {
  return {
    text: (tokens, stopReason) => render.response(tokens, stopReason).text,
    environment: (text, after) => {
      const tokens = render.environment?.(text, after);
      if (tokens) return tokens;
      throw new TypeError('the rendering does not say how an environment is read');
    },
  };
}

/** An episode as an attempt that waits for its verdict. */
export function attemptOf(episode: Episode, render: Rendering, config: RlConfig, hasEnvironment: boolean): Attempt {
  const { parts, stopReason, failure } = episode;
  const [first] = parts;
  const alone = !hasEnvironment && first?.source === 'model' ? first.sample : undefined;
  const segments = alone ? undefined : segmentsOf(episode);
  const tokens = alone ? alone.tokens : joinInts(parts.map(tokensOf));
  return {
    tokens,
    segments,
    mask: segments && modelMask(segments),
    stopReason,
    response: segments ? segmentedResponse(tokens, segments, stopReason) : render.response(tokens, stopReason),
    verdict: { status: 'no_verdict', score: 0, cause: 'grader', reason: failure ?? 'not graded' },
    modelLogprobs: alongTokens(parts, (sample) => trainedLogprobs(sample, config)),
    samplingLogprobs: alongTokens(parts, (sample) => sample.samplingLogprobs ?? sample.rawLogprobs),
    reward: 0,
    components: {},
    advantage: 0,
    advantages: undefined,
    trained: false,
  };
}

const tokensOf = (part: EpisodePart): Int32Array => (part.source === 'model' ? part.sample.tokens : part.tokens);

function joinInts(arrays: readonly Int32Array[]): Int32Array {
  return Int32Array.from(arrays.flatMap((array) => [...array]));
}

function segmentedResponse(tokens: Int32Array, segments: readonly Segment[], stopReason: Attempt['stopReason']) {
  return { text: segments.map(({ text }) => text ?? '').join(''), tokens, stopReason, segments };
}

/** Numbers of each turn one after another, 0 at tool tokens; undefined when a turn has none. */
function alongTokens(
  parts: readonly EpisodePart[],
  read: (sample: Sample) => Float32Array | undefined,
): Float32Array | undefined {
  const each = parts.map((part) =>
    part.source === 'model' ? read(part.sample) : new Float32Array(part.tokens.length),
  );
  if (each.some((values) => values === undefined)) return undefined;
  if (each.length === 1) return each[0];
  return Float32Array.from(each.flatMap((values) => [...(values ?? [])]));
}

/** The sampler's logprobs of the distribution that is trained (logits over the training temperature, no filters). */
export function trainedLogprobs({ rawLogprobs, samplingLogprobs }: Sample, config: RlConfig): Float32Array | undefined {
  if (!samplerReportsTrained(config)) return undefined;
  const sampled = config.temperature === trainingTemperature(config) && !hasFilters(config);
  return trainingTemperature(config) === 1
    ? (rawLogprobs ?? (sampled ? samplingLogprobs : undefined))
    : samplingLogprobs;
}
