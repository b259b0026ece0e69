import path from 'node:path';
import { HoneError, nearest } from '../core/index.js';
import {
  BENCHMARKS,
  compareResults,
  dataFolder,
  fetchBenchmark,
  findBenchmark,
  listBenchmarks,
  readResult,
  renderEvalReport,
  type ResultComparison,
} from '../evals/index.js';
import { writeFileAtomic } from '../formats/index.js';
import type { Io, JsonValue } from './io.js';
import { table } from './table.js';
import { oneLine, percent, shellWord } from './text.js';

/** `hone eval list`: benchmarks, and whether their data are there. */
export function listCommand({ data }: { data?: string }, io: Io): void {
  const { here, absent } = listBenchmarks(data);
  const found = here.map(({ benchmark: { name, title, problems, licence, source, protocols }, present }) => ({
    ...{ name, title, problems, licence, source, protocols: Object.keys(protocols), present },
  }));
  io.result({ benchmarks: found, absent: absent.map((one) => ({ ...one })) }, () => {
    const rows = found.map(({ name, title, problems, protocols, present }) => [
      ...[name, title, String(problems), protocols.join(' '), present ? 'here' : 'data not here'],
    ]);
    io.print(table(['benchmark', 'what', 'problems', 'protocols', 'data'], rows, io));
    io.print(
      `\n${table(
        ['not here', 'why'],
        absent.map(({ name, why }) => [name, why]),
        io,
      )}`,
    );
  });
}

/** `hone eval fetch NAME`: the data of a benchmark, from the Hugging Face hub. */
export async function fetchCommand(name: string, options: { data?: string; token?: string }, io: Io): Promise<void> {
  const benchmark = findBenchmark(name);
  if (!benchmark) {
    const names = BENCHMARKS.filter(({ hub }) => hub).map((one) => one.name);
    throw new HoneError('usage', `no benchmark is named "${name}"`, {
      where: name,
      hint: `Did you mean ${nearest(name, names)}? These can be fetched: ${names.join(', ')}.`,
    });
  }
  const { token } = options;
  const found = await fetchBenchmark(benchmark, dataFolder(options.data), {
    ...{ progress: io.progress, signal: io.signal },
    ...(token === undefined ? {} : { token }),
  });
  io.result({ ...found }, () => io.print(`${shellWord(found.file)}: ${found.rows} problems, licence ${found.licence}`));
}

/** `hone eval compare A B`: B against A, paired by problem, and what differs in the settings. */
export async function compareCommand(fileA: string, fileB: string, io: Io): Promise<void> {
  const found = compareResults(await readResult(fileA), await readResult(fileB));
  const { settings, ...numbers } = found;
  const plain = JSON.parse(JSON.stringify({ ...numbers, settings })) as JsonValue;
  io.result(plain, () => {
    const [low, high] = found.difference.ci95;
    io.print(`A ${shellWord(fileA)}: ${percent(found.accuracyA)}, ${found.tokensA.toFixed(1)} tokens a sample`);
    io.print(`B ${shellWord(fileB)}: ${percent(found.accuracyB)}, ${found.tokensB.toFixed(1)} tokens a sample`);
    const difference = `${signed(found.difference.value)} points (95 % interval ${signed(low)} to ${signed(high)})`;
    io.print(`\nB - A: ${io.color.bold(difference)}, paired over ${found.problems} problems`);
    io.print(`better on ${found.better}, worse on ${found.worse}, equal on ${found.equal}`);
    for (const line of remarks(found)) io.print(line);
    if (settings.length === 0) return io.print('\nAll settings are equal.');
    const rows = settings.map(({ name, a, b }) => [oneLine(name), shown(a), shown(b)]);
    io.print(`\n${table(['setting', 'A', 'B'], rows, io)}`);
  });
}

const signed = (share: number): string => `${share > 0 ? '+' : ''}${(100 * share).toFixed(1)}`;
const shown = (value: unknown): string => (value === undefined ? '–' : oneLine(JSON.stringify(value), 60));

function remarks({ onlyA, onlyB, differentPrompts }: ResultComparison): string[] {
  return [
    ...(onlyA + onlyB > 0 ? [`left out: ${onlyA} problems of A alone, ${onlyB} of B alone`] : []),
    ...(differentPrompts > 0 ? [`the prompts of ${differentPrompts} problems differ`] : []),
  ];
}

/** `hone eval report FILES --out report.html`: results side by side. */
export async function reportCommand(files: readonly string[], options: { out: string }, io: Io): Promise<void> {
  const results = [];
  for (const file of files) results.push({ name: path.basename(file, '.json'), result: await readResult(file) });
  await writeFileAtomic(options.out, renderEvalReport(results));
  io.result({ report: options.out, results: files.length }, () => io.print(`Report: ${shellWord(options.out)}`));
}
