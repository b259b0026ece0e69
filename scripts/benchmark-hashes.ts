/**
 * Writes src/tasks/benchmark-hashes.ts: 64-bit hashes of the problems of public benchmarks, by which training rows are
 * recognised. Usage: npx tsx scripts/benchmark-hashes.ts DATA_DIR, a folder of JSONL files with a `problem` field.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { fingerprint } from '../src/tasks/benchmarks.js';

const FILES: Readonly<Record<string, string>> = {
  aime24: 'aime24.jsonl',
  aime25: 'aime25.jsonl',
  amc23: 'amc23.jsonl',
  math500: 'math500.jsonl',
  minerva: 'minerva_math.jsonl',
  olympiadbench: 'olympiadbench_math_en.jsonl',
  'gsm8k-test': 'gsm8k_test.jsonl',
  olymmath: 'olymmath_en.jsonl',
};
const row = z.object({ problem: z.string().min(1) });

function hashesOf(path: string): string[] {
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  return [...new Set(lines.map((line) => fingerprint(row.parse(JSON.parse(line)).problem)))].toSorted();
}

const folder = process.argv[2];
if (!folder) throw new Error('usage: npx tsx scripts/benchmark-hashes.ts DATA_DIR');
const entries = Object.entries(FILES).map(([name, file]) => {
  const hashes = hashesOf(join(folder, file));
  const rows = Array.from({ length: Math.ceil(hashes.length / 6) }, (_, i) => hashes.slice(6 * i, 6 * i + 6).join(''));
  return `  '${name}': [\n${rows.map((text) => `    '${text}',`).join('\n')}\n  ].join(''),`;
});
const text = `/**
 * Made by scripts/benchmark-hashes.ts; do not edit. For each benchmark, the fingerprints of its distinct problems
 * (16 hexadecimal digits each, sorted, joined): SHA-256 of letters and digits alone, cut to 64 bits.
 */
export const BENCHMARK_HASHES: Readonly<Record<string, string>> = {
${entries.join('\n')}
};
`;
writeFileSync(new URL('../src/tasks/benchmark-hashes.ts', import.meta.url), text);
