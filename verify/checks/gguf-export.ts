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
import { crossEntropy } from '../../src/sft/index.js';
import { CHATS, PASSAGES } from '../fidelity/texts.js';
import { localEngine } from '../local-engine.js';
import { sha256 } from '../model/peers.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const POSITIONS = 200;
/**
 * With F16 weights llama.cpp rounds activations to halves as well. The tiny models are trained until their first choices lead
 * by far more than that, so for them and for SmolLM2 the choices have to be equal. With Q8_0 it rounds activations to 8 bits, and near ties
 * may fall the other way: by how much hone's logit of its own choice may be above that of llama.cpp's.
 */
const MARGINS: Readonly<Record<GgufExportType, number>> = { f32: 0, f16: 0, q8_0: 0.5 };
const TRAINING = { updates: 150, lr: 0.01 } as const;
/** What a trained model's first choice leads the second by, in logits, at every position. */
const LEAD = 0.5;
const SMOLLM2 = 'smollm2';
const TYPES = ['f32', 'f16', 'q8_0'] as const;
/** Llama 3.2's scaling: what a GGUF file holds of one is recognised by the published settings. */
const PUBLISHED = {
  factor: 32,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
} as const;
/** Golden checkpoints of tests/golden/model/families, and what is changed in their config.json. */
const TINY: readonly (readonly [name: string, golden: string, change: Record<string, unknown>])[] = [
  ['llama-biases', 'llama-biases', {}],
  ['llama3-scaling', 'llama-biases', { rope_parameters: { ...PUBLISHED, rope_type: 'llama3', rope_theta: 500000 } }],
  ['qwen2', 'qwen2', {}],
  ['qwen3', 'qwen3', {}],
];
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

/** hone's logits of the next token after every token of every sequence, [V] each. */
async function ourLogits(folder: string, sequences: readonly Int32Array[]): Promise<Float32Array[]> {
  const engine = await localEngine();
  try {
    const model = await engine.openModel({ source: { kind: 'folder', path: folder } });
    const logits = await model.logits(sequences);
    return sequences.flatMap((tokens, i) => rowsOf(logits[i] ?? new Float32Array(), tokens.length));
  } finally {
    await engine.close();
  }
}

function rowsOf(logits: Float32Array, rows: number): Float32Array[] {
  const width = logits.length / rows;
  return Array.from({ length: rows }, (_, row) => logits.subarray(row * width, (row + 1) * width));
}

/** By how much the largest logit leads the next. */
function leadOf(logits: Float32Array): number {
  const [first, second] = [...logits].sort((a, b) => b - a);
  return (first ?? NaN) - (second ?? NaN);
}

/** How far the logit of `token` is below the largest. */
function shortfall(logits: Float32Array, token: number): number {
  return logits.reduce((most, value) => Math.max(most, value), -Infinity) - (logits[token] ?? -Infinity);
}

interface Agreement {
  positions: number;
  same: number;
  /** The largest by which hone prefers its own choice to llama.cpp's. */
  margin: number;
  /** The least by which hone's first choice leads its second. */
  lead: number;
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
  const same = sha256(await readFile(file)) === sha256(await readFile(twice));
  if (!same) throw new Error(`${name} ${type}: export, import, export gives another file`);
  const peer = await askPeer(ctx, file, sequences, texts);
  const ours = await ourLogits(again, sequences);
  const theirs = peer.top1.flat();
  const margins = ours.map((logits, i) => shortfall(logits, theirs[i] ?? -1));
  const { tokenizer } = await loadModelFolder(folder);
  const sameTexts = texts.filter((text, i) => tokenizer.encode(text).join() === peer.tokens[i]?.join()).length;
  const agreement = {
    positions: ours.length,
    same: margins.filter((margin) => margin === 0).length,
    margin: Math.max(...margins),
    lead: Math.min(...ours.map(leadOf)),
    texts: texts.length,
    sameTexts,
    peer: `llama.cpp ${peer.release.release ?? ''} (node-llama-cpp ${peer.version})`,
  };
  ctx.log(
    `${name} ${type}: top-1 ${agreement.same}/${agreement.positions} (margin ${agreement.margin.toFixed(4)}, least lead ${agreement.lead.toFixed(4)}), ` +
      `texts ${sameTexts}/${texts.length}`,
  );
  return agreement;
}

