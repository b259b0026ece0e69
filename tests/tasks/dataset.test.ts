import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  benchmarkOf,
  datasetTask,
  fingerprint,
  gradeAnswer,
  gsm8kTask,
  validateTask,
  type DatasetOptions,
} from '../../src/tasks/index.js';
import { BENCHMARK_HASHES } from '../../src/tasks/benchmark-hashes.js';
import { said } from './helpers.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hone-dataset-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Stands in for a benchmark problem: its fingerprint is added to a list below. */
const BENCHMARK_PROBLEM = 'A lamp is switched N+1 times, from OFF. Is it on?';

vi.mock(import('../../src/tasks/benchmark-hashes.js'), async (original) => {
  const { createHash } = await import('node:crypto');
  const hash = createHash('sha256').update('alampisswitchedn1timesfromoffisiton').digest('hex').slice(0, 16);
  const lists = (await original()).BENCHMARK_HASHES;
  return { BENCHMARK_HASHES: { ...lists, aime24: lists.aime24 + hash } };
});

function write(name: string, rows: readonly (object | string)[]): string {
  const path = join(folder, name);
  writeFileSync(path, rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n') + '\n');
  return path;
}

const sums = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({
    id: `sum-${from + i}`,
    problem: `${from + i} + 1?`,
    answer: from + i + 1,
  }));

const promptsOf = (options: DatasetOptions, split: 'train' | 'test', seed = 0) => {
  const source = datasetTask(options).problems(split, seed);
  return Array.from({ length: source.size }, (_, i) => source.at(i).prompt);
};

