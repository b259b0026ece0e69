import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { LocalEngine, LocalModel } from '../../src/engine/local/index.js';
import { openSafetensors } from '../../src/model/index.js';
import {
  ADAPTER_LIMIT,
  adapterAgrees,
  adapterData,
  compareAdapter,
  modelsDifference,
  trainAdapter,
} from '../fidelity/adapters.js';
import { logitsDifference } from '../fidelity/families.js';
import { localEngine } from '../local-engine.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

/** Models and adapters that PEFT makes: families with and without biases, kinds of targets, scales, stored types. */
const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  'llama-all': [],
  'llama-attention-bf16': ['--targets', 'q_proj,v_proj', '--dtype', 'bf16', '--rank', '3', '--alpha', '5'],
  'llama-biases-mlp': ['--family', 'llama-biases', '--targets', 'gate_proj,up_proj,down_proj', '--rank', '2'],
  'qwen2-all': ['--family', 'qwen2', '--rank', '8'],
  'qwen2.5-tied-rslora-f16': ['--family', 'qwen2.5-tied', '--rslora', '--dtype', 'f16', '--targets', 'k_proj,o_proj'],
  'qwen3-all': ['--family', 'qwen3'],
  'smollm3-all': ['--family', 'smollm3'],
};

/** Has the peer do all of these in one process: most of its time goes into starting. */
async function peer(ctx: CheckContext, jobs: readonly (readonly string[])[]): Promise<void> {
  const script = path.resolve(import.meta.dirname, '../peers/lora_golden.py');
  const list = path.join(ctx.scratch, 'jobs.json');
  await writeFile(list, JSON.stringify(jobs));
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', HF_HUB_OFFLINE: '1' };
  await promisify(execFile)(ctx.python as string, [script, 'all', list], { env, maxBuffer: 64 * 1024 * 1024 });
}

/** An adapter after hone's training, and the folder it was written to. */
interface Trained {
  model: LocalModel;
  folder: string;
  adapter: string;
}

/** As PEFT has it, and as hone has it when it opens its own file again; `moved`: by how much training changed logits. */
async function trainedDifference(engine: LocalEngine, { model, folder, adapter }: Trained) {
  const data = await adapterData(folder);
  const theirs = await openSafetensors(path.join(folder, 'again', 'expected.safetensors'));
  const before = await openSafetensors(path.join(folder, 'expected.safetensors'));
  const source = { kind: 'folder', path: path.join(folder, 'model') } as const;
  const reopened = await engine.openModel({ source, adapter: { kind: 'folder', path: adapter } });
  const found = {
    trained: await logitsDifference(model, data, theirs, 'unmerged'),
    reopened: await modelsDifference(model, reopened, data),
    moved: await logitsDifference(model, data, before, 'unmerged'),
  };
  for (const each of [model, reopened]) await each.dispose();
  return found;
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  // Fresh models at every run; the seed is printed, so that a failure can be repeated.
  const seed = Date.now() % 2 ** 31;
  ctx.log(`seed ${seed}`);
  const folders = Object.fromEntries(Object.keys(VARIANTS).map((name) => [name, path.join(ctx.scratch, name)]));
  const entries = Object.entries(folders);
  await peer(
    ctx,
    entries.map(([name, folder]) => ['make', folder, '--seed', String(seed), ...(VARIANTS[name] ?? [])]),
  );
  const engine = await localEngine({ threads: 1 });
  const trained: Trained[] = [];
  for (const [, folder] of entries) {
    const adapter = path.join(folder, 'ours');
    trained.push({ model: await trainAdapter(engine, folder, adapter), folder, adapter });
  }
  await peer(
    ctx,
    trained.map(({ folder, adapter }) =>
      ['logits', path.join(folder, 'model'), adapter].concat(
        path.join(folder, 'datums.json'),
        path.join(folder, 'again'),
      ),
    ),
  );
  const wrong: string[] = [];
  const worst: Record<string, number> = {};
  for (const each of trained) {
    const name = path.basename(each.folder);
    const given = await compareAdapter(engine, each.folder);
    const { moved, ...own } = await trainedDifference(engine, each);
    const found = { ...given, ...own };
    ctx.log(`${name}: ${JSON.stringify({ ...found, moved })}`);
    const trainedAgrees = own.trained <= ADAPTER_LIMIT && own.reopened === 0 && moved > 100 * ADAPTER_LIMIT;
    if (!adapterAgrees(given) || !trainedAgrees) wrong.push(name);
    for (const [key, value] of Object.entries(found)) worst[key] = Math.max(worst[key] ?? 0, value);
  }
  await engine.close();
  return {
    status: wrong.length === 0 ? 'passed' : 'failed',
    detail:
      `${trained.length} models and adapters of peft ${await peftVersion(folders['llama-all'] as string)}` +
      (wrong.length > 0 ? `; different: ${wrong.join(', ')}` : ''),
    numbers: { seed, ...Object.fromEntries(Object.entries(worst).map(([name, value]) => [name, short(value)])) },
  };
}

const short = (value: number): number | string => (value === 0 ? 0 : value.toExponential(2));

async function peftVersion(folder: string): Promise<string> {
  const summary = JSON.parse(await readFile(path.join(folder, 'summary.json'), 'utf8')) as {
    versions: { peft: string };
  };
  return summary.versions.peft;
}

const check: Check = {
  name: 'lora',
  shows:
    'adapters of peft on Llama, Qwen2, Qwen3 and SmolLM3 (with and without biases): logits, merged logits and every gradient of A and B within 1e-4; those that hone trains load in peft with the same logits',
  needs: ['python'],
  run,
};
export default check;
