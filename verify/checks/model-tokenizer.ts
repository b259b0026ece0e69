import { writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadTokenizer } from '../../src/model/index.js';
import { ggufTokenizerMetadata } from '../../src/model/gguf/export-tokenizer.js';
import { writeGguf } from '../../src/model/gguf/writer.js';
import { differences, readGolden, runPeer, tokenizerDigest, writeGgufTokenizer } from '../model/peers.js';
import { SMOLLM2_STRINGS, variedStrings } from '../model/strings.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

interface Counts {
  equal: number;
  different: number;
}

export interface TokenizerGolden {
  versions: Record<string, string>;
  digests: string[];
  gguf?: Counts;
  tiktoken?: Counts;
}

/** A tokenizer in a folder, the golden file of its ids, and what else Python is to hold against it. */
export interface RealTokenizer {
  name: 'smollm2' | 'qwen' | 'qwenThroughGguf';
  folder: string;
  golden: string;
  /** Arguments of tokenizer_ids.py. */
  peers: string[];
}

/** The tokenizers whose files were given: SmolLM2's rebuilt from the GGUF, Qwen's as its folder has it and rebuilt. */
export async function realTokenizers({
  smollm2,
  qwen,
  scratch,
}: Pick<CheckContext, 'smollm2' | 'qwen' | 'scratch'>): Promise<RealTokenizer[]> {
  const found: RealTokenizer[] = [];
  if (smollm2 !== undefined) {
    const folder = join(scratch, 'smollm2-tokenizer');
    await writeGgufTokenizer(smollm2, folder);
    found.push({ name: 'smollm2', folder, golden: 'smollm2-tokenizer.json', peers: ['--gguf', smollm2] });
  }
  if (qwen !== undefined) {
    const ranks = join(qwen, 'qwen.tiktoken');
    const peers = existsSync(ranks) ? ['--tiktoken', ranks] : [];
    const real: RealTokenizer = { name: 'qwen', folder: qwen, golden: 'qwen-tokenizer.json', peers };
    const rebuilt = { ...real, name: 'qwenThroughGguf', folder: await throughGguf(scratch, real) } as const;
    found.push(real, rebuilt);
  }
  return found;
}

/** Tokens of Qwen's embedding. */
const QWEN_ROWS = 151_936;

/** The tokenizer of a folder after a detour through the metadata of a GGUF file. */
async function throughGguf(scratch: string, { name, folder }: RealTokenizer): Promise<string> {
  const [file, out] = [join(scratch, `${name}-vocabulary.gguf`), join(scratch, `${name}-from-gguf`)];
  const model = [
    ['general.architecture', { string: 'qwen3' }],
    ['qwen3.context_length', { u32: 4096 }],
  ] as const;
  await writeGguf(file, new Map([...model, ...(await ggufTokenizerMetadata(folder, QWEN_ROWS))]), []);
  await writeGgufTokenizer(file, out);
  return out;
}

export const REAL_STRINGS = variedStrings(SMOLLM2_STRINGS.seed, SMOLLM2_STRINGS.count);

/** One tokenizer against the golden file and, with Python at hand, against tokenizers itself and tiktoken. */
async function compare(ctx: CheckContext, real: RealTokenizer) {
  const tokenizer = await loadTokenizer(real.folder);
  const ours = REAL_STRINGS.map((text) => tokenizerDigest(tokenizer, text));
  const golden = await readGolden<TokenizerGolden>(real.golden);
  const peers: [string, TokenizerGolden][] = [['golden', golden]];
  if (ctx.python !== undefined) peers.push(['live', await liveDigests(ctx.python, ctx.scratch, real)]);
  const wrong = peers.flatMap(([name, peer]) => differences(ours, peer.digests).map((i) => ({ name, i })));
  for (const { name, i } of wrong.slice(0, 5))
    ctx.log(`${real.name} differs from ${name}: ${JSON.stringify(REAL_STRINGS[i])}`);
  const last = peers.at(-1)?.[1];
  const versions = peers.map(([name, peer]) => `${name} tokenizers ${peer.versions['tokenizers']}`).join(', ');
  const numbers: Record<string, number> = { [`${real.name}Different`]: wrong.length };
  // transformers' conversion ignores the GGUF's pre-tokenizer, so it only informs; tiktoken has to agree.
  if (last?.gguf) numbers[`${real.name}DifferentInTransformersGguf`] = last.gguf.different;
  if (last?.tiktoken) numbers[`${real.name}DifferentInTiktoken`] = last.tiktoken.different;
  return { equal: wrong.length === 0 && (last?.tiktoken?.different ?? 0) === 0, versions, numbers };
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  const tokenizers = await realTokenizers(ctx);
  if (tokenizers.length === 0)
    return { status: 'skipped', detail: 'no tokenizer given (--smollm2 FILE, --qwen DIR): none was compared' };
  const found = [];
  for (const real of tokenizers) found.push(await compare(ctx, real));
  const missing = ['smollm2', 'qwen'].filter((name) => !tokenizers.some((real) => real.name === name));
  const note = missing.length > 0 ? `; not compared: ${missing.join(', ')}` : '';
  return {
    status: found.every(({ equal }) => equal) ? 'passed' : 'failed',
    detail: `ids and decoded text of ${REAL_STRINGS.length} strings by ${tokenizers.map(({ name }) => name).join(', ')} (${found[0]?.versions})${note}`,
    numbers: Object.assign({ strings: REAL_STRINGS.length }, ...found.map(({ numbers }) => numbers)) as Record<
      string,
      number
    >,
  };
}

/** What Python makes of the same tokenizer.json and strings. */
export async function liveDigests(python: string, scratch: string, real: RealTokenizer): Promise<TokenizerGolden> {
  const [input, out] = [join(scratch, `${real.name}-strings.json`), join(scratch, `${real.name}-ids.json`)];
  await writeFile(input, JSON.stringify(REAL_STRINGS));
  const args = [join(real.folder, 'tokenizer.json'), input, out, ...real.peers];
  return runPeer<TokenizerGolden>(python, 'tokenizer_ids.py', args, out);
}

const check: Check = {
  name: 'model-tokenizer',
  shows: "SmolLM2's and Qwen's tokenizers: ids and text equal to tokenizers' on >= 1,000 varied strings",
  needs: [],
  run,
};
export default check;
