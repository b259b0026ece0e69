/** Every row of docs/failures.md, provoked through the built command line. */
import { execFileSync } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHAT_TEMPLATE, emptyFolder, type Finished, hone, onlyJson, ROOT } from './hone.js';

/** A run and a model that every test starts from: a random model after a few updates. */
let base = '';

const TRAIN_SFT = ['train', 'sft', '--model', 'random:nano', '--task', 'last-digit', '--set', 'updates=4'];
/** Every iteration on this task has gradients, so that runs that should be equal could differ. */
const TRAIN_RL = [
  ...['train', 'grpo', '--task', path.join(ROOT, 'verify/even-task.ts'), '--set', 'maxTokens=12'],
  ...['--model', 'random:nano', '--set', 'promptsPerIteration=4', '--set', 'groupSize=4'],
  ...['--set', 'checkpoint.every=1', '--set', 'validation.every=0'],
];

beforeAll(async () => {
  base = path.join(tmpdir(), `hone-failures-${process.pid}`);
  await mkdir(base, { recursive: true });
  await ok(hone([...TRAIN_SFT, '--out', 'run'], { cwd: base }));
  await ok(hone(['models', 'export', 'run', '--out', 'model'], { cwd: base }));
}, 300_000);

afterAll(() => rm(base, { recursive: true, force: true }));

async function ok(running: Promise<Finished>): Promise<Finished> {
  const finished = await running;
  if (finished.code !== 0) throw new Error(finished.stderr);
  return finished;
}

/** A copy of the model that a test may damage, in an empty folder. */
async function modelCopy(): Promise<{ cwd: string; model: string }> {
  const cwd = await emptyFolder();
  const model = path.join(cwd, 'model');
  await cp(path.join(base, 'model'), model, { recursive: true });
  return { cwd, model };
}

/** A cause on one line, a way out on the next, the exit code, and no stack. */
function expectFailure({ code, stderr, stdout }: Finished, exitCode: number, cause: RegExp, wayOut: RegExp): void {
  const [, error, hint] = /^error: (.+)\n {2}way out: (.+)$/m.exec(stderr) ?? [];
  expect(error, stderr).toMatch(cause);
  expect(hint, stderr).toMatch(wayOut);
  expect(stderr).not.toMatch(/^\s+at /m);
  expect({ code, stdout }).toEqual({ code: exitCode, stdout: '' });
}

const evaluate = (model: string, cwd: string): Promise<Finished> =>
  hone(['eval', 'last-digit', '--model', model, '--n', '4'], { cwd });

describe('a model', () => {
  it('that is not there', async () => {
    const cwd = await emptyFolder();
    expectFailure(await evaluate('nowhere', cwd), 3, /nowhere: there is no such model/, /hone models import/);
  });

  it('whose weights are truncated', async () => {
    const { cwd, model } = await modelCopy();
    await truncate(path.join(model, 'model.safetensors'), 5000);
    expectFailure(await evaluate('model', cwd), 3, /model\.safetensors/, /./);
  });

  it('whose weights are not safetensors', async () => {
    const { cwd, model } = await modelCopy();
    await writeFile(path.join(model, 'model.safetensors'), Buffer.alloc(4096, 0xff));
    expectFailure(await evaluate('model', cwd), 3, /model\.safetensors/, /./);
  });

  it('of an unknown architecture', async () => {
    const { cwd, model } = await modelCopy();
    const file = path.join(model, 'config.json');
    const config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    await writeFile(file, JSON.stringify({ ...config, model_type: 'mamba', architectures: ['MambaForCausalLM'] }));
    expectFailure(await evaluate('model', cwd), 3, /mamba/i, /llama/i);
  });

  it('whose tokenizer does not fit', async () => {
    const { cwd, model } = await modelCopy();
    const file = path.join(model, 'config.json');
    const config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    await writeFile(file, JSON.stringify({ ...config, vocab_size: 5 }));
    expectFailure(await evaluate('model', cwd), 3, /tokens|vocab/, /./);
  });

  it('of a run is named as the user knows it', async () => {
    const cwd = await emptyFolder();
    await cp(path.join(base, 'run'), path.join(cwd, 'run'), { recursive: true });
    await writeFile(path.join(cwd, 'run', 'model', 'tokenizer.json'), '{}');
    const finished = await evaluate('run', cwd);
    expectFailure(finished, 3, /^run\/model\/tokenizer\.json/, /./);
    expect(finished.stderr).not.toContain(tmpdir());
    const chat = await hone(['sample', '--model', 'run', '--messages', 'no.json'], { cwd });
    expectFailure(chat, 3, /no\.json: there is no such file \(--messages\)/, /role/);
  });

  it('that is a pickle', async () => {
    const { cwd, model } = await modelCopy();
    await rm(path.join(model, 'model.safetensors'));
    await writeFile(path.join(model, 'pytorch_model.bin'), 'PK');
    expectFailure(await evaluate('model', cwd), 3, /./, /safetensors/);
  });
});

