/**
 * `npm run bench -- list | NAME [--json] [--save] [--python EXE] [--llamacpp DIR] [--rounds N] [--only TEXT]`
 * Prints ratios measured in one run and their difference from bench/baseline.json. Never fails on time.
 * `--save` writes the ratios into the baseline; `--json` ends with one JSON line of ratios.
 * `--python` and `--llamacpp` give peers to measure against; `--rounds` and `--only` make a quick, partial run.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import type { Bench, BenchOptions } from './types.js';

const USAGE =
  'usage: npm run bench -- list | NAME [--json] [--save] [--python EXE] [--llamacpp DIR] [--rounds N] [--only TEXT]';
const BASELINE = new URL('./baseline.json', import.meta.url);
const Rounds = z.coerce.number().int().min(1);
const WIDTH = 64;
const Baseline = z.record(z.string(), z.record(z.string(), z.number()));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    save: { type: 'boolean', default: false },
    python: { type: 'string' },
    llamacpp: { type: 'string' },
    rounds: { type: 'string' },
    only: { type: 'string' },
  },
});

const say = (line: string): void => (values.json ? console.error(line) : console.log(line));

function options(): BenchOptions {
  const { python, llamacpp, rounds, only } = values;
  return {
    ...(python === undefined ? {} : { python }),
    ...(llamacpp === undefined ? {} : { llamacpp }),
    ...(rounds === undefined ? {} : { rounds: Rounds.parse(rounds) }),
    ...(only === undefined ? {} : { only }),
  };
}

async function loadBenches(): Promise<Bench[]> {
  const folder = new URL('./cases/', import.meta.url);
  const files = (await readdir(folder)).filter((file) => file.endsWith('.ts')).sort();
  const modules = await Promise.all(
    files.map((file) => import(new URL(file, folder).href) as Promise<{ default: Bench }>),
  );
  return modules.map((module) => module.default);
}

function compare(ratios: Record<string, number>, baseline: Record<string, number> | undefined): void {
  for (const [name, ratio] of Object.entries(ratios)) {
    const before = baseline?.[name];
    const change =
      before === undefined
        ? 'no baseline'
        : `baseline ${before.toFixed(2)}, ${(100 * (ratio / before - 1)).toFixed(0)} % off`;
    say(`${name.padEnd(WIDTH)} ${ratio.toFixed(2)}  (${change})`);
  }
}

async function main(): Promise<void> {
  const benches = await loadBenches();
  const [name] = positionals;
  if (name === 'list') {
    for (const bench of benches) console.log(`${bench.name.padEnd(20)} ${bench.measures}`);
    return;
  }
  if (values.save && (values.only ?? values.rounds) !== undefined) {
    console.error('a partial run is no baseline: --save goes without --only and --rounds');
    process.exitCode = 2;
    return;
  }
  const bench = benches.find((candidate) => candidate.name === name);
  if (bench === undefined) {
    console.error(`there is no benchmark ${name ?? ''}; there are ${benches.map((b) => b.name).join(', ')}\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  const result = await bench.run(say, options());
  for (const [reading, value] of Object.entries(result.readings ?? {})) say(`${reading.padEnd(WIDTH)} ${value}`);
  const baseline = Baseline.parse(JSON.parse(await readFile(BASELINE, 'utf8')));
  compare(result.ratios, baseline[bench.name]);
  if (values.save) {
    const saved = { ...baseline, [bench.name]: result.ratios };
    await writeFile(BASELINE, `${JSON.stringify(saved, null, 2)}\n`);
  }
  if (values.json) console.log(JSON.stringify(result.ratios));
}

await main();
