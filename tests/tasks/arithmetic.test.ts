import { expect, it } from 'vitest';
import { arithmeticTask } from '../../src/tasks/arithmetic.js';
import type { Response } from '../../src/tasks/types.js';

const task = arithmeticTask({ depth: 2 });
const problem = task.problems('train', 1).at(0);
const effort = (text: string): number | undefined => task.effort?.(problem, { text, stopReason: 'eos' } as Response);

it('counts distinct steps and those struck out as effort, of twice the operations there are', () => {
  expect(effort('4-3=1.')).toBeCloseTo(2 / 6);
  expect(effort('6-3x4-3=1.')).toBeCloseTo(3 / 6);
  expect(effort('1=1=1=1.')).toBeCloseTo(1 / 6);
  expect(effort('xxxxxx')).toBe(0);
  expect(effort('1x2x3x4x5x6x7=8.')).toBe(1);
});
