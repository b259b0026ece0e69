import { basename } from 'node:path';
import { z } from 'zod';
import { HoneError } from '../core/index.js';
import { ANSWER_RULES, extractAnswer, type AnswerPolicy } from './answers.js';
import { benchmarkOf, fingerprint } from './benchmarks.js';
import {
  DEFAULT_PROFILE,
  gradeMaths,
  MATHS_GRADER_VERSION,
  MATHS_PROFILES,
  markedPlaces,
  type MathsProfile,
} from './grading/maths/index.js';
import { gradeNumeric, type Grader } from './numeric.js';
import { parseOptions } from './options.js';
import { actionEffort } from './signals/effort.js';
import { readRows, type Row } from './rows.js';
import { PROMPT_TEMPLATES } from './templates/index.js';
import { shuffledPasses, splitOf } from './split.js';
import type { Demonstration, Problem, ProblemSource, Response, Split, Task, Verdict } from './types.js';
import { correct, noVerdict, wrong } from './verdicts.js';

const DEFAULT_PROMPT = '{problem}\n\nPlease reason step by step, and put your final answer within \\boxed{}.';

export const datasetOptions = z.strictObject({
  name: z.string().min(1).default('jsonl'),
  description: z.string().optional(),
  /** JSONL file of training problems. */
  train: z.string().optional(),
  /** JSONL file of test problems. Without it, one in five problems of `train` (by fingerprint) is held out. */
  test: z.string().optional(),
  /** Names of the fields of a row. */
  fields: z
    .strictObject({
      problem: z.string().default('problem'),
      answer: z.string().default('answer'),
      id: z.string().default('id'),
      /** A worked solution to imitate, where there is one. */
      solution: z.string().optional(),
    })
    .prefault({}),
  /** The user turn; {problem} stands for the problem. Not given: DEFAULT_PROMPT. */
  prompt: z
    .string()
    .refine((text) => text.includes('{problem}'), 'has no {problem} in it')
    .optional(),
  /** A published prompt instead of `prompt`, with its format, stop strings and rule for thinking (src/tasks/templates). */
  template: z.enum([...PROMPT_TEMPLATES.keys()]).optional(),
  system: z.string().optional(),
  /** `chat` where neither it nor a template says otherwise. */
  format: z.enum(['chat', 'raw']).optional(),
  /** The grader's profile: where an answer may stand and when it is the gold one. */
  profile: z.enum([...MATHS_PROFILES.keys()]).default('default'),
  /** Whether a response has to close its thought with </think> before it answers; the profile's rule where not given. */
  thinking: z.enum(['required', 'optional', 'none']).optional(),
  /** Instead of the profile: rules by which the answer is read out of a response, in order, for numbers alone. */
  answer: z.union([z.literal('default'), z.array(z.enum(ANSWER_RULES)).min(1)]).default('default'),
  maxTokens: z.int().min(1).default(1024),
  /** Train on the problems alone whose worked solution has at most so many lines: the easier ones. Needs `fields.solution`. */
  maxSolutionLines: z.int().min(1).optional(),
  /** What to do with training rows that are problems of a known benchmark: stop, leave them out, or train on them. */
  benchmarkRows: z.enum(['refuse', 'drop', 'keep']).default('refuse'),
});
export type DatasetOptions = z.input<typeof datasetOptions>;
type Parsed = z.output<typeof datasetOptions>;

/** How a problem is put to the model. */
interface Form {
  prompt: string;
  format: 'chat' | 'raw';
  stop?: readonly string[];
  thinking?: Parsed['thinking'];
}

/** @throws HoneError usage where a template meets what it decides itself. */
function formOf({ name, prompt, template: chosen, system, format, thinking }: Parsed): Form {
  const template = chosen === undefined ? undefined : PROMPT_TEMPLATES.get(chosen);
  if (!template) return { prompt: prompt ?? DEFAULT_PROMPT, format: format ?? 'chat', thinking };
  const also = Object.entries({ prompt, system, format }).find(([, value]) => value !== undefined)?.[0];
  if (also !== undefined)
    throw new HoneError('usage', `the template ${template.name} decides ${also} itself`, {
      where: `task ${name}, option ${also}`,
      hint: `Leave out ${also} or template.`,
    });
  const { text, stop } = template;
  return { prompt: text, format: template.format, ...(stop ? { stop } : {}), thinking: thinking ?? template.thinking };
}

