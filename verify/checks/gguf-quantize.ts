import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { exportGguf, importGguf } from '../../src/model/index.js';
import { runPeer } from '../model/peers.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

/** What verify/peers/gguf_quantize.py writes. */
interface Comparison {
  version: string;
  tensors: number;
  different: string[];
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  const folder = path.join(ctx.scratch, 'smollm2');
  await importGguf(ctx.smollm2 ?? '', folder);
  const compared: string[] = [];
  let different = 0;
  for (const type of ['f32', 'f16', 'q8_0'] as const) {
    const file = path.join(ctx.scratch, `${type}.gguf`);
    await exportGguf(folder, file, { type });
    const out = `${file}.json`;
    const found = await runPeer<Comparison>(ctx.python ?? '', 'gguf_quantize.py', [folder, file, out], out);
    for (const name of found.different.slice(0, 5)) ctx.log(`${type}: ${name} differs`);
    different += found.different.length;
    compared.push(`${type}: ${found.tensors} tensors (gguf ${found.version})`);
  }
  // The importer reads back what was written: the weights, bit for bit, and the same files around them.
  const again = path.join(ctx.scratch, 'again');
  await importGguf(path.join(ctx.scratch, 'f32.gguf'), again);
  const changed: string[] = [];
  for (const name of ['model.safetensors', 'config.json', 'tokenizer.json', 'tokenizer_config.json'])
    if (!(await readFile(path.join(folder, name))).equals(await readFile(path.join(again, name)))) changed.push(name);
  return {
    status: different === 0 && changed.length === 0 ? 'passed' : 'failed',
    detail: `stored bytes against gguf-py: ${compared.join(', ')}; ${different} different; ${
      changed.length === 0 ? 'import, export, import gives the same files' : `round trip changes ${changed.join(', ')}`
    }`,
    numbers: { different, changed: changed.length },
  };
}

const check: Check = {
  name: 'gguf-quantize',
  shows:
    '1: exported GGUF tensors equal gguf-py bit for bit, and import -> export -> import of SmolLM2 changes no byte',
  needs: ['smollm2', 'python'],
  run,
};
export default check;
