import { describe, expect, it } from 'vitest';
import { requireCapabilities, ScriptedChatModel } from '../../src/engine/chat/index.js';
import {
  bestOfN,
  budgetForcing,
  callsOf,
  codeTool,
  direct,
  fillSlots,
  functionTools,
  meanLogprob,
  multiRound,
  parseMethod,
  pythonExecutor,
  runsPrograms,
  S1_MARKERS,
  scriptedExecutor,
  selfConsistency,
  sift,
  type ThinkEvent,
  totals,
  truncation,
  truncationProbe,
} from '../../src/thinking/index.js';
import { contextOf, expectGolden, readGolden, run } from './support.js';

const Q = 'What is 6 * 7?';
const says = (value: number | string): string => `It is \\boxed{${value}}.`;
const thinks = (value: number): string => `<think>\nhm\n</think>\n\n${says(value)}`;

describe('direct', () => {
  it('asks once, with the settings of the context', async () => {
    const ran = await run(direct(), Q, [thinks(42)], { stop: ['\n\n\n'] });
    expect(ran.model.requests).toEqual([
      { messages: [{ role: 'user', content: Q }], maxTokens: 100, temperature: 0.6, seed: 7, stop: ['\n\n\n'] },
    ]);
    expect(ran.thought).toMatchObject({ text: says(42), answer: '42', reasoned: true, finish: 'stop' });
    expectGolden('direct', ran);
  });
});

describe('Multi-round Thinking, call by call', () => {
  const golden = readGolden('prompts') as Record<'question' | 'again', string>;

  it('shows the last answer alone, in the published words', async () => {
    const ran = await run(multiRound({ rounds: 2 }), golden.question, [says(42), says(43)]);
    expect(ran.prompts).toEqual([golden.question, golden.again]);
    expect(ran.thought.answer).toBe('43');
    expect(ran.model.requests.every(({ messages }) => messages.length === 1)).toBe(true);
    expectGolden('multi-round-2', ran);
  });

  it('always builds on the original prompt, and shows no older answer', async () => {
    const { prompts, thought } = await run(multiRound({ rounds: 4 }), Q, [1, 2, 3, 4].map(says));
    const shown = [1, 2, 3].map(
      (value) => `${Q}\nThe assistant's previous answer is: <answer> ${value} </answer>, and please re-answer.`,
    );
    expect(prompts).toEqual([Q, ...shown]);
    expect(thought.transcript).toMatchObject({ notes: { kept: 0, answers: ['1', '2', '3', '4'] } });
  });

  it('shows everything behind the thoughts where there are thoughts', async () => {
    const { prompts } = await run(multiRound({ rounds: 2 }), Q, [thinks(1), thinks(2)]);
    expect(prompts[1]).toContain(`<answer> ${says(1)} </answer>`);
    expect(prompts[1]).not.toContain('hm');
  });

  it.each([
    ['text', says(1)],
    ['extracted', '1'],
  ] as const)('shows the %s where asked', async (shows, shown) => {
    const { prompts } = await run(multiRound({ rounds: 2, shows }), Q, [says(1), says(2)]);
    expect(prompts[1]).toContain(`<answer> ${shown} </answer>`);
  });

  it('keeps the last answer when a round has none, and counts it', async () => {
    const cut = { text: '<think>\nstill thinking about', finish: 'length' as const };
    const ran = await run(multiRound({ rounds: 3 }), Q, [thinks(1), cut, thinks(3)]);
    expect(ran.prompts[2]).toBe(ran.prompts[1]);
    expect(ran.thought).toMatchObject({ answer: '3', transcript: { notes: { kept: 1, answers: ['1', null, '3'] } } });
    expectGolden('multi-round-kept', ran);
    const last = await run(multiRound({ rounds: 2 }), Q, [thinks(1), cut]);
    expect(last.thought).toMatchObject({ text: says(1), answer: '1' });
  });

  it('asks the bare question again while there is no answer at all', async () => {
    const { prompts, thought } = await run(multiRound({ rounds: 3 }), Q, ['hm', 'hm', says(5)]);
    expect(prompts).toEqual([Q, Q, Q]);
    expect(thought).toMatchObject({ answer: '5', transcript: { notes: { kept: 2 } } });
  });

  it('gives every round a seed of its own, and round 1 that of a direct answer', async () => {
    const { model } = await run(multiRound({ rounds: 3 }), Q, [says(1), says(1), says(1)]);
    const seeds = model.requests.map(({ seed }) => seed);
    expect(seeds[0]).toBe(7);
    expect(new Set(seeds).size).toBe(3);
  });
});

