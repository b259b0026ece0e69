import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { PARITY_PROGRAMS, parityOf, partName } from '../../tests/support/rl-parity.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const execute = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('../peers/make_rl_parity.py', import.meta.url));
const TOLERANCE = 1e-5;

/** Golden numbers made anew by every program on the Python path, and the largest difference of each part. */
async function run(ctx: CheckContext): Promise<CheckResult> {
  const { stderr } = await execute(ctx.python ?? '', [SCRIPT, ctx.scratch], {
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', HF_HUB_OFFLINE: '1' },
    maxBuffer: 64 * 1024 * 1024,
  });
  ctx.log(stderr.trim());
  const present = PARITY_PROGRAMS.filter((program) => existsSync(join(ctx.scratch, `${program}.json`)));
  const missing = PARITY_PROGRAMS.filter((program) => !present.includes(program));
  if (present.length === 0)
    return {
      status: 'skipped',
      detail: 'none of verl, OpenRLHF, NeMo-RL and TRL is on the Python path: put source checkouts in PYTHONPATH',
    };
  const largest = new Map<string, number>();
  const versions: string[] = [];
  for (const program of present) {
    const { golden, rows } = await parityOf(program, pathToFileURL(`${ctx.scratch}/`));
    versions.push(`${golden.program} ${golden.version}${golden.commit ? ` (${golden.commit.slice(0, 7)})` : ''}`);
    for (const { case: parityCase, difference } of rows) {
      const name = `${partName(parityCase)} | ${golden.program} \`${parityCase.function}\``;
      largest.set(name, Math.max(largest.get(name) ?? 0, difference));
    }
  }
  for (const [name, difference] of largest) ctx.log(`${name} | ${difference.toExponential(1)}`);
  const worst = Math.max(...largest.values());
  const without = missing.length > 0 ? `; not on the Python path: ${missing.join(', ')}` : '';
  return {
    status: worst < TOLERANCE ? 'passed' : 'failed',
    detail: `${largest.size} parts against ${versions.join(', ')}: ${worst.toExponential(1)} at worst${without}`,
    numbers: { parts: largest.size, worst },
  };
}

const check: Check = {
  name: 'rl-parity',
  shows: 'advantages, losses and aggregations equal verl, OpenRLHF, NeMo-RL and TRL to 1e-5, values and gradients',
  needs: ['python'],
  run,
};

export default check;
