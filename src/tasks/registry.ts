import type { z } from 'zod';
import { codeTaskOptions, humanEvalTask, mbppTask } from './code/index.js';
import { arithmeticOptions, arithmeticTask } from './arithmetic.js';
import { calculatorOptions, calculatorTask } from './calculator.js';
import { countdownOptions, countdownTask } from './countdown.js';
import { datasetOptions, datasetTask } from './dataset.js';
import { lastDigitOptions, lastDigitTask } from './last-digit.js';
import { pathOptions, pathTask } from './path.js';
import { gsm8kTask, mathTask, presetOptions } from './presets.js';
import { parseOptions } from './options.js';
import type { Task } from './types.js';

export interface TaskEntry {
  name: string;
  /** `procedural`: problems are made; `dataset`: problems are read from files. */
  kind: 'procedural' | 'dataset';
  description: string;
  options: z.ZodType;
  create(options: unknown): Task;
}

function entry<S extends z.ZodType>(
  name: string,
  kind: TaskEntry['kind'],
  description: string,
  options: S,
  make: (options: z.output<S>) => Task,
): TaskEntry {
  return { name, kind, description, options, create: (input) => make(parseOptions(options, input, name)) };
}

const ENTRIES: readonly TaskEntry[] = [
  entry(
    'last-digit',
    'procedural',
    'put + - * between digits so that the last digit hits a target',
    lastDigitOptions,
    lastDigitTask,
  ),
  entry(
    'arithmetic',
    'procedural',
    'nested integer arithmetic, one operation at a time',
    arithmeticOptions,
    arithmeticTask,
  ),
  entry('countdown', 'procedural', 'reach a target from given numbers', countdownOptions, countdownTask),
  entry(
    'calculator',
    'procedural',
    'integer arithmetic with a calculator to call (an environment with a tool)',
    calculatorOptions,
    calculatorTask,
  ),
  entry('path', 'procedural', 'find the way through a graph; lengths vary tenfold', pathOptions, pathTask),
  entry('gsm8k', 'dataset', 'grade-school word problems (needs data files)', presetOptions, gsm8kTask),
  entry('math', 'dataset', 'competition problems, MATH and MATH-500 (needs data files)', presetOptions, mathTask),
  entry('humaneval', 'dataset', 'complete a Python function (needs data files)', codeTaskOptions, (options) =>
    humanEvalTask(options),
  ),
  entry('mbpp', 'dataset', 'write a Python function (needs data files)', codeTaskOptions, (options) =>
    mbppTask(options),
  ),
  entry('jsonl', 'dataset', 'any JSONL file, with a mapping of its fields', datasetOptions, (options) =>
    datasetTask(options),
  ),
];

/** Every task that can be named, in the order in which to show them. */
export function listTasks(): readonly TaskEntry[] {
  return ENTRIES;
}
