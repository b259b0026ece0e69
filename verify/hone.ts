/** Runs the built command line, as a person would. */
import { spawn } from 'node:child_process';
import path from 'node:path';

/** The built command line. */
export const MAIN = path.resolve(import.meta.dirname, '../dist/cli/main.js');

export interface Finished {
  /** Exit code; null when a signal ended the process. */
  code: number | null;
  stdout: string;
  stderr: string;
  seconds: number;
}

export interface RunOptions {
  cwd: string;
  /** Ends the process with SIGKILL after so many seconds. */
  killAfter?: number;
  /** Ends it once this says so; asked every 10 ms. */
  killWhen?: () => boolean;
  /** Sees every line of standard error. */
  onLine?: (line: string) => void;
}

/** Runs `hone <args>` to its end. */
export function hone(args: readonly string[], options: RunOptions): Promise<Finished> {
  const started = performance.now();
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: options.cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
    for (const line of text.split('\n')) if (line.trim() !== '') options.onLine?.(line);
  });
  const timer =
    options.killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), 1000 * options.killAfter);
  const { killWhen } = options;
  const watch = killWhen && setInterval(() => void (killWhen() && child.kill('SIGKILL')), 10);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      clearInterval(watch);
      resolve({ code, ...output, seconds: (performance.now() - started) / 1000 });
    });
  });
}

/** Runs `hone <args>`, which has to succeed. @throws Error with the tail of standard error when it does not. */
export async function mustRun(args: readonly string[], options: RunOptions): Promise<Finished> {
  const finished = await hone(args, options);
  if (finished.code === 0) return finished;
  throw new Error(`hone ${args.join(' ')} ended with ${finished.code}: ${finished.stderr.trim().slice(-1000)}`);
}

/** The JSON line a command with `--json` ends with. @throws SyntaxError when it is none. */
export function jsonLine(finished: Finished): unknown {
  return JSON.parse(finished.stdout.trim().split('\n').at(-1) ?? '') as unknown;
}
