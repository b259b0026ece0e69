import { describe, expect, it } from 'vitest';
import { HoneError } from '../../src/core/index.js';
import type { Sample, Sampler, SampleRequest } from '../../src/engine/index.js';
import { evaluate, summarize, type EvaluateOptions, type EvalRow } from '../../src/evals/index.js';
import { calculatorTask, defineTask, type Verdict } from '../../src/tasks/index.js';
import { ScriptSampler } from '../support/script-sampler.js';
import { characterTokenizer as plainTokenizer } from '../support/text-model.js';
import { characterTokenizer } from '../tasks/helpers.js';

const tokenizer = characterTokenizer();

/** Says what `reply` gives for the prompt and the number of the sample; remembers what it was asked. */
function scriptedSampler(reply: (prompt: string, sample: number) => string): Sampler & { requests: SampleRequest[] } {
  const requests: SampleRequest[] = [];
  const sampleOf = (text: string, maxTokens: number): Sample => {
    const tokens = tokenizer.encode(`${text}</s>`).slice(0, maxTokens);
    return { tokens, stopReason: tokens.at(-1) === 1 ? 'eos' : 'length', weightsVersion: 7 };
  };
  const sampleBatch: Sampler['sampleBatch'] = async (asked) => {
    requests.push(...asked);
    return asked.map(({ promptTokens, params }) =>
      Array.from({ length: params.n }, (_, i) => sampleOf(reply(tokenizer.decode(promptTokens), i), params.maxTokens)),
    );
  };
  return {
    requests,
    weightsVersion: 7,
    maxContext: 64,
    sampleBatch,
    sample: async (promptTokens, params) => (await sampleBatch([{ promptTokens, params }]))[0] ?? [],
    continueFrom: () => Promise.reject(new Error('not of interest here')),
    dispose: async () => {},
  };
}

/** Say the number: 12> is answered by 12; ! breaks the grader, - has no answer, ? has an unusable gold. */
const echo = defineTask({
  name: 'echo',
  description: '',
  format: 'raw',
  suggestedMaxTokens: 8,
  problems: () => ({
    size: 1000,
    at: (index) => ({ id: `p${index}`, prompt: `${index}>`, answer: String(index) }),
  }),
  grade: async ({ answer }, { text }): Promise<Verdict> => {
    await new Promise((resolve) => setImmediate(resolve));
    if (text === '!') throw new Error('broke down');
    if (text === '?') return { status: 'no_verdict', score: 0, cause: 'gold', reason: '' };
    if (text === '-') return { status: 'wrong', score: 0, reason: '', wellFormed: false };
    return { status: text === answer ? 'correct' : 'wrong', score: 1, extracted: text, reason: '', wellFormed: true };
  },
});

const options = (sampler: Sampler, given: Partial<EvaluateOptions> = {}): EvaluateOptions => ({
  sampler,
  task: echo,
  model: { tokenizer },
  split: 'test',
  n: 4,
  k: 1,
  temperature: 0,
  maxTokens: 4,
  seed: 3,
  ...given,
});

