import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Attempt, Group } from '../../src/rl/attempt.js';
import {
  chosenByLength,
  checkRewards,
  modelText,
  normaliseRewards,
  rewardOf,
  turnRewardsOf,
} from '../../src/rl/rewards.js';
import { EMPTY_MOMENTS } from '../../src/rl/shaping.js';
import type { RlConfig } from '../../src/rl/index.js';
import { rlConfig } from '../support/rl-config.js';

function attempt(changes: Partial<Attempt> & { text?: string; right?: boolean; length?: number } = {}): Attempt {
  const { text = 'abc', right = false, length = 4, ...rest } = changes;
  const tokens = Int32Array.from({ length }, (_, i) => i);
  const stopReason = rest.stopReason ?? 'eos';
  return {
    ...{ tokens, segments: undefined, mask: undefined, stopReason, response: { text, tokens, stopReason } },
    verdict: { status: right ? 'correct' : 'wrong', score: right ? 1 : 0, extracted: 'x', reason: '' },
    ...{ modelLogprobs: undefined, samplingLogprobs: undefined, reward: 0, components: {} },
    ...{ advantage: 0, advantages: undefined, trained: false },
    ...rest,
  };
}

const noAnswer = { status: 'wrong', score: 0, reason: '' } as const;
const plain = rlConfig();
const shaping = (changes: Partial<RlConfig['shaping']>) => rlConfig({ shaping: { ...plain.shaping, ...changes } });
const nothing = { effort: 0, environment: 0 };

describe('a reward', () => {
  it('is that of the verdict, and nothing without one', () => {
    expect(rewardOf(attempt({ right: true }), plain, nothing)).toEqual({ value: 1, components: { base: 1 } });
    expect(rewardOf(attempt({ verdict: { ...noAnswer, score: 0.5 } }), plain, nothing).value).toBe(0.5);
    const verdict = { status: 'no_verdict', score: 0, reason: '' } as const;
    expect(rewardOf(attempt({ verdict }), plain, nothing)).toEqual({ value: 0, components: {} });
  });

  it('has values of its own for no answer and for being cut, right or wrong', () => {
    const config = rlConfig({ rewards: { correct: 1, wrong: -1, noAnswer: -2, truncated: 0 } });
    expect(rewardOf(attempt({ verdict: noAnswer }), config, nothing).value).toBe(-2);
    expect(rewardOf(attempt(), config, nothing).value).toBe(-1);
    expect(rewardOf(attempt({ right: true, stopReason: 'length' }), config, nothing).value).toBe(0);
    const asWrong = rlConfig({ rewards: { ...config.rewards, noAnswer: null, truncated: null } });
    expect(rewardOf(attempt({ verdict: noAnswer }), asWrong, nothing).value).toBe(-1);
    expect(rewardOf(attempt({ right: true, stopReason: 'length' }), asWrong, nothing).value).toBe(1);
  });

  it('adds what the environment gave', () => {
    const { value, components } = rewardOf(attempt({ right: true }), plain, { effort: 0, environment: 0.25 });
    expect([value, components]).toEqual([1.25, { base: 1, environment: 0.25 }]);
  });

  it('has what was given for earlier turns as it counts in it, unless a penalty has taken its place', () => {
    const turn = (source: 'model' | 'tool') => ({ source, tokens: Int32Array.of(1, 2) });
    const played = attempt({ right: true, segments: [turn('model'), turn('tool'), turn('model'), turn('model')] });
    expect(turnRewardsOf(played, [0.5, 0, 0.25], plain)).toEqual([0.5, 0]);
    expect(turnRewardsOf(played, [0, 0, 0.25], plain)).toBeUndefined();
    const exploration = { enabled: true, lengthScale: 10, weight: 0.5, effortWeight: 0.2 };
    expect(turnRewardsOf(played, [1, 1], shaping({ exploration }))).toEqual([0.5, 0.5]);
    const penalised = { ...played, components: { base: 1, 'penalty.overlong': -2 } };
    expect(turnRewardsOf(penalised, [1, 1], plain)).toBeUndefined();
  });

  it('RLSP: 0.8 (c - P / L) + 0.2 e', () => {
    const config = shaping({ exploration: { enabled: true, lengthScale: 10, weight: 0.8, effortWeight: 0.2 } });
    const { value, components } = rewardOf(attempt({ right: true, length: 4 }), config, {
      effort: 0.5,
      environment: 0,
    });
    expect(value).toBeCloseTo(0.8 * (1 - 10 / 4) + 0.2 * 0.5, 12);
    expect(components).toMatchObject({ base: 1, 'exploration.length': 0.8 * -2.5, 'exploration.effort': 0.1 });
  });

  it('RLSP needs a task that counts effort, unless effort is worth nothing', () => {
    const exploration = { enabled: true, lengthScale: 10, weight: 0.8, effortWeight: 0.2 };
    const task = { name: 'silent' };
    expect(() => checkRewards(task, shaping({ exploration }))).toThrow(/effort/);
    expect(() => checkRewards(task, shaping({ exploration: { ...exploration, effortWeight: 0 } }))).not.toThrow();
    expect(() => checkRewards({ ...task, effort: () => 1 }, shaping({ exploration }))).not.toThrow();
  });

  it('RRL and RRA add length over the budget, and action words up to 20', () => {
    const rrl = rewardOf(attempt({ length: 2 }), shaping({ length: 'rrl' }), nothing);
    expect(rrl).toEqual({ value: 2 / plain.maxTokens, components: { base: 0, rrl: 2 / plain.maxTokens } });
    const words = (count: number) => attempt({ text: 'wait '.repeat(count) });
    expect(rewardOf(words(5), shaping({ length: 'rra' }), nothing).value).toBe(0.25);
    expect(rewardOf(words(50), shaping({ length: 'rra' }), nothing).value).toBe(1);
  });

  it('T1: a penalty takes the place of the reward, for each pattern that is switched on', () => {
    const penalties = { ...plain.shaping.penalties, enabled: true, repetition: { ngram: 2, share: 0.2 } };
    const config = shaping({ penalties });
    const loop = { right: true, tokens: Int32Array.from([1, 2, 1, 2, 1, 2]) };
    expect(rewardOf(attempt(loop), config, nothing)).toEqual({
      ...{ value: -1, components: { base: 1, 'penalty.repetition': -2 } },
    });
    expect(rewardOf(attempt({ right: true, stopReason: 'length' }), config, nothing).value).toBe(-1);
    expect(rewardOf(attempt({ right: true, text: '\ufffd\ufffd' }), config, nothing).value).toBe(-1);
    const off = shaping({ penalties: { ...penalties, garbage: false, overlong: false } });
    expect(rewardOf(attempt({ right: true, stopReason: 'length', text: '\ufffd' }), off, nothing).value).toBe(1);
    expect(rewardOf(attempt({ right: true }), config, nothing).value).toBe(1);
  });

  it('reads what the model wrote and not what a tool said', () => {
    const segments = [
      { source: 'model', text: 'wait', tokens: Int32Array.of(1, 2) },
      { source: 'tool', text: 'wait wait', tokens: Int32Array.of(3, 3, 3) },
      { source: 'model', text: ' done', tokens: Int32Array.of(4) },
    ] as const;
    const tokens = Int32Array.of(1, 2, 3, 3, 3, 4);
    const played = attempt({
      ...{ tokens, segments, mask: Uint8Array.of(1, 1, 0, 0, 0, 1) },
      response: { text: 'waitwait wait done', tokens, stopReason: 'eos', segments },
    });
    expect(modelText(played)).toBe('wait done');
    expect(rewardOf(played, shaping({ length: 'rra' }), nothing).value).toBe(1 / 20);
    expect(rewardOf(played, shaping({ length: 'rrl' }), nothing).value).toBe(3 / plain.maxTokens);
  });
});