describe('self-consistency', () => {
  it('takes the most frequent answer by meaning', async () => {
    const ran = await run(selfConsistency({ n: 4 }), Q, [says(5), says('1/2'), says(0.5), 'no idea']);
    expect(ran.thought).toMatchObject({ answer: '1/2', transcript: { notes: { chosen: 2 } } });
    expectGolden('self-consistency', ran);
  });

  it('takes the first seen of equals, and the first sample when nobody answers', async () => {
    expect((await run(selfConsistency({ n: 4 }), Q, [says(1), says(2), says(2), says(1)])).thought.answer).toBe('1');
    const silent = await run(selfConsistency({ n: 2 }), Q, ['a', 'b']);
    expect(silent.thought).toMatchObject({ text: 'a', answer: undefined });
  });

  it('refuses greedy samples, which are all the same', async () => {
    const greedy = { sampling: { temperature: 0 } };
    await expect(run(selfConsistency({ n: 2 }), Q, [], greedy)).rejects.toMatchObject({ kind: 'usage' });
  });

  it('draws with distinct seeds that depend on the seed alone', async () => {
    const seedsOf = async (seed: number) =>
      (await run(selfConsistency({ n: 5 }), Q, () => says(1), { seed })).model.requests.map((request) => request.seed);
    const [first, again, other] = [await seedsOf(1), await seedsOf(1), await seedsOf(2)];
    expect(first).toEqual(again);
    expect(new Set([...first, ...other]).size).toBe(10);
  });
});

describe('best-of-n', () => {
  it('takes the candidate of highest mean logprob', async () => {
    const script = [-2, -0.5, -1].map((logprob, i) => ({ text: says(i), logprob }));
    const ran = await run(bestOfN({ n: 3, scorer: meanLogprob }), Q, script);
    expect(ran.thought).toMatchObject({ answer: '1', transcript: { notes: { scores: [-2, -0.5, -1], chosen: 2 } } });
    expect(ran.model.requests.every(({ logprobs }) => logprobs)).toBe(true);
  });

  it('prefers any answer to none', async () => {
    const cut = { text: '<think>\nabc', finish: 'length' as const, logprob: -0.1 };
    const { thought } = await run(bestOfN({ n: 2, scorer: meanLogprob }), Q, [cut, { text: says(3), logprob: -9 }]);
    expect(thought.answer).toBe('3');
  });

  it('needs logprobs, and says so before any work', () => {
    const model = new ScriptedChatModel([], { capabilities: { logprobs: false } });
    const method = bestOfN({ n: 2, scorer: meanLogprob });
    expect(() => requireCapabilities(model, method.needs, method.name)).toThrow(/best-of-n needs logprobs/);
  });
});

