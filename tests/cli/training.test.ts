/** The way through: warm-start, reinforce, evaluate, sample, export, read back, all through the built command line. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listRecipes } from '../../src/recipes/index.js';
import { CHAT_TEMPLATE, type Finished, hone, onlyJson } from './hone.js';

const cwd = path.join(tmpdir(), `hone-training-${process.pid}`);
const run = (...args: string[]): Promise<Finished> => hone(args, { cwd });

/** What a command that succeeds prints with --json. */
async function json(...args: string[]): Promise<unknown> {
  const finished = await run(...args, '--json');
  if (finished.code !== 0) throw new Error(finished.stderr);
  return onlyJson(finished);
}

const SFT = ['train', 'sft', '--model', 'random:nano', '--task', 'last-digit', '--set', 'updates=6'];
const RL = ['--task', 'last-digit', '--set', 'iterations=2', '--set', 'promptsPerIteration=4', '--set', 'groupSize=2'];

beforeAll(async () => {
  await mkdir(cwd, { recursive: true });
  await json(...SFT, '--set', 'updatesPerIteration=3', '--out', 'warm');
}, 300_000);
afterAll(() => rm(cwd, { recursive: true, force: true }));

describe('the way from random weights to an evaluated model', () => {
  it('leaves a run folder with everything in it', async () => {
    expect((await readdir(path.join(cwd, 'warm'))).sort()).toEqual(
      expect.arrayContaining(['checkpoints', 'metrics.jsonl', 'model', 'report.html', 'result.json', 'run.json']),
    );
  });

  it.each(['grpo', 'dapo'])('trains %s on it and says where', async (recipe) => {
    const result = await json('train', recipe, '--model', 'warm', ...RL, '--out', recipe);
    expect(result).toMatchObject({
      run: recipe,
      iterations: 2,
      metrics: { iteration: 2, accuracy: expect.any(Number) },
    });
  });

  it('keeps the bounds of memory in the run, and refuses bad ones', async () => {
    const bounds = ['--tokens-per-micro-batch', '64', '--sampling-slots', '2'];
    await json('train', 'grpo', '--model', 'warm', ...RL, ...bounds, '--out', 'bounded');
    const manifest = JSON.parse(await readFile(path.join(cwd, 'bounded', 'run.json'), 'utf8')) as { config: object };
    expect(manifest.config).toMatchObject({ tokensPerMicroBatch: 64, samplingSlots: 2 });
    expect((await run('train', 'grpo', '--model', 'warm', ...RL, '--sampling-slots', '0')).code).toBe(2);
  });

  it('evaluates a run, with an interval and every attempt in the file', async () => {
    const args = ['eval', 'last-digit', '--model', 'warm', '--n', '5', '--k', '2', '--max-tokens', '12'];
    const result = await json(...args, '--out', 'eval.json');
    expect(result).toMatchObject({ n: 5, k: 2, accuracy: expect.any(Number), ci95: [0, expect.any(Number)] });
    const file = JSON.parse(await readFile(path.join(cwd, 'eval.json'), 'utf8')) as { rows: unknown[] };
    expect(file.rows).toHaveLength(10);
  });

  it('samples from standard input, the same with the same seed', async () => {
    const args = ['sample', '--model', 'warm', '--n', '2', '--max-tokens', '8', '--seed', '4', '--json'];
    const [a, b] = [await hone(args, { cwd, stdin: '1 2 3>4:' }), await hone(args, { cwd, stdin: '1 2 3>4:' })];
    expect(onlyJson(a)).toEqual(onlyJson(b));
    expect(onlyJson(a)).toMatchObject({ promptTokens: 8, samples: [{ tokens: expect.any(Number) }, {}] });
  });

  it('exports a folder that is a model again', async () => {
    expect(await json('models', 'export', 'warm', '--out', 'model')).toEqual({ path: 'model' });
    const { config } = (await json('models', 'info', 'model')) as { config: object };
    expect(await json('models', 'info', 'warm')).toMatchObject({ config, path: 'warm' });
    const ask = ['--prompt', '1 2 3>4:', '--max-tokens', '8', '--temperature', '0'];
    expect(await json('sample', '--model', 'model', ...ask)).toEqual(await json('sample', '--model', 'warm', ...ask));
  });

  it.each(['config.json', 'model.safetensors'])('leaves no run folder behind where %s is not right', async (file) => {
    await json('models', 'export', 'warm', '--out', `bad-${file}`);
    await writeFile(path.join(cwd, `bad-${file}`, file), '{"model_type": "mamba"}');
    const finished = await run('train', 'grpo', '--model', `bad-${file}`, ...RL, '--out', `never-${file}`);
    expect(finished.code, finished.stderr).toBe(3);
    expect(await readdir(cwd)).not.toContain(`never-${file}`);
  });

  it('validates on rows it never trains on, and refuses to set apart more than half', async () => {
    const rows = Array.from({ length: 12 }, (_, i) =>
      JSON.stringify({ id: i, problem: `${i % 10}+${i % 7}`, answer: i }),
    );
    await writeFile(path.join(cwd, 'rows.jsonl'), `${rows.join('\n')}\n`);
    await writeFile(path.join(cwd, 'rows-test.jsonl'), `${JSON.stringify({ problem: '9-9', answer: 0 })}\n`);
    const options = ['train=rows.jsonl', 'test=rows-test.jsonl', 'format=raw', 'prompt={problem}='];
    const task = ['--task', 'jsonl', ...options.flatMap((option) => ['--task-option', option])];
    const sizes = ['iterations=2', 'promptsPerIteration=12', 'groupSize=2', 'maxTokens=4', 'validation.every=2'];
    const args = ['train', 'grpo', '--model', 'warm', ...task, ...sizes.flatMap((size) => ['--set', size])];
    const refused = await run(...args, '--out', 'too-few');
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('--set validation.problems=6') });
    expect(await readdir(cwd)).not.toContain('too-few');
    const result = await json(...args, '--set', 'validation.problems=4', '--out', 'held-out');
    expect(result).toMatchObject({ bestScore: expect.any(Number), metrics: { 'val.accuracy': expect.any(Number) } });
    const rollouts = path.join(cwd, 'held-out', 'rollouts');
    const files = await Promise.all(
      (await readdir(rollouts)).map((file) => readFile(path.join(rollouts, file), 'utf8')),
    );
    const asked = files.join('').trim().split('\n');
    expect(new Set(asked.map((line) => (JSON.parse(line) as { problemId: string }).problemId)).size).toBe(8);
  });

  it('trains on chats as well', async () => {
    await json('models', 'export', 'warm', '--out', 'chat-model');
    await writeFile(path.join(cwd, 'chat-model', 'chat_template.jinja'), CHAT_TEMPLATE);
    const chat = {
      messages: [
        { role: 'user', content: '1 2 3>6:' },
        { role: 'assistant', content: '1+2=3+3=6!' },
      ],
    };
    await writeFile(path.join(cwd, 'chat.jsonl'), `${JSON.stringify(chat)}\n`.repeat(4));
    const args = ['train', 'sft', '--model', 'chat-model', '--data', 'chat.jsonl', '--set', 'updates=2'];
    const result = await json(...args, '--set', 'heldOut=0', '--out', 'chat-run');
    expect(result).toMatchObject({ run: 'chat-run', metrics: { loss: expect.any(Number) } });
  });
});

