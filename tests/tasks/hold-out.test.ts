import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countdownTask, holdOut, type Problem, type ProblemSource, type Task } from '../../src/tasks/index.js';
import { shuffledPasses } from '../../src/tasks/split.js';

/** A task over the given prompts, in a new order for every seed and pass. */
function listTask(prompts: readonly string[]): Task {
  const problems = (split: string, seed: number): ProblemSource => {
    const order = shuffledPasses(prompts.length, seed, split);
    return { size: prompts.length, at: (i) => ({ id: `${order(i)}`, prompt: prompts[order(i)] as string }) };
  };
  const grade = (): never => expect.unreachable();
  return { name: 'list', description: '', format: 'raw', suggestedMaxTokens: 1, problems, grade };
}

const passes = ({ size, at }: ProblemSource, count: number): Problem[] =>
  Array.from({ length: size * count }, (_, index) => at(index));

describe('holdOut', () => {
  it('validates on problems that training never asks, in any pass and under equal prompts', () => {
    const some = fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 40, maxLength: 80 });
    fc.assert(
      fc.property(some, fc.nat(), (numbers, seed) => {
        const prompts = numbers.map((number) => `What is ${number}?`);
        const { train, validation } = holdOut(listTask(prompts), 10, seed);
        const trained = new Set(passes(train, 3).map(({ prompt }) => prompt));
        const asked = passes(validation, 1);
        expect(asked).toHaveLength(10);
        expect(asked.filter(({ prompt }) => trained.has(prompt))).toEqual([]);
        expect(new Set([...trained, ...asked.map(({ prompt }) => prompt)])).toEqual(new Set(prompts));
      }),
      { seed: 7, numRuns: 50 },
    );
  });

  it('draws the same problems for the same seed, others for another', () => {
    const task = listTask(Array.from({ length: 200 }, (_, i) => `p${i}`));
    const drawn = (seed: number): string[] => passes(holdOut(task, 20, seed).validation, 1).map(({ id }) => id);
    expect(drawn(3)).toEqual(drawn(3));
    expect(drawn(3)).not.toEqual(drawn(4));
  });

  it('takes the test split of a family without end', () => {
    const task = countdownTask();
    const { train, validation } = holdOut(task, 100, 5);
    expect(train.at(0)).toEqual(task.problems('train', 5).at(0));
    expect(validation.at(0).id).toMatch(/^test-/);
  });

  it('refuses to hold out more than half, and says what would do', () => {
    const task = listTask(Array.from({ length: 30 }, (_, i) => `p${i}`));
    expect(() => holdOut(task, 16, 0)).toThrow(/validation\.problems: 16 of 30 training problems/);
    expect(() => holdOut(task, 16, 0)).toThrow(
      expect.objectContaining({ kind: 'usage', hint: expect.stringContaining('--set validation.problems=15') }),
    );
    expect(holdOut(task, 15, 0).train.size).toBe(15);
    expect(() => holdOut(listTask(Array.from({ length: 30 }, () => 'same')), 10, 0)).toThrow(/too many to hold out/);
  });
});