interface Example {
  id: string;
  problem: string;
  answer: string;
  solution?: string;
}

/** What became of the rows of a split. */
export interface DatasetReport {
  /** Rows in the file. */
  rows: number;
  /** Problems of the split. */
  problems: number;
  /** Left out because the row's own `overlaps` names a benchmark. */
  markedOverlaps: number;
  /** Left out because the problem is in the shipped list of benchmark problems (benchmarkRows: drop). */
  benchmarkRows: number;
  /** Left out because the problem is also in the task's own test split. */
  inTest: number;
  /** Left out because the worked solution is longer than the option `maxSolutionLines`. */
  tooLong: number;
}

export interface DatasetTask extends Task {
  report(split: Split): DatasetReport;
}

type RawRow = Record<string, unknown>;

function rowSchema({ fields }: Parsed): z.ZodType<RawRow> {
  const text = z.string().min(1);
  return z.looseObject({
    [fields.problem]: text,
    [fields.answer]: z.union([text, z.number()]),
    [fields.id]: z.union([z.string(), z.number()]).optional(),
    ...(fields.solution ? { [fields.solution]: text } : {}),
  });
}

/** A gold answer given as a whole solution (#### 18 or \boxed{18}) is cut down to the answer. */
function goldOf(text: string): string {
  return extractAnswer(text, ['boxed', 'hash'])?.answer ?? text.trim();
}

function exampleOf({ line, value }: Row<RawRow>, { fields }: Parsed, split: Split): Example {
  return {
    id: String(value[fields.id] ?? `${split}-${line}`),
    problem: String(value[fields.problem]),
    answer: goldOf(String(value[fields.answer])),
    ...(fields.solution ? { solution: String(value[fields.solution]) } : {}),
  };
}

interface Loaded {
  examples: Example[];
  report: DatasetReport;
}

function pathOf(options: Parsed, split: Split): string {
  const path = options[split] ?? options.train;
  if (path !== undefined && !(split === 'train' && options.train === undefined)) return path;
  throw new HoneError('usage', `has no ${split} file`, {
    where: `task ${options.name}, option ${split}`,
    hint: `Name a JSONL file in the task option \`${split}\`.`,
  });
}

function loadTest(options: Parsed): Loaded {
  const path = pathOf(options, 'test');
  const heldOut = options.test === undefined;
  const rows = readRows(path, rowSchema(options), heldOut ? 'train' : 'test');
  const examples = rows
    .map((row) => exampleOf(row, options, 'test'))
    .filter(({ problem }) => !heldOut || splitOf('dataset', fingerprint(problem)) === 'test');
  return {
    examples,
    report: {
      rows: rows.length,
      problems: examples.length,
      markedOverlaps: 0,
      benchmarkRows: 0,
      inTest: 0,
      tooLong: 0,
    },
  };
}

/** Training rows less those marked as overlaps, those in the task's own test split, and those of known benchmarks. */
function loadTrain(options: Parsed, test: Loaded | undefined): Loaded {
  const path = pathOf(options, 'train');
  const rows = readRows(path, rowSchema(options), 'train');
  const testPrints = new Set(test?.examples.map(({ problem }) => fingerprint(problem)));
  const unmarked = rows.filter(({ value }) => !isMarked(value.overlaps));
  const apart = unmarked.filter(({ value }) => !testPrints.has(fingerprint(String(value[options.fields.problem]))));
  const kept = withoutBenchmarks(apart, options, path);
  const all = kept.map((row) => exampleOf(row, options, 'train'));
  const examples = all.filter((example) => isShort(example, options));
  return {
    examples,
    report: {
      rows: rows.length,
      problems: examples.length,
      markedOverlaps: rows.length - unmarked.length,
      inTest: unmarked.length - apart.length,
      benchmarkRows: apart.length - kept.length,
      tooLong: all.length - examples.length,
    },
  };
}

