import { describe, expect, it } from 'vitest';
import { trainRl, type RlConfig } from '../../src/rl/index.js';
import type { Problem, Response, Verdict } from '../../src/tasks/index.js';
import { echoTask, openEchoPolicy, rendering } from '../support/echo-task.js';
import { MemoryRun } from '../support/memory-run.js';
import { rlConfig } from '../support/rl-config.js';

type Grade = (problem: Problem, response: Response) => Verdict;

const verdict = (status: Verdict['status'], more: Partial<Verdict> = {}): Verdict => ({
  ...{ status, score: status === 'correct' ? 1 : 0, reason: status },
  ...more,
});
const right: Grade = () => verdict('correct', { extracted: 'x' });
const wrong: Grade = () => verdict('wrong', { extracted: 'x' });
const formless: Grade = () => verdict('wrong');
/** Right on half of the prompts, whatever the response. */
const byPrompt: Grade = ({ prompt }) => ('ab'.includes(prompt[0]!) ? right : wrong)({} as Problem, {} as Response);

async function notesOf(grade: Grade, changes: Partial<RlConfig>) {
  const notes: string[] = [];
  const run = await MemoryRun.create(7);
  const progress = { phase() {}, update() {}, end() {}, note: (line: string) => void notes.push(line) };
  const config = rlConfig({ iterations: 1, ...changes });
  const policy = await openEchoPolicy(1);
  await trainRl({ policy, task: echoTask(grade), render: rendering, run, config, progress });
  return { notes, line: run.metrics[0]! };
}

// A reply of one token rarely ends: with maxTokens 1 a response is cut unless it is the end token.
const cutAll: Grade = (_, { stopReason }) => verdict(stopReason === 'length' ? 'wrong' : 'no_verdict');

describe('an iteration of a run that cannot learn says why, and what to change', () => {
  it.each<[string, Grade, Partial<RlConfig>, string, RegExp]>([
    ['all cut', cutAll, { maxTokens: 1 }, 'truncated', /were cut at maxTokens \(1\).* maxTokens: Raise maxTokens/],
    ['no answer', formless, { maxTokens: 12 }, 'no-answer', /without an answer.* --model: /],
    ['all wrong', wrong, {}, 'all-wrong', /none of 36 responses is right.* --task-option: .*groupSize \(6\)/],
    ['all right', right, {}, 'all-right', /all 36 graded responses are right.* --task-option: /],
    ['no variance', byPrompt, {}, 'no-variance', /all right \(\d\) or all wrong \(\d\)\. groupSize: /],
    [
      'equal rewards',
      (problem, { text }) => verdict(text.length % 2 ? 'correct' : 'wrong', { extracted: problem.id }),
      { rewards: { correct: 1, wrong: 1, noAnswer: null, truncated: null } },
      'equal-rewards',
      /same reward\. rewards\.correct: /,
    ],
  ])('%s', async (_, grade, changes, cause, line) => {
    const found = await notesOf(grade, changes);
    const told = found.notes.filter((note) => note.startsWith('iteration 1 cannot learn: '));
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(line);
    expect(told[0]).not.toContain('\n');
    expect(found.line.cannot_learn).toBe(cause);
  });

  it('and says nothing when it can', async () => {
    const { notes, line } = await notesOf(
      (problem, { text }) => (text[0] === problem.answer ? right : wrong)(problem, {} as Response),
      {},
    );
    expect(notes).toEqual([]);
    expect(line.cannot_learn).toBeUndefined();
  });
});

describe('dynamic sampling that finds no mixed group', () => {
  const dynamic = { ...rlConfig().dynamicSampling, enabled: true, promptsPerBatch: 2, maxBatches: 3 } as const;

  it.each([
    ['too hard', wrong, /too hard/],
    ['too easy', right, /too easy/],
  ])('%s: stops at its limit and says so', async (_, grade, why) => {
    const failing = notesOf(grade, { dynamicSampling: { ...dynamic, onLimit: 'error' } });
    await expect(failing).rejects.toMatchObject({
      kind: 'input',
      where: 'dynamicSampling.maxBatches',
      message: expect.stringMatching(/found only 0 of 6 prompts with mixed results in 3 batches/),
      hint: expect.stringContaining('--task-option'),
    });
    await expect(failing).rejects.toMatchObject({ message: expect.stringMatching(why) });
  });

  it('stops sampling at its limit and goes on, where the run shall train on what there is', async () => {
    const { notes, line } = await notesOf(wrong, { dynamicSampling: { ...dynamic, onLimit: 'train' } });
    expect(line).toMatchObject({ 'groups.batches': 3, updates: 0, cannot_learn: 'all-wrong' });
    expect(notes.filter((note) => note.includes('too hard'))).toHaveLength(1);
  });

  it('tells every ten batches while it has no limit of its own to stop at', async () => {
    const { notes } = await notesOf(right, { dynamicSampling: { ...dynamic, maxBatches: 20 } });
    expect(
      notes.filter((note) => /(10|20) generation batches.*too easy.*dynamicSampling\.maxBatches/.test(note)),
    ).toHaveLength(2);
  });
});
