import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

export const ROOT = path.resolve(import.meta.dirname, '../..');
const MAIN = path.join(ROOT, 'dist/cli/main.js');

/** A template for a model of single characters: turns as they are, each of the assistant's ended. */
export const CHAT_TEMPLATE =
  "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}<eos>{% endif %}{% endfor %}";

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  stdin?: string;
  env?: Record<string, string>;
  /** Runs beside the process; `printed` waits until it has printed a text. */
  beside?: (child: ChildProcess, printed: (text: string) => Promise<void>) => Promise<void>;
  /** Another build's entry. */
  main?: string;
}

/** Runs the built command line as a child process. */
export async function hone(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const env = { ...process.env, ...options.env };
  const child = spawn(process.execPath, [options.main ?? MAIN, ...args], { cwd: options.cwd ?? ROOT, env });
  const output = { stdout: '', stderr: '' };
  const waiting: { text: string; seen: () => void }[] = [];
  const collect = (stream: 'stdout' | 'stderr') => (text: string) => {
    output[stream] += text;
    for (const { text, seen } of waiting) if (output[stream].includes(text)) seen();
  };
  child.stdout.setEncoding('utf8').on('data', collect('stdout'));
  child.stderr.setEncoding('utf8').on('data', collect('stderr'));
  child.stdin.end(options.stdin ?? '');
  const code = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const printed = (text: string): Promise<void> =>
    new Promise((seen, reject) => {
      waiting.push({ text, seen });
      void code.then(() => reject(new Error(`the process ended without printing ${text}: ${output.stderr}`)), reject);
    });
  await options.beside?.(child, printed);
  return { code: await code, ...output };
}

/** The JSON that `--json` printed: the only line on standard output. @throws when there is another. */
export function onlyJson({ stdout }: Finished): unknown {
  const lines = stdout.split('\n').filter((line) => line !== '');
  if (lines.length !== 1) throw new Error(`expected one line on standard output, found ${lines.length}: ${stdout}`);
  return JSON.parse(lines[0] as string) as unknown;
}

/** An empty folder that goes when the test ends. */
export async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'hone-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
