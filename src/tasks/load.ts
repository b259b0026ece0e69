import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { createJiti } from 'jiti';
import { HoneError, messageOf } from '../core/index.js';
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
  throw new HoneError('usage', `no task is named "${spec}"`, {
    hint: `Tasks: ${listTasks()
      .map(({ name }) => name)
      .join(', ')}; or give a path to a task file, such as ./my-task.ts.`,
  });
}

async function loadFile(path: string, options: unknown): Promise<Task> {
  if (!existsSync(path))
    throw new HoneError('usage', 'there is no such task file', { where: path, hint: 'Check the path.' });
  const exported = await importFile(path);
  if (exported === undefined)
    throw new HoneError('input', 'has no default export', {
      where: path,
      hint: 'End the file with `export default defineTask({...})`.',
    });
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
async function importFile(path: string): Promise<unknown> {
  const own = await import('./index.js');
  const jiti = createJiti(import.meta.url, {
    fsCache: false,
    moduleCache: false,
    virtualModules: { 'hone/tasks': own },
  });
  return runFile(path, () => jiti.import(path, { default: true, try: false }));
}

async function runFile(path: string, run: () => Promise<unknown>): Promise<unknown> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof HoneError && error.where === undefined)
      throw new HoneError(error.kind, error.message, { where: path, hint: error.hint ?? '', cause: error });
    if (error instanceof HoneError) throw error;
    throw new HoneError('input', firstLine(messageOf(error)), {
      where: path,
      hint: 'Mend the task file; docs/tasks.md has a complete example.',
      cause: error,
    });
  }
}

const firstLine = (text: string): string => text.split('\n', 1)[0] as string;
