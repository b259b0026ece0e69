import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../src/core/index.js';
import {
  calculatorTask,
  playEpisodes,
  renderEnvironment,
  responseText,
  segmentsOf,
  stopsOf,
  type Environment,
  type Episode,
  type EpisodeLimits,
  type EpisodeStart,
  type Task,
} from '../../src/tasks/index.js';
import { ScriptSampler, type Continue } from '../support/script-sampler.js';
import { characterTokenizer } from '../support/text-model.js';
import { characterTokenizer as specialTokenizer, template } from './helpers.js';

const task = calculatorTask();
const model = { tokenizer: characterTokenizer };
const limits: EpisodeLimits = { maxTurns: 4, maxTokensPerTurn: null, maxTokens: 100, maxContext: 500 };

function startsOf(prompts: readonly string[], n: number, of: Task = task): EpisodeStart[] {
  return prompts.map((prompt, p) => ({
    problem: { id: `p${p}`, prompt },
    promptTokens: characterTokenizer.encode(prompt),
    params: { n, temperature: 1, seed: 100 + p, stop: stopsOf(of) },
    random: (attempt, purpose) => new RandomStream(7, purpose, p, attempt),
  }));
}

function play(next: Continue, changes: Partial<EpisodeLimits> = {}, of: Task = task, n = 2, prompts = ['2*3=']) {
  const sampler = new ScriptSampler(next);
  const codec = {
    text: (tokens: Int32Array, stop: 'eos' | 'stop' | 'length' | 'aborted') =>
      responseText(of, model, tokens, stop).text,
    environment: (text: string, after: 'eos' | 'stop' | 'length' | 'aborted') =>
      renderEnvironment(of, model, text, after),
  };
  const played = playEpisodes(sampler, startsOf(prompts, n, of), { ...limits, ...changes }, codec, of.environment);
  return played.then((episodes) => ({ sampler, episodes }));
}

const textOf = ({ parts }: Episode) => parts.map(({ source, text }) => `${source}:${text}`);
/** Calls once, then answers with what it was told. */
const caller: Continue = (text) => {
  const [, told] = /\[out: (\S+)\]$/.exec(text) ?? [];
  return told === undefined ? `[calc: ${text.split('=')[0]}]` : `${told}.`;
};

describe('an episode with a tool', () => {
  it('goes on after each call with what the tool said, to the end', async () => {
    const { episodes } = await play(caller);
    expect(episodes).toHaveLength(1);
    for (const episode of episodes[0]!) {
      expect(textOf(episode)).toEqual(['model:[calc: 2*3]', 'tool:[out: 6]', 'model:6.']);
      expect(episode).toMatchObject({ stopReason: 'stop', rewards: [0, 0] });
    }
  });

  it('hands the sampler the very tokens it sampled, with the tool between them', async () => {
    const { sampler, episodes } = await play(caller);
    const [first, tool] = segmentsOf(episodes[0]![0]!);
    const request = sampler.calls[1]!.requests[0]!;
    expect([...request.promptTokens]).toEqual([
      ...characterTokenizer.encode('2*3='),
      ...first!.tokens,
      ...tool!.tokens,
    ]);
    expect(first).toMatchObject({ source: 'model', version: 3 });
    expect(first!.logprobs).toHaveLength(first!.tokens.length);
    expect(tool!.logprobs).toBeUndefined();
  });

  it('lets all attempts at all prompts advance together, each with seeds of its own', async () => {
    const { sampler } = await play(caller, {}, task, 3, ['2*3=', '4*5=']);
    expect(sampler.calls.map(({ requests }) => requests.map(({ params }) => params.n))).toEqual([
      [3, 3],
      [1, 1, 1, 1, 1, 1],
    ]);
    const seeds = sampler.calls.flatMap(({ requests }) => requests.map(({ params }) => params.seed));
    expect(new Set(seeds).size).toBe(seeds.length);
    const again = await play(caller, {}, task, 3, ['2*3=', '4*5=']);
    expect(again.sampler.calls).toEqual(sampler.calls);
  });

  it('ends at the limit of turns, cut', async () => {
    const { episodes } = await play(() => '[calc: 1*1]', { maxTurns: 3 });
    const [episode] = episodes[0]!;
    expect(episode!.stopReason).toBe('length');
    expect(textOf(episode!).filter((text) => text.startsWith('model'))).toHaveLength(3);
    expect(episode!.parts.at(-1)!.source).toBe('model');
  });

  it('ends at the limit of tokens over all turns, in which the tool does not count', async () => {
    const { sampler, episodes } = await play(() => '[calc: 1*1]', { maxTokens: 15 });
    expect(sampler.calls.map(({ requests }) => requests[0]!.params.maxTokens)).toEqual([15, 4]);
    expect(episodes[0]![0]!.stopReason).toBe('length');
    const { sampler: own } = await play(() => '[calc: 1*1]', { maxTokens: 30, maxTokensPerTurn: 12 });
    expect(own.calls.map(({ requests }) => requests[0]!.params.maxTokens)).toEqual([12, 12, 8]);
  });

  it('ends a turn that is cut at its own limit, unheard by the tool', async () => {
    const { episodes } = await play(caller, { maxTokensPerTurn: 5 });
    expect(textOf(episodes[0]![0]!)).toEqual(['model:[calc']);
    expect(episodes[0]![0]!.stopReason).toBe('length');
  });

  it('ends before the context would overflow', async () => {
    const { sampler, episodes } = await play(() => '[calc: 1*1]', { maxContext: 26 });
    expect(sampler.calls).toHaveLength(2);
    for (const { promptTokens, params } of sampler.calls[1]!.requests)
      expect(promptTokens.length + params.maxTokens).toBeLessThanOrEqual(26);
    expect(episodes[0]![0]!.stopReason).toBe('length');
  });
});