describe('data', () => {
  const good = JSON.stringify({
    messages: [
      { role: 'user', content: '1' },
      { role: 'assistant', content: '2' },
    ],
  });

  it.each([
    ['is not JSON', '{"messages": ['],
    ['has no messages', '{"text": "hello"}'],
    ['has an unknown role', '{"messages": [{"role": "robot", "content": "x"}]}'],
  ])('with a row that %s', async (_, bad) => {
    const { cwd, model } = await modelCopy();
    await writeFile(path.join(model, 'chat_template.jinja'), CHAT_TEMPLATE);
    await writeFile(path.join(cwd, 'chat.jsonl'), `${good}\n${good}\n${bad}\n`);
    const args = ['train', 'sft', '--model', 'model', '--data', 'chat.jsonl', '--out', 'run'];
    expectFailure(await hone(args, { cwd }), 3, /chat\.jsonl:3/, /./);
    expect((await readdir(cwd)).sort()).toEqual(['chat.jsonl', 'model']);
  });
});

describe('a file that is not there', () => {
  it.each([
    ['of a task', ['eval', 'jsonl', '--task-option', 'train=x.jsonl'], /x\.jsonl: .*task option train/, /train=FILE/],
    ['of a benchmark', ['eval', 'gsm8k', '--task-option', 'data=d'], /gsm8k_test\.jsonl: data not here/, /--data/],
    ['of chats', ['train', 'sft', '--data', 'x.jsonl'], /x\.jsonl: there is no such file \(--data\)/, /messages/],
  ])('%s is missed before the model is loaded', async (_name, args, cause, wayOut) => {
    const finished = await hone([...args, '--model', path.join(base, 'model')], { cwd: await emptyFolder() });
    expectFailure(finished, 3, cause, wayOut);
    expect(finished.stderr).not.toMatch(/loading the model|ENOENT/);
  });
});

describe('an option', () => {
  it('of eval that asks for the same answer twice, before the model is loaded', async () => {
    const args = ['eval', 'last-digit', '--model', 'model', '--k', '2', '--temperature', '0'];
    const finished = await hone(args, { cwd: base });
    expectFailure(finished, 2, /--k: greedy decoding gives the same answer 2 times/, /--temperature above 0/);
    expect(finished.stderr).not.toContain('loading the model');
  });

  const start = (args: string[]): Promise<Finished> => hone([...args, '--out', path.join(base, 'never')]);

  it('of a recipe that does not exist', async () => {
    const finished = await start([...TRAIN_SFT, '--set', 'optimiser.lr=1']);
    expectFailure(finished, 2, /optimiser/, /optimizer/);
  });

  it('of the wrong type', async () => {
    expectFailure(await start([...TRAIN_SFT, '--set', 'sequencesPerUpdate=many']), 2, /sequencesPerUpdate/, /./);
  });

  it('that names an unknown recipe', async () => {
    const args = ['train', 'grop', '--model', 'random:nano', '--task', 'last-digit'];
    expectFailure(await start(args), 2, /grop/, /grpo/);
  });

  it('that names an unknown task', async () => {
    const args = ['train', 'grpo', '--model', 'random:nano', '--task', 'last-digits'];
    expectFailure(await start(args), 2, /last-digits/, /last-digit/);
  });

  it('that names an unknown random model', async () => {
    const args = ['train', 'grpo', '--model', 'random:huge', '--task', 'last-digit'];
    expectFailure(await start(args), 2, /huge/, /nano, tiny/);
  });
});

