import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { HoneError } from '../../core/index.js';
import { BOOTSTRAP } from './bootstrap.js';
import { osSandbox, toolPath } from './containment.js';
import { GuestRunner, type GuestCommand, type GuestOptions } from './guest-runner.js';
import type { OsSandbox } from './os-sandbox.js';
import type { Containment } from './types.js';

/** Answers lines like guest.ts does. Streams go to files of the scratch memory, whose size is limited. */
const SERVE = String.raw`
def _serve():
    import resource, tempfile
    lines, out = os.fdopen(os.dup(0), "r", encoding="utf-8"), os.dup(1)
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]) << 20,) * 2)
    def send(message):
        data = (json.dumps(message) + "\n").encode()
        while data:
            data = data[os.write(out, data):]
    send({"ready": True})
    for line in lines:
        request = json.loads(line)
        files = [tempfile.TemporaryFile() for _ in range(3)]
        files[0].write(request.get("stdin", "").encode())
        files[0].seek(0)
        for fd, file in enumerate(files):
            os.dup2(file.fileno(), fd)
        sys.stdin, sys.stdout, sys.stderr = open(0, "r", closefd=False), open(1, "w", closefd=False), open(2, "w", closefd=False)
        reply = _hone_handle(request["request"])
        sizes = [os.fstat(file.fileno()).st_size for file in files[1:]]
        if sum(sizes) > request["outputBytes"] or len(reply) > 2 * request["outputBytes"]:
            send({"tooLong": True})
            continue
        texts = [os.pread(file.fileno(), size, 0).decode("utf-8", "replace") for file, size in zip(files[1:], sizes)]
        send({"reply": reply, "stdout": texts[0], "stderr": texts[1], "work": 0})
_serve()
`;

const factsSchema = z.tuple([z.string(), z.string()]);

interface Python {
  executable: string;
  prefix: string;
}

function findPython(name: string): Python {
  const ask = 'import sys, json, os; print(json.dumps([os.path.realpath(sys.executable), sys.base_prefix]))';
  const { status, stdout } = spawnSync(name, ['-I', '-c', ask], { encoding: 'utf8' });
  if (status !== 0)
    throw new HoneError('resource', 'there is no such Python', {
      where: name,
      hint: 'Name one, or use the embedded runner.',
    });
  const [executable, prefix] = factsSchema.parse(JSON.parse(stdout));
  return { executable, prefix };
}

/** The machine's Python under the operating system's sandbox: faster, and refused where no sandbox contains it. */
export class NativeRunner extends GuestRunner {
  readonly name = 'native';
  readonly #python: Python;
  readonly #sandbox: OsSandbox;
  readonly #root: string;

  /** @throws HoneError resource without a sandbox of the operating system, or without Python. */
  constructor({ python = 'python3', ...options }: GuestOptions & { python?: string } = {}) {
    super(options);
    this.#root = mkdtempSync(join(tmpdir(), 'hone-native-'));
    process.once('exit', () => rmSync(this.#root, { recursive: true, force: true }));
    const { sandbox, missing } = osSandbox();
    if (!sandbox)
      throw new HoneError('resource', `native Python needs a sandbox of the operating system: ${missing.join('; ')}`, {
        hint: 'Use the embedded runner, or allow user namespaces on this machine.',
      });
    this.#sandbox = sandbox;
    this.#python = findPython(python);
  }

  containment(): Promise<Containment> {
    const why = `${this.#sandbox.name}: no network, no files but Python's own, no rights; the kernel is shared`;
    return Promise.resolve({ level: 'attackers', why });
  }

  protected guestCommand(_: 'program' | 'harness', memoryMegabytes: number): Promise<GuestCommand> {
    const { executable, prefix } = this.#python;
    const inner = [executable, '-I', '-B', '-c', BOOTSTRAP + SERVE, String(memoryMegabytes)];
    const readOnly = prefix === '/usr' ? [executable] : [prefix];
    const plan = { readOnly, root: this.#root, scratchMegabytes: 16, processes: 8 };
    return Promise.resolve({ command: this.#sandbox.wrap(inner, plan), env: toolPath() });
  }
}
