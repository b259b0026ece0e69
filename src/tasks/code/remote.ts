import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { HoneError, messageOf } from '../../core/index.js';
import { BOOTSTRAP } from './bootstrap.js';
import { callResult, runResult } from './guest-runner.js';
import { limitsOf } from './limits.js';
import type { CallResult, CodeRunner, Containment, LoadResult, Program, RunRequest, RunResult } from './types.js';

export interface RemoteOptions {
  /** Address of the server, such as http://localhost:8080. */
  url: string;
  memoryMegabytes?: number;
  /** Tries of a request that fails on the way or in the server. */
  attempts?: number;
}

/** SandboxFusion's answer to /run_code (bytedance/SandboxFusion, sandbox/server/sandbox_api.py). */
const answerSchema = z.object({
  status: z.enum(['Success', 'Failed', 'SandboxError']),
  message: z.string().default(''),
  run_result: z
    .object({
      status: z.enum(['Finished', 'Error', 'TimeLimitExceeded']),
      return_code: z.int().nullish(),
      stdout: z.string().nullish(),
      stderr: z.string().nullish(),
    })
    .nullish(),
});
type RemoteAnswer = z.output<typeof answerSchema>;

const fault = (error: string): RunResult => ({ outcome: 'fault', exitCode: 137, stdout: '', stderr: '', error });

function resultOf({ status, message, run_result: run }: RemoteAnswer, most: number): RunResult {
  if (status === 'SandboxError' || !run || run.status === 'Error')
    return fault(`the server fails: ${message.slice(0, 200)}`);
  const [stdout, stderr] = [run.stdout ?? '', run.stderr ?? ''];
  const exitCode = run.return_code ?? (status === 'Success' ? 0 : 1);
  if (run.status === 'TimeLimitExceeded') return runResult({ kind: 'limit', limit: 'wall' });
  if (stdout.length + stderr.length > most) return runResult({ kind: 'limit', limit: 'output' });
  if (exitCode !== 1 || !stderr.includes('Traceback')) return { outcome: 'finished', exitCode, stdout, stderr };
  return { outcome: 'exception', exitCode, stdout, stderr, error: stderr.trim().split('\n').at(-1) ?? 'exception' };
}

/** Loads the program, makes the calls, and prints each reply on a line behind a word that the program cannot know. */
function callScript(code: string, calls: readonly unknown[], word: string): string {
  const requests = [{ op: 'load', code }, ...calls].map((call) => JSON.stringify(call));
  return `${BOOTSTRAP}
import os as _os
_out, _keep = _os.dup(1), _os.open(_os.devnull, _os.O_WRONLY)
_os.dup2(_keep, 1)
for _request in ${JSON.stringify(requests)}:
    _os.write(_out, ("\\n${word}" + _hone_handle(_request) + "\\n").encode())
`;
}

/**
 * Programs on a server that speaks SandboxFusion's /run_code, for scale. The server contains them; what it says is
 * believed. A call is made by running all calls so far again, since the server keeps no program alive.
 */
export class RemoteRunner implements CodeRunner {
  readonly name = 'remote';

  constructor(readonly options: RemoteOptions) {}

  containment(): Promise<Containment> {
    return Promise.resolve({
      level: 'attackers',
      why: `nothing runs on this machine; ${this.options.url} contains it`,
    });
  }

  async run({ code, stdin = '', limits, signal }: RunRequest): Promise<RunResult> {
    const { wallSeconds, outputBytes } = limitsOf(limits);
    const body = {
      code,
      language: 'python',
      stdin,
      run_timeout: wallSeconds,
      compile_timeout: wallSeconds,
      memory_limit_MB: this.options.memoryMegabytes ?? 512,
    };
    try {
      return resultOf(await this.#post(body, signal), outputBytes);
    } catch (error) {
      return fault(messageOf(error));
    }
  }

  async load(request: Omit<RunRequest, 'stdin'>): Promise<LoadResult> {
    const program = new RemoteProgram(this, request);
    const [loaded] = await program.replies();
    if (loaded?.outcome === 'finished') return { outcome: 'finished', program };
    if (loaded?.outcome === 'exception') return { outcome: 'exception', error: `${loaded.type}: ${loaded.message}` };
    return loaded ?? { outcome: 'fault', error: 'no reply' };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #post(body: unknown, signal: AbortSignal | undefined): Promise<RemoteAnswer> {
    const { url, attempts = 3 } = this.options;
    for (let attempt = 1; ; attempt++) {
      try {
        const headers = { 'content-type': 'application/json' };
        const given = { method: 'POST', headers, body: JSON.stringify(body), ...(signal ? { signal } : {}) };
        const response = await fetch(new URL('/run_code', url), given);
        if (!response.ok) throw new HoneError('resource', `answers ${response.status}`, { where: url });
        return answerSchema.parse(await response.json());
      } catch (error) {
        if (attempt >= attempts || signal?.aborted) throw error;
      }
    }
  }
}

class RemoteProgram implements Program {
  readonly #calls: unknown[] = [];

  constructor(
    readonly runner: RemoteRunner,
    readonly request: Omit<RunRequest, 'stdin'>,
  ) {}

  /** What loading and every call so far gave. */
  async replies(): Promise<CallResult[]> {
    const word = randomBytes(16).toString('hex');
    const result = await this.runner.run({ ...this.request, code: callScript(this.request.code, this.#calls, word) });
    if (result.outcome === 'fault') return [{ outcome: 'fault', error: result.error ?? 'fault' }];
    if (result.outcome === 'limit') return [callResult({ kind: 'limit', limit: result.limit ?? 'crash' })];
    const lines = result.stdout.split('\n').filter((line) => line.startsWith(word));
    return lines.map((line, index) => {
      const reply = line.slice(word.length);
      return callResult({ kind: 'reply', reply, stdout: '', stderr: '', work: 0 }, index === 0);
    });
  }

  async call(name: string, args: string): Promise<CallResult> {
    this.#calls.push({ op: 'call', name, arguments: args });
    const replies = await this.replies();
    const last =
      replies[this.#calls.length] ?? replies.find(({ outcome }) => outcome === 'limit' || outcome === 'fault');
    return last ?? callResult({ kind: 'limit', limit: 'crash' });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
