/**
 * Batched decoding by llama.cpp (npm node-llama-cpp), to hold hone's sampling against:
 *   node llama-cpp.mjs PEER_FOLDER MODEL.gguf THREADS
 * PEER_FOLDER holds node_modules with node-llama-cpp and its prebuilt binary. First line out {version}; then, for each
 * line {B, prompt, length, vocab} in, {seconds, tokens}: B sequences decoded together, at temperature 1 without filters.
 */
import { createInterface } from 'node:readline';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [peer, modelPath, threads] = process.argv.slice(2);
const library = join(resolve(peer), 'node_modules', 'node-llama-cpp', 'dist', 'index.js');
const { getLlama } = await import(pathToFileURL(library).href);
const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: Number(threads) });
const model = await llama.loadModel({ modelPath: resolve(modelPath), useMmap: true });
console.log(JSON.stringify({ version: llama.llamaCppRelease?.release ?? 'unknown' }));

const SAMPLING = { temperature: 1, topK: 0, topP: 1, minP: 0, yieldEogToken: true };
let context;
let shape;

/** One context for all requests of a shape: its memory is not what is timed. */
async function contextFor({ B, prompt, length }) {
  if (shape === `${B} ${length}`) return context;
  await context?.dispose();
  shape = `${B} ${length}`;
  context = await model.createContext({
    sequences: B,
    contextSize: length + 8,
    batchSize: Math.max(512, B * prompt),
    threads: Number(threads),
  });
  return context;
}

async function decode(sequence, tokens, count) {
  let generated = 0;
  for await (const _ of sequence.evaluate(tokens, SAMPLING)) if (++generated === count) break;
  return generated;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { B, prompt, length, vocab } = JSON.parse(line);
  const where = await contextFor({ B, prompt, length });
  const sequences = Array.from({ length: B }, () => where.getSequence());
  const prompts = sequences.map((_, i) =>
    Array.from({ length: prompt }, (_, t) => 2 + ((131 * i + 17 * t) % (vocab - 2))),
  );
  const start = performance.now();
  const counts = await Promise.all(sequences.map((sequence, i) => decode(sequence, prompts[i], length - prompt)));
  const seconds = (performance.now() - start) / 1000;
  for (const sequence of sequences) sequence.dispose();
  console.log(JSON.stringify({ seconds, tokens: counts.reduce((sum, count) => sum + count, 0) }));
}
await llama.dispose();
