import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tmpdir } from 'node:os';
import { HoneError } from '../../core/index.js';
import { BOOTSTRAP } from './bootstrap.js';

/** What every interpreter starts from, in a folder that only this user can read or write. */
export interface Image {
  /** guest.js, the interpreter, its memory after the bootstrap, its compiled script. Read-only from here on. */
  folder: string;
  /** An empty folder for sandboxes to mount over. */
  root: string;
}

export const INSTALL_PYODIDE = 'npm install pyodide@0.29.4';

/**
 * No code from strings (the interpreter's C side offers `eval` to Python's ctypes); the rest saves start-up time.
 * The compiled script is bound to the flags: the same ones everywhere.
 */
export const GUEST_FLAGS = ['--disallow-code-generation-from-strings', '--single-threaded', '--no-warnings'];

const INTERPRETER = ['pyodide.js', 'pyodide.asm.js', 'pyodide.asm.wasm', 'python_stdlib.zip', 'pyodide-lock.json'];

/** The folder of the package that carries Python in WebAssembly; undefined: not installed. */
export function pyodideFolder(): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve('pyodide/package.json'));
  } catch {
    return undefined; // Resolving has one way to fail: the package is not there.
  }
}

/** The compiled guest: beside this file, or, when the sources run by themselves, where the build puts it. */
function guestScript(): string {
  const near = fileURLToPath(new URL('./guest.js', import.meta.url));
  const built = fileURLToPath(new URL('../../../dist/tasks/code/guest.js', import.meta.url));
  const found = [near, built].find((path) => existsSync(path));
  if (found) return found;
  throw new HoneError('resource', 'the script of the Python sandbox is missing', {
    where: near,
    hint: 'Run npm run build.',
  });
}

function copyInterpreter(folder: string): void {
  const from = pyodideFolder();
  if (from === undefined)
    throw new HoneError('resource', 'Python in WebAssembly (pyodide) is not installed', { hint: INSTALL_PYODIDE });
  for (const name of INTERPRETER) copyFileSync(join(from, name), join(folder, name));
  copyFileSync(guestScript(), join(folder, 'guest.mjs'));
  writeFileSync(join(folder, 'bootstrap.py'), BOOTSTRAP);
  // pyodide asks for the WebSocket package on start; in here there is nothing to connect to.
  mkdirSync(join(folder, 'node_modules', 'ws'), { recursive: true });
  writeFileSync(join(folder, 'node_modules', 'ws', 'index.js'), 'module.exports = {};');
  writeFileSync(join(folder, 'node_modules', 'ws', 'package.json'), '{"name":"ws","main":"index.js"}');
}

function runMake(folder: string): Promise<void> {
  const args = [...GUEST_FLAGS, join(folder, 'guest.mjs'), 'make'];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { env: {}, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) return resolve();
      const first = errors.trim().split('\n').slice(0, 3).join(' | ');
      reject(new HoneError('resource', `Python in WebAssembly does not start: ${first}`, { where: 'pyodide' }));
    });
  });
}

async function build(): Promise<Image> {
  const base = mkdtempSync(join(tmpdir(), 'hone-python-'));
  process.once('exit', () => rmSync(base, { recursive: true, force: true }));
  const image = { folder: join(base, 'image'), root: join(base, 'root') };
  mkdirSync(image.folder);
  mkdirSync(image.root);
  copyInterpreter(image.folder);
  await runMake(image.folder);
  return image;
}

let shared: Promise<Image> | undefined;

/**
 * The image of this process, made on first use (about 3 s) and removed when the process ends.
 * @throws HoneError resource when pyodide is not installed or does not start.
 */
export function pythonImage(): Promise<Image> {
  shared ??= build().catch((error: unknown) => {
    shared = undefined;
    throw error;
  });
  return shared;
}