/**
 * A golden checkpoint with a changed configuration and a tokenizer of characters, trained to continue the sequences: the
 * first choices of random weights would be ties that any rounding decides.
 */
async function tinyFolder(
  ctx: CheckContext,
  [name, golden, change]: (typeof TINY)[number],
  sequences: readonly Int32Array[],
): Promise<string> {
  const source = path.resolve(import.meta.dirname, '../../tests/golden/model/families', golden);
  const start = path.join(ctx.scratch, `${name}-start`);
  await mkdir(start, { recursive: true });
  await copyFile(path.join(source, 'model.safetensors'), path.join(start, 'model.safetensors'));
  const config = JSON.parse(await readFile(path.join(source, 'config.json'), 'utf8')) as Record<string, unknown>;
  await writeFile(path.join(start, 'config.json'), JSON.stringify({ ...config, ...change }));
  const folder = path.join(ctx.scratch, name);
  await trained(start, folder, sequences);
  await writeCharTokenizer(folder, ALPHABET);
  return folder;
}

async function trained(start: string, folder: string, sequences: readonly Int32Array[]): Promise<void> {
  const engine = await localEngine();
  try {
    const model = await engine.openModel({ source: { kind: 'folder', path: start } });
    const data = sequences.map((tokens) => ({
      input: tokens.slice(0, -1),
      target: tokens.slice(1),
      vectors: { weight: new Float32Array(tokens.length - 1).fill(1 / POSITIONS) },
    }));
    const step = { lr: TRAINING.lr, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradClipNorm: 1 };
    for (let update = 0; update < TRAINING.updates; update++) {
      await model.forwardBackward(data, crossEntropy);
      await model.optimStep(step);
    }
    await model.export(folder);
  } finally {
    await engine.close();
  }
}

/** Two walks through one cycle of all characters: every token has one next, which a tiny model learns by heart. */
function walks(seed: number): Int32Array[] {
  const draws = new RandomStream(seed, 'gguf-export');
  const cycle = draws.shuffle(Array.from({ length: ALPHABET.length }, (_, i) => i + 2));
  return [0, 1].map((half) =>
    Int32Array.from({ length: POSITIONS / 2 }, (_, t) => cycle[(20 * half + t) % cycle.length] as number),
  );
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  const found: [name: string, type: GgufExportType, Agreement][] = [];
  for (const [i, tiny] of TINY.entries()) {
    const sequences = walks(i);
    const folder = await tinyFolder(ctx, tiny, sequences);
    const texts = ['abc 12+34=46?\n', '  a', 'no. yes.'];
    for (const type of ['f32', 'f16'] as const)
      found.push([tiny[0], type, await compare(ctx, folder, type, sequences, texts)]);
  }
  if (ctx.smollm2 !== undefined) {
    const folder = path.join(ctx.scratch, 'smollm2');
    await importGguf(ctx.smollm2, folder);
    const model = await loadModelFolder(folder);
    const chats = CHATS.slice(0, 2).map((chat) => encodeChat(model, chat));
    const sequences = [...chats, ...PASSAGES.slice(0, 3).map((text) => model.tokenizer.encode(text))];
    for (const type of TYPES) found.push([SMOLLM2, type, await compare(ctx, folder, type, sequences, PASSAGES)]);
  }
  return verdict(found);
}

function verdict(found: readonly [name: string, type: GgufExportType, Agreement][]): CheckResult {
  const wrong = found.filter(
    ([name, type, { positions, margin, lead, texts, sameTexts }]) =>
      !(margin <= MARGINS[type] && (name === SMOLLM2 || lead >= LEAD)) || positions < POSITIONS || sameTexts !== texts,
  );
  const parts = found.map(([name, type, { same, positions, margin, lead }]) => {
    const more = margin > 0 ? `the others within ${margin.toFixed(4)}` : `least lead ${lead.toFixed(4)}`;
    return `${name} ${type} ${same}/${positions} (${more})`;
  });
  const smollm2 = found.some(([name]) => name === SMOLLM2) ? '' : '; SmolLM2 not shown (--smollm2 FILE)';
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
