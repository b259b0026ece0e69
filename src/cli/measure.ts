import { existsSync } from 'node:fs';
import { HoneError } from '../core/index.js';
import { BENCHMARKS, benchmarkTask, findAbsent, findBenchmark, type Measured, ownTask } from '../evals/index.js';
import { sha256 } from '../formats/index.js';
import { type DatasetOptions, listTasks, loadTask, type Split, type Task } from '../tasks/index.js';

export interface MeasureRequest {
  split: Split;
  data?: string;
  protocol?: string;
  options: Record<string, unknown>;
}

/** What is measured: a task, and for benchmarks and files of one's own where its problems are from. */
export interface Asked {
  task: Task;
  measured: Measured | undefined;
}

/**
 * A benchmark (`aime24`), problems of one's own (`./problems.jsonl`, a folder of such files), or any task.
 * @throws HoneError('usage') for a name that is none of these; HoneError('input') when data are missing.
 */
export async function askedTask(spec: string, request: MeasureRequest): Promise<Asked> {
  const { split, data, protocol } = request;
  const { data: folder = data, ...options } = request.options;
  const chosen = {
    ...(typeof folder === 'string' ? { data: folder } : {}),
    ...(protocol === undefined ? {} : { protocol }),
    options: options as Partial<DatasetOptions>,
  };
  const benchmark = findBenchmark(spec);
  const isTask = listTasks().some(({ name }) => name === spec);
  if (benchmark && (split === 'test' || !isTask)) return of(benchmarkTask(benchmark, chosen));
  const absent = findAbsent(spec);
  if (absent)
    throw new HoneError('usage', `${absent.title} cannot be run here: ${absent.why}`, {
      where: spec,
      hint: `Benchmarks that can: ${BENCHMARKS.map(({ name }) => name).join(', ')}.`,
    });
  if (protocol !== undefined)
    throw new HoneError('usage', `${spec} is no benchmark with published protocols`, {
      where: '--protocol',
      hint: 'Leave --protocol out, or name a benchmark (hone eval list).',
    });
  if (isOwn(spec)) return of(ownTask(spec, chosen));
  const given = data === undefined ? request.options : { data, ...request.options };
  return { task: await loadTask(spec, given), measured: undefined };
}

const of = (measured: Measured): Asked => ({ task: measured.task, measured });

const isOwn = (spec: string): boolean =>
  existsSync(spec) && !listTasks().some(({ name }) => name === spec) && !/\.[mc]?[jt]s$/.test(spec);

/** What a result file says about the task. */
export function taskSettings({ task, measured }: Asked, request: MeasureRequest): Record<string, unknown> {
  const { prompt, protocol, dataset } = measured ?? {};
  return {
    name: task.name,
    split: request.split,
    options: request.options,
    ...(task.system === undefined ? {} : { system: task.system }),
    ...(prompt === undefined ? {} : { prompt: { text: prompt, sha256: sha256(prompt) } }),
    ...(protocol ? { protocol: { name: protocol.name, source: protocol.source } } : {}),
    ...(dataset ? { dataset } : {}),
  };
}