describe('a run folder', () => {
  it('that holds a run already', async () => {
    const args = [...TRAIN_SFT, '--out', 'run'];
    expectFailure(await hone(args, { cwd: base }), 2, /there is a run in this folder already/, /hone resume/);
  });

  it('that is none', async () => {
    expectFailure(await hone(['resume', 'model'], { cwd: base }), 3, /not a run folder/, /./);
  });

  it('in use by another process', async () => {
    const cwd = await emptyFolder();
    const args = [...TRAIN_RL, '--set', 'iterations=100000', '--out', 'busy'];
    let second: Promise<Finished> | undefined;
    // The first is stopped once the second has been refused.
    const first = await hone(args, {
      cwd,
      beside: async (child, printed) => {
        await printed('RL:');
        second = hone(['resume', 'busy'], { cwd });
        await second;
        child.kill('SIGINT');
      },
    });
    expect(first.code).toBe(130);
    expectFailure((await second) as Finished, 4, /in use/, /./);
  });

  it('whose newest checkpoint is damaged goes on from the one before', async () => {
    const cwd = await emptyFolder();
    const args = [...TRAIN_RL, '--set', 'iterations=2', '--out', 'run'];
    await ok(hone([...args, '--set', 'checkpoint.keep=2'], { cwd }));
    const checkpoints = path.join(cwd, 'run', 'checkpoints');
    const newest = (await readdir(checkpoints)).sort().at(-1) as string;
    await truncate(path.join(checkpoints, newest, 'weights.safetensors'), 100);
    const { stderr } = await ok(hone(['resume', 'run'], { cwd }));
    expect(stderr).toMatch(/warning: .*weights\.safetensors/);
  });
});

