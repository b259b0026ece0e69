import { HoneError } from '../../core/index.js';
import { reflectionKeywords } from './keywords.js';

/**
 * Tokens before the last box by RLSP's rule of thumb: characters / 4 of what stands before the final `\boxed`, of the
 * whole text where there is none. Padding counts too: set it off with a repetition gate.
 */
export function rlspLength(text: string): number {
  const box = text.lastIndexOf('\\boxed');
  return (box < 0 ? text.length : box) / 4;
}

/**
 * Length term of RLSP (arXiv 2502.06773, `orm_server_efficient.py`): -P / L. It pushes away from short replies and
 * saturates; P = 1000 in the README's main runs.
 * @param length L > 0, as `rlspLength` or a count of tokens.
 */
export function rlspLengthTerm(length: number, penalty: number): number {
  if (length > 0) return penalty === 0 ? 0 : -penalty / length;
  throw new HoneError('usage', `the length term divides by the length, which is ${length}`, {
    where: 'rlspLengthTerm',
    hint: 'Give an empty reply its own reward.',
  });
}

/** STILL-3's reward RRA without correctness (arXiv 2503.04548, section 4.2): min(A, cap) / cap, A its action words. */
export function actionEffort(text: string, cap = 20): number {
  return Math.min(reflectionKeywords(text, 'still-3-actions').total, cap) / cap;
}

/** How a task's own search looks: patterns for its candidates and for its steps back. */
export interface SearchMarks {
  candidate: RegExp;
  backtrack: RegExp;
  /** So many distinct candidates and steps back are full effort. */
  cap: number;
}

/**
 * Effort that is counted instead of judged, for tasks whose searches can be read:
 * min(1, (distinct candidates + steps back) / cap). Repeating a candidate earns nothing; hone's own stand-in for
 * RLSP's judge.
 */
export function searchEffort(text: string, { candidate, backtrack, cap }: SearchMarks): number {
  const candidates = new Set(all(text, candidate));
  return Math.min(1, (candidates.size + all(text, backtrack).length) / cap);
}

function all(text: string, { source, flags }: RegExp): string[] {
  return text.match(new RegExp(source, flags.includes('g') ? flags : `${flags}g`)) ?? [];
}
