import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { createJiti } from 'jiti';
import { HoneError, messageOf, nearest } from '../core/index.js';
import { checkTask } from './define.js';
import { listTasks } from './registry.js';
import type { Task } from './types.js';

const FILE = /\.[mc]?[jt]s$/;

/**
 * A task by name (`listTasks()`) or from a file (`./my-task.ts`) whose default export is a task, or a function from
 * options to one. A task file is trusted code: it runs with all rights of this process.
 * @param options of a named task, or for the function that a file exports.
 * @throws HoneError usage: unknown name, missing file, wrong option; input: the file cannot be run or exports no task.
 */
export async function loadTask(spec: string, options?: unknown): Promise<Task> {
  if (FILE.test(spec) || spec.startsWith('.') || isAbsolute(spec)) return loadFile(resolve(spec), options);
  const entry = listTasks().find(({ name }) => name === spec);
  if (entry) return entry.create(options);
  const names = listTasks().map(({ name }) => name);
  throw new HoneError('usage', `no task is named "${spec}"`, {
    hint: `Did you mean ${nearest(spec, names)}? Tasks: ${names.join(', ')}; or give a path to a task file, such as ./my-task.ts.`,
  });
}

async function loadFile(path: string, options: unknown): Promise<Task> {
  if (!existsSync(path))
    throw new HoneError('usage', 'there is no such task file', { where: path, hint: 'Check the path.' });
  const namespace = await importFile(path);
  // The loader also answers `.default` with the whole module where there is none, so the keys are asked.
  if (!Object.keys(namespace).includes('default'))
    throw new HoneError('input', 'has no default export', {
      where: path,
      hint: 'End the file with `export default defineTask({...})`.',
    });
  const exported = namespace.default;
  if (typeof exported !== 'function') {
    refuseOptions(path, options);
    return checkTask(exported, path);
  }
  return checkTask(await runFile(path, async () => (exported as (options: unknown) => unknown)(options ?? {})), path);
}

function refuseOptions(path: string, options: unknown): void {
  const [name] = Object.keys((options ?? {}) as object);
  if (name === undefined) return;
  throw new HoneError('usage', `takes no options, and ${name} was given`, {
    where: path,
    hint: 'Export a function from options to a task: `export default (options) => defineTask({...})`.',
  });
}

/** Runs the file with `hone/tasks` meaning this very module, wherever the file lies. */
async function importFile(path: string): Promise<Record<string, unknown>> {
  const own = await import('./index.js');
  const jiti = createJiti(import.meta.url, {
    fsCache: false,
    moduleCache: false,
    virtualModules: { 'hone/tasks': own },
  });
  return runFile(path, () => jiti.import<Record<string, unknown>>(path));
}

async function runFile<T>(path: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof HoneError && error.where === undefined)
      throw new HoneError(error.kind, error.message, {
        where: path,
        ...(error.hint === undefined ? {} : { hint: error.hint }),
        cause: error,
      });
    if (error instanceof HoneError) throw error;
    throw new HoneError('input', firstLine(messageOf(error)), {
      where: placeIn(path, error),
      hint: 'Mend the task file; docs/tasks.md has a complete example.',
      cause: error,
    });
  }
}

/** path:line where the error says so: in a parser's message, or in the first stack frame inside the file. */
function placeIn(path: string, error: unknown): string {
  const text = error instanceof Error ? `${error.message}\n${error.stack ?? ''}` : '';
  const at = text.indexOf(`${path}:`);
  const line = at < 0 ? undefined : /^\d+/.exec(text.slice(at + path.length + 1, at + path.length + 12))?.[0];
  return line === undefined ? path : `${path}:${line}`;
}

const firstLine = (text: string): string => (text.split('\n', 1)[0] as string).trim();
