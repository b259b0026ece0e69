/** `hone eval`, `think` and `serve` of the built command line against an endpoint, right and wrong. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type ServerOptions, startServer, type WireRequest } from '../support/openai-server.js';
import { emptyFolder, hone, onlyJson } from './hone.js';

const lastTurn = ({ body }: WireRequest): string => (body['messages'] as { content: string }[]).at(-1)?.content ?? '';

/** Adds the two numbers of the prompt; 7 + 7 it does not know. */
function adds(request: WireRequest): ReturnType<ServerOptions['answer']> {
  const [, a, b] = /(\d+) \+ (\d+)/.exec(lastTurn(request)) ?? [];
  const sum = a === '7' ? 'I do not know' : `\\boxed{${Number(a) + Number(b)}}`;
  return { choices: [{ content: sum }], usage: [10, 4] };
}

async function endpoint(options: Partial<ServerOptions> = {}) {
  const server = await startServer({ answer: adds, ...options });
  onTestFinished(() => server.close());
  return { server, args: ['--endpoint', server.url, '--model-name', 'test'] };
}

/** A folder of one's own problems, as docs/evaluation.md has it. */
async function ownProblems(): Promise<string> {
  const cwd = await emptyFolder();
  await mkdir(path.join(cwd, 'sums'));
  const rows = [1, 2, 3, 7].map((n) => JSON.stringify({ question: `${n} + ${n}?`, target: 2 * n }));
  await writeFile(path.join(cwd, 'sums/easy.jsonl'), `${rows.join('\n')}\n`);
  await writeFile(path.join(cwd, 'sums/hone.json'), '{"fields": {"problem": "question", "answer": "target"}}\n');
  return cwd;
}

describe('problems of one’s own against an endpoint', () => {
  it('are measured, stored, compared and drawn', async () => {
    const cwd = await ownProblems();
    const { args, server } = await endpoint();
    const evaluate = async (out: string, ...more: string[]) =>
      onlyJson(await hone(['eval', './sums', ...args, '--out', out, '--json', ...more], { cwd }));
    expect(await evaluate('direct.json')).toMatchObject({
      ...{ task: 'sums', accuracy: 0.75, n: 4, k: 1, noAnswerShare: 0.25 },
      tokens: { generated: 16, prompt: 40, calls: 4 },
    });
    const asked = server.requests.length;
    expect(await evaluate('again.json', '--method', 'multi-round:2')).toMatchObject({ accuracy: 0.75 });
    expect(server.requests.length).toBe(asked + 8);
    const stored = JSON.parse(await readFile(path.join(cwd, 'direct.json'), 'utf8')) as Record<string, object>;
    expect(stored['settings']).toMatchObject({
      task: {
        name: 'sums',
        dataset: { files: [{ file: 'easy.jsonl', rows: 4, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }] },
      },
      method: { name: 'direct' },
      model: { endpoint: server.url, model: 'test' },
      sampling: { temperature: 0, k: 1 },
    });
    const compared = onlyJson(await hone(['eval', 'compare', 'direct.json', 'again.json', '--json'], { cwd }));
    expect(compared).toMatchObject({ problems: 4, difference: { value: 0 } });
    expect(JSON.stringify(compared)).toContain('method.rounds');
    await hone(['eval', 'report', 'direct.json', 'again.json', '--out', 'report.html'], { cwd });
    expect(await readFile(path.join(cwd, 'report.html'), 'utf8')).toContain('Accuracy against tokens');
  });

  it('are not asked for again once they are answered', async () => {
    const cwd = await ownProblems();
    const { args, server } = await endpoint();
    const run = (out: string) => hone(['eval', './sums', ...args, '--out', out, '--cache', 'kept', '--json'], { cwd });
    const [first, second] = [onlyJson(await run('a.json')), onlyJson(await run('b.json'))];
    expect(server.requests).toHaveLength(4);
    expect({ ...(second as object), out: '' }).toEqual({ ...(first as object), out: '' });
  });
});

