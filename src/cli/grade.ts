import { availableParallelism } from 'node:os';
import PQueue from 'p-queue';
import { z } from 'zod';
import { EXIT_CODES, HoneError } from '../core/index.js';
import {
  agreementByKind,
  agrees,
  explainMaths,
  goldReply,
  gradeMaths,
  gradePair,
  loadTask,
  pairSchema,
  profileNamed,
  readRows,
  type MathsVerdict,
  type Problem,
  type ProblemSource,
  type Row,
  type Split,
  type Verdict,
} from '../tasks/index.js';
import type { Io, JsonValue } from './io.js';
import { looseObject } from './options.js';
import { table } from './table.js';
import { oneLine, percent } from './text.js';

const asJson = (value: unknown): JsonValue => JSON.parse(JSON.stringify(value)) as JsonValue;

// ---- hone grade pairs ----

export function pairsCommand(file: string, options: { profile?: string }, io: Io): void {
  const asked = options.profile === undefined ? undefined : profileNamed(options.profile);
  const graded = rowsIn(file, pairSchema).map(({ value: pair }) => ({ pair, verdict: gradePair(pair, asked) }));
  const verdicts = graded.map(({ pair, verdict }) => ({
    id: pair.id,
    status: verdict.status,
    ...(pair.expected === undefined ? {} : { agrees: agrees(pair, verdict) }),
    ...pick(verdict),
  }));
  const agreement = agreementByKind(graded);
  io.result(asJson({ verdicts, agreement }), () => {
    for (const verdict of verdicts) io.print(plainJson(verdict));
    if (agreement.every(({ expected }) => expected === 0)) return;
    const rows = agreement.map(({ kind, pairs, expected, agreed, noVerdict }) => [
      oneLine(kind),
      String(pairs),
      `${agreed} of ${expected}`,
      expected === 0 ? '' : percent(agreed / expected),
      String(noVerdict),
    ]);
    io.print(table(['kind', 'pairs', 'agree', 'share', 'no verdict'], rows, io));
  });
}

const pick = ({ cause, extracted, reason, by }: MathsVerdict) => ({ cause, extracted, reason, by });

/** JSON that a terminal shows as it is: control characters beyond ASCII's are escaped too. */
const plainJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

// ---- hone grade explain ----

export function explainCommand(gold: string, answer: string, options: { profile?: string }, io: Io): void {
  const profile = profileNamed(options.profile ?? 'default');
  const steps = explainMaths(gold, answer, { profile });
  io.result(asJson(steps), () => {
    const { verdict } = steps;
    io.print(
      table(
        ['step', 'gold', 'answer'],
        steps.steps.map((step) => [step.name, oneLine(step.gold), oneLine(step.answer)]),
        io,
      ),
    );
    const color = verdict.status === 'correct' ? io.color.green : io.color.yellow;
    io.print(`\n${color(verdict.status)}: ${oneLine(verdict.reason, 200)}`);
    io.print(`profile ${profile.name}: ${profile.source}`);
  });
}

// ---- hone grade --task --responses ----

export interface ResponsesOptions {
  task?: string;
  responses?: string;
  split: Split;
  seed: number;
  taskOption?: [string, string][];
}

const responseSchema = z.looseObject({
  id: z.union([z.string(), z.number()]).transform(String).optional(),
  index: z.int().min(0).optional(),
  response: z.string(),
  stopReason: z.enum(['eos', 'stop', 'length', 'aborted']).default('eos'),
});

export async function responsesCommand(options: ResponsesOptions, io: Io): Promise<void> {
  const { task: spec, responses: file } = options;
  if (spec === undefined || file === undefined)
    throw new HoneError('usage', `${spec === undefined ? '--task' : '--responses'} is missing`, {
      hint: 'Give both: hone grade --task gsm8k --responses answers.jsonl; or see `hone grade --help` for pairs and explain.',
    });
  const task = await loadTask(spec, looseObject(options.taskOption));
  const find = finder(task.problems(options.split, options.seed));
  const rows = rowsIn(file, responseSchema).map(({ line, value }) => ({
    ...value,
    problem: find(value, `${file}:${line}`),
  }));
  // Graders that start processes work on several at a time.
  const queue = new PQueue({ concurrency: availableParallelism() });
  const graded = await queue.addAll(
    rows.map(({ problem, response: text, stopReason }) => async () => {
      const response = { text, tokens: new Int32Array(0), stopReason };
      return { id: problem.id, verdict: await task.grade(problem, response, { signal: io.signal }) };
    }),
  );
  report(graded, io);
}

