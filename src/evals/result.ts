import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { HoneError } from '../core/index.js';
import { parseRow, stringifyJson, writeFileAtomic } from '../formats/index.js';
import { pairedDifference, type Estimate } from './stats.js';

/** Everything that shaped a result, by dotted name when compared. */
export type Settings = { readonly [key: string]: unknown };

const row = z.looseObject({
  problemId: z.string(),
  sample: z.number(),
  prompt: z.string(),
  tokens: z.number(),
  verdict: z.looseObject({ status: z.enum(['correct', 'wrong', 'no_verdict']) }),
});
const interval = z.tuple([z.number(), z.number()]);
const resultFile = z.looseObject({
  task: z.string(),
  accuracy: z.number(),
  ci95: interval,
  n: z.number(),
  k: z.number(),
  majAtK: z.number(),
  passAtK: z.record(z.string(), z.number()),
  accuracyOfVerdicts: z.number().nullable(),
  tokens: z.looseObject({ generated: z.number(), prompt: z.number(), perSample: z.number(), calls: z.number() }),
  truncatedShare: z.number(),
  noAnswerShare: z.number(),
  settings: z.record(z.string(), z.unknown()),
  rows: z.array(row).min(1),
});

/** A stored evaluation, as far as others read it. */
export type StoredResult = z.output<typeof resultFile>;

/** Writes a result as JSON, whole or not at all: one row a line, so that two files can be held side by side. */
export async function writeResult<R extends { readonly rows: readonly object[] }>(
  file: string,
  result: R,
): Promise<void> {
  const { rows, ...rest } = result;
  const head = stringifyJson(JSON.parse(JSON.stringify(rest))).slice(0, -1);
  const lines = rows.map((value) => stringifyJson(JSON.parse(JSON.stringify(value))));
  await writeFileAtomic(file, `${head},"rows":[\n${lines.join(',\n')}\n]}\n`);
}

/** @throws HoneError('input') when the file cannot be read or is no result of `hone eval --out`. */
export async function readResult(file: string): Promise<StoredResult> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new HoneError('input', 'cannot be read', {
      where: file,
      hint: 'Give a file that `hone eval ... --out FILE` wrote.',
      cause: error,
    });
  }
  return parseRow(text, resultFile, file, 'Give a file that `hone eval ... --out FILE` wrote.');
}

export interface SettingDifference {
  name: string;
  a: unknown;
  b: unknown;
}

export interface ResultComparison {
  /** Problems in both. */
  problems: number;
  onlyA: number;
  onlyB: number;
  /** Problems of the same name whose prompts differ (a method or protocol may do that). */
  differentPrompts: number;
  /** avg@k on the common problems. */
  accuracyA: number;
  accuracyB: number;
  /** B - A over the common problems, paired. */
  difference: Estimate;
  /** Problems on which B is better, worse, equal. */
  better: number;
  worse: number;
  equal: number;
  /** Mean generated tokens of a sample. */
  tokensA: number;
  tokensB: number;
  settings: SettingDifference[];
}

/**
 * B against A on the problems they share, paired by problem, and every setting in which they differ.
 * @throws HoneError('usage') when fewer than two problems are common.
 */
export function compareResults(a: StoredResult, b: StoredResult): ResultComparison {
  const [inA, inB] = [byProblem(a), byProblem(b)];
  const common = [...inA.keys()].filter((id) => inB.has(id));
  if (common.length < 2)
    throw new HoneError('usage', `the results share ${common.length} problems`, {
      hint: 'Compare evaluations of the same benchmark with the same --seed (which chooses the problems).',
    });
  const pairs = common.map((id) => [inA.get(id), inB.get(id)] as [ProblemShare, ProblemShare]);
  const [shares_A, shares_B] = [pairs.map(([x]) => x.share), pairs.map(([, y]) => y.share)];
  const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
  const better = pairs.filter(([x, y]) => y.share > x.share).length;
  const worse = pairs.filter(([x, y]) => y.share < x.share).length;
  return {
    problems: common.length,
    onlyA: inA.size - common.length,
    onlyB: inB.size - common.length,
    differentPrompts: pairs.filter(([x, y]) => x.prompt !== y.prompt).length,
    accuracyA: mean(shares_A),
    accuracyB: mean(shares_B),
    difference: pairedDifference(shares_A, shares_B),
    ...{ better, worse, equal: pairs.length - better - worse },
    tokensA: mean(pairs.map(([x]) => x.tokens)),
    tokensB: mean(pairs.map(([, y]) => y.tokens)),
    settings: settingDifferences(a.settings, b.settings),
  };
}

interface ProblemShare {
  prompt: string;
  share: number;
  tokens: number;
}

function byProblem({ rows }: StoredResult): Map<string, ProblemShare> {
  const groups = new Map<string, StoredResult['rows']>();
  for (const one of rows) {
    const group = groups.get(one.problemId);
    if (group) group.push(one);
    else groups.set(one.problemId, [one]);
  }
  const shareOf = (group: StoredResult['rows']): ProblemShare => ({
    prompt: group[0]?.prompt ?? '',
    share: group.filter(({ verdict }) => verdict.status === 'correct').length / group.length,
    tokens: group.reduce((sum, { tokens }) => sum + tokens, 0) / group.length,
  });
  return new Map([...groups].map(([id, group]) => [id, shareOf(group)]));
}

/** Settings by dotted name in which the two differ; undefined: not there. */
export function settingDifferences(a: Settings, b: Settings): SettingDifference[] {
  const [flatA, flatB] = [flatten(a), flatten(b)];
  const names = [...new Set([...flatA.keys(), ...flatB.keys()])].sort();
  return names
    .filter((name) => JSON.stringify(flatA.get(name)) !== JSON.stringify(flatB.get(name)))
    .map((name) => ({ name, a: flatA.get(name), b: flatB.get(name) }));
}

function flatten(value: unknown, path = '', found = new Map<string, unknown>()): Map<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return found.set(path, value);
  for (const [key, item] of Object.entries(value)) flatten(item, path === '' ? key : `${path}.${key}`, found);
  return found;
}