const groupsOf = (rewards_PG: number[][]): Group[] =>
  rewards_PG.map((rewards) => ({
    problem: { id: 'p', prompt: '' },
    prompt: new Int32Array(1),
    attempts: rewards.map((reward) => attempt({ reward, components: { base: reward } })),
  }));
const rewardsOf = (groups: Group[]) => groups.map(({ attempts }) => attempts.map(({ reward }) => reward));

describe('running normalisation', () => {
  const running = { ...plain.shaping, normalize: 'running', clip: null } as const;

  it('over several iterations is that of all rewards so far', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 2, maxLength: 6 }), {
          minLength: 1,
          maxLength: 5,
        }),
        (iterations) => {
          let moments = EMPTY_MOMENTS;
          let last: Group[] = [];
          for (const rewards of iterations) {
            last = groupsOf([rewards]);
            moments = normaliseRewards(last, moments, running);
          }
          const all = iterations.flat();
          const mean = all.reduce((a, b) => a + b, 0) / all.length;
          const std = Math.sqrt(all.reduce((a, b) => a + (b - mean) ** 2, 0) / (all.length - 1));
          rewardsOf(last)[0]!.forEach((reward, i) => {
            const centred = iterations.at(-1)![i]! - mean;
            if (std > 1e-6) expect(reward).toBeCloseTo(centred / std, 6);
          });
        },
      ),
      { seed: 3, numRuns: 40 },
    );
  });

  it('clips at the end, and keeps the reward before it among the components', () => {
    const groups = groupsOf([[-9, 0.5, 9]]);
    normaliseRewards(groups, EMPTY_MOMENTS, { ...plain.shaping, clip: 1 });
    expect(rewardsOf(groups)).toEqual([[-1, 0.5, 1]]);
    expect(groups[0]!.attempts.map(({ components }) => components)).toEqual([
      { base: -9, raw: -9 },
      { base: 0.5 },
      { base: 9, raw: 9 },
    ]);
  });

  it('divides what was given for earlier turns alike', () => {
    const groups = groupsOf([[0, 4]]);
    groups[0]!.attempts[1]!.turnRewards = [1];
    normaliseRewards(groups, EMPTY_MOMENTS, running);
    expect(groups[0]!.attempts[1]!.turnRewards![0]).toBeCloseTo(1 / Math.sqrt(8), 12);
  });

  it('leaves attempts without a verdict alone', () => {
    const groups = groupsOf([[1, 3]]);
    groups[0]!.attempts.push(attempt({ verdict: { status: 'no_verdict', score: 0, reason: '' } }));
    const moments = normaliseRewards(groups, EMPTY_MOMENTS, running);
    expect(moments.count).toBe(2);
    expect(rewardsOf(groups)[0]![2]).toBe(0);
  });
});

describe("STILL-3's selection by length", () => {
  const [long, short] = [attempt({ right: true, length: 9 }), attempt({ right: false, length: 3 })];
  const other = attempt({ right: false, length: 5 });

  it('QS keeps a group whose right answers are the longer ones', () => {
    expect(chosenByLength([long, short, other], 'qs')).toHaveLength(3);
    expect(chosenByLength([attempt({ right: true, length: 1 }), short], 'qs')).toEqual([]);
  });

  it('RS keeps the longest right and the shortest wrong answer', () => {
    expect(chosenByLength([other, long, short], 'rs')).toEqual([long, short]);
    expect(chosenByLength([other, short], 'rs')).toEqual([]);
    expect(chosenByLength([other, long], 'none')).toEqual([other, long]);
  });
});