describe('runs', () => {
  it('of one seed are equal, of another seed are not', async () => {
    await json(...SFT, '--set', 'updatesPerIteration=3', '--out', 'again');
    expect(await json('runs', 'diff', 'warm', 'again')).toEqual({ equal: true, differences: [] });
    await json(...SFT, '--set', 'updatesPerIteration=3', '--seed', '1', '--out', 'other');
    const { code, stdout } = await run('runs', 'diff', 'warm', 'other');
    expect(code).toBe(1);
    expect(stdout).toMatch(/seed/);
  });

  it('are listed, shown and compared', async () => {
    expect(await json('runs', 'list', '.')).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: 'warm', state: 'finished', iterations: 2 })]),
    );
    expect(await json('runs', 'show', 'warm')).toMatchObject({ recipe: 'sft', running: false, iterations: 2 });
    expect(await json('runs', 'compare', 'warm', 'warm')).toMatchObject({ config: [] });
    expect(await json('runs', 'report', 'warm')).toEqual({ path: expect.stringMatching(/warm.report\.html$/) });
  });

  it('resumed after their end stay as they are', async () => {
    const before = await readFile(path.join(cwd, 'warm', 'metrics.jsonl'), 'utf8');
    expect(await json('resume', 'warm')).toMatchObject({ iterations: 2 });
    expect(await readFile(path.join(cwd, 'warm', 'metrics.jsonl'), 'utf8')).toBe(before);
  });
});

describe('tasks and recipes', () => {
  it('are listed and shown', async () => {
    expect(await json('tasks', 'list')).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: 'countdown' })]),
    );
    const preview = await json('tasks', 'preview', 'last-digit', '--n', '2', '--task-option', 'digits=4');
    expect(preview).toEqual([
      expect.objectContaining({
        demonstrations: expect.arrayContaining([expect.objectContaining({ style: 'plain' })]),
      }),
      expect.anything(),
    ]);
    const recipes = (await json('recipes', 'list')) as { name: string }[];
    expect(recipes.map(({ name }) => name)).toEqual(listRecipes().map(({ name }) => name));
    expect(await json('recipes', 'show', 'dapo', '--preset', 'paper')).toMatchObject({ method: 'rl' });
  });

  it('with assumed values ask to accept them', async () => {
    const args = ['train', 'grpo', '--model', 'warm', '--task', 'last-digit', '--preset', 'paper', '--out', 'paper'];
    const { code, stderr } = await run(...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(/assumed: iterations = /);
    expect(stderr).toMatch(/way out: Accept them with --accept-assumed/);
  });
});
