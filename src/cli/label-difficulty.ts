import { HoneError, silentProgress } from '../core/index.js';
import {
  evaluate,
  evaluateSolver,
  indicesOf,
  type Indexed,
  measurePassRates,
  type PassRateResult,
  usingPassRates,
} from '../evals/index.js';
import { loadTask, type Split, type Task } from '../tasks/index.js';
import { parseMethod } from '../thinking/index.js';
import { type ChatModelOptions, usingChatModel } from './chat-model.js';
import { Scratch } from './checkpoint-model.js';
import { withEngine } from './engine.js';
import type { Io } from './io.js';
import { resolveModel } from './model-source.js';
import { looseObject } from './options.js';
import { methodSolver, sameAnswer } from './solver.js';
import { table } from './table.js';
import { oneLine } from './text.js';

export interface LabelOptions extends ChatModelOptions {
  k: number;
  out: string;
  as?: string;
  n?: number;
  batch: number;
  temperature: number;
  topP?: number;
  maxTokens?: number;
  split: Split;
  taskOption?: [string, string][];
}

/** Of a task without end. */
const DEFAULT_PROBLEMS = 200;
/** Problems without a row that are shown to a person. */
const SHOWN = 5;

/** Asks k answers to each problem of a batch. */
type Ask = Parameters<typeof measurePassRates>[0]['ask'];

export async function labelDifficulty(spec: string, options: LabelOptions, io: Io): Promise<void> {
  const name = options.as ?? nameOf(options);
  const task = await taskOf(spec, options);
  const source = task.problems(options.split, options.seed);
  const n = options.n ?? (Number.isFinite(source.size) ? source.size : DEFAULT_PROBLEMS);
  const problems = indicesOf(source, n).map((index) => ({ index, problem: source.at(index) }));
  const { signal, progress } = io;
  const opened = { out: options.out, model: name, k: options.k, progress };
  // Before the model, so that a file in use or one that does not fit ends here.
  const result = await usingPassRates(opened, (file) => {
    const measure = (ask: Ask): Promise<PassRateResult> =>
      measurePassRates({ problems, file, batch: options.batch, ask, signal, progress });
    return (options.endpoint === undefined ? askLocal : askEndpoint)(task, options, io, measure);
  });
  report(result, name, options, io);
}

/** @throws HoneError('usage') unless exactly one model is named. */
function nameOf({ model, endpoint, modelName }: LabelOptions): string {
  const name = endpoint === undefined ? model : modelName;
  if (name !== undefined && (model === undefined) !== (endpoint === undefined)) return name;
  throw new HoneError('usage', 'there is no one model to ask', {
    where: '--model',
    hint: 'Name a model folder with --model, or a server with --endpoint URL --model-name NAME.',
  });
}

/** The task as training loads it, so that the ids of its problems are those of training. */
function taskOf(spec: string, { taskOption }: LabelOptions): Promise<Task> {
  const given = looseObject(taskOption);
  return spec.endsWith('.jsonl') ? loadTask('jsonl', { train: spec, ...given }) : loadTask(spec, given);
}

function sampling(task: Task, { temperature, topP, maxTokens }: LabelOptions) {
  return { temperature, ...(topP === undefined ? {} : { topP }), maxTokens: maxTokens ?? task.suggestedMaxTokens };
}

const indices = (batch: readonly Indexed[]): number[] => batch.map(({ index }) => index);

function askLocal<T>(task: Task, options: LabelOptions, io: Io, use: (ask: Ask) => Promise<T>): Promise<T> {
  const { split, seed, k } = options;
  return Scratch.with(async (scratch) => {
    const warn = (line: string): void => io.progress.note(line, 'warn');
    const { source, folder } = await resolveModel(options.model as string, { scratch, warn });
    return withEngine(options, async (engine) => {
      io.progress.phase('loading the model');
      const sampler = await (await engine.openModel({ source })).liveSampler();
      return use(async (batch) => {
        const asked = { n: batch.length, indices: indices(batch), k, ...sampling(task, options) };
        const found = { sampler, task, model: folder, split, seed, signal: io.signal, progress: silentProgress };
        return (await evaluate({ ...found, ...asked })).rows;
      });
    });
  });
}

function askEndpoint<T>(task: Task, options: LabelOptions, io: Io, use: (ask: Ask) => Promise<T>): Promise<T> {
  const { split, seed, k } = options;
  const ask = (opened: Parameters<Parameters<typeof usingChatModel>[2]>[0]): Ask => {
    const how = sampling(task, options);
    const solve = methodSolver({ method: parseMethod('direct'), model: opened.model, task, sampling: how });
    return async (batch) => {
      const asked = { n: batch.length, indices: indices(batch), k, sampling: how, solve, same: sameAnswer };
      const { concurrency } = opened;
      return (await evaluateSolver({ task, split, seed, concurrency, signal: io.signal, ...asked })).rows;
    };
  };
  return usingChatModel(options, io, (opened) => use(ask(opened)), task.format === 'raw');
}

function report({ rates, known, written, unmeasured }: PassRateResult, model: string, options: LabelOptions, io: Io) {
  const never = rates.filter((rate) => rate === 0).length;
  const always = rates.filter((rate) => rate === 1).length;
  const mean = rates.length > 0 ? rates.reduce((sum, rate) => sum + rate, 0) / rates.length : null;
  const counts = { problems: rates.length, never, sometimes: rates.length - never - always, always };
  const found = { model, out: options.out, k: options.k, known, written, mean, ...counts };
  io.result({ ...found, unmeasured: unmeasured.map(({ id, reason }) => ({ id, reason })) }, () => {
    io.print(`${written} pass rates of ${oneLine(model)} written to ${oneLine(options.out)}, ${known} were there`);
    const rows = Object.entries({ never, sometimes: counts.sometimes, always });
    if (rates.length > 0)
      io.print(
        `\n${table(
          ['solved', 'problems'],
          rows.map(([name, count]) => [name, String(count)]),
          io,
        )}`,
      );
    if (unmeasured.length === 0) return;
    io.print(
      `\n${unmeasured.length} problems have no row, since a sample got no verdict; the same command asks again:`,
    );
    for (const { id, reason } of unmeasured.slice(0, SHOWN)) io.print(`  ${oneLine(id)}: ${oneLine(reason)}`);
  });
}
