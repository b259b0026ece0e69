/** Pass rates for curricula: what is measured, the file that is gone on with, and the stage that reads it. */
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RandomStream } from '../../src/core/index.js';
import { evaluate, type Indexed, measurePassRates, usingPassRates } from '../../src/evals/index.js';
import { stageProblems, trainRl, type Stage } from '../../src/rl/index.js';
import { defineTask, type Task } from '../../src/tasks/index.js';
import { CHARS, echoTask, openEchoPolicy, rendering } from '../support/echo-task.js';
import { MemoryRun } from '../support/memory-run.js';
import { decodeChars, encodeChars } from '../support/reference-engine.js';
import { rlConfig } from '../support/rl-config.js';
import { ScriptSampler } from '../support/script-sampler.js';
import { characterTokenizer } from '../support/text-model.js';

const K = 4;

async function newFile(content?: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'hone-rates-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'rates.jsonl');
  if (content !== undefined) await writeFile(file, content);
  return file;
}

/** Problem i is `i>`; of K attempts at it the first i are right. */
const ladder = defineTask({
  name: 'ladder',
  description: '',
  format: 'raw',
  suggestedMaxTokens: 8,
  problems: () => ({ size: K + 1, at: (index) => ({ id: `p${index}`, prompt: `${index}>`, answer: 'yes' }) }),
  grade: async ({ answer }, { text }) => {
    if (text === '?') return { status: 'no_verdict', score: 0, cause: 'grader', reason: 'it broke' };
    const right = text === answer;
    return { status: right ? 'correct' : 'wrong', score: Number(right), extracted: text, reason: '', wellFormed: true };
  },
});
const climbs = (prompt: string, attempt: number): string => (attempt < Number.parseInt(prompt) ? 'yes' : 'no');

const problemsOf = (task: Task, n: number, seed = 1): Indexed[] => {
  const source = task.problems('train', seed);
  return Array.from({ length: n }, (_, index) => ({ index, problem: source.at(index) }));
};

interface Measure {
  task?: Task;
  n?: number;
  batch?: number;
  model?: string;
  k?: number;
  says?: (prompt: string, attempt: number, seed: number) => string;
  signal?: AbortSignal;
}

/** Measures the ladder into a file, and tells which problems were asked. */
async function measure(out: string, given: Measure = {}) {
  const { task = ladder, n = K + 1, batch = 2, model = 'tiny', k = K, says = climbs, signal } = given;
  const asked: number[] = [];
  const sampler = new ScriptSampler((text, seed, attempt) => says(text, attempt, seed));
  const found = { sampler, task, model: { tokenizer: characterTokenizer }, split: 'train', seed: 1 } as const;
  const ask = async (items: readonly Indexed[]) => {
    const indices = items.map(({ index }) => index);
    asked.push(...indices);
    return (await evaluate({ ...found, n: items.length, indices, k, temperature: 1, maxTokens: 8 })).rows;
  };
  const problems = problemsOf(task, n);
  const result = await usingPassRates({ out, model, k }, (file) =>
    measurePassRates({ problems, file, batch, ask, ...(signal ? { signal } : {}) }),
  );
  return { ...result, asked };
}

const row = (i: number, model = 'tiny', k = K) =>
  `${JSON.stringify({ id: `p${i}`, model, k, passRate: Math.min(i, k) / k })}\n`;
const rows = (...indices: number[]): string => indices.map((i) => row(i)).join('');
const whole = rows(0, 1, 2, 3, 4);
const text = (file: string): Promise<string> => readFile(file, 'utf8');

describe('pass rates', () => {
  it('are the share of right samples, one row a problem', async () => {
    const out = await newFile();
    expect(await measure(out)).toEqual({
      ...{ rates: [0, 0.25, 0.5, 0.75, 1], known: 0, written: 5, unmeasured: [] },
      asked: [0, 1, 2, 3, 4],
    });
    expect(await text(out)).toBe(whole);
    expect(await readdir(path.dirname(out))).toEqual(['rates.jsonl']);
  });

  it('do not depend on the batch', async () => {
    const says = (prompt: string, attempt: number, seed: number): string =>
      new RandomStream(seed, prompt, attempt).uniform(0) < 0.5 ? 'yes' : 'no';
    const files = await Promise.all([newFile(), newFile()]);
    const { rates } = await measure(files[0], { says, batch: 1 });
    expect(new Set(rates).size).toBeGreaterThan(1);
    await measure(files[1], { says, batch: 5 });
    expect(await text(files[1])).toBe(await text(files[0]));
  });

  it('are missing where a sample got no verdict, and asked for again', async () => {
    const out = await newFile();
    const first = await measure(out, { says: (prompt, attempt) => (prompt === '3>' ? '?' : climbs(prompt, attempt)) });
    expect(first.unmeasured).toEqual([{ id: 'p3', reason: 'it broke' }]);
    expect(await measure(out)).toMatchObject({ known: 4, written: 1, asked: [3], unmeasured: [] });
    expect(await text(out)).toBe(rows(0, 1, 2, 4, 3));
  });

  it('of a problem that a procedural task draws twice are those of the first', async () => {
    const twice: Task = {
      ...ladder,
      problems: () => ({ size: Infinity, at: (i) => ({ id: `p${i % 3}`, prompt: `${i % 3}>`, answer: 'yes' }) }),
    };
    const [few, many] = await Promise.all([newFile(), newFile()]);
    await measure(few, { task: twice, n: 3 });
    expect(await measure(many, { task: twice, n: 7 })).toMatchObject({ written: 3, asked: [0, 1, 2] });
    expect(await text(many)).toBe(await text(few));
  });
});

