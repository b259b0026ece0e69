import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { HoneError, nearest } from '../../core/index.js';
import { parseRow, sha256 } from '../../formats/index.js';
import {
  datasetTask,
  HUMANEVAL,
  humanEvalTask,
  MBPP,
  mbppTask,
  type DatasetOptions,
  type Problem,
  type Task,
} from '../../tasks/index.js';
import { ABSENT } from './absent.js';
import { aime24, aime25 } from './aime.js';
import { gpqaDiamond } from './gpqa.js';
import { humaneval, mbpp } from './code.js';
import { amc23, gsm8k, math500, minerva, olymmath, olympiadbench, omniMath } from './mathematics.js';
import type { AbsentBenchmark, Benchmark, Protocol } from './types.js';

export { fetchBenchmark, type FetchBenchmarkOptions } from './fetch.js';
export type { AbsentBenchmark, Benchmark, HubData, Protocol } from './types.js';

/** Every benchmark that can be named, in the order in which to show them. */
export const BENCHMARKS: readonly Benchmark[] = [
  aime24,
  aime25,
  amc23,
  math500,
  minerva,
  olympiadbench,
  gsm8k,
  olymmath,
  omniMath,
  gpqaDiamond,
  humaneval,
  mbpp,
];

/** Where a set of problems is from, for result files. */
export interface Dataset {
  files: { file: string; sha256: string; rows: number }[];
  source?: string;
  /** As the rows state them; else as the source does. */
  licences: string[];
}

/** A task that measures, with what its result file says about it. */
export interface Measured {
  task: Task;
  dataset: Dataset;
  /** The user turn, with {problem} in it. */
  prompt: string;
  protocol?: Protocol & { name: string };
}

/** Choices that are the caller's: a folder of data, a protocol, and options of the dataset task. */
export interface MeasureOptions {
  /** Folder of the data files; default: the environment variable HONE_DATA, or ./data. */
  data?: string;
  protocol?: string;
  /** Options of a dataset task, over those of the benchmark. */
  options?: Partial<DatasetOptions>;
}

export const findBenchmark = (name: string): Benchmark | undefined =>
  BENCHMARKS.find((benchmark) => benchmark.name === name);

export const findAbsent = (name: string): AbsentBenchmark | undefined =>
  ABSENT.find((benchmark) => benchmark.name === name);

export const dataFolder = (data: string | undefined): string => data ?? process.env['HONE_DATA'] ?? 'data';

/** Benchmarks with whether their data are in the folder, and those that cannot be run. */
export function listBenchmarks(data?: string): {
  here: { benchmark: Benchmark; present: boolean }[];
  absent: readonly AbsentBenchmark[];
} {
  const folder = dataFolder(data);
  return {
    here: BENCHMARKS.map((benchmark) => ({ benchmark, present: existsSync(join(folder, benchmark.file)) })),
    absent: ABSENT,
  };
}

/**
 * A benchmark as a task.
 * @throws HoneError('usage') for an unknown protocol; HoneError('input') when its data are not in the folder.
 */
export function benchmarkTask(benchmark: Benchmark, options: MeasureOptions = {}): Measured {
  const file = join(dataFolder(options.data), benchmark.file);
  if (!existsSync(file))
    throw new HoneError('input', `data not here: ${benchmark.name} reads ${benchmark.file}`, {
      where: file,
      hint: `${benchmark.hub ? `hone eval fetch ${benchmark.name} gets it from the Hugging Face hub; or put` : 'Put'} the file there (source: ${benchmark.source}), or name its folder with --data or HONE_DATA.`,
    });
  const protocol = protocolOf(benchmark, options.protocol);
  if (benchmark.kind === 'code') return codeMeasured(benchmark, file, options);
  const { prompt = benchmark.prompt, system, answer, maxTokens } = { maxTokens: benchmark.maxTokens, ...protocol };
  return measured({
    files: [file],
    name: benchmark.name,
    description: benchmark.title,
    source: benchmark.source,
    licence: benchmark.licence,
    ...(protocol ? { protocol } : {}),
    ...(benchmark.task ? { make: benchmark.task } : {}),
    dataset: {
      ...(prompt === undefined ? {} : { prompt }),
      ...(system === undefined ? {} : { system }),
      ...(answer === undefined ? {} : { answer: answer === 'default' ? answer : [...answer] }),
      maxTokens,
      ...options.options,
    },
  });
}

/** A benchmark of programs; of a dataset task's options it takes those that say how to ask. */
function codeMeasured(benchmark: Benchmark, file: string, { options = {} }: MeasureOptions): Measured {
  const { prompt, system, format, maxTokens = benchmark.maxTokens, ...rest } = options;
  const other = Object.keys(rest).find((name) => rest[name as keyof typeof rest] !== undefined);
  if (other !== undefined)
    throw new HoneError('usage', `${benchmark.name} has no such option`, {
      where: other,
      hint: 'Its answers are programs: it takes prompt, system, format and maxTokens.',
    });
  const [make, preset] = benchmark.name === 'humaneval' ? [humanEvalTask, HUMANEVAL] : [mbppTask, MBPP];
  const asked = { ...(prompt === undefined ? {} : { prompt }), ...(system === undefined ? {} : { system }) };
  return {
    task: make({ test: file, maxTokens, ...(format === undefined ? {} : { format }), ...asked }),
    dataset: { ...describe([file], benchmark.licence), source: benchmark.source },
    prompt: prompt ?? preset.prompt,
  };
}