describe('bad input', () => {
  const expectError = (finished: Awaited<ReturnType<typeof hone>>, code: number, ...said: RegExp[]) => {
    for (const part of said) expect(finished.stderr).toMatch(part);
    expect(finished.code).toBe(code);
  };

  it('no model at all', async () => {
    expectError(await hone(['eval', 'countdown']), 2, /no model to ask/, /--endpoint URL --model-name NAME/);
  });

  it('a wrong address', async () => {
    const cwd = await ownProblems();
    const { server, args } = await endpoint();
    await server.close();
    expectError(await hone(['eval', './sums', ...args], { cwd }), 4, /ECONNREFUSED/, /server is running/);
  });

  it('a wrong key', async () => {
    const cwd = await ownProblems();
    const { args } = await endpoint({ apiKey: 'right' });
    const finished = await hone(['eval', './sums', ...args, '--api-key', 'wrong'], { cwd });
    expectError(finished, 2, /refuses the key/, /HONE_API_KEY/);
  });

  it('a model that the server lacks', async () => {
    const cwd = await ownProblems();
    const { args } = await endpoint({ models: ['tset'] });
    expectError(await hone(['eval', './sums', ...args], { cwd }), 2, /does not have the model test/, /tset/);
  });

  it('an endpoint without logprobs', async () => {
    const cwd = await ownProblems();
    const { args } = await endpoint({
      fault: () => ({ kind: 'status', status: 400, body: { error: { message: 'logprobs are not supported' } } }),
    });
    const finished = await hone(['eval', './sums', ...args, '--method', 'best-of-n:2', '--temperature', '1'], { cwd });
    expectError(finished, 2, /no logprobs/);
  });

  it('a method that the endpoint cannot do', async () => {
    const cwd = await ownProblems();
    const { args } = await endpoint();
    const finished = await hone(['eval', './sums', ...args, '--method', 'budget-forcing:64'], { cwd });
    expectError(finished, 2, /budget-forcing needs continueAssistant/, /--continue/);
  });

  it('a prompt that overflows the context and an answer that is cut are counted, and the rest is kept', async () => {
    const cwd = await ownProblems();
    const overflow = { error: { message: "This model's maximum context length is 10 tokens" } };
    const { args } = await endpoint({
      fault: (request) =>
        lastTurn(request).includes('1 + 1') ? { kind: 'status', status: 400, body: overflow } : undefined,
      answer: (request) =>
        lastTurn(request).includes('2 + 2') ? { choices: [{ content: 'It is', finish: 'length' }] } : adds(request),
    });
    const found = onlyJson(await hone(['eval', './sums', ...args, '--out', 'a.json', '--json'], { cwd }));
    expect(found).toMatchObject({ accuracy: 0.25, counts: { correct: 1, truncated: 2, noAnswer: 1 } });
    expect(await readFile(path.join(cwd, 'a.json'), 'utf8')).toContain('maximum context length');
  });

  it.each([
    ['data that are not here', ['eval', 'aime25', '--data', 'nowhere'], /data not here: aime25/],
    ['a benchmark that cannot be run', ['eval', 'livecodebench'], /no reader/],
    ['a method that is none', ['eval', 'countdown', '--method', 'sfit'], /Did you mean sift/],
  ])('%s', async (_, args, said) => {
    const finished = await hone([...args, '--endpoint', 'http://127.0.0.1:1', '--model-name', 'x']);
    expect(`${finished.stderr}`).toMatch(said);
    expect(finished.code).toBeGreaterThan(1);
  });
});

describe('hone think', () => {
  it('shows the rounds and the answer', async () => {
    const { args } = await endpoint();
    const { stdout, code } = await hone(['think', 'What is 2 + 3?', ...args, '--method', 'multi-round:2']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/-- round 1 \/ answer\n.*\n {3}\(4 tokens\)/);
    expect(stdout).toContain('Answer: 5');
    expect(stdout).toContain('2 calls, 20 prompt tokens, 8 generated');
  });
});

describe('hone serve', () => {
  it('stands before an endpoint, and stops when asked', async () => {
    const { server } = await endpoint();
    const args = ['serve', '--upstream', server.url, '--model-name', 'test', '--think', 'multi-round:2', '--port', '0'];
    const finished = await hone([...args, '--json'], {
      beside: async (child, printed) => {
        await printed('"url"');
        child.kill('SIGINT');
      },
    });
    const { url, method } = onlyJson(finished) as { url: string; method: string };
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/v1$/);
    expect(method).toBe('multi-round');
  });
});
