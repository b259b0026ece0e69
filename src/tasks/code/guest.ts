/**
 * The inner side of the embedded runner: a process of its own that holds one Python interpreter and serves one program.
 * It is copied into the interpreter's folder (image.ts) and imports nothing but Node. Two ways to start it:
 * `guest.js make`: starts Python, loads the bootstrap, writes the memory image and the compiled script;
 * `guest.js serve program|harness MEGABYTES`: starts from the image, then answers lines on standard input.
 */
import { constants, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

/** The part of pyodide that is used here, some of which its own types leave out. */
interface Python {
  globals: { get(name: string): (line: string) => string; set(name: string, value: unknown): void };
  runPython(code: string): unknown;
  makeMemorySnapshot(): Uint8Array;
  setInterruptBuffer(buffer: unknown): void;
  setStdin(options: { read(buffer: Uint8Array): number; isatty: boolean }): void;
  setStdout(options: { write(buffer: Uint8Array): number; isatty: boolean }): void;
  setStderr(options: { write(buffer: Uint8Array): number; isatty: boolean }): void;
}

interface Line {
  /** For Python, as it is. */
  request: string;
  stdin?: string;
  work: number;
  outputBytes: number;
}

const EXIT = { work: 71, output: 72, fatal: 73 };
/** Python asks for signals once in so many loop turns and calls (CPython, Python/emscripten_signal.c). */
const TURNS_PER_LOOK = 50;
const HERE = dirname(fileURLToPath(import.meta.url)) + '/';
const IN = 0;
const OUT = 1;

/** Ends at once: no handlers, whatever is on the stack. */
const exit = (process as unknown as { reallyExit(code: number): never }).reallyExit.bind(process);

interface MemoryDescriptor {
  initial: number;
  maximum?: number;
}
/** The one part of WebAssembly that is used here; TypeScript has it in its browser library alone. */
interface MemoryHolder {
  WebAssembly: { Memory: new (descriptor: MemoryDescriptor) => object };
}

/** WebAssembly memory that cannot grow above a limit: Python then raises MemoryError. */
function capMemory(megabytes: number): void {
  const { WebAssembly } = globalThis as unknown as MemoryHolder;
  const pages = megabytes * 16;
  WebAssembly.Memory = class extends WebAssembly.Memory {
    constructor(descriptor: MemoryDescriptor) {
      super({ ...descriptor, maximum: Math.min(descriptor.maximum ?? pages, pages) });
    }
  };
}

/**
 * pyodide asks Node's insides for file constants on start, which Node's permission model refuses; and it opens the
 * standard streams by Node's objects, which would make reading from them fail instead of wait.
 */
function standInForNode(): void {
  Object.assign(process, { binding: () => ({ fs: constants }) });
  for (const [fd, name] of ['stdin', 'stdout', 'stderr'].entries())
    Object.defineProperty(process, name, { value: { fd } });
}

/** Runs pyodide's script, from compiled code where there is some. Its dynamic imports become `require`. */
function loadScript(require: NodeJS.Require): Script {
  const source = readFileSync(HERE + 'pyodide.asm.js', 'utf8').replaceAll('import(', '__import(');
  const cachedData = process.argv[2] === 'make' ? undefined : readFileSync(HERE + 'script.cache');
  const script = new Script(source, { filename: HERE + 'pyodide.asm.js', cachedData });
  Object.assign(globalThis, {
    require,
    __dirname: HERE,
    __filename: HERE + 'pyodide.asm.js',
    __import: (name: string) => Promise.resolve({ default: require(name), ...require(name) }),
  });
  script.runInThisContext();
  Object.assign(globalThis, { _createPyodideModule: new Script('_createPyodideModule').runInThisContext() });
  return script;
}

async function startPython(require: NodeJS.Require, image: Record<string, unknown>): Promise<Python> {
  const { info } = JSON.parse(readFileSync(HERE + 'pyodide-lock.json', 'utf8')) as { info: unknown };
  const { loadPyodide } = require(HERE + 'pyodide.js') as { loadPyodide(options: unknown): Promise<Python> };
  return loadPyodide({
    indexURL: HERE,
    lockFileContents: { info, packages: {} },
    jsglobals: Object.freeze(Object.create(null)),
    env: { PYTHONHASHSEED: '0', HOME: '/home', PYTHONINSPECT: '' },
    ...image,
  });
}

/** Globals that the interpreter reads while it runs: for its streams, os.urandom and the clock. */
const READ_LATER = ['Buffer', 'crypto', 'performance'];

/**
 * Cuts what a JavaScript object that is left within reach of Python could lead to: constructors (from which Function
 * is one step), and the globals that touch the machine.
 */
function cutHost(): void {
  const functions = [() => 0, async () => 0, function* () {}, async function* () {}] as const;
  const prototypes: object[] = [...functions.map((f) => Object.getPrototypeOf(f) as object)];
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    const { value, get } = Object.getOwnPropertyDescriptor(globalThis, name) as PropertyDescriptor;
    // Node loads much of itself when these are first read (fetch, crypto, navigator): they go unread.
    if (get && !READ_LATER.includes(name)) Reflect.deleteProperty(globalThis, name);
    const { prototype } = (typeof value === 'function' ? value : {}) as { prototype?: unknown };
    if (typeof prototype === 'object' && prototype !== null) prototypes.push(prototype);
  }
  for (const prototype of prototypes) {
    const own = Object.getOwnPropertyDescriptor(prototype, 'constructor');
    if (own?.configurable) Object.defineProperty(prototype, 'constructor', { value: undefined });
  }
  for (const name of ['process', 'require', '__import', 'fetch', 'WebSocket', 'Worker', 'navigator', 'console'])
    Reflect.deleteProperty(globalThis, name);
}

