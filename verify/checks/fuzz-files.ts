import { fork } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Message } from '../fuzz/child.js';
import { BOMBS } from '../fuzz/bombs.js';
import { makeCorpus, type Outcome } from '../fuzz/targets.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const SEED = Number(process.env['HONE_FUZZ_SEED'] ?? 1);
const FIRST = Number(process.env['HONE_FUZZ_FIRST'] ?? 0);
const CASES = Number(process.env['HONE_FUZZ_CASES'] ?? 20_000);
/** Processor time. Templates and tokenizers stop by themselves after 5 seconds; a chat is rendered at most twice. */
const CASE_SECONDS = 20;
/** A backstop for a case that waits, e.g. for a disk that others keep busy. */
const WALL_SECONDS = 300;
const RESIDENT_BYTES = 2 * 1024 * 1024 * 1024;
const HEAP_MEGABYTES = 1536;
const POLL_MS = 500;

interface Tally {
  results: Record<Outcome['result'], number>;
  targets: Record<string, number>;
  peakBytes: number;
  slowestSeconds: number;
  defects: string[];
  /** What became of each large file. */
  large: string[];
}

/** Processor time of a process in seconds; where the system does not tell (other than Linux), the time that passed. */
function processorSeconds(pid: number | undefined): number {
  if (process.platform !== 'linux') return performance.now() / 1000;
  const file = `/proc/${pid}/stat`;
  if (!existsSync(file)) return 0;
  // Fields after the name in parentheses; 11 and 12 from there are user and system time in ticks of 10 ms.
  const fields = readFileSync(file, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Runs cases from `first` until the child ends. @returns the case to go on with. */
function runChild(first: number, last: number, corpus: string, out: string, tally: Tally): Promise<number> {
  const script = path.resolve(import.meta.dirname, '../fuzz/child.ts');
  const child = fork(script, [SEED, first, last, corpus, out].map(String), {
    execArgv: ['--import', 'tsx', `--max-old-space-size=${HEAP_MEGABYTES}`],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-2000)));
  let current = first;
  let since = performance.now();
  let before = 0;
  let finished = first;
  let stopped: string | undefined;
  const watchdog = setInterval(() => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    if (processorSeconds(child.pid) - before > CASE_SECONDS) stopped = `ran longer than ${CASE_SECONDS} s`;
    if (performance.now() - since > 1000 * WALL_SECONDS) stopped = `did not end within ${WALL_SECONDS} s`;
    if (stopped !== undefined) child.kill('SIGKILL');
  }, POLL_MS);
  child.on('message', (message: Message) => {
    if ('started' in message) {
      current = message.started;
      since = performance.now();
      before = processorSeconds(child.pid);
      return;
    }
    finished = message.number + 1;
    count(message, (performance.now() - since) / 1000, tally);
    since = performance.now();
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearInterval(watchdog);
      if (finished > last) return resolve(finished);
      const cause = stopped ?? `ended its process (${code ?? signal}) ${errors}`;
      tally.defects.push(`case ${current}: ${cause}`);
      resolve(current + 1);
    });
  });
}

function count(
  { number, outcome, residentBytes }: Extract<Message, { number: number }>,
  seconds: number,
  tally: Tally,
): void {
  const { result, target, file, detail } = outcome;
  tally.results[result]++;
  tally.targets[target] = (tally.targets[target] ?? 0) + 1;
  tally.slowestSeconds = Math.max(tally.slowestSeconds, seconds);
  if (residentBytes > RESIDENT_BYTES && tally.peakBytes <= RESIDENT_BYTES)
    tally.defects.push(`case ${number} (${file}): ${Math.round(residentBytes / 2 ** 20)} MB resident`);
  tally.peakBytes = Math.max(tally.peakBytes, residentBytes);
  if (number < 0)
    tally.large.push(`${file} ${result} in ${seconds.toFixed(1)} s, ${Math.round(residentBytes / 2 ** 20)} MB`);
  if (result === 'defect') tally.defects.push(`case ${number} (${file}): ${detail}`);
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  const corpus = path.join(ctx.scratch, 'corpus');
  await mkdir(corpus);
  await makeCorpus(corpus);
  const tally: Tally = {
    results: { loaded: 0, refused: 0, defect: 0 },
    targets: {},
    peakBytes: 0,
    slowestSeconds: 0,
    defects: [],
    large: [],
  };
  const last = FIRST + CASES - 1;
  const total = CASES + (FIRST === 0 ? BOMBS.length : 0);
  for (let next = last + 1 - total; next <= last;) {
    next = await runChild(next, last, corpus, path.join(ctx.scratch, 'out'), tally);
    if (next <= last) ctx.log(tally.defects.at(-1) ?? `went on with case ${next}`);
  }
  for (const line of tally.large) ctx.log(line);
  for (const defect of tally.defects.slice(0, 20)) ctx.log(defect);
  ctx.log(
    Object.entries(tally.targets)
      .map(([name, cases]) => `${name} ${cases}`)
      .join(', '),
  );
  const { loaded, refused } = tally.results;
  const megabytes = Math.round(tally.peakBytes / 2 ** 20);
  return {
    status: tally.defects.length === 0 && loaded + refused === total ? 'passed' : 'failed',
    detail:
      `${total} files from case ${FIRST} of seed ${SEED} on, ${total - CASES} of them large: ${loaded} loaded, ${refused} refused with a cause, ` +
      `${tally.defects.length} defects (limits: ${CASE_SECONDS} s a case, ${RESIDENT_BYTES / 2 ** 20} MB resident)`,
    numbers: {
      loaded,
      refused,
      defects: tally.defects.length,
      megabytes,
      slowest: `${tally.slowestSeconds.toFixed(1)} s`,
    },
  };
}

const check: Check = {
  name: 'fuzz-files',
  shows:
    '6: 20,000 damaged weight, config, tokenizer, template, GGUF and adapter files: an error or a load, no crash, no hang',
  needs: [],
  run,
};
export default check;