/** Lines of the worked solution; GSM8K's last line, which repeats the answer after ####, is none. */
function isShort({ solution }: Example, { maxSolutionLines, name }: Parsed): boolean {
  if (maxSolutionLines === undefined) return true;
  if (solution === undefined)
    throw new HoneError('usage', 'needs worked solutions, and the rows have none', {
      where: `task ${name}, option maxSolutionLines`,
      hint: 'Name the field of the worked solution in the option `fields.solution`, or leave this option out.',
    });
  return workOf(solution).trim().split(/\n+/).length <= maxSolutionLines;
}

const isMarked = (overlaps: unknown): boolean =>
  Array.isArray(overlaps) ? overlaps.length > 0 : overlaps !== undefined && overlaps !== null && overlaps !== '';

function withoutBenchmarks(rows: Row<RawRow>[], options: Parsed, path: string): Row<RawRow>[] {
  if (options.benchmarkRows === 'keep') return rows;
  const named = rows.map((row) => ({ row, benchmark: benchmarkOf(String(row.value[options.fields.problem])) }));
  const found = named.filter(({ benchmark }) => benchmark !== undefined);
  const first = found[0];
  if (options.benchmarkRows === 'refuse' && first)
    throw new HoneError('input', `this problem is in the benchmark ${first.benchmark} (${found.length} such rows)`, {
      where: `${path}:${first.row.line}`,
      hint: 'Set the task option benchmarkRows to `drop` to leave such rows out, or to `keep` to train on them all the same.',
    });
  return named.filter(({ benchmark }) => benchmark === undefined).map(({ row }) => row);
}

function sourceOf(
  examples: readonly Example[],
  { name, form, split, seed }: { name: string; form: Form; split: Split; seed: number },
): ProblemSource {
  if (examples.length === 0)
    throw new HoneError('input', `the ${split} split has no problem`, {
      where: `task ${name}`,
      hint: 'Look at the file and at what was left out of it (the counts are in the report of the task).',
    });
  const order = shuffledPasses(examples.length, seed, `dataset-${split}`);
  const at = (index: number): Problem => {
    const { id, problem, answer, solution } = examples[order(index)] as Example;
    const prompt = form.prompt.replaceAll('{problem}', () => problem);
    const quoted = form.format === 'raw' ? { quoted: [problem] } : {};
    return { id, prompt, ...quoted, answer, ...(solution === undefined ? {} : { data: { solution } }) };
  };
  return { size: examples.length, at };
}

const isCutOff = ({ stopReason }: Response): boolean => stopReason === 'length' || stopReason === 'aborted';

/** The rules that may read a cut-off response: its last number is no answer, only the place where it stopped. */
function rulesFor(policy: AnswerPolicy, response: Response): AnswerPolicy {
  if (!isCutOff(response)) return policy;
  return (policy === 'default' ? ANSWER_RULES : policy).filter((rule) => rule !== 'last-number');
}

/**
 * Grades a response against `problem.answer` by a profile of the maths grader, or, where `policy` or `grader` are given,
 * by them: the answer is read out by the policy, then compared by the grader (numbers by default). A cut-off response
 * counts only when it had already marked an answer. `wellFormed`: the answer was marked, not guessed.
 */
export async function gradeAnswer(
  problem: Problem,
  response: Response,
  options: { profile?: MathsProfile; policy?: AnswerPolicy; grader?: Grader; signal?: AbortSignal | undefined } = {},
): Promise<Verdict> {
  const { profile = DEFAULT_PROFILE, policy, grader } = options;
  if (problem.answer === undefined) return noVerdict('gold', 'the problem has no gold answer');
  if (grader || (policy !== undefined && policy !== 'default')) return gradeByPolicy(problem.answer, response, options);
  const places = isCutOff(response) ? markedPlaces(profile) : profile.places;
  return gradeMaths(problem.answer, response.text, { profile: { ...profile, places } });
}

