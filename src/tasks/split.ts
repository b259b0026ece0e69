import { createHash } from 'node:crypto';
import { HoneError, RandomStream } from '../core/index.js';
import type { Problem, ProblemSource, Split } from './types.js';

/** One problem content in `TEST_ONE_IN` belongs to the test split. */
const TEST_ONE_IN = 5;
const MAX_DRAWS = 10_000;

/** First 64 bits of SHA-256 of a text, as 16 hexadecimal digits. */
export function hash64(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/**
 * The split a problem content belongs to: a fixed function of the content alone.
 *
 * Why train and test cannot meet: every procedural source of split S yields only contents c with splitOf(c) = S. Were
 * one content in a train and a test source, under whatever seeds, indices and options, then splitOf(c) would have two
 * values. The content is read off the prompt (each family says how), so equal prompts have equal contents.
 *
 * @param content canonical form of the problem: equal for two problems that a solver would call the same.
 */
export function splitOf(family: string, content: string): Split {
  const word = parseInt(hash64(`split:${family}:${content}`).slice(0, 8), 16);
  return word % TEST_ONE_IN === 0 ? 'test' : 'train';
}

/** Id of a procedural problem: equal contents have equal ids, whatever the seed. */
export function problemId(split: Split, family: string, content: string): string {
  return `${split}-${hash64(`id:${family}:${content}`)}`;
}

/** What a family draws: the canonical content and the problem without its id; undefined: draw again. */
export interface Draft {
  content: string;
  problem: Omit<Problem, 'id'>;
}

/**
 * An endless source that draws from a family's space until a draft lands in the split.
 * Problem `index` is a pure function of (family, draw function, split, seed, index).
 * @throws HoneError usage, from `at`, when no draft of 10,000 is accepted: the options admit next to no problem.
 */
export function drawnSource(
  family: string,
  split: Split,
  seed: number,
  draw: (random: RandomStream) => Draft | undefined,
): ProblemSource {
  const at = (index: number): Problem => {
    const random = new RandomStream(seed, 'problems', family, split, index);
    for (let attempt = 0; attempt < MAX_DRAWS; attempt++) {
      const draft = draw(random);
      if (draft && splitOf(family, draft.content) === split)
        return { id: problemId(split, family, draft.content), ...draft.problem };
    }
    throw new HoneError('usage', `none of ${MAX_DRAWS} draws fits the options`, {
      where: `task ${family}`,
      hint: 'Widen the ranges in the options of the task.',
    });
  };
  return { size: Infinity, at };
}

/**
 * The order in which pass `pass` over `size` things goes, a pure function of (seed, name, pass).
 * Index i of an endless walk is `order(floor(i / size))[i % size]`; passes are remembered one at a time.
 */
export function shuffledPasses(size: number, seed: number, name: string): (index: number) => number {
  const identity = Array.from({ length: size }, (_, i) => i);
  let remembered: { pass: number; order: number[] } | undefined;
  return (index) => {
    const pass = Math.floor(index / size);
    if (remembered?.pass !== pass)
      remembered = { pass, order: new RandomStream(seed, 'order', name, pass).shuffle(identity) };
    return remembered.order[index % size] as number;
  };
}
