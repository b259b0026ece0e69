import { spawn, type ChildProcess } from 'node:child_process';
import { z } from 'zod';
import { descendants, usageOf, type Usage } from './usage.js';
import type { CodeLimits, LimitName } from './types.js';

/** How a request to a guest ended. */
export type Answer =
  | { kind: 'reply'; reply: string; stdout: string; stderr: string; work: number }
  | { kind: 'limit'; limit: LimitName }
  | { kind: 'fault'; why: string };

export interface Request {
  /** For Python, as text. */
  body: string;
  stdin?: string;
  limits: CodeLimits;
  signal?: AbortSignal | undefined;
  /** Answers a call that the harness makes in the middle of a request. */
  onCall?: (call: string) => Promise<string>;
}

const lineSchema = z.union([
  z.strictObject({ ready: z.literal(true) }),
  z.strictObject({ call: z.string() }),
  z.strictObject({ tooLong: z.literal(true) }),
  z.strictObject({ reply: z.string(), stdout: z.string(), stderr: z.string(), work: z.number() }),
]);

/** Exit codes by which a guest says which limit was reached (guest.ts). */
const LIMIT_OF_EXIT: Readonly<Record<number, LimitName>> = { 71: 'work', 72: 'output', 73: 'crash' };

const POLL_MS = 25;
const START_SECONDS = 60;
/** Of a process that has the interpreter in it and nothing else; resident memory is bounded above that. */
const BASE_BYTES = 400e6;
const PLENTY: CodeLimits = { work: 1e9, cpuSeconds: 60, wallSeconds: START_SECONDS, outputBytes: 1e6 };

/** One process with one interpreter in it. Requests one at a time; after a limit or a fault it is gone. */
export class GuestProcess {
  readonly ready: Promise<Answer | undefined>;
  readonly #child: ChildProcess;
  readonly #residentLimit: number;
  #buffer: Buffer[] = [];
  #size = 0;
  #current: { settle(answer: Answer): void; request: Request } | undefined;
  #stderr = '';
  #ended = false;

  constructor(command: readonly string[], options: { env: Record<string, string>; memoryMegabytes: number }) {
    const [program = '', ...args] = command;
    this.#residentLimit = options.memoryMegabytes * 2 ** 20 + BASE_BYTES;
    this.#child = spawn(program, args, { env: options.env, cwd: '/', stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#child.stderr
      ?.setEncoding('utf8')
      .on('data', (text: string) => (this.#stderr = (this.#stderr + text).slice(-2000)));
    this.#child.stdin?.on('error', () => {}); // A broken pipe is told by the exit that follows.
    this.#child.on('error', (error) => this.#settle({ kind: 'fault', why: error.message }));
    this.#child.on('close', (code, signal) => this.#closed(code, signal));
    this.ready = this.#wait({ body: '', limits: PLENTY }).then((answer) => {
      this.#rest();
      return answer.kind === 'reply' ? undefined : answer;
    });
  }

  get alive(): boolean {
    return !this.#ended;
  }