describe('an environment', () => {
  const withEnvironment = (step: Awaited<ReturnType<Environment['reset']>>['step'], reset?: Environment['reset']) => ({
    ...task,
    environment: { stop: [']'], suggestedMaxTurns: 3, reset: reset ?? (() => Promise.resolve({ step })) },
  });

  it('keeps its rewards by turn', async () => {
    const of = withEnvironment((text) => Promise.resolve({ append: '!', done: text.endsWith('.'), reward: 0.25 }));
    const { episodes } = await play((text) => (text.endsWith('!') ? 'x.' : 'y]'), {}, of);
    expect(episodes[0]![0]).toMatchObject({ rewards: [0.25, 0.25], stopReason: 'stop' });
  });

  it('that throws ends its attempt alone, with the reason', async () => {
    let calls = 0;
    const of = withEnvironment(() =>
      calls++ === 0 ? Promise.reject(new Error('no tool today')) : Promise.resolve({ append: '', done: true }),
    );
    const { episodes } = await play(() => 'x]', {}, of);
    expect(episodes[0]![0]!.failure).toMatch(/no tool today/);
    expect(episodes[0]![1]!.failure).toBeUndefined();
    const failing = withEnvironment(
      () => Promise.resolve({ append: '', done: true }),
      () => Promise.reject(new Error('no reset')),
    );
    expect((await play(() => 'x]', {}, failing)).episodes[0]![0]!.failure).toMatch(/no reset/);
  });

  it('draws from a stream of each attempt', async () => {
    const drawn: number[] = [];
    const of = withEnvironment(
      () => Promise.resolve({ append: '', done: true }),
      (_, random) => {
        drawn.push(random.next());
        return Promise.resolve({ step: () => Promise.resolve({ append: '', done: true }) });
      },
    );
    await play(() => 'x]', {}, of, 2, ['a', 'b']);
    expect(new Set(drawn).size).toBe(4);
  });
});

it('without an environment an episode is one turn', async () => {
  const { environment: _, ...plain } = task;
  const { sampler, episodes } = await play(() => '6.', {}, plain);
  expect(sampler.calls).toHaveLength(1);
  expect(episodes[0]!.map((episode) => [textOf(episode), episode.stopReason])).toEqual([
    [['model:6.'], 'stop'],
    [['model:6.'], 'stop'],
  ]);
});

describe('what an environment says', () => {
  const chat = { ...task, format: 'chat' as const };

  it('is plain text after a stop string, special tokens too', () => {
    const tokenizer = specialTokenizer();
    const said = renderEnvironment(chat, { tokenizer, chatTemplate: template }, '<|end|>', 'stop');
    expect([...said].some((token) => tokenizer.eosIds.includes(token))).toBe(false);
  });

  it('is a user turn of the template after an end token of a chat task', () => {
    const tokenizer = specialTokenizer();
    const said = renderEnvironment(chat, { tokenizer, chatTemplate: template }, 'again', 'eos');
    expect(tokenizer.decode(said, { skipSpecial: false })).toBe('\nuser:again<|end|>\nassistant:');
  });

  it('is refused where the template does not let a turn be appended', () => {
    const forgetful = { ...template, render: () => 'always the same' };
    expect(() =>
      renderEnvironment(chat, { tokenizer: specialTokenizer(), chatTemplate: forgetful }, 'again', 'eos'),
    ).toThrow(/template/);
  });
});
