import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HoneError, RandomStream } from '../core/index.js';
import {
  appendFileDurably,
  type DurableFs,
  errorCode,
  explainSystemError,
  formatJsonl,
  isTemporaryName,
  parseRow,
  readJsonl,
  stringifyJson,
  truncateFile,
  writeFileAtomic,
} from '../formats/index.js';
import { iterationName } from './checkpoint-files.js';
import { jsonSchema } from './manifest.js';
import type { Json, MetricsLine, RolloutRow } from './types.js';

export const METRICS_FILE = 'metrics.jsonl';
export const ROLLOUTS_FOLDER = 'rollouts';
const ROLLOUT_FILE = /^(\d{6,})\.jsonl$/;
const NEWLINE = 0x0a;
const DAMAGED_LOG = 'The file was changed or damaged: restore it, or remove what is wrong.';

const metricsSchema: z.ZodType<MetricsLine> = z
  .object({ iteration: z.number().int().nonnegative(), timing: z.record(z.string(), z.number()).optional() })
  .catchall(jsonSchema.optional());

const rolloutSchema: z.ZodType<RolloutRow> = z.object({
  iteration: z.number().int().nonnegative(),
  problemId: z.string(),
  prompt: z.string(),
  sample: z.number().int().nonnegative(),
  text: z.string(),
  stopReason: z.string(),
  tokens: z.number(),
  status: z.enum(['correct', 'wrong', 'no_verdict']),
  score: z.number(),
  reason: z.string(),
  extracted: z.string().optional(),
  wellFormed: z.boolean().optional(),
  reward: z.number(),
  components: z.record(z.string(), z.number()).optional(),
  advantage: z.number(),
  trained: z.boolean(),
});

async function readOrEmpty(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return Buffer.alloc(0);
    throw explainSystemError(error, file);
  }
}

/** Everything up to the last newline: a kill in the middle of an append leaves a part of a line behind it. */
async function readWholeLines(path: string): Promise<{ lines: string[]; bytes: number; torn: boolean }> {
  const data = await readOrEmpty(join(path, METRICS_FILE));
  const bytes = data.lastIndexOf(NEWLINE) + 1;
  const lines = data.subarray(0, bytes).toString('utf8').split('\n').slice(0, -1);
  return { lines, bytes, torn: bytes < data.length };
}

/** Cuts a torn last line off. */
export async function repairMetrics(path: string, fs: DurableFs): Promise<void> {
  const { bytes, torn } = await readWholeLines(path);
  if (torn) await truncateFile(join(path, METRICS_FILE), bytes, { fs });
}

/**
 * One line as stored. Numbers round-trip exactly, -0 included. A metric can be NaN or infinite for an honest reason
 * (no wrong answer, so no mean length of one): it is stored as null, and `nonfinite` says which value it was.
 */
export function formatMetricsLine(line: MetricsLine): string {
  const nonfinite: Record<string, string> = {};
  const text = stringifyJson(line, (path, name) => (nonfinite[path] = name));
  return Object.keys(nonfinite).length === 0
    ? `${text}\n`
    : `${text.slice(0, -1)},"nonfinite":${stringifyJson(nonfinite)}}\n`;
}

export async function appendMetricsLine(path: string, line: MetricsLine, fs: DurableFs): Promise<void> {
  await appendFileDurably(join(path, METRICS_FILE), formatMetricsLine(line), { fs });
}

/** @throws HoneError('input') at `file:line` for a line that is not a metrics line (a torn last one is left out) */
export async function readMetricsLines(path: string): Promise<MetricsLine[]> {
  const { lines } = await readWholeLines(path);
  return lines.map((text, i) => parseRow(text, metricsSchema, `${join(path, METRICS_FILE)}:${i + 1}`, DAMAGED_LOG));
}

/** Keeps the lines of the first `iteration` iterations, byte for byte. */
export async function cutMetrics(path: string, iteration: number, fs: DurableFs): Promise<void> {
  const file = join(path, METRICS_FILE);
  const { lines } = await readWholeLines(path);
  const kept = lines.filter(
    (text, i) => parseRow(text, metricsSchema, `${file}:${i + 1}`, DAMAGED_LOG).iteration <= iteration,
  );
  if (kept.length < lines.length) await writeFileAtomic(file, kept.map((text) => `${text}\n`).join(''), { fs });
}

export function rolloutsFile(path: string, iteration: number): string {
  return join(path, ROLLOUTS_FOLDER, `${iterationName(iteration)}.jsonl`);
}

/** Iterations whose rollouts are stored, in order. */
export async function listRollouts(path: string): Promise<number[]> {
  const folder = join(path, ROLLOUTS_FOLDER);
  try {
    const numbers = (await readdir(folder)).map((name) => Number(ROLLOUT_FILE.exec(name)?.[1]));
    return numbers.filter((n) => !Number.isNaN(n)).sort((a, b) => a - b);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw explainSystemError(error, folder);
  }
}

export async function readRolloutRows(path: string, iteration: number): Promise<RolloutRow[]> {
  return readJsonl(rolloutsFile(path, iteration), rolloutSchema, { hint: DAMAGED_LOG });
}

/**
 * Chooses which problems of an iteration are stored: `share` of them, rounded up, with all their attempts, so that
 * a stored group can be read side by side. Depends on seed and iteration alone.
 */
export function chooseRollouts(
  rows: readonly RolloutRow[],
  share: number,
  seed: number,
  iteration: number,
): readonly RolloutRow[] {
  if (share >= 1) return rows;
  const problems = [...new Set(rows.map((row) => row.problemId))];
  const chosen = new RandomStream(seed, 'stored-rollouts', iteration).shuffle(problems);
  const kept = new Set(chosen.slice(0, Math.ceil(share * problems.length)));
  return rows.filter((row) => kept.has(row.problemId));
}

export async function writeRolloutRows(
  path: string,
  iteration: number,
  rows: readonly RolloutRow[],
  fs: DurableFs,
): Promise<void> {
  await writeFileAtomic(rolloutsFile(path, iteration), formatJsonl(rows), { fs });
}

export async function cutRollouts(path: string, iteration: number, fs: DurableFs): Promise<void> {
  const later = (await listRollouts(path)).filter((n) => n > iteration);
  for (const number of later) await fs.unlink(rolloutsFile(path, number));
  if (later.length > 0) await fs.syncFolder(join(path, ROLLOUTS_FOLDER));
}

/** Removes the temporary files that a crash inside an atomic write left behind. */
export async function sweepTemporaryFiles(folder: string, fs: DurableFs): Promise<void> {
  for (const name of await readdir(folder)) if (isTemporaryName(name)) await fs.unlink(join(folder, name));
}

/** @throws HoneError('usage') unless `name` is a plain `*.json` file name that no part of a run uses */
export function resultFile(path: string, name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*\.json$/.test(name) && name !== 'run.json') return join(path, name);
  throw new HoneError('usage', 'a result is stored under a plain file name that ends in .json', {
    where: JSON.stringify(name),
    hint: 'Use a name such as result.json.',
  });
}

/** A result file's value; undefined when the run has none of that name. */
export async function readResultFile(path: string, name: string): Promise<Json | undefined> {
  const file = resultFile(path, name);
  const data = await readOrEmpty(file);
  return data.length === 0 ? undefined : parseRow(data.toString('utf8'), jsonSchema, file, DAMAGED_LOG);
}