/** A buffer that Python looks at for signals; each look is counted, and the last one ends the process. */
function workCounter() {
  let [looks, limit] = [0, Infinity];
  const buffer = {
    get 0() {
      if (++looks > limit) exit(EXIT.work);
      return 0;
    },
    set 0(_: number) {},
  };
  const start = (work: number) => {
    looks = 0;
    limit = Math.ceil(work / TURNS_PER_LOOK);
  };
  return { buffer, start, turns: () => looks * TURNS_PER_LOOK };
}

function lineReader(): () => string | undefined {
  const chunk = Buffer.alloc(65_536);
  let rest: Buffer[] = [];
  return () => {
    for (;;) {
      const last = rest.at(-1);
      const end = last?.indexOf(10) ?? -1;
      if (last && end >= 0) {
        const line = Buffer.concat([...rest.slice(0, -1), last.subarray(0, end)]).toString('utf8');
        rest = end + 1 < last.length ? [last.subarray(end + 1)] : [];
        return line;
      }
      const size = readSync(IN, chunk);
      if (size === 0) return undefined;
      rest.push(Buffer.from(chunk.subarray(0, size)));
    }
  };
}

function writeLine(value: unknown): void {
  let bytes = Buffer.from(JSON.stringify(value) + '\n');
  while (bytes.length > 0) bytes = bytes.subarray(writeSync(OUT, bytes));
}

/** The two streams a program prints to, and the one it reads, for one request. */
function streams(python: Python) {
  let [output, errors, room, input]: [Buffer[], Buffer[], number, Buffer] = [[], [], 0, Buffer.alloc(0)];
  const into = (chunks: () => Buffer[]) => (bytes: Uint8Array) => {
    room -= bytes.length;
    if (room < 0) exit(EXIT.output);
    chunks().push(Buffer.from(bytes));
    return bytes.length;
  };
  python.setStdout({ write: into(() => output), isatty: false });
  python.setStderr({ write: into(() => errors), isatty: false });
  python.setStdin({
    read: (buffer) => {
      const part = input.subarray(0, buffer.length);
      buffer.set(part);
      input = input.subarray(part.length);
      return part.length;
    },
    isatty: false,
  });
  const start = (stdin: string, bytes: number) => ([output, errors, room, input] = [[], [], bytes, Buffer.from(stdin)]);
  const text = () => ({
    stdout: Buffer.concat(output).toString('utf8'),
    stderr: Buffer.concat(errors).toString('utf8'),
  });
  return { start, text };
}

async function serve(require: NodeJS.Require): Promise<void> {
  const python = await startPython(require, { _loadSnapshot: readFileSync(HERE + 'memory.image') });
  const handle = python.globals.get('_hone_handle');
  const counter = workCounter();
  const read = lineReader();
  const io = streams(python);
  if (process.argv[3] === 'harness')
    python.globals.set('_hone_host', (call: string) => {
      writeLine({ call });
      return read() ?? exit(0);
    });
  // The first random bytes ask Node for its source of them, which is out of reach from here on.
  python.runPython('os.urandom(1)');
  if (process.argv[3] !== 'harness') python.runPython('_hone_seal()');
  cutHost();
  python.setInterruptBuffer(counter.buffer);
  writeLine({ ready: true });
  for (let line = read(); line !== undefined; line = read()) {
    const { request, stdin = '', work, outputBytes } = JSON.parse(line) as Line;
    io.start(stdin, outputBytes);
    counter.start(work);
    const reply: unknown = handle(request);
    const done = counter.turns();
    if (typeof reply !== 'string') return exit(EXIT.fatal);
    writeLine(reply.length > outputBytes * 2 ? { tooLong: true } : { reply, ...io.text(), work: done });
  }
}

async function make(require: NodeJS.Require, script: Script): Promise<void> {
  const python = await startPython(require, { _makeSnapshot: true });
  python.runPython(readFileSync(HERE + 'bootstrap.py', 'utf8'));
  writeFileSync(HERE + 'memory.image', python.makeMemorySnapshot());
  writeFileSync(HERE + 'script.cache', script.createCachedData());
}

const require = createRequire(import.meta.url);
capMemory(Number(process.argv[4] ?? 1024));
standInForNode();
const script = loadScript(require);
try {
  await (process.argv[2] === 'make' ? make(require, script) : serve(require));
  exit(0);
} catch (error) {
  writeSync(2, `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  exit(EXIT.fatal);
}
