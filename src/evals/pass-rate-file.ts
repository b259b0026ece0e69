import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { HoneError, messageOf, silentProgress, type Progress } from '../core/index.js';
import {
  appendFileDurably,
  errorCode,
  explainSystemError,
  formatJsonl,
  makeFolder,
  truncateFile,
} from '../formats/index.js';
import { lockFile } from '../runs/index.js';
import { type DifficultyRow, readPassRates } from '../tasks/index.js';

export interface PassRateFileOptions {
  /** JSONL of {@link DifficultyRow}, to be made or to go on with. */
  out: string;
  /** Name of the model in the rows. */
  model: string;
  /** Samples a problem. */
  k: number;
  progress?: Progress;
}

/** Rows of one model in a file that no other process writes meanwhile. */
export interface PassRateFile {
  readonly model: string;
  readonly k: number;
  /** Rates of the model that were in the file, by problem. */
  readonly known: ReadonlyMap<string, number>;
  /** Durable once this returns. @throws HoneError('resource') when another process has taken the file. */
  append(rows: readonly Omit<DifficultyRow, 'model' | 'k'>[]): Promise<void>;
}

/** How every row begins that is written here, so that what is left of one is told from somebody else's text. */
const ROW_START = '{"id":"';

/**
 * Opens a file of pass rates for one writer, checks its rows, and frees it when `use` ends. What is left of a row after
 * a kill is cut off; a missing folder is made.
 * @throws HoneError('resource') when another process writes the file, or it cannot be written; ('input') at `file:line`
 * for a row that does not fit, or one of this model that was measured with another k; ('usage') for a path that is no file
 */
export async function usingPassRates<T>(
  options: PassRateFileOptions,
  use: (file: PassRateFile) => Promise<T>,
): Promise<T> {
  const { out, model, k } = options;
  await makeParent(out);
  let lost: HoneError | undefined;
  const lock = await lockFile(out, (why) => (lost = why));
  try {
    const known = await knownRates(options);
    const append: PassRateFile['append'] = async (rows) => {
      if (lost) throw lost;
      if (rows.length === 0) return;
      await appendFileDurably(out, formatJsonl(rows.map(({ id, passRate }) => ({ id, model, k, passRate }))));
    };
    return await use({ model, k, known, append });
  } finally {
    if (!lost) await lock.release(); // Else it is somebody else's now.
  }
}

async function makeParent(file: string): Promise<void> {
  try {
    await makeFolder(path.dirname(path.resolve(file)));
  } catch (error) {
    throw error instanceof HoneError ? error : unusable(file, error);
  }
}

async function knownRates({ out, model, k, progress = silentProgress }: PassRateFileOptions) {
  const known = new Map<string, number>();
  const bytes = await readWritable(out);
  if (bytes === undefined) return known;
  const end = lastLine(bytes);
  if (end.kind === 'torn') {
    await truncateFile(out, end.start);
    progress.note(`the last line of ${out} was cut off by an interruption and is taken away`, 'warn');
  }
  await readPassRates(out, (row, where) => {
    if (row.model !== model) return;
    if (row.k !== k) throw otherK(row, k, where);
    known.set(row.id, row.passRate);
  });
  if (end.kind === 'open') await appendFileDurably(out, '\n');
  return known;
}

function otherK({ model, k }: DifficultyRow, asked: number, where: string): HoneError {
  return new HoneError('input', `${model} was measured with k = ${k} here, not ${asked}`, {
    where,
    hint: `Go on with --k ${k}, name the new measurement apart with --as, or write it to another file with --out.`,
  });
}

/** `torn`: a part of a row. `open`: whole, but its end of line is missing. */
function lastLine(bytes: Buffer): { kind: 'whole' | 'torn' | 'open'; start: number } {
  const start = bytes.lastIndexOf(0x0a) + 1;
  const text = bytes.subarray(start).toString('utf8');
  if (text === '') return { kind: 'whole', start };
  const ours = text.startsWith(ROW_START) || ROW_START.startsWith(text);
  return { kind: ours && !isJson(text) ? 'torn' : 'open', start };
}

/** @returns undefined when there is no file. */
async function readWritable(file: string): Promise<Buffer | undefined> {
  try {
    const bytes = await readFile(file);
    await access(file, constants.W_OK);
    return bytes;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    const known = explainSystemError(error, file);
    throw known instanceof HoneError ? known : unusable(file, error);
  }
}

function unusable(file: string, cause: unknown): HoneError {
  return new HoneError('usage', `pass rates cannot be written here (${messageOf(cause)})`, {
    where: file,
    hint: 'Choose another file with --out.',
    cause,
  });
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
