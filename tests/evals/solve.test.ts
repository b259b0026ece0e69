import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { methodSolver, sameAnswer } from '../../src/cli/solver.js';
import { ChatError, ScriptedChatModel } from '../../src/engine/chat/index.js';
import {
  type Attempt,
  BENCHMARKS,
  benchmarkTask,
  compareResults,
  evaluateSolver,
  findBenchmark,
  listBenchmarks,
  majority,
  ownTask,
  passAtK,
  problemMean,
  readResult,
  renderEvalReport,
  type Solver,
  type SolveOptions,
  writeResult,
} from '../../src/evals/index.js';
import { calculatorTask } from '../../src/tasks/index.js';
import { multiRound } from '../../src/thinking/index.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'hone-evals-'));
  const rows = Array.from({ length: 12 }, (_, i) => ({
    id: `p${i}`,
    problem: `${i} + 1?`,
    answer: `${i + 1}`,
    licence: 'MIT',
  }));
  await writeFile(path.join(folder, 'amc23.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
});
afterAll(() => rm(folder, { recursive: true }));

const sum = (prompt: string): number => Number(/^(\d+)/.exec(prompt)?.[1]) + 1;

function attempt(text: string, more: Partial<Attempt> = {}): Attempt {
  const timing = { seconds: 0.1, attempts: 1 };
  return { text, stopReason: 'eos', promptTokens: 5, tokens: 3, calls: 1, timing, ...more };
}

function optionsOf(solve: Solver, more: Partial<SolveOptions> = {}): SolveOptions {
  const { task } = benchmarkTask(findBenchmark('amc23')!, { data: folder });
  return {
    ...{ task, solve, split: 'test', n: 100, k: 2, seed: 3, concurrency: 4 },
    ...{ sampling: { temperature: 1, maxTokens: 50 }, same: sameAnswer, ...more },
  };
}

describe('evaluateSolver', () => {
  it('keeps the order of problems and samples, whatever finishes first', async () => {
    const solve: Solver = async ({ prompt }, { seed }) => {
      await new Promise((resolve) => setTimeout(resolve, seed % 7));
      return attempt(`\\boxed{${sum(prompt)}}`);
    };
    const slow = await evaluateSolver(optionsOf(solve));
    const alone = await evaluateSolver(optionsOf(solve, { concurrency: 1 }));
    expect(slow.rows).toEqual(alone.rows);
    expect(slow).toMatchObject({ n: 12, k: 2, accuracy: 1, tokens: { generated: 72, prompt: 120, calls: 24 } });
  });

  it('refuses a task whose turns nobody would answer', async () => {
    const asked = evaluateSolver({ ...optionsOf(() => Promise.resolve(attempt('x'))), task: calculatorTask() });
    await expect(asked).rejects.toMatchObject({ kind: 'usage', where: 'task calculator' });
  });

  it('gives every sample a seed of its own', async () => {
    const seeds: number[] = [];
    await evaluateSolver(optionsOf((_, { seed }) => (seeds.push(seed), Promise.resolve(attempt('x')))));
    expect(new Set(seeds).size).toBe(24);
  });

  it('counts what has no answer, is cut off, overflows, or gets no reply', async () => {
    let call = 0;
    const says: (() => Attempt)[] = [
      () => attempt('\\boxed{-1}'),
      () => attempt(''),
      () => attempt('', { stopReason: 'length' }),
      () => {
        throw new ChatError('context', 'too long');
      },
      () => {
        throw new ChatError('server', 'broken');
      },
    ];
    const solve: Solver = async () => (says[call++] ?? (() => attempt('hm')))();
    const result = await evaluateSolver(optionsOf(solve, { concurrency: 1, k: 1, n: 5 }));
    expect(result.counts).toEqual({
      ...{ correct: 0, wrong: 1, noAnswer: 1, truncated: 2 },
      noVerdict: { gold: 0, grader: 0, response: 0, endpoint: 1 },
    });
    expect(result.rows[3]).toMatchObject({
      error: { fault: 'context' },
      verdict: { status: 'wrong', cause: 'response' },
    });
    expect(result.rows[4]).toMatchObject({ error: { fault: 'server' }, verdict: { status: 'no_verdict' } });
    expect(result.truncatedShare).toBe(0.4);
    expect(result).toMatchObject({ accuracy: 0, accuracyOfVerdicts: 0 });
  });

  it.each(['auth', 'no-model', 'no-route', 'unreachable', 'budget'] as const)('ends on %s', async (fault) => {
    const solve: Solver = () => Promise.reject(new ChatError(fault, 'no'));
    await expect(evaluateSolver(optionsOf(solve))).rejects.toMatchObject({
      name: 'HoneError',
      message: expect.stringMatching(/no/),
    });
  });

  it('asks a method, and stores every call of it', async () => {
    const model = new ScriptedChatModel(({ messages }) => `\\boxed{${sum(messages[0]?.content ?? '')}}`);
    const { task } = benchmarkTask(findBenchmark('amc23')!, { data: folder });
    const sampling = { temperature: 1, maxTokens: 50 };
    const solve = methodSolver({ method: multiRound({ rounds: 2 }), model, task, sampling });
    const result = await evaluateSolver(optionsOf(solve, { n: 3, k: 1 }));
    expect(result).toMatchObject({ accuracy: 1, tokens: { calls: 6 } });
    expect(result.rows[0]?.transcript).toMatchObject({ method: 'multi-round', children: [{ label: 'round 1' }, {}] });
    expect(JSON.stringify(result.rows)).not.toContain('timing');
  });
});

