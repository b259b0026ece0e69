import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { GuestProcess, type Answer } from './guest-process.js';
import { limitsOf } from './limits.js';
import { Slots } from './slots.js';
import type {
  CallResult,
  CodeLimits,
  CodeRunner,
  Containment,
  LimitName,
  LoadResult,
  Program,
  RunRequest,
  RunResult,
} from './types.js';

export interface GuestOptions {
  /** Programs at a time; default: the machine's cores. */
  parallel?: number;
  /** Most memory of a program's Python, in megabytes. */
  memoryMegabytes?: number;
}

const replySchema = z.discriminatedUnion('status', [
  z.object({ status: z.literal('finished'), value: z.unknown() }),
  z.object({ status: z.literal('exit'), code: z.int() }),
  z.object({ status: z.literal('exception'), type: z.string(), message: z.string() }),
]);
type Reply = z.output<typeof replySchema>;

export const LIMIT_TEXT: Readonly<Record<LimitName, string>> = {
  work: 'did more work than is allowed',
  cpu: 'used more processor time than is allowed',
  wall: 'took longer than is allowed',
  memory: 'used more memory than is allowed',
  output: 'gave back or printed more than is allowed',
  crash: 'brought its interpreter down',
};

/** A reply that a program's interpreter has made up is a program's failure. */
function readReply(text: string): Reply | undefined {
  try {
    return replySchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

const limited = (limit: LimitName) => ({ outcome: 'limit' as const, limit, error: `the program ${LIMIT_TEXT[limit]}` });

const exceptionText = ({ type, message }: { type: string; message: string }): string =>
  message === '' ? type : `${type}: ${message}`;

export function runResult(answer: Answer): RunResult {
  const silent = { exitCode: 137, stdout: '', stderr: '' };
  if (answer.kind === 'fault') return { outcome: 'fault', ...silent, error: answer.why };
  if (answer.kind === 'limit') return { ...limited(answer.limit), ...silent };
  const { stdout, stderr, work } = answer;
  const reply = readReply(answer.reply);
  if (!reply) return { ...limited('crash'), ...silent };
  if (reply.status === 'finished') return { outcome: 'finished', exitCode: 0, stdout, stderr, work };
  if (reply.status === 'exit') return { outcome: 'finished', exitCode: reply.code, stdout, stderr, work };
  return { outcome: 'exception', exitCode: 1, stdout, stderr, work, error: exceptionText(reply) };
}

/** @param loading the reply is to loading, which has no value. */
export function callResult(answer: Answer, loading = false): CallResult {
  if (answer.kind === 'fault') return { outcome: 'fault', error: answer.why };
  if (answer.kind === 'limit') return limited(answer.limit);
  const reply = readReply(answer.reply);
  if (reply?.status === 'finished' && loading) return { outcome: 'finished', value: '' };
  if (reply?.status === 'finished' && typeof reply.value === 'string')
    return { outcome: 'finished', value: reply.value };
  if (reply?.status === 'exception') return { outcome: 'exception', type: reply.type, message: reply.message };
  if (reply?.status === 'exit') return { outcome: 'exception', type: 'SystemExit', message: 'the program exited' };
  return limited('crash');
}

/** A loaded program. Its calls share one allowance of work and of time. */
class EmbeddedProgram implements Program {
  #work: number;
  readonly #end: number;

  constructor(
    readonly guest: GuestProcess,
    readonly limits: CodeLimits,
    readonly signal: AbortSignal | undefined,
    readonly release: () => void,
  ) {
    this.#work = limits.work;
    this.#end = performance.now() + limits.wallSeconds * 1000;
  }

  async ask(body: unknown): Promise<Answer> {
    const wallSeconds = Math.max(0.05, (this.#end - performance.now()) / 1000);
    const limits = { ...this.limits, work: this.#work, wallSeconds };
    const answer = await this.guest.ask({ body: JSON.stringify(body), limits, signal: this.signal });
    if (answer.kind === 'reply') this.#work = Math.max(1000, this.#work - answer.work);
    return answer;
  }

  async call(name: string, args: string): Promise<CallResult> {
    return callResult(await this.ask({ op: 'call', name, arguments: args }));
  }

  close(): Promise<void> {
    this.guest.kill();
    this.release();
    return Promise.resolve();
  }
}

export interface GuestCommand {
  command: string[];
  env: Record<string, string>;
}

/** Programs in processes of their own, each started for one program and used once; one more stands ready. */
export abstract class GuestRunner implements CodeRunner {
  abstract readonly name: string;
  readonly #memory: number;
  readonly #slots: Slots;
  readonly #live = new Set<GuestProcess>();
  #spare: Promise<GuestProcess> | undefined;

  constructor({ parallel = availableParallelism(), memoryMegabytes = 512 }: GuestOptions = {}) {
    this.#memory = memoryMegabytes;
    this.#slots = new Slots(parallel);
  }

  abstract containment(): Promise<Containment>;

  /** The command that starts a process, shut in as far as the runner can. */
  protected abstract guestCommand(role: 'program' | 'harness', memoryMegabytes: number): Promise<GuestCommand>;

  /**
   * A process that holds Python and nothing else.
   * @throws HoneError resource when it does not start.
   */
  async start(role: 'program' | 'harness'): Promise<GuestProcess> {
    const { command, env } = await this.guestCommand(role, this.#memory);
    const guest = new GuestProcess(command, { env, memoryMegabytes: this.#memory });
    this.#live.add(guest);
    return guest;
  }

  /** A process that is ready, and the next one on its way. */
  async #take(): Promise<GuestProcess | { why: string }> {
    const taken = this.#spare ?? this.start('program');
    // Before anything is waited for: no two programs may get one process.
    this.#spare = this.start('program');
    this.#spare.catch(() => (this.#spare = undefined)); // Told by the call that needs it.
    const waiting = await taken;
    const guest = waiting.alive ? waiting : await this.start('program');
    const answer = await guest.ready;
    return answer === undefined ? guest : { why: answer.kind === 'fault' ? answer.why : 'the sandbox does not start' };
  }

  async #open(limits: CodeLimits, signal: AbortSignal | undefined): Promise<EmbeddedProgram | { why: string }> {
    const release = await this.#slots.take();
    const taken = await this.#take();
    if (!(taken instanceof GuestProcess)) {
      release();
      return taken;
    }
    return new EmbeddedProgram(taken, limits, signal, () => {
      this.#live.delete(taken);
      release();
    });
  }

  async run({ code, stdin = '', limits, signal }: RunRequest): Promise<RunResult> {
    const opened = await this.#open(limitsOf(limits), signal);
    if (!(opened instanceof EmbeddedProgram)) return runResult({ kind: 'fault', why: opened.why });
    const body = JSON.stringify({ op: 'run', code });
    const answer = await opened.guest.ask({ body, stdin, limits: opened.limits, signal });
    await opened.close();
    return runResult(answer);
  }

  async load({ code, limits, signal }: Omit<RunRequest, 'stdin'>): Promise<LoadResult> {
    const opened = await this.#open(limitsOf(limits), signal);
    if (!(opened instanceof EmbeddedProgram)) return { outcome: 'fault', error: opened.why };
    const result = runResult(await opened.ask({ op: 'load', code }));
    if (result.outcome === 'finished' && result.exitCode === 0 && opened.guest.alive)
      return { outcome: 'finished', program: opened };
    await opened.close();
    if (result.outcome === 'finished') return { outcome: 'exception', error: `the program exits (${result.exitCode})` };
    return { outcome: result.outcome, error: result.error ?? 'failed', limit: result.limit };
  }

  async close(): Promise<void> {
    this.#spare = undefined;
    for (const guest of this.#live) guest.kill();
    this.#live.clear();
    await Promise.resolve();
  }
}
