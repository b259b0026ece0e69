import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { HoneError, silentProgress, type Progress } from '../core/index.js';
import { appendFileDurably, errorCode, formatJsonl, makeFolder, truncateFile } from '../formats/index.js';
import { type DifficultyRow, type Problem, readPassRates } from '../tasks/index.js';
import { stopIfAsked } from './grade.js';
import type { EvalRow } from './summary.js';

/** A problem of a task and its index there. */
export interface Indexed {
  problem: Problem;
  index: number;
}

export interface PassRateOptions {
  problems: readonly Indexed[];
  /** JSONL of {@link DifficultyRow}; rows that are there stay, and their problems are not asked for this model again. */
  out: string;
  /** Name of the model in the rows. */
  model: string;
  /** Samples a problem. */
  k: number;
  /** Problems asked together, and written together. */
  batch: number;
  /** Samples k answers to each problem and grades them. */
  ask: (batch: readonly Indexed[]) => Promise<readonly EvalRow[]>;
  signal?: AbortSignal;
  progress?: Progress;
}

export interface PassRateResult {
  /** Rates of this model for the problems, from the file and new ones. */
  rates: number[];
  /** Problems that had a row already. */
  known: number;
  /** Rows written. */
  written: number;
  /** Problems without a row, since a sample of theirs got no verdict: id and why. They are asked again next time. */
  unmeasured: { id: string; reason: string }[];
}

/**
 * Measures how often a model solves each problem, batch by batch. A batch is durable before the next one is asked, so an
 * interruption loses the batch under way at most, and the same call goes on from there.
 * @throws HoneError('input') for a file with other rows; ('interrupted') when the signal fires.
 */
export async function measurePassRates(options: PassRateOptions): Promise<PassRateResult> {
  const { problems, out, model, batch, progress = silentProgress } = options;
  const known = await knownRates(out, model, progress);
  const open = distinct(problems).filter(({ problem }) => !known.has(problem.id));
  const result: PassRateResult = { rates: [], known: 0, written: 0, unmeasured: [] };
  for (const { problem } of distinct(problems)) {
    const rate = known.get(problem.id);
    if (rate !== undefined) result.rates.push(rate);
  }
  result.known = result.rates.length;
  progress.phase(`pass rates of ${model}`, open.length);
  for (let at = 0; at < open.length; at += batch) {
    stopIfAsked(options.signal);
    await measureBatch(open.slice(at, at + batch), options, result);
    progress.update(Math.min(at + batch, open.length), { written: result.written });
  }
  progress.end();
  return result;
}

/** Procedural tasks can draw a problem twice. */
function distinct(problems: readonly Indexed[]): Indexed[] {
  return [...new Map(problems.map((item) => [item.problem.id, item])).values()];
}

async function measureBatch(
  batch: readonly Indexed[],
  { ask, out, model, k }: PassRateOptions,
  result: PassRateResult,
): Promise<void> {
  const rows = await ask(batch);
  const measured: DifficultyRow[] = [];
  for (const { problem } of batch) {
    const samples = rows.filter(({ problemId }) => problemId === problem.id);
    const failed = samples.find(({ verdict }) => verdict.status === 'no_verdict');
    if (failed || samples.length < k)
      result.unmeasured.push({ id: problem.id, reason: failed?.verdict.reason ?? 'not all samples came' });
    else measured.push({ id: problem.id, model, k, passRate: meanScore(samples) });
  }
  if (measured.length > 0) await appendFileDurably(out, formatJsonl(measured));
  result.written += measured.length;
  result.rates.push(...measured.map(({ passRate }) => passRate));
}

const meanScore = (rows: readonly EvalRow[]): number =>
  rows.reduce((sum, { verdict }) => sum + verdict.score, 0) / rows.length;

/** Rates of the model in the file, by problem; makes the folder where there is none. */
async function knownRates(file: string, model: string, progress: Progress): Promise<Map<string, number>> {
  await makeFolder(path.dirname(path.resolve(file)));
  if (!(await mendEnd(file, progress))) return new Map();
  const known = new Map<string, number>();
  for (const [id, rates] of await readPassRates(file)) {
    const rate = rates.get(model);
    if (rate !== undefined) known.set(id, rate);
  }
  return known;
}

/** Takes a half-written last line off, which a kill leaves; @returns false when there is no file. */
async function mendEnd(file: string, progress: Progress): Promise<boolean> {
  const bytes = await readIfThere(file);
  if (bytes === undefined) return false;
  const whole = bytes.lastIndexOf(0x0a) + 1;
  if (whole === bytes.length) return true;
  if (isJson(bytes.subarray(whole).toString('utf8'))) await appendFileDurably(file, '\n');
  else {
    await truncateFile(file, whole);
    progress.note(`the last line of ${file} was cut off by an interruption and is taken away`, 'warn');
  }
  return true;
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new HoneError('usage', 'the file cannot be read', {
      where: file,
      hint: 'Choose another file with --out.',
      cause: error,
    });
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