describe('budget forcing', () => {
  it('caps the thoughts and asks for the answer', async () => {
    const ran = await run(budgetForcing({ cap: 4 }), Q, ['one two three four five six', ' 42']);
    expect(ran.prompts).toEqual(['<think>\n', '<think>\none two three four\n</think>\n\nFinal Answer:']);
    expect(ran.model.requests.map(({ maxTokens }) => maxTokens)).toEqual([4, 256]);
    expect(ran.thought).toMatchObject({ answer: '42', transcript: { notes: { thinkingTokens: 4, capped: true } } });
    expectGolden('budget-forcing-cap', ran);
  });

  it('puts Wait in the place of an end, within what is left of the cap', async () => {
    const ran = await run(budgetForcing({ cap: 20, waits: 2 }), Q, ['a b</think>x', ' c', ' d e', 'so \\boxed{7}']);
    expect(ran.prompts).toEqual([
      '<think>\n',
      '<think>\na bWait',
      '<think>\na bWait cWait',
      '<think>\na bWait cWait d e\n</think>\n\nFinal Answer:',
    ]);
    expect(ran.model.requests.map(({ maxTokens }) => maxTokens)).toEqual([20, 18, 17, 256]);
    expect(ran.thought).toMatchObject({
      answer: '7',
      transcript: { notes: { thinkingTokens: 5, waits: 2, capped: false } },
    });
    expectGolden('budget-forcing-wait', ran);
  });

  it('never spends more than the cap on thoughts, whatever the number of waits', async () => {
    for (const cap of [1, 3, 7]) {
      const ran = await run(budgetForcing({ cap, waits: 50 }), Q, () => 'x y z');
      const calls = callsOf(ran.thought.transcript).slice(0, -1);
      expect(calls.reduce((sum, { completionTokens }) => sum + completionTokens, 0)).toBeLessThanOrEqual(cap);
    }
  });

  it('speaks the markers of s1 where asked', async () => {
    const { prompts, model } = await run(budgetForcing({ cap: 5, ...S1_MARKERS }), Q, ['a b', ' 1']);
    expect(prompts[1]).toBe('<|im_start|>thinka b\n<|im_start|>answer\nFinal Answer:');
    expect(model.requests[0]?.stop).toEqual(['<|im_start|>']);
  });
});

describe('truncation probe', () => {
  it('answers from the first B tokens of the thoughts', async () => {
    const full = '<think>\n0123456789\n</think>\n\n\\boxed{9}';
    const script = [{ text: full, tokens: 10 }, ' 1', ' 2', ' 3'];
    const ran = await run(truncation({ budgets: [0, 5, 50] }), Q, script);
    expect(ran.prompts.slice(1)).toEqual(
      ['', '01234', '0123456789'].map((kept) => `<think>\n${kept}\n</think>\n\nFinal answer:`),
    );
    const points = [
      { budget: 0, kept: 0, answer: '1' },
      { budget: 5, kept: 5, answer: '2' },
      { budget: 50, kept: 10, answer: '3' },
    ];
    expect(ran.thought).toMatchObject({ answer: '3', transcript: { notes: { points } } });
    expect(ran.model.requests.slice(1).every(({ temperature }) => temperature === 0)).toBe(true);
    expectGolden('truncation', ran);
  });

  it('can ask another model, and cut by its own tokens', async () => {
    const other = new ScriptedChatModel(['\\boxed{8}']);
    const context = contextOf(new ScriptedChatModel(['<think>\na b c\n</think>\n\n\\boxed{9}']));
    const cut = (text: string, tokens: number): string => text.split(' ').slice(0, tokens).join(' ');
    const answerer = { kind: 'model' as const, model: other, prompt: '{question}|{thoughts}' };
    const { points } = await truncationProbe({ prompt: '{thoughts}?' }, context, { budgets: [2], answerer, cut });
    expect(points[0]?.thought.answer).toBe('8');
    expect(other.requests[0]?.messages).toEqual([{ role: 'user', content: '{thoughts}?|a b' }]);
  });
});

