import { RandomStream } from '../core/index.js';
import { listTasks, loadTask, type Problem, type Split, type Task, type Verdict } from '../tasks/index.js';
import type { Io, JsonValue } from './io.js';
import { looseObject } from './options.js';
import { table } from './table.js';
import { oneLine, plainText } from './text.js';

export function listCommand(io: Io): void {
  const tasks = listTasks();
  io.result(
    tasks.map(({ name, description }) => ({ name, description })),
    () => {
      io.print(
        table(
          ['task', 'what is asked'],
          tasks.map(({ name, description }) => [name, description]),
          io,
        ),
      );
      io.print(
        '\nhone tasks preview <task> shows problems. Your own task is one file: hone tasks preview ./my-task.ts',
      );
    },
  );
}

export interface PreviewOptions {
  n: number;
  split: Split;
  taskOption?: [string, string][];
  seed: number;
}

interface Shown {
  problem: Problem;
  demonstrations: { style: 'plain' | 'search'; response: string; verdict: Verdict }[];
}

export async function previewCommand(spec: string, options: PreviewOptions, io: Io): Promise<void> {
  const task = await loadTask(spec, looseObject(options.taskOption));
  const source = task.problems(options.split, options.seed);
  const shown: Shown[] = [];
  for (let index = 0; index < Math.min(options.n, source.size); index++)
    shown.push(await look(task, source.at(index), index, options.seed));
  io.result(JSON.parse(JSON.stringify(shown)) as JsonValue, () => print(task, shown, io));
}

async function look(task: Task, problem: Problem, index: number, seed: number): Promise<Shown> {
  const demonstrations: Shown['demonstrations'] = [];
  for (const style of task.demonstrate === undefined ? [] : (['plain', 'search'] as const)) {
    const demonstration = task.demonstrate?.(problem, style, new RandomStream(seed, 'preview', style, index));
    if (demonstration === undefined) continue;
    const { response } = demonstration;
    const verdict = await task.grade(problem, { text: response, tokens: new Int32Array(0), stopReason: 'eos' });
    demonstrations.push({ style, response, verdict });
  }
  return { problem, demonstrations };
}

function print(task: Task, shown: readonly Shown[], io: Io): void {
  io.print(`${io.color.bold(oneLine(task.name))}: ${oneLine(task.description, 300)}`);
  for (const { problem, demonstrations } of shown) {
    io.print(
      `\n${io.color.bold(oneLine(problem.id))}${problem.answer === undefined ? '' : `  answer ${oneLine(problem.answer)}`}`,
    );
    io.print(plainText(problem.prompt));
    for (const { style, response, verdict } of demonstrations) {
      const status = verdict.status === 'correct' ? io.color.green(verdict.status) : io.color.yellow(verdict.status);
      io.print(`  ${style}: ${status}, ${oneLine(verdict.reason)}`);
      io.print(plainText(response).replace(/^/gm, '    '));
    }
  }
}
