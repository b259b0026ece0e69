import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { RandomStream } from '../../src/core/index.js';
import type { Datum } from '../../src/engine/index.js';
import { openSafetensors, VALUE_HEAD, writeSafetensors } from '../../src/model/index.js';
import { valueLoss } from '../../src/rl/index.js';
import { relativeNorm, TINY_SHAPES, tinyConfig, tinyData, writeDatums } from '../fidelity/tiny.js';
import { localEngine } from '../local-engine.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const LIMITS = { values: 1e-4, gradient: 1e-4 } as const;

/** Random returns and old values in the place of advantages and logprobs. */
function criticData(seed: number, name: string): Datum[] {
  return tinyData(seed, name).map((datum, i) => {
    const random = new RandomStream(seed, 'critic', name, i);
    const draws = (): Float32Array => datum.vectors['weight']!.map(() => random.nextNormal());
    return { ...datum, vectors: { weight: datum.vectors['weight']!, return: draws(), oldValue: draws() } };
  });
}

async function peer(ctx: CheckContext, folder: string, data: Datum[]): Promise<string> {
  const out = path.join(folder, 'peer');
  const script = path.resolve(import.meta.dirname, '../peers/reference_critic.py');
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', HF_HUB_OFFLINE: '1' };
  const args = [script, folder, await writeDatums(folder, data), '--out', out, '--steps', '1'];
  await promisify(execFile)(ctx.python as string, args, { env });
  return out;
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  // Fresh models at every run; the seed is printed, so that a failure can be repeated.
  const seed = Date.now() % 2 ** 31;
  ctx.log(`seed ${seed}`);
  const engine = await localEngine({ threads: 1 });
  const worst = { values: 0, gradient: 0 };
  for (const [i, shape] of TINY_SHAPES.entries()) {
    const folder = path.join(ctx.scratch, String(i));
    const source = { kind: 'random' as const, config: tinyConfig(shape), seed: seed + i, initStd: 0.1 };
    const fresh = await engine.openModel({ source, role: 'critic' });
    await fresh.export(folder);
    const tensors = await fresh.tensors('weights');
    const random = new RandomStream(seed, 'head', i);
    tensors.get(VALUE_HEAD)!.data.forEach((_, j, head) => (head[j] = 0.3 * random.nextNormal()));
    await writeSafetensors(path.join(folder, 'model.safetensors'), [...tensors]);
    const critic = await engine.openModel({ source: { kind: 'folder', path: folder }, role: 'critic' });
    const data = criticData(seed, shape.name);
    const theirs = await peer(ctx, folder, data);
    const { outputs } = await critic.forwardBackward(data, valueLoss(0.2));
    const values = await openSafetensors(path.join(theirs, 'outputs.safetensors'));
    for (const [j, row] of (outputs.values ?? []).entries()) {
      const wanted = (await values.read(`values.${j}`)).data;
      row.forEach((v, t) => (worst.values = Math.max(worst.values, Math.abs(v - (wanted[t] as number)))));
    }
    const gradients = await openSafetensors(path.join(theirs, 'gradients.safetensors'));
    for (const [name, { data: ours }] of await critic.tensors('gradients'))
      worst.gradient = Math.max(worst.gradient, relativeNorm(ours, (await gradients.read(name)).data));
    ctx.log(`${shape.name}: ${JSON.stringify(worst)}`);
    for (const each of [fresh, critic]) await each.dispose();
  }
  await engine.close();
  const holds = worst.values <= LIMITS.values && worst.gradient <= LIMITS.gradient;
  return {
    status: holds ? 'passed' : 'failed',
    detail: `${TINY_SHAPES.length} fresh random critics, exported and opened by transformers`,
    numbers: { seed, values: worst.values.toExponential(2), gradient: worst.gradient.toExponential(2) },
  };
}

const check: Check = {
  name: 'critic',
  shows:
    'a critic that hone exports opens in transformers as a token classifier of one label, with equal values (<= 1e-4) and gradients of the clipped value loss (<= 1e-4)',
  needs: ['python'],
  run,
};
export default check;
