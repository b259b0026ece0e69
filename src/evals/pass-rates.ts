import { silentProgress, type Progress } from '../core/index.js';
import type { Problem } from '../tasks/index.js';
import { stopIfAsked } from './grade.js';
import type { PassRateFile } from './pass-rate-file.js';
import type { EvalRow } from './summary.js';

/** A problem of a task and its index there. */
export interface Indexed {
  problem: Problem;
  index: number;
}

export interface PassRateOptions {
  problems: readonly Indexed[];
  /** Problems that it knows are not asked again; gets the others' rates. */
  file: PassRateFile;
  /** Problems asked together, and written together. */
  batch: number;
  /** Samples `file.k` answers to each problem and grades them. */
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
 * @throws HoneError('interrupted') when the signal fires.
 */
export async function measurePassRates(options: PassRateOptions): Promise<PassRateResult> {
  const { problems, file, batch, progress = silentProgress } = options;
  const { known, model } = file;
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

/** Procedural tasks can draw a problem twice; the first counts, so that more problems change no rate of fewer. */
function distinct(problems: readonly Indexed[]): Indexed[] {
  const seen = new Set<string>();
  return problems.filter(({ problem: { id } }) => !seen.has(id) && seen.add(id));
}

async function measureBatch(
  batch: readonly Indexed[],
  { ask, file }: PassRateOptions,
  result: PassRateResult,
): Promise<void> {
  const rows = await ask(batch);
  const measured: { id: string; passRate: number }[] = [];
  for (const { problem } of batch) {
    const samples = rows.filter(({ problemId }) => problemId === problem.id);
    const failed = samples.find(({ verdict }) => verdict.status === 'no_verdict');
    if (failed || samples.length < file.k)
      result.unmeasured.push({ id: problem.id, reason: failed?.verdict.reason ?? 'not all samples came' });
    else measured.push({ id: problem.id, passRate: meanScore(samples) });
  }
  await file.append(measured);
  result.written += measured.length;
  result.rates.push(...measured.map(({ passRate }) => passRate));
}

const meanScore = (rows: readonly EvalRow[]): number =>
  rows.reduce((sum, { verdict }) => sum + verdict.score, 0) / rows.length;