describe('datasetTask', () => {
  it('maps fields, fills the prompt, and grades', async () => {
    const train = write('fields.jsonl', [{ question: 'What is $& 1+1?', reply: 'so\n#### 2', key: 'q7' }]);
    const test = write('fields-test.jsonl', sums(1));
    const task = datasetTask({
      train,
      test,
      fields: { problem: 'question', answer: 'reply', id: 'key' },
      prompt: 'Q: {problem} A:',
    });
    expect(() => task.problems('test', 0)).toThrow(/fields-test\.jsonl:1: field "question"/);
    const own = datasetTask({
      ...{ train, test: train },
      fields: { problem: 'question', answer: 'reply', id: 'key' },
      prompt: 'Q: {problem} A:',
    });
    const problem = own.problems('test', 0).at(0);
    expect(problem).toEqual({ id: 'q7', prompt: 'Q: What is $& 1+1? A:', answer: '2' });
    expect(await own.grade(problem, said('\\boxed{2.0}'))).toMatchObject({ status: 'correct', wellFormed: true });
    expect(await own.grade(problem, said('it is 2'))).toMatchObject({ status: 'correct', wellFormed: false });
    expect(await own.grade(problem, said('\\boxed{3}'))).toMatchObject({ status: 'wrong', extracted: '3' });
    expect((await own.grade(problem, said('well'))).extracted).toBeUndefined();
  });

  it('goes through all rows in an order that the seed alone decides, pass after pass', () => {
    const options = { train: write('order.jsonl', sums(40)), test: write('order-test.jsonl', sums(3, 100)) };
    const first = promptsOf(options, 'train', 1);
    expect(promptsOf(options, 'train', 1)).toEqual(first);
    expect(promptsOf(options, 'train', 2)).not.toEqual(first);
    expect(new Set(first).size).toBe(40);
    const source = datasetTask(options).problems('train', 1);
    const second = Array.from({ length: 40 }, (_, i) => source.at(40 + i).prompt);
    expect(second).not.toEqual(first);
    expect(second.toSorted()).toEqual(first.toSorted());
  });

  it('holds test problems out of a single file, the same ones under every seed', () => {
    const options = { train: write('single.jsonl', sums(300)) };
    const test = new Set(promptsOf(options, 'test', 5));
    const train = promptsOf(options, 'train', 6);
    expect(test.size + train.length).toBe(300);
    expect(test.size).toBeGreaterThan(30);
    expect(train.filter((prompt) => test.has(prompt))).toEqual([]);
    expect(new Set(promptsOf(options, 'test', 9))).toEqual(test);
  });

  it('trains on no row that is marked as an overlap or is in the test file', () => {
    const train = write('overlap.jsonl', [
      ...sums(5),
      { problem: 'marked', answer: 1, overlaps: ['aime24'] },
      { problem: 'marked too', answer: 1, overlaps: 'math500' },
      { problem: 'not marked', answer: 1, overlaps: [] },
      { problem: '7 +  1 ?', answer: 8 },
    ]);
    const task = datasetTask({ train, test: write('overlap-test.jsonl', [{ problem: '7 + 1?', answer: 8 }]) });
    expect(task.report('train')).toEqual({
      rows: 9,
      problems: 6,
      markedOverlaps: 2,
      inTest: 1,
      benchmarkRows: 0,
      tooLong: 0,
    });
  });

  it('refuses to train on benchmark problems, unless told', () => {
    const train = write('benchmark.jsonl', [...sums(2), { problem: BENCHMARK_PROBLEM, answer: '204' }]);
    const test = write('benchmark-test.jsonl', sums(1, 50));
    expect(() => datasetTask({ train, test }).problems('train', 0)).toThrow(
      /benchmark\.jsonl:3: this problem is in the benchmark aime24/,
    );
    expect(datasetTask({ train, test, benchmarkRows: 'drop' }).report('train')).toMatchObject({
      problems: 2,
      benchmarkRows: 1,
    });
    expect(datasetTask({ train, test, benchmarkRows: 'keep' }).problems('train', 0).size).toBe(3);
  });

  it.each<[name: string, rows: (object | string)[], message: RegExp]>([
    ['json', [{ problem: 'a', answer: 1 }, '{"problem": '], /json\.jsonl:2: not a line of JSON/],
    ['blank', [{ problem: 'a', answer: 1 }, '', { problem: 'b' }], /blank\.jsonl:3: field "answer"/],
    ['empty-problem', [{ problem: '', answer: 1 }], /empty-problem\.jsonl:1: field "problem"/],
    ['array', ['[1]'], /array\.jsonl:1: /],
    ['none', [''], /the test split has no problem/],
  ])('names file and line of a malformed row: %s', (name, rows, message) => {
    const path = write(`${name}.jsonl`, rows);
    expect(() => datasetTask({ test: path }).problems('test', 0)).toThrow(message);
  });

  it('says what is missing', () => {
    expect(() => datasetTask({ train: join(folder, 'absent.jsonl') }).problems('train', 0)).toThrow(
      /there is no such data file/,
    );
    expect(() => datasetTask({})).toThrow(/option train: has no train file/);
    expect(() => datasetTask({ test: write('t.jsonl', sums(1)) }).problems('train', 0)).toThrow(/has no train file/);
    expect(() => datasetTask({ prompt: 'no place' })).toThrow(/option prompt: has no \{problem\}/);
    expect(() => datasetTask({ fields: { probelm: 'x' } } as never)).toThrow(/option fields\.probelm: no such option/);
  });

  it('checks gold against gold', async () => {
    const test = write('gold.jsonl', [...sums(3), { problem: 'x', answer: '$ $' }]);
    const task = datasetTask({ test });
    await expect(validateTask(task, 10, { split: 'test' })).rejects.toThrow(
      /1 of 4 gold answers are not graded correct/,
    );
  });

  it('takes any grader', async () => {
    const grader = async (gold: string, answer: string) => ({ equal: gold.length === answer.length, reason: 'length' });
    const task = datasetTask({ test: write('grader.jsonl', [{ problem: 'x', answer: 'ab' }]) }, grader);
    const problem = task.problems('test', 0).at(0);
    expect((await task.grade(problem, said('\\boxed{cd}'))).status).toBe('correct');
    expect((await task.grade(problem, said('\\boxed{cde}'))).status).toBe('wrong');
  });
});

