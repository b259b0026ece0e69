import { HoneError } from '../../core/index.js';
import type { Response } from '../types.js';
import { textUnits } from './units.js';

/**
 * Tokens of a response, end token included; words where it was not sampled here. What an environment said is not its
 * length.
 */
export function responseLength(response: Response): number {
  if (response.segments)
    return response.segments.reduce((sum, { source, tokens }) => sum + (source === 'model' ? tokens.length : 0), 0);
  return response.tokens.length > 0 ? response.tokens.length : textUnits(response.text).length;
}

/**
 * 1 for a length in [min, max], falling in a straight line to 0 over `slack` on either side.
 * @throws HoneError usage for bounds that are no interval.
 */
export function lengthBand(length: number, bounds: { min?: number; max?: number; slack?: number }): number {
  const { min = 0, max = Infinity, slack = 0 } = bounds;
  if (!(min <= max) || !(slack >= 0))
    throw new HoneError('usage', `no lengths lie between ${min} and ${max} with a slack of ${slack}`, {
      where: 'lengthBand',
      hint: 'Give min <= max and slack >= 0.',
    });
  const outside = Math.max(min - length, length - max, 0);
  if (outside === 0) return 1;
  return Math.max(0, 1 - outside / slack);
}

/** Rewards at length 0 and at the longest length. */
export interface CosineRewards {
  correct: readonly [short: number, long: number];
  wrong: readonly [short: number, long: number];
  /** What a response of `longest` or more gets. */
  exceeded: number;
}

/**
 * Cosine length reward of Yeo et al. (arXiv 2502.03373, section 4.2 and Appendix C.1): between the reward r_0 at length 0
 * and r_L at the longest length L,
 *
 *   r(l) = r_L + (r_0 - r_L) (1 + cos(π l / L)) / 2,   `exceeded` from L on.
 */
export function cosineLengthReward(
  length: number,
  longest: number,
  isCorrect: boolean,
  rewards: CosineRewards,
): number {
  if (length >= longest) return rewards.exceeded;
  const [short, long] = isCorrect ? rewards.correct : rewards.wrong;
  return long + ((short - long) * (1 + Math.cos((Math.PI * length) / longest))) / 2;
}