describe('the tool loop of STILL-3', () => {
  const executor = scriptedExecutor({ 'print(6*7)': '42\n', 'print(1/0)': { stdout: '', error: 'ZeroDivisionError' } });
  const block = (code: string): string => `\`\`\`python\n${code}\n\`\`\`\n\n`;

  it('stops at the closing fence, runs the block, shows the output and goes on', async () => {
    const script = [`<think>\nLet me see.\n${block('print(6*7)')}never seen`, 'So 42.\n</think>\n\n\\boxed{42}'];
    const ran = await run(codeTool({ executor }), Q, script);
    expect(ran.model.requests[0]).toMatchObject({ messages: [{ role: 'user', content: Q }], stop: ['```\n\n'] });
    expect(ran.prompts[1]).toBe('<think>\nLet me see.\n```python\nprint(6*7)\n```\n\n```Output\n42\n```\n\n');
    expect(ran.thought).toMatchObject({ text: '\\boxed{42}', answer: '42', reasoned: true });
    expectGolden('code-tool', ran);
  });

  it('shows the last line of a traceback, and cuts long output', async () => {
    const { thought } = await run(codeTool({ executor }), Q, [block('print(1/0)'), says(1)]);
    expect(thought.transcript).toMatchObject({ notes: { runs: [{ output: 'ZeroDivisionError\n' }] } });
    const long = scriptedExecutor({ x: 'y'.repeat(50) });
    const cut = await run(codeTool({ executor: long, maxOutput: 10 }), Q, [block('x'), says(1)]);
    expect(cut.prompts[1]).toContain(`\`\`\`Output\n${'y'.repeat(10)}... (41 characters cut)\n\`\`\``);
  });

  it('runs no more than it may, and then lets the model go on', async () => {
    const more = `${block('print(6*7)')}after`;
    const ran = await run(codeTool({ executor, maxRuns: 2 }), Q, [more, more, `${more} \\boxed{1}`]);
    expect(ran.model.requests.map(({ stop }) => stop)).toEqual([['```\n\n'], ['```\n\n'], []]);
    expect(ran.thought.answer).toBe('1');
  });

  it('leaves a block alone that the model itself went past', async () => {
    const ran = await run(codeTool({ executor }), Q, [`\`\`\`python\nx\n\`\`\`\nand so ${says(3)}`]);
    expect(ran.thought).toMatchObject({ answer: '3', transcript: { notes: { runs: [] } } });
  });

  it('keeps to the limit of tokens over all calls', async () => {
    const ran = await run(codeTool({ executor }), Q, () => block('print(6*7)'), { sampling: { maxTokens: 5 } });
    const limits = ran.model.requests.map(({ maxTokens }) => maxTokens ?? 0);
    expect(limits[0]).toBe(5);
    expect(limits.every((limit, i) => i === 0 || limit < (limits[i - 1] as number))).toBe(true);
    expect(totals(ran.thought.transcript).completionTokens).toBeLessThanOrEqual(5);
  });
});

describe('function tools', () => {
  const add = {
    name: 'add',
    parameters: { type: 'object' },
    run: (given: unknown) => {
      const { a, b } = given as { a: number; b: number };
      if (typeof a !== 'number') throw new TypeError('a is no number');
      return String(a + b);
    },
  };
  const calling = (given: string) => ({ text: '', toolCalls: [{ id: 'c1', name: 'add', arguments: given }] });

  it('answers calls until there are none', async () => {
    const ran = await run(functionTools({ tools: [add] }), Q, [calling('{"a":40,"b":2}'), says(42)]);
    expect(ran.model.requests[1]?.messages.slice(1)).toEqual([
      { role: 'assistant', content: '', toolCalls: [{ id: 'c1', name: 'add', arguments: '{"a":40,"b":2}' }] },
      { role: 'tool', toolCallId: 'c1', content: '42' },
    ]);
    expect(ran.thought.answer).toBe('42');
    expectGolden('function-tools', ran);
  });

  it.each(['{"a":', '{"a":"x"}'])('tells the model what went wrong with %s', async (given) => {
    const ran = await run(functionTools({ tools: [add] }), Q, [calling(given), says(1)]);
    expect(ran.model.requests[1]?.messages.at(-1)?.content).toMatch(/^error: /);
  });

  it('takes the tools away in the end', async () => {
    const ran = await run(functionTools({ tools: [add], maxTurns: 2 }), Q, ({ tools }) =>
      tools ? calling('{"a":1,"b":1}') : says(2),
    );
    expect(ran.model.requests).toHaveLength(3);
    expect(ran.thought.answer).toBe('2');
  });
});

describe('composition', () => {
  it('votes over whole runs of SIFT', async () => {
    const ran = await run(selfConsistency({ n: 2, inner: sift({ stages: 1 }) }), Q, () => says(42));
    expect(ran.model.requests).toHaveLength(6);
    expect(ran.thought.transcript.label).toBe('');
    expect(callsOf(ran.thought.transcript)).toHaveLength(6);
  });

  it('makes every round a vote', async () => {
    const ran = await run(parseMethod('multi-round:2/self-consistency:3'), Q, () => says(42));
    expect(ran.model.requests).toHaveLength(6);
    expect(ran.prompts.slice(3).every((prompt) => prompt.includes('previous answer is: <answer> 42'))).toBe(true);
  });

  it('tells what happens with the way to where it happens', async () => {
    const events: ThinkEvent[] = [];
    await run(parseMethod('multi-round:2/self-consistency:2'), Q, () => thinks(1), {
      onEvent: (event) => events.push(event),
    });
    const labels = events.filter(({ type }) => type === 'start').map(({ label }) => label);
    expect(labels).toEqual([1, 2].flatMap((r) => [1, 2].map((s) => `round ${r} / sample ${s} / answer`)));
    expect(events.filter(({ type }) => type === 'end')).toHaveLength(4);
  });

  it('stops when asked', async () => {
    const controller = new AbortController();
    const script = () => {
      controller.abort();
      return says(1);
    };
    const ran = run(multiRound({ rounds: 3 }), Q, script, { signal: controller.signal });
    await expect(ran).rejects.toMatchObject({ kind: 'interrupted' });
  });
});

