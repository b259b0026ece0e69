import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runPython } from '../../../src/tasks/index.js';
import { pythonImage } from '../../../src/tasks/code/image.js';

/** Ids of the living processes that run Python from an image, wherever in a sandbox they are. */
function guestsOf(folder: string): string[] {
  const lines = execFileSync('ps', ['-eo', 'pid,stat,args']).toString().split('\n');
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter(([, stat, ...args]) => args.includes(join(folder, 'guest.mjs')) && !stat?.startsWith('Z'))
    .map(([pid = '']) => pid);
}

async function until(done: () => boolean): Promise<boolean> {
  for (let tries = 0; tries < 200 && !done(); tries++) await new Promise((resolve) => setTimeout(resolve, 50));
  return done();
}

const CHILD = (dist: string): string => `
import { runPython } from ${JSON.stringify(join(dist, 'tasks/index.js'))};
import { pythonImage } from ${JSON.stringify(join(dist, 'tasks/code/image.js'))};
console.log((await pythonImage()).folder);
await runPython('while True: pass', { limits: { work: 1e12, cpuSeconds: 1e3 } });`;

describe.runIf(process.platform === 'linux')('processes of the sandbox', () => {
  it('are gone after a limit, inside the sandbox too', async () => {
    await runPython('pass');
    const { folder } = await pythonImage();
    const before = guestsOf(folder);
    const result = await runPython('7 ** 10 ** 9', { limits: { cpuSeconds: 0.5, work: 1e9 } });
    expect(result.outcome).toBe('limit');
    // The next spare comes; the processes that were there, of which one ran the program, go.
    expect(before).not.toEqual([]);
    expect(await until(() => before.every((pid) => !guestsOf(folder).includes(pid)))).toBe(true);
  });

  it('die with the process that started them, however it dies', async () => {
    const code = CHILD(join(import.meta.dirname, '../../../dist'));
    const args = ['--input-type=module', '-e', code];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    const folder = said.toString().trim();
    expect(await until(() => guestsOf(folder).length > 0)).toBe(true);
    child.kill('SIGKILL');
    expect(await until(() => guestsOf(folder).length === 0)).toBe(true);
  });
});
