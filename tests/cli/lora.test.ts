/** Adapters through the built command line: train, stop, go on, use, export, merge. */
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { settingsOf } from '../../src/cli/train-settings.js';
import { openSafetensors } from '../../src/model/index.js';
import { readRun } from '../../src/runs/index.js';
import { type Finished, hone, onlyJson } from './hone.js';

const cwd = path.join(tmpdir(), `hone-lora-${process.pid}`);
const file = (...names: string[]): string => path.join(cwd, ...names);
const run = (...args: string[]): Promise<Finished> => hone(args, { cwd });

async function json(...args: string[]): Promise<unknown> {
  const finished = await run(...args, '--json');
  if (finished.code !== 0) throw new Error(finished.stderr);
  return onlyJson(finished);
}

const UPDATES = 16;
const SFT = ['train', 'sft', '--task', 'last-digit', '--set', 'evaluation.every=0'];
const WARM = [...SFT, '--model', 'random:nano', '--set', 'updates=4', '--set', 'updatesPerIteration=4'];
const ADAPTED = [
  ...[...SFT, '--model', 'warm', '--lora', '4', '--seed', '3', '--set', `updates=${UPDATES}`],
  ...['--set', 'updatesPerIteration=1', '--set', 'checkpoint.every=1', '--set', 'optimizer.lr=0.02'],
];
const LAST = ['checkpoints', String(UPDATES).padStart(6, '0')];
const ASK = ['--prompt', '1 2 3>4:', '--max-tokens', '12', '--temperature', '0'];

beforeAll(async () => {
  await mkdir(cwd, { recursive: true });
  await json(...WARM, '--out', 'warm');
  await json(...ADAPTED, '--out', 'lora');
}, 300_000);
afterAll(() => rm(cwd, { recursive: true, force: true }));

function expectFailure({ code, stderr }: Finished, exitCode: number, cause: RegExp, wayOut: RegExp): void {
  const [, error, hint] = /^error: (.+)\n {2}way out: (.+)$/m.exec(stderr) ?? [];
  expect(error, stderr).toMatch(cause);
  expect(hint, stderr).toMatch(wayOut);
  expect(code).toBe(exitCode);
}

describe('hone train --lora', () => {
  it('keeps the adapter in the settings, its base as a hash, and nothing but the adapter in checkpoints', async () => {
    const { manifest } = await readRun(file('lora'));
    expect(settingsOf(manifest, 'lora').adapter).toEqual({
      rank: 4,
      alpha: 32,
      targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
    });
    expect(manifest.dataHashes['warm']).toMatch(/^[0-9a-f]{64}$/);
    const names = (await openSafetensors(file('lora', ...LAST, 'weights.safetensors'))).names();
    expect(names).toHaveLength(2 * 7 * 2); // factors, modules, layers
    expect(names.filter((name) => !/\.lora_[AB]\.weight$/.test(name))).toEqual([]);
  });

  it('reads settings from before there were adapters', async () => {
    const { manifest } = await readRun(file('warm'));
    const { adapter, ...config } = manifest.config;
    expect(adapter).toBeNull();
    expect(settingsOf({ ...manifest, config }, 'warm').adapter).toBeNull();
  });

  it('starts an RL run from a run with an adapter, with targets and alpha of its own', async () => {
    const sizes = ['iterations=1', 'promptsPerIteration=4', 'groupSize=2', 'maxTokens=8', 'validation.every=0'];
    const args = ['train', 'grpo', '--model', 'lora', '--task', 'last-digit', ...sizes.flatMap((s) => ['--set', s])];
    await json(...args, '--lora', '2', '--lora-alpha', '8', '--lora-targets', 'v_proj,q_proj', '--out', 'second');
    const { manifest } = await readRun(file('second'));
    expect(manifest.config['adapter']).toEqual({ rank: 2, alpha: 8, targets: ['q_proj', 'v_proj'] });
    expect(await json('models', 'info', 'second')).toMatchObject({ architecture: 'llama', path: 'second' });
  });

  it.each<[string, string[], RegExp, RegExp]>([
    ['a rank of 0', ['--lora', '0'], /--lora <rank>.*whole number from 1/, /--help/],
    ['an alpha of 0', ['--lora', '2', '--lora-alpha', '0'], /--lora-alpha <n>.*above 0/, /--help/],
    ['an unknown module', ['--lora', '2', '--lora-targets', 'q_prj'], /--lora-targets.*mean q_proj/, /--help/],
    ['an alpha alone', ['--lora-alpha', '2'], /--lora-alpha: .*there is none/, /--lora RANK/],
    ['random weights', ['--lora', '2', '--model', 'random:nano'], /--lora: .*random weights/, /Leave --lora out/],
  ])('refuses %s, and leaves no run folder', async (_name, args, cause, wayOut) => {
    expectFailure(await run(...SFT, '--model', 'warm', ...args, '--out', 'never'), 2, cause, wayOut);
    expect(await readdir(cwd)).not.toContain('never');
  });
});

