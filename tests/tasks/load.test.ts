import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HoneError } from '../../src/core/index.js';
import { defineTask, listTasks, loadTask, validateTask } from '../../src/tasks/index.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hone-task-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const BODY = `{ name: 'mine', description: 'd', format: 'raw', suggestedMaxTokens: 8,
  generate: (random) => ({ prompt: String(random.nextInt(0, 999)), answer: '1' }),
  grade: (problem, response) => gradeAnswer(problem, response) }`;
const IMPORT = `import { defineTask, gradeAnswer } from 'hone/tasks';\n`;

describe('loadTask', () => {
  it('opens every named task with its defaults', async () => {
    for (const { name, kind } of listTasks()) if (kind === 'procedural') expect((await loadTask(name)).name).toBe(name);
    const small = await loadTask('last-digit', { digits: 2 });
    expect(small.problems('train', 0).at(0).prompt).toMatch(/^\d \d>\d:$/);
  });

  it.each<[spec: string, options: unknown, message: RegExp]>([
    ['last-digits', undefined, /no task is named "last-digits"/],
    ['./absent.ts', undefined, /no such task file/],
    ['last-digit', { digits: 1 }, /task last-digit, option digits: /],
    ['last-digit', { operators: '+/' }, /option operators: must be one to three of/],
    ['last-digit', { operators: '++' }, /option operators: names an operator twice/],
    ['last-digit', { colour: 'red' }, /option colour: no such option/],
    ['arithmetic', { operands: [5, 2] }, /option operands: low end above high end/],
    ['countdown', { target: [9, 2] }, /option target: low end above high end/],
    ['path', { hops: [1, 20], deadEnds: 20 }, /option deadEnds: /],
  ])('refuses %s with %j', async (spec, options, message) => {
    const attempt = loadTask(spec, options);
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toMatchObject({ kind: 'usage', hint: expect.stringMatching(/\w/) });
  });

  it('loads the example of the docs, which passes its own check', async () => {
    const task = await loadTask(join(import.meta.dirname, '../../examples/tasks/days-between.ts'));
    expect(await validateTask(task, 50)).toMatchObject({ checked: 50, failures: [] });
    expect(task.problems('train', 1).at(3)).toEqual(task.problems('train', 1).at(3));
  });

  it('loads the SQL example, which compares rows and outlives every query', async () => {
    const task = await loadTask(join(import.meta.dirname, '../../examples/tasks/sql.ts'));
    expect(await validateTask(task, 2)).toMatchObject({ checked: 2, failures: [] });
    const problem = task.problems('train', 1).at(0);
    const gold = problem.answer as string;
    const graded = (query: string) =>
      task.grade(problem, { text: `<answer>${query}</answer>`, tokens: new Int32Array(0), stopReason: 'eos' });
    const least = /\d$/.exec(gold)?.[0];
    expect(await graded(`SELECT DISTINCT town FROM staff WHERE pay >= ${least} ORDER BY 1 DESC`)).toMatchObject({
      status: 'correct',
    });
    for (const query of ['select town from staff where 0', 'select', `drop table staff; ${gold}`])
      expect(await graded(query)).toMatchObject({ status: 'wrong', extracted: query });
    expect(
      await task.grade(
        { ...problem, answer: 'selec' },
        { text: `<answer>${gold}</answer>`, tokens: new Int32Array(0), stopReason: 'eos' },
      ),
    ).toMatchObject({ status: 'no_verdict', cause: 'gold' });
    // Counts for ever: ended by the time limit of the example.
    expect(
      await graded('with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n'),
    ).toMatchObject({ status: 'wrong', reason: 'other rows: failed: no end, or too much' });
  }, 20_000);

  it('gives a file outside the package this very module as hone/tasks', async () => {
    const path = write(
      'good.ts',
      `${IMPORT}export default defineTask(${BODY.replace('(random)', '(random: { nextInt(a: number, b: number): number })')});`,
    );
    const task = await loadTask(path);
    const prompts = (split: 'train' | 'test') =>
      Array.from({ length: 100 }, (_, i) => task.problems(split, 0).at(i).prompt);
    const test = new Set(prompts('test'));
    expect(prompts('train').filter((prompt) => test.has(prompt))).toEqual([]);
  });

  it('loads plain JavaScript, and a function from options to a task', async () => {
    const path = write(
      'options.mjs',
      `${IMPORT}export default (options) => defineTask({ ...${BODY}, name: options.name });`,
    );
    expect((await loadTask(path, { name: 'named' })).name).toBe('named');
    await expect(loadTask(path, { name: 'Not Good' })).rejects.toThrow(/task field name/);
    const fixed = write('fixed.mjs', `${IMPORT}export default defineTask(${BODY});`);
    await expect(loadTask(fixed, { name: 'x' })).rejects.toThrow(/fixed\.mjs: takes no options, and name was given/);
  });

  it.each<[name: string, text: string, message: RegExp]>([
    ['syntax.ts', 'const a = 1;\nexport default {{', /^\S+syntax\.ts:2: ParseError: Unexpected token$/],
    ['throws.ts', '\nthrow new Error("boom\\nand more")', /^\S+throws\.ts:2: boom$/],
    [
      'imports.ts',
      `import x from './nowhere.js';\nexport default x;`,
      /^\S+imports\.ts\S*: Cannot find module '\.\/nowhere\.js'$/,
    ],
    ['nothing.ts', 'export const task = 1;', /^\S+nothing\.ts: has no default export$/],
    ['number.ts', 'export default 5;', /^\S+number\.ts: task field \(the whole\): /],
    [
      'field.ts',
      `${IMPORT}export default { ...${BODY}, grade: 'yes' };`,
      /^\S+field\.ts: task field grade: must be a function/,
    ],
    [
      'tokens.ts',
      `${IMPORT}export default defineTask({ ...${BODY}, suggestedMaxTokens: 0 });`,
      /tokens\.ts\S*: task field suggestedMaxTokens: /,
    ],
    [
      'both.ts',
      `${IMPORT}export default { ...${BODY}, problems: () => ({}) };`,
      /give either `problems` or `generate`/,
    ],
    ['format.ts', `${IMPORT}export default { ...${BODY}, format: 'html' };`, /task field format: /],
  ])('says in one line what is wrong with %s', async (name, text, message) => {
    const error: unknown = await loadTask(write(name, text)).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(HoneError);
    expect((error as HoneError).message).toMatch(message);
    expect((error as HoneError).message).not.toContain('\n');
    expect((error as HoneError).hint).toMatch(/\w/);
  });
});

describe('defineTask', () => {
  it('says when next to nothing can be drawn', () => {
    const task = defineTask({
      name: 'narrow',
      description: '',
      format: 'raw',
      suggestedMaxTokens: 1,
      generate: () => undefined,
      grade: async () => ({ status: 'wrong', score: 0, reason: '' }),
    });
    expect(() => task.problems('train', 0).at(0)).toThrow(/none of 10000 draws/);
  });
});

describe('docs/tasks.md', () => {
  it.each(['days-between.ts', 'sql.ts'])('shows the example %s as it is', (name) => {
    const read = (path: string) => readFileSync(join(import.meta.dirname, '../..', path), 'utf8');
    expect(read('docs/tasks.md')).toContain(read(`examples/tasks/${name}`));
  });
});

describe('the grader of a task of your own', () => {
  const graded = (verdict: unknown) =>
    defineTask({
      ...{ name: 'mine', description: 'd', format: 'raw', suggestedMaxTokens: 8 },
      generate: () => ({ prompt: '1+1', answer: '2' }),
      grade: () => Promise.resolve(verdict as never),
    }).grade({ id: '0', prompt: '1+1' }, { text: '2', tokens: new Int32Array(1), stopReason: 'eos' });

  it.each<[verdict: unknown, field: string]>([
    [true, 'the whole'],
    [{ status: 'correct', reason: 'right' }, 'score'],
    [{ status: 'correct', score: NaN, reason: 'right' }, 'score'],
    [{ status: 'correct', score: 100, reason: 'right' }, 'score'],
    [{ status: 'right', score: 1, reason: 'right' }, 'status'],
  ])('may not answer %j', async (verdict, field) => {
    await expect(graded(verdict)).rejects.toThrow(`task mine: grade gave no verdict: ${field}: `);
  });

  it('may answer a verdict, which comes back as it is', async () => {
    const verdict = { status: 'wrong', score: 0.25, reason: 'half', extracted: '3', wellFormed: true };
    expect(await graded(verdict)).toEqual(verdict);
  });

  it('blames the task, not hone, for what its generate throws', async () => {
    const text = `${IMPORT}export default defineTask({ ...${BODY}, generate: () => { throw new Error('oops'); } });`;
    const task = await loadTask(write('draws.ts', text));
    const draw = (): unknown => task.problems('train', 0).at(0);
    expect(draw).toThrow(HoneError);
    expect(draw).toThrow(/generate throws: oops$/);
  });

  it('suggests the nearest name of a task', async () => {
    const error: unknown = await loadTask('cuntdown').catch((caught: unknown) => caught);
    expect((error as HoneError).hint).toMatch(/^Did you mean countdown\?/);
  });
});
