import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { exportModel } from '../../src/model/index.js';
import { agrees, compareFamily } from '../fidelity/families.js';
import { localEngine } from '../local-engine.js';
import { runPeer } from '../model/peers.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

/** Fresh checkpoints, made and run by transformers. */
async function peer(ctx: CheckContext, out: string, seed: number): Promise<void> {
  const script = path.resolve(import.meta.dirname, '../peers/families.py');
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', HF_HUB_OFFLINE: '1' };
  await promisify(execFile)(ctx.python as string, [script, out, '--seed', String(seed)], { env });
}

interface Exported {
  maxDifference: number;
  oddTensors: string[];
}

/** What transformers makes of the folders that hone writes, by name. */
async function exported(ctx: CheckContext, root: string, names: string[]): Promise<Record<string, Exported>> {
  const after = path.join(ctx.scratch, 'exported');
  for (const name of names) await exportModel(path.join(root, name), path.join(after, name));
  const out = path.join(ctx.scratch, 'exported.json');
  return runPeer(ctx.python as string, 'compare_folders.py', [root, after, out], out);
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  // Fresh models at every run; the seed is printed, so that a failure can be repeated.
  const seed = Date.now() % 2 ** 31;
  ctx.log(`seed ${seed}`);
  const root = path.join(ctx.scratch, 'families');
  await peer(ctx, root, seed);
  const engine = await localEngine({ threads: 1 });
  const names = (await readdir(root)).sort();
  const wrong: string[] = [];
  const worst = { logits: 0, gradients: 0 };
  let greedyTokens = 0;
  for (const name of names) {
    const found = await compareFamily(engine, path.join(root, name));
    ctx.log(`${name}: ${JSON.stringify(found)}`);
    if (!agrees(found)) wrong.push(name);
    worst.logits = Math.max(worst.logits, found.logits);
    worst.gradients = Math.max(worst.gradients, found.gradients);
    greedyTokens += found.greedyEqual;
  }
  await engine.close();
  const written = await exported(ctx, root, names);
  const damaged = names.filter((name) => written[name]?.maxDifference !== 0 || written[name].oddTensors.length > 0);
  for (const name of damaged) ctx.log(`${name} after export: ${JSON.stringify(written[name])}`);
  wrong.push(...damaged.map((name) => `${name} (exported)`));
  return {
    status: wrong.length === 0 && names.length > 0 ? 'passed' : 'failed',
    detail: `${names.join(', ')} against transformers${wrong.length > 0 ? `; different: ${wrong.join(', ')}` : ''}`,
    numbers: {
      models: names.length,
      seed,
      logits: worst.logits.toExponential(2),
      gradients: worst.gradients.toExponential(2),
      greedyTokensEqual: greedyTokens,
    },
  };
}

const check: Check = {
  name: 'fidelity-families',
  shows:
    'tiny random Llama (llama3 scaling, biases), SmolLM2, Qwen2, Qwen3 and SmolLM3 checkpoints of transformers: logits <= 1e-4, gradients of an SFT step <= 1e-4, greedy continuations of a ragged batch equal over 64 tokens; exported again, transformers gives the same logits',
  needs: ['python'],
  run,
};
export default check;