describe('a file that is there', () => {
  it('keeps its rows, those of other models too, and only what is missing is asked', async () => {
    const there = `{"id":"p1","model":"tiny","k":4,"passRate":0.125,"note":"by hand"}\n\n${row(0, 'large', 9)}`;
    const out = await newFile(there);
    expect(await measure(out)).toMatchObject({ known: 1, written: 4, asked: [0, 2, 3, 4] });
    expect(await text(out)).toBe(there + rows(0, 2, 3, 4));
    expect(await measure(out)).toMatchObject({ known: 5, written: 0, asked: [] });
  });

  it('of whatever length a kill has left it ends as that of an unbroken run', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length), fc.integer({ min: 1, max: 6 }), async (length, batch) => {
        const out = await newFile(whole.slice(0, length));
        await measure(out, { batch });
        expect(await text(out)).toBe(whole);
      }),
      {
        numRuns: 25,
        examples: [
          [0, 2],
          [whole.length - 1, 2],
          [whole.length - 2, 2],
          [rows(0).length + 3, 2],
        ],
      },
    );
  });

  it('keeps the batches before an interruption', async () => {
    const out = await newFile();
    const stop = new AbortController();
    const says = (prompt: string, attempt: number): string => {
      if (prompt === '2>') stop.abort();
      return climbs(prompt, attempt);
    };
    await expect(measure(out, { says, signal: stop.signal })).rejects.toMatchObject({ kind: 'interrupted' });
    expect(await measure(out)).toMatchObject({ asked: [4] });
    expect(await text(out)).toBe(whole);
  });

  it.each([
    [
      'a row with another k',
      rows(0) + row(7, 'tiny', 16),
      2,
      /tiny was measured with k = 16 here, not 4/,
      /--k 16.*--as/,
    ],
    [
      'a rate above 1',
      `${rows(0)}{"id":"p1","model":"tiny","k":4,"passRate":1.5}\n`,
      2,
      /passRate/,
      /Correct this row/,
    ],
    ['a second row of a problem', rows(0, 1, 0), 3, /p0 has a pass rate of tiny already/, /one row/],
    ['text of another kind', 'to do:\nbuy milk', 1, /invalid JSON/, /./],
    ['a last line that is no row', `${rows(0)}buy milk`, 2, /invalid JSON/, /./],
  ])('is refused at file:line before anything is asked, and stays: %s', async (_, content, line, said, hint) => {
    const out = await newFile(content);
    let used = false;
    const using = usingPassRates({ out, model: 'tiny', k: K }, async () => (used = true));
    await expect(using).rejects.toMatchObject({
      ...{ kind: 'input', where: `${out}:${line}` },
      ...{ message: expect.stringMatching(said), hint: expect.stringMatching(hint) },
    });
    expect([used, await text(out), await readdir(path.dirname(out))]).toEqual([false, content, ['rates.jsonl']]);
  });

  it('may hold another k of another model', async () => {
    const out = await newFile(row(0, 'tiny', 16));
    expect(await measure(out, { model: 'tiny-4' })).toMatchObject({ known: 0, written: 5 });
  });

  it('cannot be a folder, nor lie in a file', async () => {
    const file = await newFile('');
    for (const out of [path.dirname(file), path.join(file, 'rates.jsonl'), path.join(file, 'deep/rates.jsonl')])
      await expect(measure(out)).rejects.toMatchObject({ kind: 'usage', where: out, hint: /--out/ });
  });
});

