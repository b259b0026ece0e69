/**
 * Makes the golden files of the model room with Python's libraries:
 *   npx tsx verify/model/make-goldens.ts PYTHON SMOLLM2.gguf QWEN_FOLDER
 * PYTHON needs torch, transformers, tokenizers, gguf, accelerate, jinja2, tiktoken. QWEN_FOLDER is what
 * verify/peers/make_qwen_tokenizer.py makes. The tiny Llamas and the quantised blocks
 * have scripts of their own (verify/peers/make_tiny_goldens.py, make_quant_golden.py).
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { liveHashes } from '../checks/gguf-dequant.js';
import { liveDigests as templateDigests } from '../checks/model-template.js';
import { liveDigests as tokenizerDigests, realTokenizers } from '../checks/model-tokenizer.js';
import { runPeer } from './peers.js';
import { TINY_STRINGS, variedStrings } from './strings.js';
import { templateCases } from './templates.js';

const golden = fileURLToPath(new URL('../../tests/golden/model/', import.meta.url));

async function makeGoldens(python: string, smollm2: string, qwen: string, scratch: string): Promise<void> {
  const write = (name: string, value: object) =>
    writeFile(join(golden, name), JSON.stringify({ made_by: 'verify/model/make-goldens.ts', ...value }) + '\n');

  await write('templates.json', await templateDigests(python, scratch, templateCases()));
  for (const real of await realTokenizers({ smollm2, qwen, scratch }))
    if (real.name !== 'qwenThroughGguf') await write(real.golden, await tokenizerDigests(python, scratch, real));
  await write('smollm2-gguf.json', await liveHashes(python, smollm2, scratch));

  const [input, out] = [join(scratch, 'tiny-strings.json'), join(golden, 'tiny-tokenizers')];
  await writeFile(input, JSON.stringify(variedStrings(TINY_STRINGS.seed, TINY_STRINGS.count)));
  await runPeer(python, 'make_tiny_tokenizers.py', [input, out], join(out, 'golden.json'));
}

const [python, smollm2, qwen] = process.argv.slice(2);
if (python === undefined || smollm2 === undefined || qwen === undefined)
  throw new Error('usage: make-goldens.ts PYTHON SMOLLM2.gguf QWEN_FOLDER');
const scratch = await mkdtemp(join(tmpdir(), 'hone-goldens-'));
await makeGoldens(python, smollm2, qwen, scratch).finally(() => rm(scratch, { recursive: true }));
