import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  checkAdapterFits,
  llamaTensorShapes,
  loadModelConfig,
  openSafetensors,
  readPeftAdapter,
  writePeftAdapter,
  type SafetensorsFile,
} from '../../src/model/index.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const execute = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('../peers/lora_golden.py', import.meta.url));

/** Adapters that PEFT makes: kinds of targets, scales and stored types. */
const VARIANTS: readonly (readonly [name: string, options: readonly string[]])[] = [
  ['all-linear', []],
  ['attention-bf16', ['--targets', 'q_proj,v_proj', '--dtype', 'bf16', '--rank', '3', '--alpha', '5']],
  ['rslora-f16', ['--rslora', '--dtype', 'f16', '--targets', 'down_proj,o_proj']],
];

async function run(ctx: CheckContext): Promise<CheckResult> {
  const python = ctx.python ?? '';
  let values = 0;
  for (const [name, options] of VARIANTS) {
    const folder = join(ctx.scratch, name);
    await peer(python, ['make', folder, ...options]);
    const adapter = await readPeftAdapter(join(folder, 'adapter'));
    checkAdapterFits(adapter, llamaTensorShapes(await loadModelConfig(join(folder, 'model'))), folder);
    await writePeftAdapter(join(folder, 'ours'), adapter);
    const again = ['model', 'ours', 'datums.json', 'again'].map((part) => join(folder, part));
    await peer(python, ['logits', ...again]);
    const theirs = await openSafetensors(join(folder, 'expected.safetensors'));
    const ours = await openSafetensors(join(folder, 'again', 'expected.safetensors'));
    const { differing, compared } = await compare(theirs, ours);
    if (differing !== undefined)
      return { status: 'failed', detail: `${name}: ${differing} differs once hone has rewritten the adapter` };
    ctx.log(`${name}: ${adapter.tensors.size} modules, ${compared} values equal`);
    values += compared;
  }
  const summary = JSON.parse(await readFile(join(ctx.scratch, 'all-linear', 'summary.json'), 'utf8')) as {
    versions: { peft: string };
  };
  return {
    status: 'passed',
    detail:
      `${VARIANTS.length} adapters of peft ${summary.versions.peft} read, written and loaded by it again: logits ` +
      'unmerged and merged and the gradients of every factor are equal bit for bit',
    numbers: { values },
  };
}

async function peer(python: string, args: readonly string[]): Promise<void> {
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', HF_HUB_OFFLINE: '1' };
  await execute(python, [SCRIPT, ...args], { env, maxBuffer: 64 * 1024 * 1024 });
}

/** The first tensor that differs, if any. */
async function compare(
  a: SafetensorsFile,
  b: SafetensorsFile,
): Promise<{ differing: string | undefined; compared: number }> {
  let compared = 0;
  if (a.names().join() !== b.names().join()) return { differing: 'the list of tensors', compared };
  for (const name of a.names()) {
    const [left, right] = [(await a.read(name)).data, (await b.read(name)).data];
    if (left.length !== right.length || !left.every((value, i) => Object.is(value, right[i])))
      return { differing: name, compared };
    compared += left.length;
  }
  return { differing: undefined, compared };
}

const check: Check = {
  name: 'peft-adapter',
  shows: '2: an adapter made by peft is read by hone, and the one hone writes is loaded by peft, with equal results',
  needs: ['python'],
  run,
};
export default check;