describe('evaluate', () => {
  it('counts every outcome and keeps no_verdict wrong in the headline', async () => {
    const replies = ['0', '9', '-', '12345', '!', '?', '6', '7'];
    const result = await evaluate(
      options(
        scriptedSampler((prompt) => replies[Number.parseInt(prompt)] ?? ''),
        { n: 8 },
      ),
    );
    expect(result.counts).toEqual({
      correct: 3,
      wrong: 1,
      noAnswer: 1,
      truncated: 1,
      noVerdict: { gold: 1, grader: 1, response: 0, endpoint: 0 },
    });
    expect(result.accuracy).toBe(3 / 8);
    expect(result.accuracyOfVerdicts).toBe(3 / 6);
    expect(result.wellFormed).toBe(5 / 6);
    expect(result.meanTokens).toEqual({ right: 2, wrong: (2 + 2 + 4 + 2 + 2) / 5 });
    expect(result.rows[4]?.verdict).toMatchObject({ cause: 'grader', reason: 'the grader failed: broke down' });
    expect(result).toMatchObject({ task: 'echo', split: 'test', n: 8, k: 1, weightsVersion: 7 });
    expect(result.ci95[0]).toBeLessThan(3 / 8);
    expect(result.ci95[1]).toBeGreaterThan(3 / 8);
  });

  it('keeps rows in order of problem and sample however grading interleaves', async () => {
    const sampler = scriptedSampler((prompt, sample) => (sample === 0 ? prompt.slice(0, -1) : 'z'));
    const result = await evaluate(options(sampler, { n: 20, k: 3, temperature: 1, gradingConcurrency: 5 }));
    expect(result.rows.map(({ problemId, sample }) => `${problemId}/${sample}`)).toEqual(
      Array.from({ length: 60 }, (_, i) => `p${Math.floor(i / 3)}/${i % 3}`),
    );
    expect(result.accuracy).toBeCloseTo(1 / 3, 12);
    expect(result.passAtK).toEqual({ 1: expect.closeTo(1 / 3, 12), 2: expect.closeTo(2 / 3, 12), 3: 1 });
    expect(result.majAtK).toBe(0);
    expect(result.shares).toHaveLength(20);
  });

  it('never grades more responses at once than allowed', async () => {
    let running = 0;
    let most = 0;
    const slow = {
      ...echo,
      grade: async (): Promise<Verdict> => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        return { status: 'wrong', score: 0, reason: '' };
      },
    };
    await evaluate(
      options(
        scriptedSampler(() => 'a'),
        { task: slow, n: 30, gradingConcurrency: 3 },
      ),
    );
    expect(most).toBe(3);
  });

  it('gives each problem its own seed, the same on every run, and takes stop strings from the task', async () => {
    const seedsOf = async (given: Partial<EvaluateOptions>) => {
      const sampler = scriptedSampler(() => 'a');
      await evaluate(options(sampler, { task: { ...echo, stop: [';'] }, topP: 0.9, temperature: 1, ...given }));
      expect(sampler.requests[0]?.params).toMatchObject({ n: 1, maxTokens: 4, topP: 0.9, stop: [';'] });
      return sampler.requests.map(({ params }) => params.seed);
    };
    const seeds = await seedsOf({});
    expect(new Set(seeds).size).toBe(4);
    expect(await seedsOf({})).toEqual(seeds);
    expect(await seedsOf({ seed: 4 })).not.toEqual(seeds);
  });

  it('asks for no more tokens than the context has room for, and refuses a prompt that fills it', async () => {
    const sampler = scriptedSampler(() => 'a');
    await evaluate(options(sampler, { maxTokens: 1000, n: 1 }));
    expect(sampler.requests[0]?.params.maxTokens).toBe(61); // The prompt is three tokens: BOS, 0, >.
    const long = { ...echo, problems: () => ({ size: 1, at: () => ({ id: 'long', prompt: 'a'.repeat(80) }) }) };
    await expect(evaluate(options(sampler, { task: long }))).rejects.toThrow(/problem long: the prompt has 81 tokens/);
  });

  it('takes as many problems as there are', async () => {
    const few = { ...echo, problems: () => ({ size: 2, at: (index: number) => ({ id: `${index}`, prompt: '1' }) }) };
    expect(
      (
        await evaluate(
          options(
            scriptedSampler(() => 'a'),
            { task: few, n: 50 },
          ),
        )
      ).n,
    ).toBe(2);
  });

  it.each([
    [{ k: 4 }, /greedy decoding gives the same response 4 times/],
    [{ n: 0 }, /evaluation option n/],
    [{ maxTokens: 1.5 }, /evaluation option maxTokens/],
    [{ gradingConcurrency: 0 }, /evaluation option gradingConcurrency/],
  ])('refuses %j', async (given, message) => {
    await expect(
      evaluate(
        options(
          scriptedSampler(() => 'a'),
          given,
        ),
      ),
    ).rejects.toThrow(message);
  });

  it('ends as interrupted when told to stop', async () => {
    const controller = new AbortController();
    const stopping = {
      ...echo,
      grade: async (): Promise<Verdict> => (controller.abort(), Promise.reject(new Error())),
    };
    const attempt = evaluate(
      options(
        scriptedSampler(() => 'a'),
        { task: stopping, signal: controller.signal },
      ),
    );
    await expect(attempt).rejects.toBeInstanceOf(HoneError);
    await expect(attempt).rejects.toMatchObject({ kind: 'interrupted', exitCode: 130 });
  });
});

describe('summarize', () => {
  it('needs whole problems', () => {
    const row = { verdict: { status: 'wrong', score: 0, reason: '' } } as EvalRow;
    expect(() => summarize([row, row, row], { k: 2 })).toThrow(RangeError);
    expect(() => summarize([], { k: 1 })).toThrow(RangeError);
  });
});

it('plays the turns of a task with an environment, whose words are no tokens of the model', async () => {
  const task = calculatorTask({ operations: 1 });
  const sampler = new ScriptSampler((text) => {
    const [, told] = /\[out: (\S+)\]$/.exec(text) ?? [];
    return told === undefined ? `[calc: ${text.split('=')[0]}]` : `${told}.`;
  });
  const options = { task, split: 'test' as const, n: 3, k: 2, temperature: 1, maxTokens: 60, seed: 5 };
  const result = await evaluate({ ...options, sampler, model: { tokenizer: plainTokenizer } });
  expect(result).toMatchObject({ accuracy: 1, wellFormed: 1 });
  for (const { text, tokens, prompt } of result.rows) {
    expect(text).toMatch(/^\[calc: [\d*]+\]\[out: \d+\]\d+\.$/);
    expect(tokens).toBe(text.replace(/\[out.*?\]/, '').length);
    expect(prompt).toContain('*');
  }
  const inOneTurn = { ...options, sampler, model: { tokenizer: plainTokenizer } };
  const cut = await evaluate({ ...inOneTurn, turns: { maxTurns: 1, maxTokensPerTurn: null } });
  expect(cut).toMatchObject({ accuracy: 0 });
  for (const { text } of cut.rows) expect(text).toMatch(/^\[calc: [\d*]+\]$/);
  const short = await evaluate({ ...inOneTurn, turns: { maxTurns: 2, maxTokensPerTurn: 5 } });
  expect(short.rows.every(({ tokens }) => tokens === 5)).toBe(true);
});
