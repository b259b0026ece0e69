import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { HoneError, peakMemoryBytes } from '../core/index.js';
import { sha256File } from '../formats/index.js';
import { weightsHash } from '../model/index.js';
import { createRun, openRun, type Run, type RunManifest } from '../runs/index.js';
import { type AdapterOptions, adapterSettings } from './adapter-options.js';
import { Scratch } from './checkpoint-model.js';
import { assertEngineInstalled } from './engine.js';
import type { Io, JsonValue } from './io.js';
import { looseObject } from './options.js';
import { resolveTraining } from './recipes.js';
import { table } from './table.js';
import { oneLine, shellWord, short } from './text.js';
import { prepare, train, type TrainingSummary } from './training.js';
import { adapterBaseOf, configOf, settingsOf, type TrainSettings } from './train-settings.js';

export interface TrainCommandOptions extends AdapterOptions {
  model: string;
  task?: string;
  data?: string;
  taskOption?: [string, string][];
  preset: string;
  set?: [string, string][];
  acceptAssumed: boolean;
  style: 'plain' | 'search';
  demonstrations?: number;
  engine: 'local';
  out?: string;
  seed: number;
  threads?: number;
  tokensPerMicroBatch?: number;
  samplingSlots?: number;
  tensorboard: boolean;
}

export async function runTrain(recipe: string, options: TrainCommandOptions, io: Io): Promise<void> {
  const settings = settingsFrom(recipe, options, io);
  const out = options.out ?? defaultFolder(recipe, options);
  await Scratch.with(async (scratch) => {
    const prepared = await prepare(settings, options.seed, scratch, io);
    assertEngineInstalled();
    const manifest: RunManifest = {
      name: path.basename(path.resolve(out)),
      kind: settings.method,
      recipe,
      seed: options.seed,
      config: configOf(settings),
      dataHashes: await hashesOf(settings, prepared.model.folder.path),
    };
    const policy = settings.training.checkpoint;
    const run = await createRun({ path: out, manifest, policy, rolloutShare: 1, tensorboard: options.tensorboard });
    await finish(run, { out, task: settings.task?.spec }, io, () => train(run, prepared, io, undefined));
  });
}

export async function runResume(out: string, options: { threads?: number }, io: Io): Promise<void> {
  const run = await openRun(out);
  try {
    await Scratch.with((scratch) => goOn(run, out, options, scratch, io));
  } finally {
    await run.close();
  }
}

async function goOn(run: Run, out: string, options: { threads?: number }, scratch: Scratch, io: Io): Promise<void> {
  const stored = settingsOf(run.manifest, out);
  const settings: TrainSettings = { ...stored, threads: options.threads ?? stored.threads };
  if (settings.threads !== stored.threads)
    io.progress.note(`the run was started with ${stored.threads} threads: from here its bits may differ`, 'warn');
  const base = adapterBaseOf(run.manifest, out);
  const files = Object.entries(run.manifest.dataHashes).filter(([file]) => file !== base?.model);
  for (const file of await changedFiles(Object.fromEntries(files)))
    io.progress.note(`${oneLine(file)} is not what it was when the run was started: from here results differ`, 'warn');
  const checkpoint = await run.latestCheckpoint((folder, why) =>
    io.progress.note(`${folder} is damaged and passed over: ${why}`, 'warn'),
  );
  if (checkpoint === undefined) await run.truncateTo(0);
  const fromRun = { path: run.path, checkpoint, base };
  const prepared = await prepare(settings, run.manifest.seed, scratch, io, fromRun);
  await finish(run, { out, task: settings.task?.spec }, io, () => train(run, prepared, io, checkpoint));
}

function settingsFrom(recipe: string, options: TrainCommandOptions, io: Io): TrainSettings {
  const { model, task, data, preset, engine, style, demonstrations, acceptAssumed } = options;
  const training = resolveTraining(recipe, { preset, set: options.set ?? [], acceptAssumed }, io);
  return {
    ...{ model, preset, engine, data: data ?? null, threads: options.threads ?? availableParallelism() },
    task: task === undefined ? null : { spec: task, options: looseObject(options.taskOption) as Record<string, never> },
    demonstrations: { style, count: demonstrations ?? null },
    tokensPerMicroBatch: options.tokensPerMicroBatch ?? null,
    samplingSlots: options.samplingSlots ?? null,
    adapter: adapterSettings(options),
    ...training,
  };
}

