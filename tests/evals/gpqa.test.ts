import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { benchmarkTask, findBenchmark, type Benchmark } from '../../src/evals/index.js';
import { chosenLetter } from '../../src/evals/benchmarks/gpqa.js';

const benchmark = findBenchmark('gpqa-diamond') as Benchmark;

function folder(rows = 12): string {
  const made = mkdtempSync(join(tmpdir(), 'hone-gpqa-'));
  const row = (i: number) => ({
    ...{ 'Record ID': `rec${i}`, Question: `Question ${i}?`, 'Correct Answer': `right ${i} \n` },
    ...{ 'Incorrect Answer 1': 'one', 'Incorrect Answer 2': 'two $&', 'Incorrect Answer 3': 'three' },
  });
  writeFileSync(
    join(made, benchmark.file),
    Array.from({ length: rows }, (_, i) => `${JSON.stringify(row(i))}\n`).join(''),
  );
  return made;
}

describe('gpqa-diamond', () => {
  it('asks with four options in an order of their own, and grades the letter', async () => {
    const { task, prompt } = benchmarkTask(benchmark, { data: folder() });
    const problems = Array.from({ length: 12 }, (_, i) => task.problems('test', 5).at(i));
    for (const [i, problem] of problems.entries()) {
      const line = problem.prompt.split('\n').find((text) => text.endsWith(`right ${i}`));
      expect(line?.[0]).toBe(problem.answer);
      expect(problem.prompt).toContain('two $&');
    }
    expect(new Set(problems.map(({ answer }) => answer))).toEqual(new Set(['A', 'B', 'C', 'D']));
    expect(problems).toEqual(Array.from({ length: 12 }, (_, i) => task.problems('test', 6).at(i)));
    expect(prompt).toContain("'Answer: $LETTER'");
    const response = (text: string) => ({ text, tokens: new Int32Array(0), stopReason: 'eos' as const });
    const [first] = problems;
    const status = async (text: string) => (await task.grade(first!, response(text))).status;
    expect(await status(`So.\nAnswer: ${first!.answer}`)).toBe('correct');
    expect(await status(`Answer: ${first!.answer === 'A' ? 'B' : 'A'}`)).toBe('wrong');
    expect(await status('Apples, all of them.')).toBe('wrong');
  });

  it('has published protocols', () => {
    const { task, protocol } = benchmarkTask(benchmark, { data: folder(), protocol: 'lighteval' });
    expect(protocol).toMatchObject({ name: 'lighteval', temperature: 0.6, k: 1 });
    expect(task.suggestedMaxTokens).toBe(32_768);
  });

  it.each([
    ['Answer: C', 'C'],
    ['**Answer: C**', 'C'],
    ['The answer is (b).', 'B'],
    ['the answer is $\\boxed{D}$', 'D'],
    ['\\boxed{\\text{A}}', 'A'],
    ['Answer: A. No: Answer: B', 'B'],
    ['Answer: B\n</think>\nAnswer: D', 'D'],
    ['The answer is a matter of taste', 'A'],
    ['Answer: Benzene', undefined],
    ['C', undefined],
  ])('reads %j as %s', (text, letter) => expect(chosenLetter(text)).toBe(letter));
});