/** Problems by index, or by id where the split is finite. */
function finder(
  source: ProblemSource,
): (row: { id?: string | undefined; index?: number | undefined }, where: string) => Problem {
  let byId: Map<string, Problem> | undefined;
  return ({ id, index }, where) => {
    if (index !== undefined) return source.at(index);
    if (Number.isFinite(source.size))
      byId ??= new Map(
        Array.from({ length: source.size }, (_, at) => source.at(at)).map((problem) => [problem.id, problem]),
      );
    const problem = id === undefined ? undefined : byId?.get(id);
    if (problem) return problem;
    throw new HoneError('input', id === undefined ? 'has neither id nor index' : `the task has no problem ${id}`, {
      where,
      hint: 'Name the problem by its id in this split, or by its index under this seed.',
    });
  };
}

function report(graded: readonly { id: string; verdict: Verdict }[], io: Io): void {
  const counts = { correct: 0, wrong: 0, no_verdict: 0 };
  for (const { verdict } of graded) counts[verdict.status]++;
  const rows = graded.map(({ id, verdict }) => ({ id, ...verdict }));
  io.result(asJson({ verdicts: rows, counts }), () => {
    for (const row of rows) io.print(plainJson(row));
    io.print(
      `\n${counts.correct} correct, ${counts.wrong} wrong, ${counts.no_verdict} without a verdict, of ${graded.length}`,
    );
  });
}

// ---- hone data validate ----

export interface ValidateOptions {
  field: string;
  profile: string;
}

/** A row whose gold answer no response could match, or that has none. */
interface UnusableRow {
  where: string;
  gold: string;
  status: Verdict['status'];
  reason: string;
}

export function validateCommand(file: string, { field, profile: name }: ValidateOptions, io: Io): void {
  const profile = profileNamed(name);
  const rows = rowsIn(file, z.looseObject({}));
  const failures = rows.flatMap(({ line, value }): UnusableRow[] => {
    const [where, gold] = [`${file}:${line}`, value[field]];
    if (typeof gold !== 'string' && typeof gold !== 'number')
      return [{ where, gold: '', status: 'no_verdict', reason: `no text or number in the field "${field}"` }];
    const { status, reason } = gradeMaths(String(gold), goldReply(String(gold), profile), { profile });
    return status === 'correct' ? [] : [{ where, gold: String(gold), status, reason }];
  });
  if (rows.every(({ value }) => value[field] === undefined))
    throw new HoneError('input', `no row has a field "${field}"`, {
      where: file,
      hint: `Name the field of the gold answer with --field; the first row has: ${Object.keys(rows[0]?.value ?? {}).join(', ')}.`,
    });
  io.result(asJson({ rows: rows.length, failures }), () => {
    for (const { where, gold, status, reason } of failures)
      io.print(`${oneLine(where, 200)}: ${status} (${oneLine(reason)}): ${oneLine(gold)}`);
    io.print(`${rows.length - failures.length} of ${rows.length} gold answers are found correct`);
    if (failures.length > 0)
      io.print('No response could earn the reward of the rows above: mend them or leave them out.');
  });
  if (failures.length > 0) process.exitCode = EXIT_CODES.input;
}

/** Rows of a file that has some. */
function rowsIn<T>(file: string, schema: z.ZodType<T>): Row<T>[] {
  const rows = readRows(file, schema);
  if (rows.length > 0) return rows;
  throw new HoneError('input', 'has no rows', { where: file, hint: 'Give a JSONL file with one object a line.' });
}