  async ask(request: Request): Promise<Answer> {
    if (this.#ended) return { kind: 'fault', why: 'the sandbox has ended' };
    if (this.#current) throw new Error('a process that serves one request was given another');
    for (const stream of [this.#child, this.#child.stdout, this.#child.stderr, this.#child.stdin]) refer(stream, 'ref');
    const { body, stdin, limits } = request;
    const answer = this.#wait(request);
    this.#send({
      request: body,
      ...(stdin === undefined ? {} : { stdin }),
      work: limits.work,
      outputBytes: limits.outputBytes,
    });
    return answer.finally(() => this.#rest());
  }

  kill(): void {
    if (this.#ended) return;
    this.#ended = true;
    const { pid } = this.#child;
    // The innermost first: what starts the sandbox may not take it along.
    const inner = process.platform === 'linux' && pid !== undefined ? descendants(pid).slice(1).reverse() : [];
    for (const child of inner) killQuietly(child);
    this.#child.kill('SIGKILL');
    this.#child.stdin?.destroy();
  }

  /** A process that waits does not keep the caller's process alive; when that ends, so does this (end of input). */
  #rest(): void {
    for (const stream of [this.#child, this.#child.stdout, this.#child.stderr, this.#child.stdin])
      refer(stream, 'unref');
  }

  #send(line: unknown): void {
    this.#child.stdin?.write(JSON.stringify(line) + '\n');
  }

  #wait(request: Request): Promise<Answer> {
    const watch = new Watch(this.#child.pid, request.limits, this.#residentLimit);
    return new Promise<Answer>((resolve) => {
      const stop = (answer: Answer) => {
        this.kill();
        this.#settle(answer);
      };
      const abort = () => stop({ kind: 'fault', why: 'stopped by the caller' });
      const timer = setInterval(() => {
        const limit = watch.exceeded();
        if (limit) stop({ kind: 'limit', limit });
      }, POLL_MS);
      request.signal?.addEventListener('abort', abort, { once: true });
      const settle = (answer: Answer) => {
        clearInterval(timer);
        request.signal?.removeEventListener('abort', abort);
        this.#current = undefined;
        resolve(answer);
      };
      this.#current = { settle, request };
      if (request.signal?.aborted) abort();
    });
  }

  #settle(answer: Answer): void {
    this.#current?.settle(answer);
  }

  #receive(chunk: Buffer): void {
    this.#size += chunk.length;
    const most = (this.#current?.request.limits.outputBytes ?? 0) * 8 + 65_536;
    if (this.#size > most) {
      this.kill();
      return this.#settle({ kind: 'limit', limit: 'output' });
    }
    for (let rest = chunk; ;) {
      const end = rest.indexOf(10);
      if (end < 0) return void this.#buffer.push(rest);
      const line = Buffer.concat([...this.#buffer, rest.subarray(0, end)]).toString('utf8');
      rest = rest.subarray(end + 1);
      this.#buffer = [];
      this.#size = rest.length;
      this.#understand(line);
    }
  }

  #understand(line: string): void {
    const parsed = lineSchema.safeParse(parseJson(line));
    if (!parsed.success) return this.#crash();
    const message = parsed.data;
    if ('ready' in message) this.#settle({ kind: 'reply', reply: '', stdout: '', stderr: '', work: 0 });
    else if ('tooLong' in message) this.#settle({ kind: 'limit', limit: 'output' });
    else if ('reply' in message) this.#settle({ kind: 'reply', ...message });
    else if (this.#current?.request.onCall) void this.#answerCall(this.#current.request.onCall, message.call);
    else this.#crash();
  }

  async #answerCall(onCall: (call: string) => Promise<string>, call: string): Promise<void> {
    const answer = await onCall(call);
    this.#child.stdin?.write(answer + '\n');
  }

  /** The guest says what it should not: whatever is in there has taken it over. */
  #crash(): void {
    this.kill();
    this.#settle({ kind: 'limit', limit: 'crash' });
  }

  #closed(code: number | null, signal: NodeJS.Signals | null): void {
    const limit = LIMIT_OF_EXIT[code ?? -1];
    const first = this.#stderr.trim().split('\n')[0] ?? '';
    this.#ended = true;
    // A process that another one has killed (the kernel, for want of memory) says nothing of the program.
    if (signal === 'SIGKILL' || code === 137) this.#settle({ kind: 'fault', why: 'the sandbox was killed' });
    else if (!this.#current?.request.body) this.#settle({ kind: 'fault', why: `the sandbox does not start: ${first}` });
    else this.#settle({ kind: 'limit', limit: limit ?? 'crash' });
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself, or belongs to another user namespace and dies with its parent.
  }
}

/** Compares what a request has used with its limits. */
class Watch {
  readonly #start = performance.now();
  readonly #before: Usage | undefined;

  constructor(
    readonly pid: number | undefined,
    readonly limits: CodeLimits,
    readonly residentLimit: number,
  ) {
    this.#before = this.#usage();
  }

  exceeded(): LimitName | undefined {
    if (performance.now() - this.#start > this.limits.wallSeconds * 1000) return 'wall';
    const now = this.#usage();
    if (!now) return undefined;
    if (now.residentBytes > this.residentLimit) return 'memory';
    if (now.cpuSeconds - (this.#before?.cpuSeconds ?? 0) > this.limits.cpuSeconds) return 'cpu';
    return undefined;
  }

  #usage(): Usage | undefined {
    return process.platform === 'linux' && this.pid !== undefined ? usageOf(this.pid) : undefined;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // Refused by the schema.
  }
}

/** Child processes and their pipes have ref and unref; the types of streams do not say so. */
function refer(target: unknown, how: 'ref' | 'unref'): void {
  const known = target as { ref?(): void; unref?(): void } | null | undefined;
  known?.[how]?.();
}
