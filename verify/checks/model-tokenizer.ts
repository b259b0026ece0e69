import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadTokenizer } from '../../src/model/index.js';
import { differences, readGolden, runPeer, tokenizerDigest, writeGgufTokenizer } from '../model/peers.js';
import { SMOLLM2_STRINGS, variedStrings } from '../model/strings.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

export interface TokenizerGolden {
  versions: Record<string, string>;
  digests: string[];
  gguf?: { equal: number; different: number };
}

/** The tokenizer rebuilt from the GGUF, against the golden file and, with Python at hand, against tokenizers itself. */
async function run(ctx: CheckContext): Promise<CheckResult> {
  if (ctx.smollm2 === undefined) return { status: 'skipped', detail: 'no SmolLM2 GGUF given (--smollm2 FILE)' };
  const folder = join(ctx.scratch, 'smollm2-tokenizer');
  await writeGgufTokenizer(ctx.smollm2, folder);
  const tokenizer = await loadTokenizer(folder);
  const strings = variedStrings(SMOLLM2_STRINGS.seed, SMOLLM2_STRINGS.count);
  const ours = strings.map((text) => tokenizerDigest(tokenizer, text));
  const golden = await readGolden<TokenizerGolden>('smollm2-tokenizer.json');
  const peers: [string, TokenizerGolden][] = [['golden', golden]];
  if (ctx.python !== undefined) peers.push(['live', await liveDigests(ctx.python, ctx.smollm2, folder, strings)]);
  const wrong = peers.flatMap(([name, peer]) => differences(ours, peer.digests).map((i) => ({ name, i })));
  for (const { name, i } of wrong.slice(0, 5)) ctx.log(`differs from ${name}: ${JSON.stringify(strings[i])}`);
  const versions = peers.map(([name, peer]) => `${name} tokenizers ${peer.versions['tokenizers']}`).join(', ');
  return {
    status: wrong.length === 0 ? 'passed' : 'failed',
    detail: `ids and decoded text of ${strings.length} strings, ${wrong.length} different (${versions})`,
    numbers: { strings: strings.length, different: wrong.length, ...conversion(peers) },
  };
}

/** How far transformers' own conversion of the GGUF agrees; it ignores the file's pre-tokenizer, so this only informs. */
function conversion(peers: readonly [string, TokenizerGolden][]): Record<string, number> {
  const counts = peers.at(-1)?.[1].gguf;
  return counts ? { transformersGgufEqual: counts.equal, transformersGgufDifferent: counts.different } : {};
}

/** What Python's tokenizers makes of the same tokenizer.json and strings. */
export async function liveDigests(
  python: string,
  gguf: string,
  folder: string,
  strings: readonly string[],
): Promise<TokenizerGolden> {
  const [input, out] = [join(folder, 'strings.json'), join(folder, 'ids.json')];
  await writeFile(input, JSON.stringify(strings));
  const args = [join(folder, 'tokenizer.json'), input, out, '--gguf', gguf];
  return runPeer<TokenizerGolden>(python, 'tokenizer_ids.py', args, out);
}

const check: Check = {
  name: 'model-tokenizer',
  shows: '4: tokenizer output equal to tokenizers on >= 1,000 varied strings',
  needs: ['smollm2'],
  run,
};
export default check;
