import { describe, expect, it } from 'vitest';
import { renderingOf } from '../../src/rl/index.js';
import type { Attempt, Group } from '../../src/rl/rollouts.js';
import { planUpdates, type PlannedUpdate } from '../../src/rl/updates.js';
import { lastDigitTask } from '../../src/tasks/index.js';
import { rlConfig } from '../support/rl-config.js';

function attempt(tokens: number, stopReason: Attempt['stopReason'] = 'eos'): Attempt {
  return {
    tokens: new Int32Array(tokens),
    stopReason,
    response: { text: '', tokens: new Int32Array(tokens), stopReason },
    verdict: { status: 'wrong', score: 0, reason: '' },
    ...{ segments: undefined, mask: undefined, modelLogprobs: undefined, samplingLogprobs: undefined },
    ...{ reward: 0, advantage: 1, advantages: undefined, trained: false },
  };
}

function group(attempts: Attempt[]): Group {
  return { problem: { id: 'p', prompt: '' }, prompt: Int32Array.of(1), attempts };
}

const groups = (count: number, size: number) =>
  Array.from({ length: count }, () => group(Array.from({ length: size }, () => attempt(2))));
const sizes = (plan: PlannedUpdate[]) => plan.map(({ sequences }) => sequences.length);

describe('planUpdates', () => {
  it('cuts whole groups into nearly equal updates', () => {
    expect(sizes(planUpdates(groups(8, 4), rlConfig({ updatesPerIteration: 4 })))).toEqual([8, 8, 8, 8]);
    expect(sizes(planUpdates(groups(7, 4), rlConfig({ updatesPerIteration: 2 })))).toEqual([16, 12]);
    expect(sizes(planUpdates(groups(2, 4), rlConfig({ updatesPerIteration: 4 })))).toEqual([4, 4]);
    expect(planUpdates([], rlConfig())).toEqual([]);
  });

  it('or runs of a number of sequences, each sequence once', () => {
    const config = rlConfig({ updatesPerIteration: null, sequencesPerUpdate: 5 });
    const plan = planUpdates(groups(3, 4), config);
    expect(sizes(plan)).toEqual([5, 5, 2]);
    expect(new Set(plan.flatMap(({ sequences }) => sequences.map(({ attempt }) => attempt))).size).toBe(12);
  });

  it('leaves out empty responses, and truncated ones under overlong filtering', () => {
    const mixed = [group([attempt(0), attempt(3), attempt(4, 'length')])];
    expect(sizes(planUpdates(mixed, rlConfig()))).toEqual([2]);
    const filter = { ...rlConfig().overlong, filter: true };
    expect(planUpdates(mixed, rlConfig({ overlong: filter }))).toMatchObject([{ sequences: [{}], filtered: 1 }]);
    expect(planUpdates(mixed, rlConfig())).toMatchObject([{ filtered: 0 }]);
  });
});

describe('renderingOf', () => {
  it('renders prompts and responses of a task with the tokenizer', () => {
    const task = lastDigitTask();
    const alphabet = [...(task.alphabet ?? '')];
    const encode = (text: string) => Int32Array.from(text, (c) => alphabet.indexOf(c));
    const tokenizer = {
      ...{ vocabSize: alphabet.length, bosId: undefined, eosIds: [], padId: undefined, encode },
      shield: (contents: readonly string[]) => ({ contents, encode }),
      decode: (tokens: ArrayLike<number>) => Array.from(tokens, (id) => alphabet[id]).join(''),
      tokenBytes: () => new Uint8Array(),
    };
    const render = renderingOf(task, { tokenizer });
    const problem = task.problems('train', 1).at(0);
    const tokens = render.prompt(problem);
    expect(tokenizer.decode(tokens)).toBe(problem.prompt);
    expect(render.response(tokens, 'length')).toMatchObject({ text: problem.prompt, stopReason: 'length' });
  });
});
