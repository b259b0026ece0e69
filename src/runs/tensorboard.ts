import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { HoneError } from '../core/index.js';
import { appendFileDurably, type DurableFs, errorCode, nodeFs, tfRecord, writeFileAtomic } from '../formats/index.js';
import type { RunFile } from './manifest.js';
import { readRun } from './reader.js';
import type { Json, MetricsLine } from './types.js';

/** Folder of a run that holds TensorBoard event files. */
export const TENSORBOARD_FOLDER = 'tensorboard';

/** Field numbers of tensorflow's event.proto and summary.proto. */
const FIELD = {
  event: { wallTime: 1, step: 2, fileVersion: 3, summary: 5 },
  summary: { value: 1 },
  value: { tag: 1, simpleValue: 2 },
} as const;

/** The numbers of a metrics line, sorted by tag: `clip.low` is shown as `clip/low`, so that TensorBoard groups them. */
export function scalarsOf(line: MetricsLine): [tag: string, value: number][] {
  const scalars: [string, number][] = [];
  const walk = (tag: string, value: Json | undefined): void => {
    if (typeof value === 'number') scalars.push([tag, value]);
    else if (value !== null && typeof value === 'object' && !Array.isArray(value))
      for (const [name, inner] of Object.entries(value)) walk(`${tag}/${name.replaceAll('.', '/')}`, inner);
  };
  for (const [name, value] of Object.entries(line)) if (name !== 'iteration') walk(name.replaceAll('.', '/'), value);
  return scalars.sort(([a], [b]) => (a < b ? -1 : 1));
}

function scalarEvent(line: MetricsLine, wallTime: number): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(FIELD.event.wallTime, WireType.Bit64).double(wallTime);
  writer.tag(FIELD.event.step, WireType.Varint).int64(line.iteration);
  writer.tag(FIELD.event.summary, WireType.LengthDelimited).fork();
  for (const [tag, value] of scalarsOf(line)) {
    writer.tag(FIELD.summary.value, WireType.LengthDelimited).fork();
    writer.tag(FIELD.value.tag, WireType.LengthDelimited).string(tag);
    writer.tag(FIELD.value.simpleValue, WireType.Bit32).float(Math.fround(value));
    writer.join();
  }
  return writer.join().finish();
}

function versionEvent(wallTime: number): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(FIELD.event.wallTime, WireType.Bit64).double(wallTime);
  return writer.tag(FIELD.event.fileVersion, WireType.LengthDelimited).string('brain.Event:2').finish();
}

/** Seconds that an iteration took, by its own account: as a whole where it says so, else sampling, grading and training. */
function secondsOf({ timing = {} }: MetricsLine): number {
  const { iteration_s: whole, sample_s = 0, grade_s = 0, train_s = 0 } = timing;
  return whole ?? sample_s + grade_s + train_s;
}

/**
 * The event file of one run, from its metrics alone: a pure function of run.json and metrics.jsonl. Wall time is the
 * start of the run plus what its iterations took, so that pauses between sittings leave no gap.
 */
export class EventFile {
  readonly path: string;
  readonly #start: number;
  #wallTime: number;

  /** @param folder of the run. @param created when the run began, ISO 8601. */
  constructor(
    folder: string,
    { created, name }: Pick<RunFile, 'created' | 'name'>,
    private readonly fs: DurableFs = nodeFs,
  ) {
    this.#start = Date.parse(created) / 1000;
    this.#wallTime = this.#start;
    const seconds = String(Math.floor(this.#start)).padStart(10, '0');
    this.path = join(folder, TENSORBOARD_FOLDER, `events.out.tfevents.${seconds}.${name.replaceAll(/[^\w-]/g, '_')}`);
  }

  /** Records of a whole file. */
  bytes(metrics: readonly MetricsLine[]): Uint8Array {
    this.#wallTime = this.#start;
    return Buffer.concat([tfRecord(versionEvent(this.#start)), ...metrics.map((line) => this.record(line))]);
  }

  /** The record of the next line. */
  record(line: MetricsLine): Uint8Array {
    this.#wallTime += secondsOf(line);
    return tfRecord(scalarEvent(line, this.#wallTime));
  }

  async rewrite(metrics: readonly MetricsLine[]): Promise<void> {
    await this.fs.mkdir(dirname(this.path));
    await writeFileAtomic(this.path, this.bytes(metrics), { fs: this.fs });
  }

  async append(line: MetricsLine): Promise<void> {
    await appendFileDurably(this.path, this.record(line), { fs: this.fs });
  }
}

/** Whether a run keeps event files. */
export async function hasTensorboard(folder: string): Promise<boolean> {
  try {
    return (await stat(join(folder, TENSORBOARD_FOLDER))).isDirectory();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/**
 * Writes the event file of a run, replacing an older one.
 * @returns its path and what it holds. @throws HoneError('input') when the folder is no run or has no metrics yet
 */
export async function exportTensorboard(
  path: string,
): Promise<{ path: string; folder: string; iterations: number; scalars: number }> {
  const run = await readRun(path);
  const metrics = await run.readMetrics();
  if (metrics.length === 0)
    throw new HoneError('input', 'the run has no metrics yet', {
      where: run.path,
      hint: 'Wait until its first iteration is done.',
    });
  const events = new EventFile(run.path, run.file);
  await events.rewrite(metrics);
  const scalars = metrics.reduce((sum, line) => sum + scalarsOf(line).length, 0);
  return { path: events.path, folder: join(run.path, TENSORBOARD_FOLDER), iterations: metrics.length, scalars };
}