describe('the machine', () => {
  it('without the compute engine', async () => {
    const cwd = await emptyFolder();
    await cp(path.join(ROOT, 'dist'), path.join(cwd, 'dist'), { recursive: true });
    await cp(path.join(ROOT, 'package.json'), path.join(cwd, 'package.json'));
    await mkdir(path.join(cwd, 'node_modules'));
    for (const name of await readdir(path.join(ROOT, 'node_modules')))
      if (!name.startsWith('onnxruntime') && !name.startsWith('.'))
        await symlink(path.join(ROOT, 'node_modules', name), path.join(cwd, 'node_modules', name));
    const main = path.join(cwd, 'dist/cli/main.js');
    const finished = await hone([...TRAIN_SFT, '--out', 'run'], { cwd, main });
    expectFailure(finished, 4, /onnxruntime-node is not installed/, /ONNXRUNTIME_NODE_INSTALL=skip npm install/);
    expect(await readdir(cwd)).not.toContain('run'); // The same command works once the engine is there.
  });

  const mountable = canMount();
  it.skipIf(!mountable)('without space on the disk keeps the finished checkpoints', async () => {
    const cwd = await emptyFolder();
    const disk = path.join(cwd, 'disk');
    await mkdir(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', disk]);
    try {
      const args = [...TRAIN_RL, '--set', 'checkpoint.keep=100'];
      const finished = await hone([...args, '--set', 'iterations=100', '--out', 'disk/run'], { cwd });
      expectFailure(finished, 4, /no space left|disk is full/i, /space/);
      const kept = await readdir(path.join(disk, 'run', 'checkpoints'));
      expect(kept.filter((name) => /^\d+$/.test(name)).length).toBeGreaterThan(0);
    } finally {
      execFileSync('umount', [disk]);
    }
  });

  it('asked to stop says how to go on, and resume does', async () => {
    const cwd = await emptyFolder();
    const args = [...TRAIN_RL, '--set', 'iterations=4', '--out', 'run'];
    const stopped = await hone(args, {
      cwd,
      beside: async (child, printed) => {
        await printed('RL:');
        child.kill('SIGINT');
      },
    });
    expectFailure(stopped, 130, /stopped/, /hone resume run/);
    await ok(hone(['resume', 'run'], { cwd }));
    await ok(hone([...args.slice(0, -1), 'whole'], { cwd }));
    const diff = await hone(['runs', 'diff', 'run', 'whole'], { cwd });
    expect({ code: diff.code, stdout: diff.stdout }).toEqual({ code: 0, stdout: expect.stringContaining('equal') });
  });
});

describe('work that is stuck', () => {
  const stuck = (waiting: string): string => `export default {
    name: 'stuck', description: 'a grader without an end', format: 'raw', alphabet: 'ab', suggestedMaxTokens: 4,
    generate: (random) => ({ prompt: random.nextInt(0, 1) ? 'a' : 'b' }),
    grade: () => { console.error('grading'); return new Promise(${waiting}); },
  };`;

  it.each([
    ['one SIGTERM ends it after a while', ['SIGTERM'] as const, /no clean point came within 1 s/, /hone resume/],
    ['a second Ctrl-C ends it at once', ['SIGINT', 'SIGINT'] as const, /stopped at once/, /hone resume/],
  ])('%s, and the run is free again', async (_name, signals, cause, wayOut) => {
    const cwd = await emptyFolder();
    await writeFile(path.join(cwd, 'stuck.mjs'), stuck('(resolve) => setTimeout(resolve, 1e9)'));
    const task = ['--task', './stuck.mjs', '--model', 'random:nano', '--set', 'validation.every=0'];
    const stopped = await hone(['train', 'grpo', ...task, '--set', 'maxTokens=4', '--out', 'run'], {
      cwd,
      env: { HONE_STOP_SECONDS: '1' },
      beside: async (child, printed) => {
        await printed('grading');
        for (const signal of signals) {
          child.kill(signal);
          if (signals.length > 1) await printed('stopping at the next clean point');
        }
      },
    });
    expectFailure(stopped, 130, cause, wayOut);
    expect(await readdir(path.join(cwd, 'run'))).not.toContain('.lock');
    expect((await ok(hone(['runs', 'show', 'run'], { cwd }))).stdout).toMatch(/, stopped/);
  });

  it('says so where nothing is left that could end it', async () => {
    const cwd = await emptyFolder();
    await writeFile(path.join(cwd, 'stuck.mjs'), stuck('() => {}'));
    const task = ['--task', './stuck.mjs', '--model', 'random:nano', '--set', 'validation.every=0'];
    const ended = await hone(['train', 'grpo', ...task, '--set', 'maxTokens=4', '--out', 'run'], { cwd });
    expectFailure(ended, 3, /never comes/, /settles/);
    expect(await readdir(path.join(cwd, 'run'))).not.toContain('.lock');
  });

  it('refuses a time to stop that is none', async () => {
    const finished = await hone(['recipes', 'list'], { env: { HONE_STOP_SECONDS: 'soon' } });
    expectFailure(finished, 2, /HONE_STOP_SECONDS: must be a number of seconds/, /leave it out/);
  });
});

function canMount(): boolean {
  if (process.getuid?.() !== 0) return false;
  const probe = path.join(tmpdir(), `hone-mount-${process.pid}`);
  try {
    execFileSync('mkdir', ['-p', probe]);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe], { stdio: 'ignore' });
    execFileSync('umount', [probe]);
    return true;
  } catch {
    return false; // Containers without the right to mount: the test says that it was skipped.
  }
}

describe('training that diverges', () => {
  it('ends with exit code 5 and keeps the last checkpoint', async () => {
    const cwd = await emptyFolder();
    const args = [
      'train',
      'sft',
      '--model',
      'random:nano',
      '--task',
      'last-digit',
      '--out',
      'run',
      '--set',
      'updates=50',
    ];
    const finished = await hone([...args, '--set', 'optimizer.lr=1e30', '--set', 'checkpoint.every=1'], { cwd });
    expectFailure(finished, 5, /non-finite/, /Lower optimizer\.lr/);
  });
});

describe('any failure with --json', () => {
  it('is one JSON object on standard output', async () => {
    const finished = await hone(['eval', 'last-digit', '--model', 'nowhere', '--json']);
    expect(finished.code).toBe(3);
    expect(onlyJson(finished)).toEqual({
      error: {
        kind: 'input',
        message: expect.stringContaining('no such model'),
        where: 'nowhere',
        hint: expect.any(String),
      },
    });
  });
});
