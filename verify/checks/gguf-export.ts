import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { RandomStream } from '../../src/core/index.js';
import {
  encodeChat,
  exportGguf,
  importGguf,
  loadModelFolder,
  writeCharTokenizer,
  type GgufExportType,
} from '../../src/model/index.js';
import { CHATS, PASSAGES } from '../fidelity/texts.js';
import { localEngine } from '../local-engine.js';
import { sha256 } from '../model/peers.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const POSITIONS = 200;
/** Q8_0 makes llama.cpp round activations to 8 bits as well: near ties may fall the other way. */
const Q8_AGREEMENT = 0.95;
const FAMILIES = ['llama-biases', 'qwen2', 'qwen3'] as const;
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz 0123456789+-=?.\n';

/** What verify/peers/llama-cpp.mjs writes. */
interface PeerAnswer {
  version: string;
  release: { release?: string };
  top1: number[][];
  tokens: number[][];
}

async function askPeer(ctx: CheckContext, file: string, sequences: readonly Int32Array[], texts: readonly string[]) {
  const [request, out] = [`${file}.request.json`, `${file}.answer.json`];
  await writeFile(request, JSON.stringify({ sequences: sequences.map((tokens) => [...tokens]), texts }));
  const script = path.resolve(import.meta.dirname, '../peers/llama-cpp.mjs');
  await promisify(execFile)(process.execPath, [script, ctx.llamacpp ?? '', file, request, out]);
  return JSON.parse(await readFile(out, 'utf8')) as PeerAnswer;
}

/** hone's most probable next token after every token of every sequence. */
async function ourTop1(folder: string, sequences: readonly Int32Array[]): Promise<number[][]> {
  const engine = await localEngine();
  try {
    const model = await engine.openModel({ source: { kind: 'folder', path: folder } });
    const logits = await model.logits(sequences);
    return sequences.map((tokens, i) => topOfRows(logits[i] ?? new Float32Array(), tokens.length));
  } finally {
    await engine.close();
  }
}

function topOfRows(logits: Float32Array, rows: number): number[] {
  const width = logits.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    const values = logits.subarray(row * width, (row + 1) * width);
    return values.reduce((best, value, i) => (value > (values[best] ?? 0) ? i : best), 0);
  });
}

interface Agreement {
  positions: number;
  same: number;
  texts: number;
  sameTexts: number;
  peer: string;
}

/**
 * Exports a folder, imports the file again, and asks both engines about the same weights. The second export of the
 * imported folder must be the first file, byte for byte.
 */
async function compare(
  ctx: CheckContext,
  folder: string,
  type: GgufExportType,
  sequences: readonly Int32Array[],
  texts: readonly string[],
): Promise<Agreement> {
  const name = path.basename(folder);
  const file = path.join(ctx.scratch, `${name}-${type}.gguf`);
  await exportGguf(folder, file, { type });
  const again = path.join(ctx.scratch, `${name}-${type}`, name);
  await importGguf(file, again);
  const twice = path.join(ctx.scratch, `${name}-${type}-again.gguf`);
  await exportGguf(again, twice, { type });
  const same = type === 'q8_0' || sha256(await readFile(file)) === sha256(await readFile(twice));
  if (!same) throw new Error(`${name} ${type}: export, import, export gives another file`);
  const peer = await askPeer(ctx, file, sequences, texts);
  const ours = (await ourTop1(again, sequences)).flat();
  const theirs = peer.top1.flat();
  const { tokenizer } = await loadModelFolder(folder);
  const sameTexts = texts.filter((text, i) => tokenizer.encode(text).join() === peer.tokens[i]?.join()).length;
  const agreement = {
    positions: ours.length,
    same: ours.filter((token, i) => token === theirs[i]).length,
    texts: texts.length,
    sameTexts,
    peer: `llama.cpp ${peer.release.release ?? ''} (node-llama-cpp ${peer.version})`,
  };
  ctx.log(`${name} ${type}: top-1 ${agreement.same}/${agreement.positions}, texts ${sameTexts}/${texts.length}`);
  return agreement;
}

/** A golden checkpoint of tests/golden/model/families with a tokenizer of characters. */
async function tinyFolder(ctx: CheckContext, family: string): Promise<string> {
  const golden = path.resolve(import.meta.dirname, '../../tests/golden/model/families', family);
  const folder = path.join(ctx.scratch, family);
  await mkdir(folder, { recursive: true });
  for (const name of ['config.json', 'model.safetensors'])
    await copyFile(path.join(golden, name), path.join(folder, name));
  await writeCharTokenizer(folder, ALPHABET);
  return folder;
}

function randomSequences(seed: number): Int32Array[] {
  return [0, 1].map((index) => {
    const draws = new RandomStream(seed, 'gguf-export', index);
    return Int32Array.from({ length: POSITIONS / 2 }, () => draws.nextInt(2, ALPHABET.length + 1));
  });
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  const found: [name: string, type: GgufExportType, Agreement][] = [];
  for (const [i, family] of FAMILIES.entries()) {
    const folder = await tinyFolder(ctx, family);
    const texts = ['abc 12+34=46?\n', '  a', 'no. yes.'];
    found.push([family, 'f16', await compare(ctx, folder, 'f16', randomSequences(i), texts)]);
  }
  if (ctx.smollm2 !== undefined) {
    const folder = path.join(ctx.scratch, 'smollm2');
    await importGguf(ctx.smollm2, folder);
    const model = await loadModelFolder(folder);
    const chats = CHATS.slice(0, 2).map((chat) => encodeChat(model, chat));
    const sequences = [...chats, ...PASSAGES.slice(0, 3).map((text) => model.tokenizer.encode(text))];
    for (const type of ['f16', 'q8_0'] as const)
      found.push(['smollm2', type, await compare(ctx, folder, type, sequences, PASSAGES)]);
  }
  return verdict(found);
}

function verdict(found: readonly [name: string, type: GgufExportType, Agreement][]): CheckResult {
  const wrong = found.filter(([, type, { positions, same, texts, sameTexts }]) => {
    const enough = type === 'f16' ? same === positions : same >= Q8_AGREEMENT * positions;
    return !enough || positions < POSITIONS || sameTexts !== texts;
  });
  const parts = found.map(([name, type, { same, positions }]) => `${name} ${type} ${same}/${positions}`);
  const smollm2 = found.some(([name]) => name === 'smollm2') ? '' : '; SmolLM2 not shown (--smollm2 FILE)';
  return {
    status: wrong.length === 0 ? 'passed' : 'failed',
    detail: `${found[0]?.[2].peer ?? ''} reads the exported files; equal top-1: ${parts.join(', ')}${smollm2}`,
    numbers: { files: found.length, failed: wrong.length },
  };
}

const check: Check = {
  name: 'gguf-export',
  shows: '1: exported GGUF files read by llama.cpp give the same tokens and the same top-1 over >= 200 positions',
  needs: ['llamacpp'],
  run,
};
export default check;