describe('parseMethod', () => {
  it.each([
    ['direct', {}],
    ['multi-round:3', { rounds: 3, shows: 'auto' }],
    ['multi-round:rounds=4,shows=text', { rounds: 4, shows: 'text' }],
    ['sift:equivalence=opencompass', { stages: 3, equivalence: 'opencompass' }],
    ['budget-forcing:cap=64,waits=2', { cap: 64, waits: 2 }],
    ['truncation:16+32', { budgets: [16, 32] }],
    ['self-consistency:10/sift:2', { n: 10, inner: { method: 'sift', stages: 2 } }],
  ])('%s', (text, settings) => expect(parseMethod(text).settings).toMatchObject(settings));

  it.each([
    ['multiround', /Did you mean multi-round/],
    ['multi-round:x', /multi-round, option rounds/],
    ['multi-round:tries=2', /multi-round/],
    ['direct:3', /takes no value/],
    ['direct/sift', /takes no inner method/],
    ['truncation:a+b', /joined by \+/],
  ])('refuses %s', (text, said) => {
    const refused = (): unknown => {
      try {
        return parseMethod(text);
      } catch (error) {
        return `${(error as Error).message} ${String((error as { hint?: string }).hint)}`;
      }
    };
    expect(refused()).toMatch(said);
  });
});

describe('tool loops by name', () => {
  const executor = pythonExecutor('test', (code) =>
    Promise.resolve(
      code.includes('1/0')
        ? { outcome: 'exception', stdout: 'before\n', error: 'ZeroDivisionError: division by zero' }
        : { outcome: 'finished', stdout: '391\n' },
    ),
  );

  it('tools runs blocks of Python in the sandbox it was given', async () => {
    const method = parseMethod('tools:runs=2', { executor });
    const { thought, model } = await run(method, Q, ['```python\nprint(17*23)\n```\n\nmore', ' \\boxed{391}']);
    expect(thought.answer).toBe('391');
    expect(model.requests[1]?.messages.at(-1)?.content).toBe('```python\nprint(17*23)\n```\n\n```Output\n391\n```\n\n');
    expect(method.settings).toMatchObject({ executor: 'test', maxRuns: 2 });
  });

  it('function-tools offers Python, and tells the error of a program', async () => {
    const call = { id: 'a', name: 'python', arguments: JSON.stringify({ code: 'print(1/0)' }) };
    const bad = { ...call, id: 'b', arguments: '{"program": 1}' };
    const method = parseMethod('function-tools', { executor });
    const { model } = await run(method, Q, [{ text: '', toolCalls: [call, bad] }, '\\boxed{0}']);
    const told = model.requests[1]?.messages.slice(-2).map(({ content }) => content);
    expect(told?.[0]).toBe('before\nZeroDivisionError: division by zero\n');
    expect(told?.[1]).toMatch(/^error: /);
  });

  it('are refused without a sandbox', () => {
    expect(() => parseMethod('tools')).toThrow(/no sandbox/);
    expect(['tools', 'self-consistency:4/tools:3', 'function-tools', 'direct'].map(runsPrograms)).toEqual([
      ...[true, true, true, false],
    ]);
  });
});

describe('fillSlots', () => {
  it('fills the slots of the template, and none that stand in a value', () => {
    expect(fillSlots('{a} and {b} and {c}', { a: '{b}', b: '$&' })).toBe('{b} and $& and {c}');
    expect(() => fillSlots('{a}', { b: 'x' })).toThrow(RangeError);
  });
});
