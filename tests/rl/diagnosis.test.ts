import { describe, expect, it } from 'vitest';
import { diagnose, diagnosisLine, type DiagnosisOptions, type Outcome } from '../../src/rl/diagnosis.js';

const right: Outcome = { verdict: { status: 'correct', extracted: '1' }, stopReason: 'eos', reward: 1 };
const wrong: Outcome = { verdict: { status: 'wrong', extracted: '2' }, stopReason: 'eos', reward: 0 };
const formless: Outcome = { verdict: { status: 'wrong' }, stopReason: 'eos', reward: 0 };
const cut: Outcome = { verdict: { status: 'wrong' }, stopReason: 'length', reward: 0 };
const ungraded: Outcome = { verdict: { status: 'no_verdict', cause: 'grader' }, stopReason: 'eos', reward: 0 };
const options: DiagnosisOptions = { maxTokens: 32, groupSize: 2, filterTruncated: false, groupBaseline: true };

const withVerdicts = (groups: Outcome[][]) =>
  groups.map((group) => group.filter(({ verdict }) => verdict.status !== 'no_verdict'));
const of = (groups: Outcome[][], changes: Partial<DiagnosisOptions> = {}, kept = withVerdicts(groups)) =>
  diagnose(groups, kept, { ...options, ...changes });

describe('an iteration that cannot learn', () => {
  it.each<[string, Outcome[][], string, string]>([
    [
      'all cut',
      [
        [cut, cut],
        [cut, cut],
      ],
      'truncated',
      'maxTokens',
    ],
    [
      'most cut, the rest formless',
      [
        [cut, cut],
        [cut, formless],
      ],
      'truncated',
      'maxTokens',
    ],
    [
      'no answer format',
      [
        [formless, formless],
        [formless, cut],
      ],
      'no-answer',
      '--model',
    ],
    [
      'all wrong',
      [
        [wrong, wrong],
        [wrong, cut],
      ],
      'all-wrong',
      '--task-option',
    ],
    [
      'all right',
      [
        [right, right],
        [right, right],
      ],
      'all-right',
      '--task-option',
    ],
    [
      'all right where there is a verdict',
      [
        [right, right],
        [right, ungraded],
      ],
      'all-right',
      '--task-option',
    ],
    [
      'no variance within groups',
      [
        [right, right],
        [wrong, wrong],
      ],
      'no-variance',
      'groupSize',
    ],
    [
      'no verdicts',
      [
        [ungraded, ungraded],
        [ungraded, right],
      ],
      'no-verdicts',
      '--task',
    ],
    ['right and wrong paid alike', [[right, { ...wrong, reward: 1 }]], 'equal-rewards', 'rewards.correct'],
  ])('%s: says why and what to change in one line', (_, groups, cause, option) => {
    const found = of(groups)!;
    expect(found).toMatchObject({ cause, option });
    const line = diagnosisLine(3, found);
    expect(line).toMatch(/^iteration 3 cannot learn: /);
    expect(line).toContain(option);
    expect(line).not.toContain('\n');
  });

  it('because the filter takes out all that could move', () => {
    const paid = { ...cut, reward: 1 };
    expect(of([[paid, cut]])).toBeUndefined();
    expect(of([[paid, cut]], { filterTruncated: true })).toMatchObject({
      cause: 'filtered',
      option: 'overlong.filter',
    });
  });

  it('because dynamic sampling kept nothing of what was sampled', () => {
    expect(
      of(
        [
          [right, right],
          [right, right],
        ],
        {},
        [],
      ),
    ).toMatchObject({ cause: 'all-right' });
    expect(
      of(
        [
          [right, right],
          [wrong, wrong],
        ],
        {},
        [],
      ),
    ).toMatchObject({ cause: 'no-variance' });
  });
});

describe('an iteration that can learn', () => {
  it('has one group whose rewards differ', () =>
    expect(
      of([
        [wrong, wrong],
        [right, wrong],
      ]),
    ).toBeUndefined());

  it('has rewards that differ anywhere, where the baseline is not the group', () =>
    expect(
      of(
        [
          [wrong, wrong],
          [right, right],
        ],
        { groupBaseline: false },
      ),
    ).toBeUndefined());

  it('has groups of one with a reward', () => {
    expect(of([[right], [right]], { groupSize: 1 })).toBeUndefined();
    expect(of([[wrong], [wrong]], { groupSize: 1 })).toMatchObject({ cause: 'all-wrong' });
  });

  it('has wrong attempts whose shaped rewards differ', () =>
    expect(of([[wrong, { ...cut, reward: -1 }]])).toBeUndefined());
});
