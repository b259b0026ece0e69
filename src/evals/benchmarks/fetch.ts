import { join } from 'node:path';
import { z } from 'zod';
import { HoneError, messageOf, silentProgress, type Progress } from '../../core/index.js';
import { formatJsonl, makeFolder, writeFileAtomic } from '../../formats/index.js';
import type { Benchmark, HubData } from './types.js';

export interface FetchBenchmarkOptions {
  /** Access token, for gated data. Sent to the hub alone. */
  token?: string;
  progress?: Progress;
  signal?: AbortSignal;
  /** Default: https://datasets-server.huggingface.co. */
  rowsUrl?: string;
  /** Default: https://huggingface.co. */
  hubUrl?: string;
  /** For tests and proxies. */
  fetch?: typeof fetch;
}

const page = z.looseObject({
  rows: z.array(z.looseObject({ row: z.record(z.string(), z.unknown()), truncated_cells: z.array(z.string()) })),
  num_rows_total: z.int().min(1),
});
const card = z.looseObject({
  cardData: z.looseObject({ license: z.union([z.string(), z.array(z.string())]).optional() }).nullish(),
});

/** Rows that the hub gives at once, at most. */
const PAGE = 100;

/**
 * Writes a benchmark's file from the Hugging Face hub (the rows of its dataset viewer), each row with the licence that
 * the data set states. The file gets its name when it is whole.
 * @returns the file, its rows and the licence.
 * @throws HoneError('usage') for a benchmark without a place on the hub; HoneError('resource') when the hub cannot be
 *   reached or refuses; HoneError('input') when what it sends is not the benchmark.
 */
export async function fetchBenchmark(
  benchmark: Benchmark,
  folder: string,
  options: FetchBenchmarkOptions = {},
): Promise<{ file: string; rows: number; licence: string }> {
  const { hub, name } = benchmark;
  if (!hub)
    throw new HoneError('usage', `${name} is not fetched from the hub`, {
      where: name,
      hint: `Follow its source by hand: ${benchmark.source}; the file is ${benchmark.file}.`,
    });
  const licence = await licenceOf(hub, benchmark, options);
  const rows = await allRows(hub, benchmark, options);
  if (rows.length !== benchmark.problems)
    throw new HoneError('input', `${hub.dataset} has ${rows.length} rows, and ${name} has ${benchmark.problems}`, {
      where: hub.dataset,
      hint: 'The data set has changed; take the file from another source.',
    });
  await makeFolder(folder);
  const file = join(folder, benchmark.file);
  await writeFileAtomic(file, formatJsonl(rows.map((row, i) => ({ ...rowOf(row, i, hub), licence }))));
  return { file, rows: rows.length, licence };
}

function rowOf(row: Record<string, unknown>, index: number, { dataset, fields }: HubData): Record<string, unknown> {
  if (!fields) return row;
  const id = fields.id === undefined ? `test-${String(index).padStart(6, '0')}` : row[fields.id];
  const [problem, answer] = [row[fields.problem], row[fields.answer]];
  if (typeof problem === 'string' && (typeof answer === 'string' || typeof answer === 'number'))
    return { id: String(id), problem, answer: String(answer) };
  throw new HoneError('input', `row ${index} has no ${fields.problem} and ${fields.answer}`, {
    where: dataset,
    hint: 'The data set has changed; take the file from another source.',
  });
}

async function allRows({ dataset, config, split }: HubData, { name }: Benchmark, options: FetchBenchmarkOptions) {
  const { progress = silentProgress, rowsUrl = 'https://datasets-server.huggingface.co' } = options;
  const rows: Record<string, unknown>[] = [];
  for (let total = 1; rows.length < total;) {
    const asked = new URLSearchParams({ dataset, config, split, offset: String(rows.length), length: String(PAGE) });
    const found = await ask(`${rowsUrl}/rows?${asked.toString()}`, page, dataset, options);
    const cut = found.rows.find(({ truncated_cells }) => truncated_cells.length > 0);
    if (cut || found.rows.length === 0)
      throw new HoneError('input', 'the hub gives no whole rows', { where: dataset, hint: 'Take the file by hand.' });
    if (rows.length === 0) progress.phase(`fetching ${name}`, found.num_rows_total);
    rows.push(...found.rows.map(({ row }) => row));
    total = found.num_rows_total;
    progress.update(rows.length);
  }
  progress.end();
  return rows;
}

async function licenceOf(hub: HubData, benchmark: Benchmark, options: FetchBenchmarkOptions): Promise<string> {
  const { hubUrl = 'https://huggingface.co' } = options;
  const { cardData } = await ask(`${hubUrl}/api/datasets/${hub.dataset}`, card, hub.dataset, options);
  const stated = cardData?.license;
  return stated === undefined ? benchmark.licence : [stated].flat().join(', ');
}

async function ask<S extends z.ZodType>(
  url: string,
  schema: S,
  where: string,
  { token, signal, fetch: get = fetch }: FetchBenchmarkOptions,
): Promise<z.output<S>> {
  let response: Response;
  try {
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
    response = await get(url, { headers, ...(signal ? { signal } : {}) });
  } catch (error) {
    throw new HoneError('resource', `the hub cannot be reached: ${messageOf(error)}`, {
      where,
      hint: 'Check the network, or take the file by hand (hone eval list names its source).',
      cause: error,
    });
  }
  if (!response.ok) throw refused(response.status, where);
  const parsed = schema.safeParse(await response.json());
  if (parsed.success) return parsed.data;
  throw new HoneError('input', 'the hub answers something else than rows', { where, cause: parsed.error });
}

function refused(status: number, where: string): HoneError {
  const gated = status === 401 || status === 403;
  return new HoneError('resource', `the hub refuses with ${status}`, {
    where,
    hint: gated
      ? 'The data are gated: agree to their terms on the hub, and give a token with --token or HF_TOKEN.'
      : 'Try again later, or take the file by hand (hone eval list names its source).',
  });
}
