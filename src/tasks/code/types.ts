/** What a program may use. Counts come first: they are the same on every machine; the clocks stand behind them. */
export interface CodeLimits {
  /** Loop turns and calls of the program's Python, counted in steps of about 50; the embedded runner alone counts. */
  work: number;
  /** Processor seconds of the program's process, where the machine tells them (Linux). */
  cpuSeconds: number;
  /** Seconds by the clock, for a program that sleeps or a machine that does not tell processor time. */
  wallSeconds: number;
  /** Bytes that a program may print, on both streams together, and that one value may take as plain data. */
  outputBytes: number;
}

/** Which limit ended a program. `crash`: its interpreter died under it. */
export type LimitName = 'work' | 'cpu' | 'wall' | 'memory' | 'output' | 'crash';

export interface RunRequest {
  code: string;
  /** Standard input; default: none. */
  stdin?: string;
  limits?: Partial<CodeLimits>;
  signal?: AbortSignal;
}

/** What became of a program or of one call. `fault`: the infrastructure failed, and nothing is known of the program. */
export type Outcome = 'finished' | 'exception' | 'limit' | 'fault';

export interface RunResult {
  outcome: Outcome;
  /** As a shell would see it; 0 for a program that ended by itself. */
  exitCode: number;
  stdout: string;
  stderr: string;
  /** One line: the exception, the limit, the fault. */
  error?: string;
  limit?: LimitName;
  /** Loop turns and calls, where they are counted. */
  work?: number;
}

/** What a call gave back: a value as plain data (see plain-data.ts), or why there is none. */
export type CallResult =
  | { outcome: 'finished'; value: string }
  | { outcome: 'exception'; type: string; message: string }
  | { outcome: 'limit'; limit: LimitName; error: string }
  | { outcome: 'fault'; error: string };

/** A program that has been loaded, and whose functions can be called. */
export interface Program {
  /** `args` is plain data: [positional, keyword]. */
  call(name: string, args: string): Promise<CallResult>;
  close(): Promise<void>;
}

export type LoadResult =
  | { outcome: 'finished'; program: Program }
  | { outcome: 'exception' | 'limit' | 'fault'; error: string; limit?: LimitName };

/** How far a runner keeps a program in, in words that `hone doctor` prints. */
export interface Containment {
  level: 'attackers' | 'accidents';
  /** The layers that hold, or what is missing. */
  why: string;
}

/** Something that runs Python. Every program gets an interpreter of its own. */
export interface CodeRunner {
  readonly name: string;
  containment(): Promise<Containment>;
  /** Runs a whole program on a standard input. Never throws for what the program does. */
  run(request: RunRequest): Promise<RunResult>;
  /** Loads a program (its top level runs; `__name__` is not `__main__`), for calls. */
  load(request: Omit<RunRequest, 'stdin'>): Promise<LoadResult>;
  /** Ends every process of this runner. */
  close(): Promise<void>;
}
