import { describe, expect, it } from 'vitest';
import { sweepPlan } from '../../src/cli/sweep-plan.js';

describe('sweepPlan', () => {
  it('is every point of the grid under every seed, the last axis fastest', () => {
    const runs = sweepPlan(
      [
        ['optimizer.lr', '1e-4,3e-4'],
        ['loss.clipHigh', '0.2,0.28'],
      ],
      [1, 2],
      'out',
    );
    expect(runs.map(({ name, point }) => `${point}: ${name}`)).toEqual([
      '0: lr=1e-4-clipHigh=0.2-seed1',
      '0: lr=1e-4-clipHigh=0.2-seed2',
      '1: lr=1e-4-clipHigh=0.28-seed1',
      '1: lr=1e-4-clipHigh=0.28-seed2',
      '2: lr=3e-4-clipHigh=0.2-seed1',
      '2: lr=3e-4-clipHigh=0.2-seed2',
      '3: lr=3e-4-clipHigh=0.28-seed1',
      '3: lr=3e-4-clipHigh=0.28-seed2',
    ]);
    expect(runs[7]).toMatchObject({ settings: ['optimizer.lr=3e-4', 'loss.clipHigh=0.28'], seed: 2 });
  });

  it('without axes is one point', () => {
    expect(sweepPlan([], [3], 'out').map(({ out }) => out)).toEqual(['out/run-seed3']);
  });

  it('cuts at commas outside of brackets alone', () => {
    const runs = sweepPlan([['curriculum.stages', '[{"a":1,"b":2}],null']], [1], 'out');
    expect(runs.map(({ settings }) => settings)).toEqual([
      ['curriculum.stages=[{"a":1,"b":2}]'],
      ['curriculum.stages=null'],
    ]);
  });

  it('refuses empty values, an axis given twice, and runs of one name', () => {
    expect(() => sweepPlan([['a', '1,,2']], [1], 'out')).toThrow(/--grid a: has an empty value/);
    expect(() =>
      sweepPlan(
        [
          ['a', '1'],
          ['a', '2'],
        ],
        [1],
        'out',
      ),
    ).toThrow(/--grid a: is given twice/);
    expect(() => sweepPlan([['a', '1,1']], [1], 'out')).toThrow(/two runs would be called a=1-seed1/);
  });
});
