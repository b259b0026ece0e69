/** `hone data label-difficulty` of the built command line: against an endpoint, with a local model, and bad input. */
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { RandomStream } from '../../src/core/index.js';
import { startServer, type WireRequest } from '../support/openai-server.js';
import { emptyFolder, hone, onlyJson, ROOT } from './hone.js';

const label = (cwd: string, args: readonly string[], beside?: Parameters<typeof hone>[1]) =>
  hone(['data', 'label-difficulty', ...args], { cwd, ...beside });

async function rowsOf(file: string) {
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as { id: string; model: string; k: number; passRate: number });
}

/** Right at 1 + 1, wrong at 5 + 5, and every other time, by the seed of the sample, in between. */
function adds({ body }: WireRequest) {
  const prompt = (body['messages'] as { content: string }[]).at(-1)?.content ?? '';
  const a = Number(/(\d+) \+/.exec(prompt)?.[1]);
  const isRight = new RandomStream(Number(body['seed']), 'server').uniform(0) < (5 - a) / 4;
  return { choices: [{ content: `\\boxed{${isRight ? 2 * a : 0}}` }] };
}

/** Five sums, another to test on, so that none of them is held out, and a server that does not answer from a request on while `stalls` says so. */
async function sums() {
  const cwd = await emptyFolder();
  const sum = (a: number): string => `${JSON.stringify({ problem: `${a} + ${a}?`, answer: `${2 * a}` })}\n`;
  await writeFile(path.join(cwd, 'sums.jsonl'), [1, 2, 3, 4, 5].map(sum).join(''));
  await writeFile(path.join(cwd, 'test.jsonl'), sum(9));
  const stalls = { from: Infinity, reached: () => {} };
  const server = await startServer({
    answer: adds,
    fault: ({ number }) => {
      if (number < stalls.from) return undefined;
      stalls.reached();
      return { kind: 'hang' };
    },
  });
  onTestFinished(() => server.close());
  const ask = (out: string, more: readonly string[] = [], beside?: Parameters<typeof hone>[1]) => {
    const task = ['sums.jsonl', '--task-option', 'test=test.jsonl'];
    const args = [...task, '--endpoint', server.url, '--model-name', 'test', '--as', 'tiny', '--k', '4'];
    return label(cwd, [...args, '--batch', '2', '--out', out, '--json', ...more], beside);
  };
  return { cwd, server, stalls, ask };
}

it('killed half way and started again it ends with the file of an unbroken run; meanwhile a second is refused', async () => {
  const { cwd, server, stalls, ask } = await sums();
  const whole = onlyJson(await ask('whole.jsonl'));
  expect(whole).toMatchObject({ model: 'tiny', problems: 5, known: 0, written: 5, unmeasured: [] });
  const rates = (await rowsOf(path.join(cwd, 'whole.jsonl'))).map(({ passRate }) => passRate);
  expect([Math.min(...rates), Math.max(...rates)]).toEqual([0, 1]);
  expect(rates.filter((rate) => rate > 0 && rate < 1)).not.toHaveLength(0);
  expect(server.requests).toHaveLength(20);

  stalls.from = 20 + 12; // In the second of three batches.
  const reached = new Promise<void>((resolve) => (stalls.reached = resolve));
  const killed = await ask('broken.jsonl', ['--concurrency', '1'], {
    beside: async (child) => {
      await reached;
      const second = await ask('broken.jsonl');
      expect(second.code).toBe(4);
      const error = { kind: 'resource', where: 'broken.jsonl', hint: expect.stringContaining('--out') };
      expect(onlyJson(second)).toMatchObject({ error });
      expect(second.stdout).toContain(`the file is in use by process ${child.pid} `);
      child.kill('SIGKILL');
    },
  });
  expect(killed.code).toBeNull();
  const broken = path.join(cwd, 'broken.jsonl');
  expect(await rowsOf(broken)).toHaveLength(2);
  await appendFile(broken, '{"id":"tra');

  stalls.from = Infinity;
  server.requests.length = 0;
  const again = await ask('broken.jsonl');
  expect(again.stderr).toMatch(/broken\.jsonl was cut off by an interruption/);
  expect(onlyJson(again)).toEqual({ ...(whole as object), out: 'broken.jsonl', known: 2, written: 3 });
  expect(server.requests).toHaveLength(3 * 4);
  expect(await readFile(broken, 'utf8')).toBe(await readFile(path.join(cwd, 'whole.jsonl'), 'utf8'));
  expect((await readdir(cwd)).sort()).toEqual(['broken.jsonl', 'sums.jsonl', 'test.jsonl', 'whole.jsonl']);
});

it('a local model on the first --n problems of a procedural task: sometimes right, and the same however it got there', async () => {
  const cwd = await emptyFolder();
  const task = path.join(ROOT, 'verify/even-task.ts');
  const small = ['iterations=1', 'maxTokens=12', 'promptsPerIteration=2', 'groupSize=2', 'validation.every=0'];
  const train = ['train', 'grpo', '--task', task, '--model', 'random:nano', '--threads', '1', '--out', 'run'];
  expect(await hone([...train, ...small.flatMap((set) => ['--set', set])], { cwd })).toMatchObject({ code: 0 });
  const asked = [task, '--model', 'run', '--threads', '1', '--n', '6', '--k', '4', '--json'];
  const measure = (out: string) => label(cwd, [...asked, '--out', out]);

  const { problems, sometimes } = onlyJson(await measure('whole.jsonl')) as { problems: number; sometimes: number };
  const whole = await readFile(path.join(cwd, 'whole.jsonl'), 'utf8');
  expect(problems).toBe(6);
  expect(sometimes).toBeGreaterThan(0);
  expect(new Set((await rowsOf(path.join(cwd, 'whole.jsonl'))).map(({ id }) => id)).size).toBe(6);

  const [first = '', second = ''] = whole.split('\n');
  await writeFile(path.join(cwd, 'part.jsonl'), `${first}\n${second.slice(0, 30)}`);
  expect(onlyJson(await measure('part.jsonl'))).toMatchObject({ known: 1, written: 5, sometimes });
  expect(await readFile(path.join(cwd, 'part.jsonl'), 'utf8')).toBe(whole);
});

it.each([
  ['an unknown task', ['last-digits', '--out', 'r.jsonl'], 2, /last-digits.*/, /last-digit/],
  ['a malformed row', ['last-digit', '--out', 'bad.jsonl'], 3, /bad\.jsonl:2: field "k" is missing/, /./],
])('bad input ends before a model is loaded: %s', async (_, args, code, said, wayOut) => {
  const cwd = await emptyFolder();
  const bad = '{"id":"a","model":"m","k":2,"passRate":0.5}\n{"id":"b","model":"m","passRate":0.5}\n';
  await writeFile(path.join(cwd, 'bad.jsonl'), bad);
  const finished = await label(cwd, [...args, '--model', 'nowhere']);
  expect(finished.stderr).toMatch(said);
  expect(/way out: (.*)/.exec(finished.stderr)?.[1]).toMatch(wayOut);
  expect({ code: finished.code, files: await readdir(cwd) }).toEqual({ code, files: ['bad.jsonl'] });
});
