import { fork } from 'node:child_process';
import path from 'node:path';
import { MEMORY_CASES } from '../memory/cases.js';
import type { Footprint } from '../memory/update.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

/** Runs a case in a process of its own. @throws Error when that ends without a word. */
function footprintOf(name: string): Promise<Footprint> {
  return new Promise((resolve, reject) => {
    const child = fork(path.resolve(import.meta.dirname, '../memory/update.ts'), [name]);
    child.on('message', (message) => resolve(message as Footprint));
    child.on('error', reject);
    child.on('exit', (code, signal) => reject(new Error(`${name} ended with ${signal ?? code}`)));
  });
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  const over: string[] = [];
  const numbers: Record<string, string> = {};
  for (const [name, { limitGB }] of Object.entries(MEMORY_CASES)) {
    const { peakBytes, parameters, trainedParameters, gradNorm, skipped, seconds } = await footprintOf(name);
    const peak = peakBytes / 1e9;
    const trained = `${trainedParameters} of ${parameters} parameters trained`;
    ctx.log(`${name}: peak ${peak.toFixed(2)} GB (limit ${limitGB}), ${trained}, ${seconds.toFixed(0)} s`);
    numbers[name] = `${peak.toFixed(2)} GB of ${limitGB}`;
    if (!(peak <= limitGB) || skipped || !(gradNorm > 0)) over.push(name);
  }
  return {
    status: over.length === 0 ? 'passed' : 'failed',
    detail: `peak resident memory of one update${over.length > 0 ? `; too much, or no gradient: ${over.join(', ')}` : ''}`,
    numbers,
  };
}

const check: Check = {
  name: 'memory',
  shows:
    'peak resident memory of a process that does one update with a clipped surrogate: SmolLM2-135M at 8 x 256 tokens within 5 GB, with LoRA within 2.5 GB; a random Qwen2.5-0.5B (vocabulary 151,936) with LoRA at 4 x 512 tokens within 10 GB',
  needs: [],
  run,
};
export default check;
