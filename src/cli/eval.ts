import { stat, writeFile } from 'node:fs/promises';
import { HoneError } from '../core/index.js';
import { type EvalResult, evaluate, evaluateSolver, type EvalTiming, writeResult } from '../evals/index.js';
import type { Split, Task } from '../tasks/index.js';
import type { Method } from '../thinking/index.js';
import { requireCapabilities } from '../engine/chat/index.js';
import { type ChatModelOptions, localIdentity, type OpenedChatModel, usingChatModel } from './chat-model.js';
import { Scratch } from './checkpoint-model.js';
import { withEngine } from './engine.js';
import type { Io, JsonValue } from './io.js';
import { type Asked, askedTask, type MeasureRequest, taskSettings } from './measure.js';
import { resolveModel } from './model-source.js';
import { looseObject } from './options.js';
import { methodOf } from './sandbox.js';
import { methodSolver, sameAnswer } from './solver.js';
import { table } from './table.js';
import { oneLine, percent } from './text.js';
import { version } from './version.js';

export interface EvalCommandOptions extends ChatModelOptions {
  n?: number;
  k?: number;
  temperature?: number;
  topP?: number;
  maxTokens?: number;
  split: Split;
  method?: string;
  protocol?: string;
  data?: string;
  taskOption?: [string, string][];
  out?: string;
}

/** Numbers of one evaluation, with every default filled in. */
interface Plan {
  n: number;
  k: number;
  temperature: number;
  topP: number | undefined;
  maxTokens: number;
}

const DEFAULT_PROBLEMS = 200;

export async function runEval(spec: string, options: EvalCommandOptions, io: Io): Promise<void> {
  const request: MeasureRequest = {
    split: options.split,
    options: looseObject(options.taskOption),
    ...(options.data === undefined ? {} : { data: options.data }),
    ...(options.protocol === undefined ? {} : { protocol: options.protocol }),
  };
  if (options.model === undefined && options.endpoint === undefined)
    throw new HoneError('usage', 'there is no model to ask', {
      where: '--model',
      hint: 'Name a model folder with --model, or a server with --endpoint URL --model-name NAME.',
    });
  const method = options.method === undefined ? undefined : methodOf(options.method);
  const asked = await askedTask(spec, request);
  const plan = planOf(asked, options);
  refuseGreedyRepeats(plan);
  asked.task.problems(options.split, options.seed).at(0); // What is wrong with the data is found before the model is loaded.
  if (options.out !== undefined) await refuseUnwritable(options.out);
  // Without a method, a model of this machine is asked through its engine, all problems in one batch.
  const plain = method === undefined && options.endpoint === undefined;
  const found = plain ? await evalLocal(asked, plan, options, io) : await evalMethod(asked, plan, method, options, io);
  const settings = {
    hone: version(),
    task: taskSettings(asked, request),
    ...found.settings,
    grader: asked.task.grader ?? null,
  };
  const whole = { ...found.result, settings: { ...settings, sampling: plan, seed: options.seed } };
  if (options.out !== undefined) await writeResult(options.out, whole);
  report(whole, options, io);
}

function planOf({ measured, task }: Asked, options: EvalCommandOptions): Plan {
  const protocol = measured?.protocol;
  const k = options.k ?? protocol?.k ?? 1;
  return {
    n: options.n ?? (protocol ? Number.MAX_SAFE_INTEGER : DEFAULT_PROBLEMS),
    k,
    temperature: options.temperature ?? protocol?.temperature ?? (k === 1 ? 0 : 1),
    topP: options.topP ?? protocol?.topP,
    maxTokens: options.maxTokens ?? protocol?.maxTokens ?? task.suggestedMaxTokens,
  };
}

interface Found {
  result: EvalResult & { timing?: EvalTiming };
  settings: Record<string, unknown>;
}

async function evalLocal(asked: Asked, plan: Plan, options: EvalCommandOptions, io: Io): Promise<Found> {
  return Scratch.with(async (scratch) => {
    const { source, folder } = await resolveModel(options.model as string, {
      scratch,
      warn: (line) => io.progress.note(line, 'warn'),
    });
    const result = await withEngine(options, async (engine) => {
      io.progress.phase('loading the model');
      const model = await engine.openModel({ source });
      return evaluate({
        ...{ sampler: await model.liveSampler(), task: asked.task, model: folder, progress: io.progress },
        ...{ signal: io.signal, split: options.split, seed: options.seed, ...plan },
      });
    });
    const model = await localIdentity(options.model as string, folder, isRaw(asked.task));
    return { result, settings: { method: { name: 'direct' }, model } };
  });
}

