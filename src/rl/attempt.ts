import type { StopReason } from '../engine/types.js';
import type { Problem, Response, Segment, Verdict } from '../tasks/types.js';

/** One graded sample on its way to the loss. */
export interface Attempt {
  /** Everything after the prompt, as the model read it: its own tokens and, with tools, theirs. */
  tokens: Int32Array;
  /** `tokens` by origin (model, tool), in order; undefined: the model wrote them all. */
  segments: readonly Segment[] | undefined;
  /** 1 where the model wrote the token, [tokens]; undefined: everywhere. {@link modelMask} makes it from segments. */
  mask: Uint8Array | undefined;
  stopReason: StopReason;
  response: Response;
  verdict: Verdict;
  /** Sampler logprobs of the distribution the trainer models, [tokens] (0 at tool tokens), if it gave them. */
  modelLogprobs: Float32Array | undefined;
  /** Under the distribution the tokens were drawn from, [tokens] (0 at tool tokens). */
  samplingLogprobs: Float32Array | undefined;
  reward: number;
  /** Under `control.shuffledReward`: whether the attempt that earned this reward was right. */
  earnedRight?: boolean;
  /** The parts that `reward` was made of, by name; they are stored with rollouts. */
  components?: Readonly<Record<string, number>>;
  /** Of `reward`, what was given for each turn before the last, [turns - 1], where any was; all else is for the last. */
  turnRewards?: readonly number[];
  /** Of every token of the model; with `advantages` their mean. */
  advantage: number;
  /** By token, [tokens] (0 at tool tokens), where tokens differ. */
  advantages: Float64Array | undefined;
  /** Took part in an update with a gradient of its own. */
  trained: boolean;
}

/** The attempts at one prompt. */
export interface Group {
  problem: Problem;
  prompt: Int32Array;
  attempts: Attempt[];
  /** Iterations completed when it was sampled; undefined: not sampled by a trainer. */
  sampledAfter?: number;
}

/** Whether learning takes the attempt for right: by its own verdict, or by that of the attempt that earned its reward. */
export function isRight({ verdict, earnedRight }: Pick<Attempt, 'verdict' | 'earnedRight'>): boolean {
  return earnedRight ?? verdict.status === 'correct';
}

/** Length of a response: tokens of the model. */
export function modelLength({ tokens, mask }: Pick<Attempt, 'tokens' | 'mask'>): number {
  return mask ? mask.reduce((sum, m) => sum + m, 0) : tokens.length;
}

/** Places of the last token of each turn of the model, [turns]. */
export function turnEnds(segments: readonly Segment[]): number[] {
  let end = -1;
  return segments.flatMap(({ tokens, source }) => {
    end += tokens.length;
    return source === 'model' ? [end] : [];
  });
}

/** 1 on the tokens of the model, 0 on those of tools, [tokens]; undefined when there are no others. */
export function modelMask(segments: readonly Segment[]): Uint8Array | undefined {
  if (segments.every(({ source }) => source === 'model')) return undefined;
  const parts = segments.map(({ tokens, source }) => Array<number>(tokens.length).fill(source === 'model' ? 1 : 0));
  return Uint8Array.from(parts.flat());
}
