import { join } from 'node:path';
import { llamaTensorShapes } from '../../src/model/index.js';
import { ggufConfig } from '../../src/model/gguf/config.js';
import { openGguf } from '../../src/model/gguf/file.js';
import { readGgufTensor } from '../../src/model/gguf/import.js';
import { readGolden, runPeer, sha256OfFloats } from '../model/peers.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

/** SHA-256 of every tensor's float32 values: under llama.cpp's and under Hugging Face's names. */
export interface GgufGolden {
  versions: Record<string, string>;
  gguf: Record<string, string>;
  transformers: Record<string, string>;
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  if (ctx.smollm2 === undefined) return { status: 'skipped', detail: 'no SmolLM2 GGUF given (--smollm2 FILE)' };
  const peer = ctx.python
    ? await liveHashes(ctx.python, ctx.smollm2, ctx.scratch)
    : await readGolden<GgufGolden>('smollm2-gguf.json');
  const file = await openGguf(ctx.smollm2);
  const config = await ggufConfig(file);
  const wrong: string[] = [];
  for (const name of file.tensors.keys())
    if (sha256OfFloats(await file.read(name)) !== peer.gguf[name]) wrong.push(name);
  const names = [...llamaTensorShapes(config).keys()];
  for (const name of names)
    if (sha256OfFloats(await readGgufTensor(file, config, name)) !== peer.transformers[name]) wrong.push(name);
  for (const name of wrong.slice(0, 5)) ctx.log(`differs: ${name}`);
  const { gguf, transformers } = peer.versions;
  return {
    status: wrong.length === 0 ? 'passed' : 'failed',
    detail:
      `${file.tensors.size} tensors bit-equal to gguf ${gguf}, ${names.length} in Hugging Face's order to ` +
      `transformers ${transformers} (${ctx.python ? 'live' : 'golden'}), ${wrong.length} different`,
    numbers: { tensors: file.tensors.size, imported: names.length, different: wrong.length },
  };
}

/** What gguf-py and transformers make of the file. */
export function liveHashes(python: string, path: string, scratch: string): Promise<GgufGolden> {
  const out = join(scratch, 'gguf-hashes.json');
  return runPeer<GgufGolden>(python, 'gguf_hashes.py', [path, out], out);
}

const check: Check = {
  name: 'gguf-dequant',
  shows: "4: the dequantised weights that the logits are compared on are gguf-py's, bit for bit",
  needs: ['smollm2'],
  run,
};
export default check;
