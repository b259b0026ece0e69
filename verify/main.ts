/**
 * `npm run verify -- list | NAME ... | all [--data DIR] [--smollm2 FILE] [--qwen DIR] [--python EXE] [--llamacpp DIR] [--keep] [--folder DIR] [--json]`
 * `--keep` leaves the folders of the checks (run folders, models) behind and says where. With `--folder` they are DIR/NAME and
 * stay there; a check that says so goes on from what it finds in it.
 * One line per check: `passed|failed|skipped: why`, with its numbers. Exit code 1 when a check failed, 2 on bad usage.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Check, CheckContext, CheckResult } from './types.js';

const USAGE =
  'usage: npm run verify -- list | NAME ... | all [--data DIR] [--smollm2 FILE] [--qwen DIR] [--python EXE] [--llamacpp DIR] [--keep] [--folder DIR] [--json]';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: 'string' },
    smollm2: { type: 'string' },
    qwen: { type: 'string' },
    python: { type: 'string' },
    llamacpp: { type: 'string' },
    keep: { type: 'boolean', default: false },
    folder: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

async function loadChecks(): Promise<Check[]> {
  const folder = new URL('./checks/', import.meta.url);
  const files = (await readdir(folder)).filter((file) => file.endsWith('.ts')).sort();
  const modules = await Promise.all(
    files.map((file) => import(new URL(file, folder).href) as Promise<{ default: Check }>),
  );
  return modules.map((module) => module.default);
}

/** A given input that is not there is the caller's mistake, not a reason to skip. */
function inputs(): Omit<CheckContext, 'scratch' | 'log'> {
  const given: Omit<CheckContext, 'scratch' | 'log'> = {};
  for (const name of ['data', 'smollm2', 'qwen', 'python', 'llamacpp'] as const) {
    const value = values[name];
    if (value === undefined) continue;
    if (name !== 'python' && !existsSync(value)) fail(`--${name}: ${value} does not exist`);
    given[name] = name === 'python' ? value : path.resolve(value);
  }
  return given;
}

function fail(message: string): never {
  process.stderr.write(`${message}\n${USAGE}\n`);
  process.exit(2);
}

async function scratchFor({ name }: Check): Promise<string> {
  if (values.folder === undefined) return mkdtemp(path.join(tmpdir(), `hone-verify-${name}-`));
  const folder = path.resolve(values.folder, name);
  await mkdir(folder, { recursive: true });
  return folder;
}

async function runOne(check: Check, given: ReturnType<typeof inputs>): Promise<CheckResult> {
  const missing = check.needs.filter((need) => given[need] === undefined);
  if (missing.length > 0)
    return {
      status: 'skipped',
      detail: `no ${missing.map((need) => `--${need}`).join(', ')}; not shown: ${check.shows}`,
    };
  const scratch = await scratchFor(check);
  const log = (line: string): void => void process.stderr.write(`  ${check.name}: ${line}\n`);
  try {
    return await check.run({ ...given, scratch, log });
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { status: 'failed', detail: text.split('\n').slice(0, 6).join(' | ') };
  } finally {
    if (values.keep || values.folder !== undefined) log(`kept ${scratch}`);
    else await rm(scratch, { recursive: true, force: true });
  }
}

function line(check: Check, result: CheckResult, seconds: number): string {
  const numbers = Object.entries(result.numbers ?? {}).map(([name, value]) => `${name}=${value}`);
  const tail = numbers.length === 0 ? '' : ` [${numbers.join(', ')}]`;
  return `${check.name}: ${result.status}: ${result.detail}${tail} (${seconds.toFixed(0)} s)`;
}

function list(checks: readonly Check[]): void {
  for (const { name, shows, needs } of checks)
    console.log(`${name.padEnd(24)} ${shows}${needs.length === 0 ? '' : ` (needs --${needs.join(', --')})`}`);
}

async function main(): Promise<void> {
  const checks = await loadChecks();
  if (positionals.length === 0) fail('name a check');
  if (positionals[0] === 'list') return list(checks);
  const all = positionals.length === 1 && positionals[0] === 'all';
  const unknown = all ? [] : positionals.filter((name) => !checks.some((check) => check.name === name));
  if (unknown.length > 0)
    fail(`unknown check ${unknown.join(', ')}; there are ${checks.map((c) => c.name).join(', ')}`);
  const given = inputs();
  const results: Record<string, CheckResult & { seconds: number }> = {};
  for (const check of checks) {
    if (!all && !positionals.includes(check.name)) continue;
    const start = performance.now();
    const result = await runOne(check, given);
    const seconds = (performance.now() - start) / 1000;
    results[check.name] = { ...result, seconds: Math.round(seconds) };
    (values.json ? console.error : console.log)(line(check, result, seconds));
    if (result.status === 'failed') process.exitCode = 1;
  }
  if (values.json) console.log(JSON.stringify(results));
}

await main();
