import { expect, it } from 'vitest';
import { type Validated, validation } from '../../src/cli/training.js';
import type { ModelFolder } from '../../src/model/index.js';
import { calculatorTask } from '../../src/tasks/index.js';
import { ScriptSampler } from '../support/script-sampler.js';
import { characterTokenizer as plainTokenizer } from '../support/text-model.js';

it('a validation takes the turns of the run, and not those that the task suggests', async () => {
  const task = calculatorTask({ operations: 1 });
  const sampler = new ScriptSampler((text) => {
    const [, told] = /\[out: (\S+)\]$/.exec(text) ?? [];
    return told === undefined ? `[calc: ${text.split('=')[0]}]` : `${told}.`;
  });
  const accuracy = async (environment: Validated['environment']) => {
    const policy = { liveSampler: () => Promise.resolve(sampler) };
    const { score } = await validation(policy, {
      ...{ task, validation: task.problems('test', 1), n: 3, seed: 1, maxTokens: 60, environment },
      ...{ folder: { tokenizer: plainTokenizer } as ModelFolder, io: { signal: new AbortController().signal } },
    });
    return score;
  };
  expect(await accuracy({ maxTurns: 2, maxTokensPerTurn: null })).toBe(1);
  expect(await accuracy({ maxTurns: 1, maxTokensPerTurn: null })).toBe(0);
  expect(await accuracy({ maxTurns: 2, maxTokensPerTurn: 5 })).toBe(0);
});