function protocolOf(benchmark: Benchmark, name: string | undefined): (Protocol & { name: string }) | undefined {
  if (name === undefined) return undefined;
  const found = benchmark.protocols[name];
  if (found) return { ...found, name };
  const names = Object.keys(benchmark.protocols);
  throw new HoneError('usage', `${benchmark.name} has no protocol "${name}"`, {
    where: '--protocol',
    hint: `Did you mean ${nearest(name, names)}? It has: ${names.join(', ')}.`,
  });
}

/** What a folder of one's own may say about its files, in `hone.json`: options of a dataset task. */
const folderConfig = z.looseObject({ name: z.string().optional() });

/**
 * Problems of one's own: a JSONL file, or a folder of them with an optional `hone.json` (options of a dataset task, such
 * as `fields` and `prompt`). Every row is a test problem.
 */
export function ownTask(path: string, options: MeasureOptions = {}): Measured {
  const folder = statSync(path).isDirectory();
  const files = folder
    ? readdirSync(path)
        .filter((name) => name.endsWith('.jsonl'))
        .sort()
        .map((name) => join(path, name))
    : [path];
  if (files.length === 0)
    throw new HoneError('input', 'the folder holds no .jsonl file', { where: path, hint: 'Put problems into one.' });
  const configFile = join(path, 'hone.json');
  const hint = 'Give options of a dataset task (docs/tasks.md), such as {"fields": {"problem": "question"}}.';
  const config =
    folder && existsSync(configFile) ? parseRow(readFileSync(configFile, 'utf8'), folderConfig, configFile, hint) : {};
  const name = config.name ?? taskName(basename(path).replace(/\.jsonl$/, ''));
  return measured({ files, name, dataset: { ...config, ...options.options } as Partial<DatasetOptions> });
}

const taskName = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '') || 'own';

interface Measure {
  files: readonly string[];
  name: string;
  description?: string;
  source?: string;
  licence?: string;
  protocol?: Protocol & { name: string };
  dataset: Partial<DatasetOptions>;
  make?: NonNullable<Benchmark['task']>;
}

const DEFAULT_PROMPT = '{problem}\n\nPlease reason step by step, and put your final answer within \\boxed{}.';

function measured(measure: Measure): Measured {
  const { files, protocol, dataset, source, name } = measure;
  const parts = files.map((file) => ({ label: basename(file, '.jsonl'), task: taskOf(measure, file) }));
  const [first] = parts;
  const task = parts.length === 1 && first ? first.task : joined(name, parts);
  return {
    task: protocol?.stop ? { ...task, stop: protocol.stop } : task,
    dataset: { ...describe(files, measure.licence), ...(source ? { source } : {}) },
    prompt: dataset.prompt ?? DEFAULT_PROMPT,
    ...(protocol ? { protocol } : {}),
  };
}

function taskOf({ make, name, description = name, dataset, protocol }: Measure, file: string): Task {
  if (!make) return datasetTask({ ...dataset, name, description, test: file });
  const { prompt = DEFAULT_PROMPT, system, maxTokens = 1024 } = dataset;
  return make(file, {
    ...{ name, description, prompt, maxTokens },
    ...(system === undefined ? {} : { system }),
    ...(protocol?.stop ? { stop: protocol.stop } : {}),
  });
}

const stated = z.looseObject({ licence: z.string().optional(), license: z.string().optional() });

function describe(files: readonly string[], fallback: string | undefined): Dataset {
  const licences = new Set<string>();
  const described = files.map((file) => {
    const text = readFileSync(file, 'utf8');
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    for (const [i, line] of lines.entries()) {
      const { licence, license } = parseRow(line, stated, `${file}:${i + 1}`);
      const told = licence ?? license;
      if (told !== undefined) licences.add(told);
    }
    return { file: basename(file), sha256: sha256(text), rows: lines.length };
  });
  if (licences.size === 0 && fallback !== undefined) licences.add(fallback);
  return { files: described, licences: [...licences].sort() };
}

/** Several files as one task: problems one file after another, names led by the file's. */
function joined(name: string, parts: readonly { label: string; task: Task }[]): Task {
  const first = parts[0]?.task as Task;
  return {
    ...first,
    name,
    problems: (split, seed) => {
      const sources = parts.map(({ label, task }) => ({ label, source: task.problems(split, seed) }));
      const all = sources.flatMap(({ label, source }) =>
        Array.from({ length: source.size }, (_, i): (() => Problem) => () => {
          const problem = source.at(i);
          return { ...problem, id: `${label}/${problem.id}` };
        }),
      );
      return { size: all.length, at: (index) => (all[index % all.length] as () => Problem)() };
    },
  };
}