function defaultFolder(recipe: string, { task, data, seed }: TrainCommandOptions): string {
  const about = path.parse(task ?? data ?? 'run').name;
  return path.join('runs', `${recipe}-${about}-${seed}`);
}

/** Files that decide what is trained on: the data file, a task file, and files that task options and stages name. */
function dataFiles(settings: TrainSettings): string[] {
  const { data, task } = settings;
  const named = Object.values(task?.options ?? {}).filter((value) => typeof value === 'string');
  return [data, task?.spec, ...named, ...measurements(settings)].filter((file) => typeof file === 'string');
}

/** Files of pass rates that stages of a curriculum choose problems by. */
function measurements(settings: TrainSettings): (string | undefined)[] {
  if (settings.method !== 'rl') return [];
  return (settings.training.curriculum.stages ?? []).flatMap(({ data }) => [data.passRate?.file, data.level?.file]);
}

/** Of the data, and under an adapter of the base model, which no checkpoint holds. */
async function hashesOf(settings: TrainSettings, modelFolder: string): Promise<Record<string, string>> {
  const hashes = await hashFiles(dataFiles(settings));
  return settings.adapter === null ? hashes : { ...hashes, [settings.model]: await weightsHash(modelFolder) };
}

async function hashFiles(candidates: readonly string[]): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const file of candidates) {
    const found = await stat(file).catch(() => undefined); // Not every option is a path.
    if (found?.isFile() === true) hashes[file] = await sha256File(file);
  }
  return hashes;
}

/** The files among those hashed at the start of a run that are gone or hold something else now. */
export async function changedFiles(hashes: Readonly<Record<string, string>>): Promise<string[]> {
  const now = await hashFiles(Object.keys(hashes));
  return Object.keys(hashes).filter((file) => now[file] !== hashes[file]);
}

/** Runs the training, closes the run, and tells how it ended. */
async function finish(
  run: Run,
  { out, task }: { out: string; task: string | undefined },
  io: Io,
  work: () => Promise<TrainingSummary>,
): Promise<void> {
  let summary: TrainingSummary;
  try {
    summary = await work();
  } catch (error) {
    if (!(error instanceof HoneError) || error.kind !== 'interrupted') throw error;
    throw new HoneError('interrupted', error.message, {
      hint: `Go on with: hone resume ${shellWord(out)}`,
      cause: error,
    });
  } finally {
    await run.close();
  }
  io.progress.end();
  const { iterations, bestScore, lastMetrics } = summary;
  const metrics = (lastMetrics ?? null) as JsonValue;
  const json = { run: out, iterations, bestScore: bestScore ?? null, peakMemoryBytes: peakMemoryBytes(), metrics };
  io.result(json, () => print(out, summary, task ?? 'TASK', io));
}

const SHOWN = ['accuracy', 'val.accuracy', 'loss', 'val.loss', 'length.mean', 'grad_norm', 'agreement.max_abs'];

function print(out: string, { iterations, lastMetrics }: TrainingSummary, task: string, io: Io): void {
  const rows = SHOWN.filter((name) => typeof lastMetrics?.[name] === 'number').map((name) => [
    name,
    short(lastMetrics?.[name]),
  ]);
  io.print(`Done after ${iterations} iterations.`);
  if (rows.length > 0) io.print(table(['last iteration', ''], rows, io));
  io.print(`\nMemory:   ${(peakMemoryBytes() / 1e9).toFixed(2)} GB at the peak`);
  io.print(`Report:   ${oneLine(path.join(out, 'report.html'), 1000)}`);
  io.print(`Evaluate: hone eval ${shellWord(task)} --model ${shellWord(out)}`);
}
