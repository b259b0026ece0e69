import { HoneError, RandomStream } from '../core/index.js';
import { shuffledPasses } from './split.js';
import type { Problem, ProblemSource, Task } from './types.js';

/** Problems to train on, and problems apart from them to validate on. */
export interface HeldOut {
  train: ProblemSource;
  validation: ProblemSource;
}

/**
 * Training problems of a task with `count` validation problems that training never sees. An endless train split is
 * validated on the test split, which is disjoint for every pair of seeds, under a seed of its own. Of a finite one
 * `count` problems are drawn by seed and set apart, and with them every row of equal prompt.
 * @throws HoneError usage when that is more than half of the train split.
 */
export function holdOut(task: Task, count: number, seed: number): HeldOut {
  const all = task.problems('train', seed);
  if (all.size === Infinity)
    return { train: all, validation: task.problems('test', new RandomStream(seed, 'validation').seed(0)) };
  if (2 * count > all.size) throw tooFew(task, count, all.size);
  const problems = Array.from({ length: all.size }, (_, index) => all.at(index));
  const drawn = new RandomStream(seed, 'validation', 'hold-out').shuffle(problems);
  const apart = new Set(drawn.slice(0, count).map(({ prompt }) => prompt));
  const rest = problems.filter(({ prompt }) => !apart.has(prompt));
  if (rest.length === 0) throw tooFew(task, count, all.size);
  return { train: listed(rest, seed, 'train'), validation: listed(drawn.slice(0, count), seed, 'validation') };
}

function listed(problems: readonly Problem[], seed: number, name: string): ProblemSource {
  const order = shuffledPasses(problems.length, seed, `hold-out-${name}`);
  return { size: problems.length, at: (index) => problems[order(index)] as Problem };
}

function tooFew(task: Task, count: number, size: number): HoneError {
  const most = Math.floor(size / 2);
  const fewer = most > 0 ? `, or --set validation.problems=${most} for fewer` : '';
  return new HoneError('usage', `${count} of ${size} training problems of ${task.name} are too many to hold out`, {
    where: 'validation.problems',
    hint: `Give more problems, train without validation (--set validation.every=0)${fewer}.`,
  });
}
