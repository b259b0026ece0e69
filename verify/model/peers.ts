import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createChatTemplate, type Tokenizer } from '../../src/model/index.js';
import { openGguf, type GgufFile } from '../../src/model/gguf/file.js';
import { ggufTokenizerFiles } from '../../src/model/gguf/tokenizer.js';
import type { TemplateCase } from './templates.js';

const run = promisify(execFile);

/** Runs a script of verify/peers and returns the JSON it wrote to its last argument. */
export async function runPeer<T>(python: string, script: string, args: readonly string[], out: string): Promise<T> {
  const path = fileURLToPath(new URL(`../peers/${script}`, import.meta.url));
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', HF_HUB_OFFLINE: '1' };
  await run(python, [path, ...args], { env, maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(await readFile(out, 'utf8')) as T;
}

/** A committed golden file of the model room. */
export async function readGolden<T>(name: string): Promise<T> {
  const path = new URL(`../../tests/golden/model/${name}`, import.meta.url);
  return JSON.parse(await readFile(path, 'utf8')) as T;
}

export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Hash of float32 values as little-endian bytes. */
export function sha256OfFloats(values: Float32Array): string {
  return sha256(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

/** The digest of verify/peers/tokenizer_ids.py: ids, text without and text with special tokens. */
export function tokenizerDigest(tokenizer: Tokenizer, text: string): string {
  const ids = tokenizer.encode(text);
  const decoded = [true, false].map((skipSpecial) => tokenizer.decode(ids, { skipSpecial }));
  return sha256([ids.join(' '), ...decoded].join('\n')).slice(0, 12);
}

/** What hone renders for a case; null where the template raises an error. */
export function renderCase(example: TemplateCase): string | null {
  const tokens = { bos: example.bos, eos: example.eos, pad: example.pad, unk: undefined };
  const options = { addGenerationPrompt: example.addGenerationPrompt };
  try {
    return createChatTemplate(example.template, tokens, 'template').render(example.messages, options);
  } catch {
    return null;
  }
}

/** Short hash of a rendering, for the golden file. */
export function renderDigest(rendered: string | null): string {
  return rendered === null ? 'error' : sha256(rendered).slice(0, 12);
}

/** Writes the tokenizer that hone rebuilds from a GGUF file into a folder, without the weights. */
export async function writeGgufTokenizer(path: string, folder: string): Promise<GgufFile> {
  const file = await openGguf(path);
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(ggufTokenizerFiles(file)))
    await writeFile(join(folder, name), JSON.stringify(content));
  return file;
}

/** Indices at which two lists differ. */
export function differences<T>(ours: readonly T[], theirs: readonly T[]): number[] {
  const length = Math.max(ours.length, theirs.length);
  return Array.from({ length }, (_, i) => i).filter((i) => ours[i] !== theirs[i]);
}
