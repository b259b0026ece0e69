import { join } from 'node:path';
import { z } from 'zod';
import { HoneError } from '../../core/index.js';
import { parseOptions } from '../options.js';
import { readRows, type Row } from '../rows.js';
import { shuffledPasses } from '../split.js';
import type { Problem, ProblemSource, Split, Task } from '../types.js';
import { CODE_GRADER_VERSION, gradeProgram } from './grade.js';
import { codeLimitsSchema } from './limits.js';
import { testSuiteSchema } from './suites.js';
import type { CodeRunner } from './types.js';

export const codeTaskOptions = z.strictObject({
  /** Folder with the data files; default: the environment variable HONE_DATA, or ./data. */
  data: z.string().optional(),
  /** JSONL file of training problems: the preset has none of its own. */
  train: z.string().optional(),
  /** JSONL file of test problems; default: the preset's, in the folder `data`. */
  test: z.string().optional(),
  /** The user turn; {problem} stands for the problem, {test} for its first test where there is one. */
  prompt: z.string().optional(),
  system: z.string().optional(),
  /** `raw`: the model continues the problem as it stands. */
  format: z.enum(['chat', 'raw']).default('chat'),
  maxTokens: z.int().min(1).default(1024),
  limits: codeLimitsSchema.prefault({}),
});
export type CodeTaskOptions = z.input<typeof codeTaskOptions>;
type Parsed = z.output<typeof codeTaskOptions>;

/** A data set of programs with tests: how its rows read. */
export interface CodeDataset<R = unknown> {
  name: string;
  description: string;
  file: string;
  prompt: string;
  schema: z.ZodType<R>;
  problem(row: R): CodeProblem;
}

export interface CodeProblem {
  id: string;
  text: string;
  /** A program, or what completes the stub, that passes. */
  answer: string;
  suite: z.input<typeof testSuiteSchema>;
  stub?: { text: string; entry: string };
}

const dataSchema = z.object({
  suite: testSuiteSchema,
  stub: z.object({ text: z.string(), entry: z.string() }).optional(),
});

const firstTest = ({ suite }: CodeProblem): string => (suite.kind === 'asserts' ? (suite.asserts[0] ?? '') : '');

function toProblem(row: CodeProblem, { format }: Parsed, prompt: string): Problem {
  const filled = prompt.replaceAll(/\{(problem|test)\}/g, (_, name) => (name === 'test' ? firstTest(row) : row.text));
  return {
    id: row.id,
    prompt: format === 'raw' ? row.text : filled,
    ...(format === 'raw' ? { quoted: [row.text] } : {}),
    answer: row.answer,
    data: { suite: row.suite, ...(row.stub ? { stub: row.stub } : {}) },
  };
}

/** A reply that holds the reference solution. */
function goldReply({ answer = '', data }: Problem): string {
  const { stub } = dataSchema.parse(data);
  return `\`\`\`python\n${stub?.text ?? ''}${answer}\n\`\`\``;
}

function fileOf(options: Parsed, { name, file }: { name: string; file: string }, split: Split): string {
  const preset = join(options.data ?? process.env.HONE_DATA ?? 'data', file);
  const path = split === 'test' ? (options.test ?? preset) : options.train;
  if (path !== undefined) return path;
  throw new HoneError('usage', 'has no training problems of its own', {
    where: `task ${name}, option train`,
    hint: 'Name a JSONL file with rows of the same form in the task option `train`.',
  });
}

/** A task over a data set of programs: replies are graded by running them against tests that they cannot see. */
export function codeTask<R>(dataset: CodeDataset<R>, input: CodeTaskOptions = {}, runner?: CodeRunner): Task {
  const options = parseOptions(codeTaskOptions, input, dataset.name);
  const prompt = options.prompt ?? dataset.prompt;
  const loaded: Partial<Record<Split, Row<R>[]>> = {};
  const problems = (split: Split, seed: number): ProblemSource => {
    const rows = (loaded[split] ??= readRows(fileOf(options, dataset, split), dataset.schema, split));
    const order = shuffledPasses(rows.length, seed, `code-${dataset.name}-${split}`);
    const at = (index: number) => toProblem(dataset.problem((rows[order(index)] as Row<R>).value), options, prompt);
    return { size: rows.length, at };
  };
  return {
    name: dataset.name,
    description: dataset.description,
    format: options.format,
    ...(options.system === undefined ? {} : { system: options.system }),
    suggestedMaxTokens: options.maxTokens,
    grader: { profile: 'python-tests', version: CODE_GRADER_VERSION },
    problems,
    grade: (problem, response, context) => {
      const { suite, stub } = dataSchema.parse(problem.data);
      const where = { limits: options.limits, signal: context?.signal, ...(runner ? { runner } : {}) };
      return gradeProgram(response, suite, { ...where, ...(stub ? { stub } : {}) });
    },
    goldResponse: goldReply,
  };
}