async function gradeByPolicy(
  gold: string,
  response: Response,
  { policy = 'default', grader = gradeNumeric, signal }: Parameters<typeof gradeAnswer>[2] & object,
): Promise<Verdict> {
  const found = extractAnswer(response.text, rulesFor(policy, response));
  if (!found) return wrong('no answer found', { wellFormed: false });
  const details = { extracted: found.answer, wellFormed: found.rule !== 'last-number' };
  const comparison = await grader(gold, found.answer, signal ? { signal } : {});
  if (comparison.equal === undefined) return noVerdict('gold', comparison.reason, details);
  return comparison.equal
    ? correct(found.answer, comparison.reason, details)
    : wrong(`${comparison.reason} as ${gold}`, details);
}

function demonstrate(name: string, problem: Problem, style: 'plain' | 'search'): Demonstration {
  if (style === 'plain') return { problem, response: demonstrationText(problem) };
  throw new HoneError('usage', 'has no search demonstrations', {
    where: `task ${name}`,
    hint: 'A data set gives its own solutions alone: ask for the style `plain`.',
  });
}

/** A solution without GSM8K's <<48/2=24>> marks and its #### line. */
function workOf(solution: string): string {
  return solution.replace(/<<[^<>\n]{0,200}>>/g, '').replace(/\n?####[^\n]*\s*$/, '');
}

/** The work, and a sentence with a box, which any rule reads. */
function demonstrationText(problem: Problem): string {
  const { solution } = z.object({ solution: z.string() }).parse(problem.data);
  const worked = workOf(solution);
  const boxed = extractAnswer(worked, ['boxed'])?.answer === problem.answer;
  return boxed ? worked : `${worked}\nThe answer is \\boxed{${problem.answer}}.`;
}

function profileOf({ profile }: Parsed, { thinking }: Form): MathsProfile {
  const named = MATHS_PROFILES.get(profile) ?? DEFAULT_PROFILE;
  return thinking === undefined ? named : { ...named, thinking };
}

/**
 * A task whose problems are rows of JSONL files. Files are read when a split is first asked for; the order of a pass is
 * a pure function of the seed. Training leaves out rows with `overlaps` set and rows that are in the test split, and
 * refuses rows that are problems of a known benchmark.
 * @param grader how an extracted answer is compared with the gold one, instead of the profile.
 * @throws HoneError usage on wrong options; from `problems`: input, with `file:line`, on a row that is not right.
 */
export function datasetTask(input: DatasetOptions, grader?: Grader): DatasetTask {
  const options = parseOptions(datasetOptions, input, input.name ?? 'jsonl');
  if (options.train === undefined && options.test === undefined) pathOf(options, 'train');
  const loaded: Partial<Record<Split, Loaded>> = {};
  const testOf = () => (loaded.test ??= loadTest(options));
  const load = (split: Split) => (split === 'test' ? testOf() : (loaded.train ??= loadTrain(options, testOf())));
  const form = formOf(options);
  const grading = { profile: profileOf(options, form), policy: options.answer, ...(grader ? { grader } : {}) };
  return {
    name: options.name,
    description: options.description ?? `problems of ${basename(pathOf(options, 'test'))}`,
    format: form.format,
    ...(options.system === undefined ? {} : { system: options.system }),
    ...(form.stop ? { stop: form.stop } : {}),
    suggestedMaxTokens: options.maxTokens,
    ...(grader || options.answer !== 'default'
      ? {}
      : { grader: { profile: grading.profile.name, version: MATHS_GRADER_VERSION } }),
    problems: (split, seed) => sourceOf(load(split).examples, { name: options.name, form, split, seed }),
    grade: (problem, response, context) => gradeAnswer(problem, response, { ...grading, signal: context?.signal }),
    effort: (_problem, { text }) => actionEffort(text),
    goldResponse: (problem) => `\\boxed{${problem.answer}}`,
    ...(options.fields.solution
      ? { demonstrate: (problem: Problem, style: 'plain' | 'search') => demonstrate(options.name, problem, style) }
      : {}),
    report: (split) => load(split).report,
  };
}