async function evalMethod(
  { task }: Asked,
  plan: Plan,
  named: Method | undefined,
  options: EvalCommandOptions,
  io: Io,
): Promise<Found> {
  const method = named ?? methodOf('direct');
  const cache = options.cache ?? (options.out === undefined ? undefined : `${options.out}.cache`);
  const use = async (opened: OpenedChatModel): Promise<Found> => {
    requireCapabilities(opened.model, method.needs, `method ${method.name}`);
    const { temperature, topP, maxTokens } = plan;
    const sampling = { temperature, maxTokens, ...(topP === undefined ? {} : { topP }) };
    const result = await evaluateSolver({
      ...{ task, split: options.split, n: plan.n, k: plan.k, seed: options.seed, sampling, same: sameAnswer },
      solve: methodSolver({ method, model: opened.model, task, sampling }),
      ...{ concurrency: opened.concurrency, weightsVersion: opened.weightsVersion },
      ...{ signal: io.signal, progress: io.progress },
    });
    noteSpending(opened.spending(), io);
    return { result, settings: { method: { name: method.name, ...method.settings }, model: opened.identity } };
  };
  return usingChatModel(cache === undefined ? options : { ...options, cache }, io, use, isRaw(task));
}

const isRaw = (task: Task): boolean => task.format === 'raw';

function refuseGreedyRepeats({ k, temperature }: Plan): void {
  if (k === 1 || temperature !== 0) return;
  throw new HoneError('usage', `greedy decoding gives the same answer ${k} times`, {
    where: '--k',
    hint: 'Leave --k out, or give a --temperature above 0.',
  });
}

function noteSpending(spending: ReturnType<OpenedChatModel['spending']>, io: Io): void {
  if (spending === undefined) return;
  const { requests, retries, lostReplies, lostTokens, money } = spending;
  io.progress.note(
    `${requests} requests, ${retries} of them again; ${lostReplies} replies cut off (${lostTokens} tokens paid and lost)` +
      (money > 0 ? `; ${money.toFixed(4)} spent` : ''),
  );
}

/** Finds out before the work whether its result can be written. An empty file is what a stopped evaluation left. */
async function refuseUnwritable(file: string): Promise<void> {
  try {
    await writeFile(file, '', { flag: 'wx' });
  } catch (error) {
    const taken = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    if (taken && (await stat(file)).size === 0) return;
    throw new HoneError('usage', taken ? 'the file exists already' : 'the file cannot be written', {
      where: file,
      hint: 'Choose another file with --out.',
      cause: error,
    });
  }
}

function report(result: EvalResult & { settings: object }, { model, endpoint, out }: EvalCommandOptions, io: Io): void {
  const { rows: _, shares: __, ...summary } = result;
  const plain = JSON.parse(JSON.stringify({ ...summary, timing: undefined })) as Record<string, JsonValue>;
  io.result({ ...plain, model, endpoint, out }, () => {
    const [low, high] = result.ci95;
    const attempts = result.k === 1 ? 'one attempt each' : `${result.k} attempts each`;
    io.print(`${io.color.bold(percent(result.accuracy))} of ${result.n} problems, ${attempts}`);
    io.print(`95 % interval ${percent(low)} to ${percent(high)} (${oneLine(result.task)}, ${result.split} split)`);
    const { accuracyOfVerdicts } = result;
    if (accuracyOfVerdicts !== null && accuracyOfVerdicts !== result.accuracy)
      io.print(`${percent(accuracyOfVerdicts)} of the samples that got a verdict`);
    io.print(`\n${table(['attempts', 'count'], outcomes(result), io)}`);
    io.print(`\n${tokenLine(result)}`);
    if (result.wellFormed !== null) io.print(`well-formed: ${percent(result.wellFormed)}`);
    const passes = Object.entries(result.passAtK).map(([k, share]) => `pass@${k} ${percent(share)}`);
    if (result.k > 1) io.print(`${passes.join(', ')}, maj@${result.k} ${percent(result.majAtK)}`);
  });
}

function tokenLine({ tokens, rows }: EvalResult): string {
  const estimated = rows.some((row) => row.estimated) ? ' (estimated: the server counts none)' : '';
  const each = `${tokens.perSample.toFixed(1)} tokens generated for each answer`;
  return `${each}, ${tokens.generated} in ${tokens.calls} calls${estimated}`;
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
    ['no verdict: no reply', noVerdict.endpoint],
  ];
  return rows.filter(([, count]) => count > 0).map(([name, count]) => [name, String(count)]);
}
