import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

const Hello = z.object({ version: z.string() });
const Answer = z.object({ seconds: z.number().positive(), tokens: z.number().positive() });
export type Reading = z.infer<typeof Answer>;

/** Thread pools spin on for a while after their work; what is timed next should not share the cores with them. */
const SETTLE_MS = 300;

/** A program that answers one JSON line on standard output for each on standard input. */
export class Peer {
  readonly #lines: AsyncIterator<string>;
  #errors = '';
  version = '';

  private constructor(private readonly child: ChildProcessWithoutNullStreams) {
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    // A program that is not there, or has ended, shows in the answer that is missing.
    child.on('error', (error) => (this.#errors += error.message));
    child.stdin.on('error', (error) => (this.#errors += error.message));
  }

  /** @throws Error with the program's last line on standard error, when it does not start. */
  static async start(program: string, args: readonly string[]): Promise<Peer> {
    const peer = new Peer(
      spawn(program, args, { stdio: 'pipe', env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } }),
    );
    peer.version = Hello.parse(await peer.#next()).version;
    return peer;
  }

  async #next(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done !== true) return JSON.parse(value);
    throw new Error(this.#errors.trim().split('\n').at(-1) || 'it ended without a word');
  }

  async measure(request: Record<string, unknown>): Promise<Reading> {
    this.child.stdin.write(`${JSON.stringify(request)}\n`);
    const reading = Answer.parse(await this.#next());
    await sleep(SETTLE_MS);
    return reading;
  }

  /** @returns tokens a second */
  async rate(request: Record<string, unknown>): Promise<number> {
    const { seconds, tokens } = await this.measure(request);
    return tokens / seconds;
  }

  close(): void {
    this.child.stdin.end();
  }
}

/** The peer, or undefined after saying why there is none. */
export async function startPeer(
  name: string,
  option: string | undefined,
  flag: string,
  start: (option: string) => Promise<Peer>,
  log: (line: string) => void,
): Promise<Peer | undefined> {
  try {
    if (option === undefined) throw new Error(`no ${flag}`);
    const peer = await start(option);
    log(`${name} ${peer.version}`);
    return peer;
  } catch (error) {
    log(`${name} skipped: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}