describe('two that write one file', () => {
  const hold = (out: string, meanwhile: () => Promise<unknown>) =>
    usingPassRates({ out, model: 'tiny', k: K }, meanwhile);
  const refused = {
    kind: 'resource',
    message: expect.stringContaining(`the file is in use by process ${process.pid}`),
  };

  it('the second is refused, by whatever name, and may write when the first has ended or failed', async () => {
    const out = await newFile('');
    const alias = `${out}.link`;
    await symlink(out, alias);
    await hold(out, async () => {
      await expect(measure(out)).rejects.toMatchObject({ ...refused, where: out, hint: /--out/ });
      await expect(measure(alias)).rejects.toMatchObject(refused);
      await measure(path.join(path.dirname(out), 'other.jsonl'));
    });
    await expect(hold(out, () => Promise.reject(new Error('the model is gone')))).rejects.toThrow('the model is gone');
    expect(await measure(alias)).toMatchObject({ written: 5 });
    expect((await readdir(path.dirname(out))).sort()).toEqual(['other.jsonl', 'rates.jsonl', 'rates.jsonl.link']);
  });

  it('a lock that a killed process has left is taken over at once', async () => {
    const out = await newFile();
    const beside = (name: string): string => path.join(path.dirname(out), `.rates.jsonl${name}`);
    await mkdir(beside('.lock'));
    const { pid } = spawnSync(process.execPath, ['--version']);
    await writeFile(beside('.lock-holder.json'), JSON.stringify({ pid, host: hostname(), started: '' }));
    expect(await measure(out)).toMatchObject({ written: 5 });
    expect(await readdir(path.dirname(out))).toEqual(['rates.jsonl']);
  });

  it('one that has lost its lock writes nothing more', { timeout: 20_000 }, async () => {
    const out = await newFile();
    const failure = usingPassRates({ out, model: 'tiny', k: K }, async ({ append }) => {
      await append([{ id: 'p0', passRate: 0 }]);
      await rmdir(path.join(path.dirname(out), '.rates.jsonl.lock'));
      for (const until = Date.now() + 15_000; Date.now() < until;) {
        await new Promise((resolve) => setTimeout(resolve, 250));
        await append([]);
      }
    });
    await expect(failure).rejects.toMatchObject({ kind: 'resource', message: /lost the lock of the file/ });
    expect(await text(out)).toBe(rows(0));
  });
});

it('a stage of a curriculum trains on what a model measured itself sometimes solves', async () => {
  const [out, task, policy] = [await newFile(), echoTask(), await openEchoPolicy(1)];
  const sampler = await policy.liveSampler();
  const ask = async (items: readonly Indexed[]) => {
    const params = { n: K, temperature: 1, maxTokens: 4 };
    const requests = items.map(({ index, problem: { prompt } }) => ({
      promptTokens: encodeChars(CHARS, prompt),
      params: { ...params, seed: index },
    }));
    const samples_PK = await sampler.sampleBatch(requests);
    const graded = items.flatMap(({ problem }, p) =>
      (samples_PK[p] ?? []).map(async ({ tokens, stopReason }, sample) => {
        const response = { text: decodeChars(CHARS, tokens), tokens, stopReason };
        const { id: problemId, prompt } = problem;
        const verdict = await task.grade(problem, response);
        return { problemId, sample, prompt, text: response.text, tokens: tokens.length, stopReason, verdict };
      }),
    );
    return Promise.all(graded);
  };
  const seed = 7;
  const problems = problemsOf(task, 24, seed);
  const { rates } = await usingPassRates({ out, model: 'start', k: K }, (file) =>
    measurePassRates({ problems, file, batch: 5, ask }),
  );
  const sometimes = problems.filter((_, i) => rates[i]! > 0 && rates[i]! < 1).map(({ problem: { id } }) => id);
  expect(sometimes.length).toBeGreaterThan(3);
  expect(sometimes.length).toBeLessThan(24);

  const passRate = { file: out, model: 'start', above: 0, below: 1 };
  const data = { promptLength: 'all', difficulty: null, passRate, level: null, pool: 24 } as const;
  const chosen = await stageProblems(task.problems('train', seed), data, seed, 'here');
  expect(Array.from({ length: chosen.size }, (_, i) => chosen.at(i).id)).toEqual(sometimes);

  const stage: Stage = {
    ...{ name: 'sometimes', data, set: {}, resetReference: false, resetOptimizer: false },
    until: { iterations: null, plateau: null, truncatedBelow: null },
  };
  const run = await MemoryRun.create(seed);
  onTestFinished(() => rm(run.path, { recursive: true, force: true }));
  const config = rlConfig({ iterations: 3, curriculum: { stages: [stage] } });
  await trainRl({ task, render: rendering, run, config, policy });
  const trained = [...run.rollouts.values()].flat().map(({ problemId }) => problemId);
  expect(trained).toHaveLength(3 * 6 * 6);
  expect(sometimes).toEqual(expect.arrayContaining(trained));
});
