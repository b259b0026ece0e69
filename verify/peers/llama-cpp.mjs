/**
 * What llama.cpp (npm node-llama-cpp) makes of a GGUF file:
 *   node llama-cpp.mjs PEER_FOLDER MODEL.gguf REQUEST.json OUT.json
 * PEER_FOLDER holds node_modules with node-llama-cpp and its prebuilt binary.
 * REQUEST {sequences: number[][], texts: string[]}; OUT {version, top1: number[][], tokens: number[][], template}:
 * the most probable next token after every token of each sequence, and the ids of each text without special tokens.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [peer, model, request, out] = process.argv.slice(2).map((argument) => resolve(argument));
const library = join(peer, 'node_modules', 'node-llama-cpp');
const { getLlama } = await import(pathToFileURL(join(library, 'dist', 'index.js')).href);
const { version } = JSON.parse(await readFile(join(library, 'package.json'), 'utf8'));

const { sequences, texts } = JSON.parse(await readFile(request, 'utf8'));
const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: 1 });
const loaded = await llama.loadModel({ modelPath: model, useMmap: true });
const longest = Math.max(64, ...sequences.map((sequence) => sequence.length + 8));
const context = await loaded.createContext({
  contextSize: longest,
  batchSize: longest,
  threads: 1,
  flashAttention: false,
  // By default keys and values are rounded to halves.
  experimentalKvCacheKeyType: 'F32',
  experimentalKvCacheValueType: 'F32',
});
const top1 = [];
const sequence = context.getSequence();
for (const tokens of sequences) {
  await sequence.clearHistory();
  const wanted = tokens.map((token) => [token, { generateNext: { token: true, options: { temperature: 0 } } }]);
  const outputs = await sequence.controlledEvaluate(wanted);
  top1.push(outputs.map((output) => output?.next?.token ?? -1));
}
const tokens = texts.map((text) => loaded.tokenize(text, false, 'trimLeadingSpace'));
await writeFile(out, JSON.stringify({ version, release: llama.llamaCppRelease, top1, tokens }));
await llama.dispose();
