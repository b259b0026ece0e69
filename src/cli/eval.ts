import { writeFile } from 'node:fs/promises';
import { HoneError } from '../core/index.js';
import { type EvalResult, evaluate } from '../evals/index.js';
import { loadTask, type Split } from '../tasks/index.js';
import { Scratch } from './checkpoint-model.js';
import { withEngine } from './engine.js';
import type { Io, JsonValue } from './io.js';
import { resolveModel } from './model-source.js';
import { looseObject } from './options.js';
import { table } from './table.js';
import { oneLine, percent } from './text.js';

export interface EvalCommandOptions {
  model: string;
  n: number;
  k: number;
  temperature?: number;
  topP?: number;
  maxTokens?: number;
  split: Split;
  taskOption?: [string, string][];
  out?: string;
  seed: number;
  threads?: number;
}

export async function runEval(spec: string, options: EvalCommandOptions, io: Io): Promise<void> {
  refuseGreedyRepeats(options);
  const task = await loadTask(spec, looseObject(options.taskOption));
  task.problems(options.split, options.seed).at(0); // What is wrong with the data is found before the model is loaded.
  if (options.out !== undefined) await refuseUnwritable(options.out);
  await Scratch.with(async (scratch) => {
    const { source, folder } = await resolveModel(options.model, {
      scratch,
      warn: (line) => io.progress.note(line, 'warn'),
    });
    const result = await withEngine(options, async (engine) => {
      io.progress.phase('loading the model');
      const model = await engine.openModel({ source });
      return evaluate({
        ...{ sampler: await model.liveSampler(), task, model: folder, progress: io.progress, signal: io.signal },
        ...{ split: options.split, n: options.n, k: options.k, seed: options.seed, topP: options.topP },
        temperature: options.temperature ?? (options.k === 1 ? 0 : 1),
        maxTokens: options.maxTokens ?? task.suggestedMaxTokens,
      });
    });
    if (options.out !== undefined) await writeFile(options.out, `${JSON.stringify(result, null, 2)}\n`);
    report(result, options, io);
  });
}

function refuseGreedyRepeats({ k, temperature }: EvalCommandOptions): void {
  if (k === 1 || temperature !== 0) return;
  throw new HoneError('usage', `greedy decoding gives the same answer ${k} times`, {
    where: '--k',
    hint: 'Leave --k out, or give a --temperature above 0.',
  });
}

/** Finds out before the work whether its result can be written. */
async function refuseUnwritable(file: string): Promise<void> {
  try {
    await writeFile(file, '', { flag: 'wx' });
  } catch (error) {
    const taken = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    throw new HoneError('usage', taken ? 'the file exists already' : 'the file cannot be written', {
      where: file,
      hint: 'Choose another file with --out.',
      cause: error,
    });
  }
}

function report(result: EvalResult, { model, out }: EvalCommandOptions, io: Io): void {
  const { rows: _, shares: __, ...summary } = result;
  io.result({ ...(JSON.parse(JSON.stringify(summary)) as Record<string, JsonValue>), model, out }, () => {
    const [low, high] = result.ci95;
    const attempts = result.k === 1 ? 'one attempt each' : `${result.k} attempts each`;
    io.print(`${io.color.bold(percent(result.accuracy))} of ${result.n} problems, ${attempts}`);
    io.print(`95 % interval ${percent(low)} to ${percent(high)} (${oneLine(result.task)}, ${result.split} split)\n`);
    io.print(table(['attempts', 'count'], outcomes(result), io));
    if (result.wellFormed !== null) io.print(`\nwell-formed: ${percent(result.wellFormed)}`);
    const passes = Object.entries(result.passAtK).map(([k, share]) => `pass@${k} ${percent(share)}`);
    if (result.k > 1) io.print(`${passes.join(', ')}, maj@${result.k} ${percent(result.majAtK)}`);
  });
}

function outcomes({ counts }: EvalResult): string[][] {
  const { correct, wrong, noAnswer, truncated, noVerdict } = counts;
  const rows: [string, number][] = [
    ['correct', correct],
    ['wrong answer', wrong],
    ['no answer found', noAnswer],
    ['cut off', truncated],
    ['no verdict: gold answer', noVerdict.gold],
    ['no verdict: grader', noVerdict.grader],
    ['no verdict: response', noVerdict.response],
  ];
  return rows.filter(([, count]) => count > 0).map(([name, count]) => [name, String(count)]);
}
