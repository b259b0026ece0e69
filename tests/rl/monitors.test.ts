import { describe, expect, it } from 'vitest';
import type { TrainableModel } from '../../src/engine/types.js';
import { idleShare, keywordShares, timeBetween, timeSpent } from '../../src/rl/monitors.js';

describe('keywords of reflection', () => {
  it('are shares of texts, by class and list', () => {
    const shares = keywordShares(['Wait, let me verify.', 'However, I revise that: wait, retry', 'so it is', '']);
    expect(shares).toMatchObject({
      ...{ 'keywords.verification': 0.25, 'keywords.reflection': 0.5, 'keywords.correction': 0.25 },
      ...{ 'keywords.dr_grpo.reflection': 0, 'keywords.orz.reflection': 0.25 },
    });
  });

  it('of no texts are none', () => expect(keywordShares([])).toEqual({}));
});

it('idle is what the parts leave, never below 0', () => {
  expect(idleShare(10, [4, 3, 2])).toBeCloseTo(0.1, 12);
  expect(idleShare(10, [6, 6])).toBe(0);
  expect(idleShare(0, [])).toBe(0);
});

describe('the time of models', () => {
  const model = (forward: number) => ({ spent: { forward, backward: 2, optimizer: 1 } }) as TrainableModel;

  it('adds up over models, each once', () => {
    const policy = model(3);
    expect(timeSpent([policy, policy, model(4), undefined])).toEqual({ forward: 7, backward: 4, optimizer: 2 });
  });

  it('is the difference of two readings, and unknown where an engine does not tell', () => {
    const [before, after] = [timeSpent([model(3)]), timeSpent([model(5)])];
    expect(timeBetween(before, after)).toEqual({ forward: 2, backward: 0, optimizer: 0 });
    expect(timeSpent([model(1), {} as TrainableModel])).toBeUndefined();
    expect(timeBetween(undefined, after)).toBeUndefined();
  });
});