describe('pass@k and maj@k', () => {
  it.each([
    [4, 2, 1, 0.5],
    [4, 2, 2, 5 / 6],
    [4, 2, 3, 1],
    [10, 1, 5, 0.5],
  ])('pass@k of n=%i, c=%i, k=%i is %f (published)', (n, c, k, value) =>
    expect(passAtK(n, c, k)).toBeCloseTo(value, 12),
  );

  it('pass@k equals a count over every choice of k samples', () => {
    for (let n = 1; n <= 7; n++)
      for (let c = 0; c <= n; c++)
        for (let k = 1; k <= n; k++) {
          const subsets = Array.from({ length: 2 ** n }, (_, bits) => bits).filter((bits) => ones(bits) === k);
          const hits = subsets.filter((bits) => ones(bits & (2 ** c - 1)) > 0).length;
          expect(passAtK(n, c, k)).toBeCloseTo(hits / subsets.length, 10);
        }
  });

  it('maj@k equals a count over every fair draw between the largest groups', () => {
    const labels = ['a', 'b', 'c', undefined];
    for (let code = 0; code < 4 ** 5; code++) {
      const votes = Array.from({ length: 5 }, (_, i) => labels[Math.floor(code / 4 ** i) % 4]).map((answer) => ({
        answer,
        correct: answer === 'a',
      }));
      const counts = ['a', 'b', 'c'].map((label) => votes.filter(({ answer }) => answer === label).length);
      const most = Math.max(...counts);
      const winners = counts.filter((count) => count === most).length;
      expect(majority(votes)).toBeCloseTo(most > 0 && counts[0] === most ? 1 / winners : 0, 12);
    }
  });

  it('problemMean is Wilson’s interval for zeros and ones, and narrower for values between', () => {
    const binary = problemMean([0, 1, 1, 0, 1, 1, 1, 0, 1, 1]);
    expect(binary.value).toBeCloseTo(0.7, 12);
    expect(binary.ci95[0]).toBeCloseTo(0.3968, 3);
    expect(binary.ci95[1]).toBeCloseTo(0.8922, 3);
    const between = problemMean([0.6, 0.8, 0.7, 0.7, 0.6, 0.8, 0.7, 0.7, 0.6, 0.8]);
    expect(between.ci95[1] - between.ci95[0]).toBeLessThan(0.2);
  });
});

function ones(bits: number): number {
  return bits === 0 ? 0 : (bits & 1) + ones(bits >>> 1);
}

