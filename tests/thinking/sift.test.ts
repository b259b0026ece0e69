import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cleanSticker, opencompassAnswer, opencompassEquivalent, sift, siftPrompts } from '../../src/thinking/index.js';
import { expectGolden, readGolden, run } from './support.js';

const golden = readGolden('prompts') as Record<
  'question' | 'sticker' | 'inverted' | 'prediction' | 'SG' | 'FO' | 'IG' | 'FO after IG' | 'P_S' | 'P_Q,S' | 'P_Q',
  string
>;
const { question, sticker, inverted, prediction } = golden;
const says = (value: number): string => `It is \\boxed{${value}}.`;
const fenced = (text: string): string => `Sure!\n\`\`\`\n${text}\n\`\`\`\nDone.`;

describe('SIFT, Algorithm 2, call by call', () => {
  it('returns P_{Q,S} when the first Sticker gives consensus: 3 calls', async () => {
    const ran = await run(sift(), question, [fenced(sticker), says(5), 'So \\boxed{5.0}']);
    expect(ran.prompts).toEqual([golden.SG, golden.P_S, golden['P_Q,S']]);
    expect(ran.thought).toMatchObject({ text: 'So \\boxed{5.0}', answer: '5.0', transcript: { notes: { stage: 1 } } });
    expectGolden('sift-stage-1', ran);
  });

  it('optimises the Sticker when they differ: 6 calls', async () => {
    const ran = await run(sift(), question, [sticker, says(4), says(5), sticker, says(5), says(5)]);
    expect(ran.prompts).toEqual([golden.SG, golden.P_S, golden['P_Q,S'], golden.FO, golden.P_S, golden['P_Q,S']]);
    expect(ran.thought).toMatchObject({ answer: '5', transcript: { notes: { stage: 2 } } });
    expectGolden('sift-stage-2', ran);
  });

  it('inverts P_{Q,S2} without the query, then optimises against it: 10 calls', async () => {
    const script = [
      ...[sticker, says(4), says(5), sticker, says(3), prediction],
      ...[inverted, sticker, says(5), says(5)],
    ];
    const ran = await run(sift(), question, script);
    expect(ran.prompts.slice(6, 8)).toEqual([golden.IG, golden['FO after IG']]);
    expect(ran.prompts).toHaveLength(10);
    expect(ran.thought).toMatchObject({ answer: '5', transcript: { notes: { stage: 3 } } });
    expectGolden('sift-stage-3', ran);
  });

  it('answers directly when nothing agrees: 11 calls', async () => {
    const script = [
      ...[sticker, says(4), says(5), sticker, says(3), prediction],
      ...[inverted, sticker, says(1), says(2), says(9)],
    ];
    const ran = await run(sift(), question, script);
    expect(ran.prompts.at(-1)).toBe(golden.P_Q);
    expect(ran.prompts).toHaveLength(11);
    expect(ran.thought).toMatchObject({ answer: '9', transcript: { notes: { stage: 0 } } });
    expectGolden('sift-fallback', ran);
  });

  it.each([1, 2] as const)('stops after %i stages where asked', async (stages) => {
    const script = [sticker, says(4), says(5), sticker, says(3), prediction].slice(0, 3 * stages);
    const ran = await run(sift({ stages }), question, [...script, says(9)]);
    expect(ran.prompts).toHaveLength(3 * stages + 1);
    expect(ran.thought.answer).toBe('9');
  });

  it('goes on with a Sticker that cannot be parsed as it is', async () => {
    const ran = await run(sift({ stages: 1 }), question, ['I will not.', says(5), says(5)]);
    expect(ran.prompts[1]).toBe(siftPrompts.STICKER_ONLY_PROMPT.replace('{abstract}', 'I will not.'));
  });

  it('takes two missing answers for disagreement, and the public code for agreement', async () => {
    const script = [sticker, 'no idea', 'no idea', says(5)];
    const ours = await run(sift({ stages: 1 }), question, script);
    expect(ours.thought).toMatchObject({ answer: '5', transcript: { notes: { stage: 0 } } });
    const theirs = await run(sift({ stages: 1, equivalence: 'opencompass' }), question, script.slice(0, 3));
    expect(theirs.thought).toMatchObject({ text: 'no idea', transcript: { notes: { stage: 1 } } });
  });

  it('compares by value, where the public code compares strings', async () => {
    const script = [sticker, says(0.5), 'x \\boxed{\\frac{1}{2}}', says(7)];
    expect((await run(sift({ stages: 1 }), question, script)).thought.transcript).toMatchObject({
      notes: { stage: 1 },
    });
    const theirs = await run(sift({ stages: 1, equivalence: 'opencompass' }), question, script);
    expect(theirs.thought.answer).toBe('7');
  });

  it('can return the prediction that the public code credits', async () => {
    const ran = await run(sift({ returns: 'sticker' }), question, [sticker, `a ${says(5)}`, `b ${says(5)}`]);
    expect(ran.thought.text).toBe(`a ${says(5)}`);
  });

  it('takes the demand for a format off the question, for its prompts state it', async () => {
    const asked = `${question}\n\nPlease reason step by step, and put your final answer within \\boxed{}.`;
    expect((await run(sift(), asked, [sticker, says(5), says(5)])).prompts[0]).toBe(golden.SG);
  });
});

describe('cleanSticker', () => {
  it.each([
    ['cuts at a second tag', 'x **Conditions:**\n1. a\n**Conditions:**\n1. b', '**Conditions:**\n1. a'],
    ['cuts at a fence', '```\n**Conditions:**\n1. a\n```\nbye', '**Conditions:**\n1. a'],
    ['leaves text without the tag alone', '  hm ```x``` ', '  hm ```x``` '],
  ])('%s', (_, text, expected) => expect(cleanSticker(text)).toBe(expected));

  it('changes nothing the second time', () => {
    const part = fc.constantFrom('**Conditions:**', '```', 'a', '\n', ' ');
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const once = cleanSticker(parts.join(''));
        expect(cleanSticker(once)).toBe(once);
      }),
      { seed: 3 },
    );
  });
});

describe('the public code’s extraction and comparison', () => {
  it.each([
    ['the last box', 'x \\boxed{3} then \\boxed{\\frac{1}{2}}.', '\\frac{1}{2}'],
    ['double braces are one', '\\boxed{{7}}', '7'],
    ['the piece that speaks of an answer; decimals are cut', 'Hm. The answer is 3.5 dollars. Bye', '3'],
    ['else the first piece', 'about 1,234 dollars. Then more', 'about1,234'],
    ['thousands separators go', 'The final answer is 1,234', '1234'],
  ])('%s', (_, text, expected) => expect(opencompassAnswer(text)).toBe(expected));

  it.each([
    ['\\dfrac{1}{2}', '1/2', true],
    ['0.5', '\\frac{1}{2}', false],
    ['\\left(1, 2\\right)', '(1,2)', true],
    ['90^\\circ', '90', true],
    ['x = 5', '5', true],
    ['5 \\text{ cm}', '5', true],
    ['10\\%', '10', true],
    ['\\sqrt2', '\\sqrt{2}', true],
    ['3.00', '3', true],
    ['4', '5', false],
  ])('%s ~ %s: %s', (a, b, expected) => expect(opencompassEquivalent(a, b)).toBe(expected));
});
