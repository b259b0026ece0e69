import pc from 'picocolors';
import type { Progress } from '../core/index.js';
import { LiveProgress, PlainProgress, type TickingProgress } from './progress.js';

/** A value that `--json` prints. Infinity and NaN become null, undefined members are left out. */
export type JsonValue =
  null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue | undefined };

/** What a command has of the outside world. */
export interface Io {
  /** `--json`: standard output carries one JSON line and nothing else. */
  readonly json: boolean;
  readonly signal: AbortSignal;
  /** Reports on standard error, as a live line or as plain lines. */
  readonly progress: Progress;
  readonly color: ReturnType<typeof pc.createColors>;
  /** Width of the terminal in characters; 100 when there is none. */
  readonly width: number;
  /** Text for a person: standard output, or standard error under `--json`. Adds the line break. */
  print(text: string): void;
  /** The same without a line break, for text that arrives in pieces. */
  write(text: string): void;
  /** What the command found: the JSON line under `--json`; without, `human` prints it. */
  result(value: JsonValue, human: () => void): void;
  /** Everything on standard input, or undefined when a person sits at it. */
  readStdin(): Promise<string | undefined>;
}

export interface IoOptions {
  json: boolean;
  signal: AbortSignal;
}

/** The process's own streams. NO_COLOR, FORCE_COLOR and TERM=dumb are honoured through picocolors. */
export function processIo(options: IoOptions): Io {
  const stream = options.json ? process.stderr : process.stdout;
  const now = (): number => performance.now() / 1000;
  const live = process.stderr.isTTY === true && process.env['TERM'] !== 'dumb' && process.env['CI'] === undefined;
  const progress: TickingProgress = live
    ? new LiveProgress(process.stderr, now)
    : new PlainProgress({ now, write: (text) => void process.stderr.write(text) });
  // Does not keep the process alive.
  setInterval(() => progress.tick(), 1000).unref();
  return {
    json: options.json,
    signal: options.signal,
    color: pc.createColors(pc.isColorSupported && stream.isTTY === true),
    width: Math.max(60, stream.columns ?? 100),
    progress,
    print: (text) => void stream.write(`${text}\n`),
    write: (text) => void stream.write(text),
    result: (value, human) => {
      if (options.json) process.stdout.write(`${JSON.stringify(value)}\n`);
      else human();
    },
    readStdin: async () => {
      if (process.stdin.isTTY === true) return undefined;
      const chunks: Buffer[] = [];
      for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
      return Buffer.concat(chunks).toString('utf8');
    },
  };
}