describe('benchmarks', () => {
  it('read their file, and say what it is', () => {
    const { dataset, task } = benchmarkTask(findBenchmark('amc23')!, { data: folder });
    expect(dataset).toMatchObject({ files: [{ file: 'amc23.jsonl', rows: 12 }], licences: ['MIT'] });
    expect(task.problems('test', 1).size).toBe(12);
  });

  it('say by name which data are not here', () => {
    const listed = listBenchmarks(folder).here.filter(({ present }) => present);
    expect(listed.map(({ benchmark }) => benchmark.name)).toEqual(['amc23']);
    expect(() => benchmarkTask(findBenchmark('aime24')!, { data: folder })).toThrow(/data not here: aime24/);
  });

  it('have prompts with a place for the problem, and a source for every protocol', () => {
    for (const { protocols } of BENCHMARKS)
      for (const protocol of Object.values(protocols)) {
        expect(protocol.prompt).toContain('{problem}');
        expect(protocol.source).not.toBe('');
      }
  });

  it('take a protocol with its prompt and its ends', async () => {
    await writeFile(path.join(folder, 'aime24.jsonl'), '{"id": "a", "problem": "1?", "answer": "1"}\n');
    const { task, protocol } = benchmarkTask(findBenchmark('aime24')!, { data: folder, protocol: 'lm-eval' });
    expect(task.problems('test', 0).at(0).prompt).toBe('Question: 1?\nAnswer:');
    expect(task.stop).toContain('Question:');
    expect(protocol).toMatchObject({ temperature: 0, k: 1 });
    expect(() => benchmarkTask(findBenchmark('aime24')!, { data: folder, protocol: 'papr' })).toThrow(/no protocol/);
  });

  it('are also files of one’s own, in a folder with the names of their fields', async () => {
    const own = await mkdtemp(path.join(folder, 'own-'));
    await writeFile(path.join(own, 'a.jsonl'), '{"question": "1+1", "target": 2}\n{"question": "2+2", "target": 4}\n');
    await writeFile(path.join(own, 'b.jsonl'), '{"question": "3+3", "target": 6}\n');
    await writeFile(
      path.join(own, 'hone.json'),
      '{"name": "sums", "fields": {"problem": "question", "answer": "target"}}',
    );
    const { task } = ownTask(own);
    const source = task.problems('test', 0);
    const problems = Array.from({ length: source.size }, (_, i) => source.at(i));
    expect(task.name).toBe('sums');
    expect(problems.map(({ id }) => id).sort()).toEqual(['a/test-1', 'a/test-2', 'b/test-1']);
    expect(problems.map(({ answer }) => answer).sort()).toEqual(['2', '4', '6']);
  });
});

describe('results', () => {
  const make = async (name: string, right: (prompt: string) => boolean, settings: Record<string, unknown>) => {
    const solve: Solver = async ({ prompt }) => attempt(`<b>\\boxed{${right(prompt) ? sum(prompt) : -1}}`);
    const result = await evaluateSolver(optionsOf(solve));
    const file = path.join(folder, `${name}.json`);
    await writeResult(file, { ...result, settings });
    return file;
  };

  it('are compared by problem, with the settings that differ', async () => {
    const a = await make('a', (prompt) => sum(prompt) % 2 === 0, { k: 1, model: { name: 'x' } });
    const b = await make('b', (prompt) => sum(prompt) % 2 === 0 || sum(prompt) === 1, {
      k: 1,
      model: { name: 'y' },
      z: 1,
    });
    const found = compareResults(await readResult(a), await readResult(b));
    expect(found).toMatchObject({ problems: 12, better: 1, worse: 0, equal: 11, differentPrompts: 0 });
    expect(found.difference.value).toBeCloseTo(1 / 12, 12);
    expect(found.settings).toEqual([
      { name: 'model.name', a: 'x', b: 'y' },
      { name: 'z', a: undefined, b: 1 },
    ]);
  });

  it('are drawn on a page that carries nothing foreign', async () => {
    const a = await make('<script>alert(1)', () => true, { k: 1 });
    const b = await make('d', () => false, { k: 2 });
    const results = [
      { name: '<script>alert(1)</script>', result: await readResult(a) },
      { name: 'second', result: await readResult(b) },
    ];
    const html = renderEvalReport(results);
    expect(html).not.toMatch(/<script>alert|<b>|https?:\/\/(?!www\.w3\.org)/);
    expect(html).toContain('&lt;script&gt;alert(1)');
    expect(html).toContain("default-src 'none'");
    expect(html).toContain('100.0 %');
  });

  it('refuse what is no result', async () => {
    const file = path.join(folder, 'none.json');
    await writeFile(file, '{"rows": []}');
    await expect(readResult(file)).rejects.toMatchObject({ kind: 'input' });
    await expect(readResult(path.join(folder, 'missing.json'))).rejects.toThrow(/cannot be read/);
  });

  it('are the same file when made again, but for the times', async () => {
    const [one, two] = [await make('one', () => true, {}), await make('two', () => true, {})];
    const read = async (file: string) => ({ ...(JSON.parse(await readFile(file, 'utf8')) as object), timing: 0 });
    expect(await read(one)).toEqual(await read(two));
  });
});