describe('gradeAnswer', () => {
  const problem = { id: 'p', prompt: '', answer: '5' };
  it('takes a marked answer from a cut-off response, but never its last number', async () => {
    expect((await gradeAnswer(problem, said('\\boxed{5} and so', 'length'))).status).toBe('correct');
    expect(await gradeAnswer(problem, said('then 5', 'length'))).toMatchObject({ status: 'wrong', wellFormed: false });
  });

  it('has no verdict without a gold answer', async () => {
    const verdict = await gradeAnswer({ id: 'p', prompt: '' }, said('5'));
    expect(verdict).toMatchObject({ status: 'no_verdict', cause: 'gold' });
  });
});

describe('gsm8k', () => {
  it('turns solutions into demonstrations that end in a box', async () => {
    const row = {
      problem: 'p',
      answer: '72',
      solution: 'He has 48/2 = <<48/2=24>>24.\nIn all 48+24 = <<48+24=72>>72.\n#### 72',
    };
    write('gsm8k_train.jsonl', [row]);
    write('gsm8k_test.jsonl', [{ ...row, problem: 'q' }]);
    const task = gsm8kTask({ data: folder });
    const problem = task.problems('train', 0).at(0);
    const { response } = task.demonstrate!(problem, 'plain', undefined as never);
    expect(response).toBe('He has 48/2 = 24.\nIn all 48+24 = 72.\nThe answer is \\boxed{72}.');
    expect((await task.grade(problem, said(response))).status).toBe('correct');
    expect(() => task.demonstrate!(problem, 'search', undefined as never)).toThrow(/no search demonstrations/);
  });

  it('trains on the problems alone whose worked solutions are short', () => {
    const lines = ['one', 'one\ntwo\n#### 2', 'one\n\ntwo <<1+1=2>>\nthree\n#### 3'];
    const rows = lines.map((solution, i) => ({ problem: `problem ${i}`, answer: 1, solution }));
    write('gsm8k_train.jsonl', rows);
    write('gsm8k_test.jsonl', [{ ...rows[2], problem: 'a long one to test on' }]);
    const sizes = [1, 2, 3].map((maxSolutionLines) => {
      const task = gsm8kTask({ data: folder, maxSolutionLines });
      return [task.problems('train', 0).size, task.report('train').tooLong, task.problems('test', 0).size];
    });
    expect(sizes).toEqual([
      [1, 2, 1],
      [2, 1, 1],
      [3, 0, 1],
    ]);
    const without = datasetTask({ train: write('no-solutions.jsonl', sums(9)), maxSolutionLines: 2 });
    expect(() => without.problems('train', 0)).toThrow(/maxSolutionLines: needs worked solutions/);
  });
});

describe('benchmark lists', () => {
  it('know their problems whatever the layout, and no others', () => {
    expect(benchmarkOf(BENCHMARK_PROBLEM)).toBe('aime24');
    expect(benchmarkOf('a lamp is switched $n + 1$ times,\n from off: is it on')).toBe('aime24');
    expect(benchmarkOf(`${BENCHMARK_PROBLEM} Now?`)).toBeUndefined();
    expect(fingerprint('What is $2 + 2$ ?')).toBe(fingerprint('what IS 2+2'));
    expect(fingerprint('What is 2+3?')).not.toBe(fingerprint('What is 2+2?'));
  });

  it('hold every distinct problem of their benchmark', () => {
    const sizes = Object.fromEntries(Object.entries(BENCHMARK_HASHES).map(([name, text]) => [name, text.length / 16]));
    expect(sizes).toEqual({
      aime24: 31, // with the one added above
      aime25: 30,
      amc23: 40,
      math500: 500,
      minerva: 272,
      olympiadbench: 675,
      'gsm8k-test': 1319,
      olymmath: 200,
    });
  });
});