describe('a run with an adapter', () => {
  it('killed at a checkpoint goes on bit for bit', async () => {
    const reached = async (): Promise<boolean> =>
      (await readdir(file('killed', 'checkpoints')).catch((): string[] => [])).includes('000002');
    const killed = await hone([...ADAPTED, '--out', 'killed'], {
      cwd,
      beside: async (child) => {
        while (child.exitCode === null && !(await reached())) await sleep(5);
        child.kill('SIGKILL');
      },
    });
    expect(killed.code, killed.stderr).toBeNull();
    expect(await readdir(file('killed'))).not.toContain('result.json');
    await json('resume', 'killed');
    expect(await json('runs', 'diff', 'killed', 'lora')).toEqual({ equal: true, differences: [] });
    for (const name of ['weights.safetensors', 'optimizer.safetensors'])
      expect(await readFile(file('killed', ...LAST, name))).toEqual(await readFile(file('lora', ...LAST, name)));
  });

  it('is a model: of the run, of a checkpoint, merged and as PEFT folder alike', async () => {
    await json('models', 'export', 'lora', '--out', 'exported');
    await json('models', 'export', 'lora', '--format', 'peft', '--out', 'peft');
    await json('models', 'merge', 'warm', 'peft', '--out', 'merged');
    await json('models', 'merge', 'warm', 'lora', '--out', 'merged-run');
    const weights = (folder: string): Promise<Buffer> => readFile(file(folder, 'model.safetensors'));
    expect(await weights('merged')).toEqual(await weights('exported'));
    expect(await weights('merged-run')).toEqual(await weights('exported'));
    expect(await readdir(file('merged'))).toContain('tokenizer.json');
    const answer = await json('sample', '--model', 'exported', ...ASK);
    expect(await json('sample', '--model', 'warm', ...ASK)).not.toEqual(answer);
    for (const model of ['lora', path.join('lora', ...LAST), 'peft'])
      expect(await json('sample', '--model', model, ...ASK)).toEqual(answer);
    const evaluation = await json('eval', 'last-digit', '--n', '4', '--max-tokens', '12', '--model', 'lora');
    expect(evaluation).toMatchObject({ n: 4, model: 'lora' });
  });

  it('finds its base after both have moved, and refuses another in its place', async () => {
    const [moved, elsewhere] = [file('moved'), file('elsewhere')];
    await mkdir(path.join(moved, 'runs'), { recursive: true });
    await mkdir(elsewhere);
    await cp(file('warm'), path.join(moved, 'warm'), { recursive: true });
    await cp(file('lora'), path.join(moved, 'runs', 'lora'), { recursive: true });
    const info = ['models', 'info', path.join(moved, 'runs', 'lora')];
    const found = await hone(info, { cwd: elsewhere });
    expect(found.code, found.stderr).toBe(0);
    await rename(path.join(moved, 'warm'), path.join(moved, 'kept'));
    await json('train', 'sft', ...WARM.slice(2), '--seed', '9', '--out', path.join(moved, 'warm'));
    expectFailure(await hone(info, { cwd: elsewhere }), 3, /warm: the weights are not those/, /Restore/);
    const resumed = await hone(['resume', path.join('runs', 'lora')], { cwd: moved });
    expectFailure(resumed, 3, /warm: the weights are not those that the adapter of .* was trained on/, /models merge/);
  });

  it('says that its base is gone', async () => {
    await cp(file('lora'), file('lonely'), { recursive: true });
    const manifest = JSON.parse(await readFile(file('lonely', 'run.json'), 'utf8')) as { config: object };
    const changed = { ...manifest, config: { ...manifest.config, model: 'gone' }, dataHashes: { gone: '0' } };
    await writeFile(file('lonely', 'run.json'), JSON.stringify(changed));
    const finished = await run('sample', '--model', 'lonely', ...ASK);
    expectFailure(finished, 3, /lonely: the base model of its adapter is not there: gone/, /Put it back/);
  });
});

describe('a PEFT folder', () => {
  /** The folder of the run's adapter, with another base. */
  async function withBase(name: string, base: string): Promise<void> {
    await json('models', 'export', 'lora', '--format', 'peft', '--out', name);
    const config = JSON.parse(await readFile(file(name, 'adapter_config.json'), 'utf8')) as object;
    await writeFile(file(name, 'adapter_config.json'), JSON.stringify({ ...config, base_model_name_or_path: base }));
  }

  it('whose base is not a folder here asks to merge it', async () => {
    await withBase('hub-peft', 'someone/model');
    const finished = await run('sample', '--model', 'hub-peft', ...ASK);
    expectFailure(
      finished,
      2,
      /hub-peft: is an adapter of someone\/model/,
      /hone models merge BASE hub-peft --out DIR/,
    );
  });

  it('that is its own base is refused', async () => {
    await withBase('circle', 'circle');
    expectFailure(await run('models', 'info', 'circle'), 3, /circle: the model is its own base/, /hone models merge/);
  });

  it('does not come out of a run that has no adapter', async () => {
    const finished = await run('models', 'export', 'warm', '--format', 'peft', '--out', 'no-peft');
    expectFailure(finished, 2, /warm: has no adapter/, /--lora/);
    expectFailure(await run('models', 'merge', 'lora', 'warm', '--out', 'no'), 2, /warm: has no adapter/, /PEFT/);
  });
});
