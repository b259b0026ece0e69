import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { RandomStream } from '../../src/core/index.js';
import { diffRuns, readRun } from '../../src/runs/index.js';

/** Runs the writer; kills it `delayMs` after it has printed `lines` lines. Returns how it ended. */
async function write(path: string, kill?: { lines: number; delayMs: number }): Promise<string> {
  const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'writer-child.ts'), path], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (piece: Buffer) => (errors += piece.toString()));
  const ended = new Promise<string>((done) => child.on('close', (code, signal) => done(signal ?? `${code} ${errors}`)));
  let seen = 0;
  for await (const _line of createInterface({ input: child.stdout })) {
    if (kill === undefined || ++seen !== kill.lines) continue;
    await sleep(kill.delayMs);
    child.kill('SIGKILL');
  }
  return ended;
}

test(
  'kill -9 at ten random moments and resume: the run is bit-identical to an unkilled one',
  { timeout: 300_000 },
  async () => {
    const root = await mkdtemp(join(tmpdir(), 'hone-kill-'));
    try {
      const [whole, killed] = [join(root, 'whole'), join(root, 'killed')];
      expect(await write(whole)).toBe('0 ');
      const moments = new RandomStream(2026, 'kill');
      for (let i = 0; i < 10; i++)
        expect(await write(killed, { lines: moments.nextInt(1, 6), delayMs: moments.nextInt(0, 12) })).toBe('SIGKILL');
      expect(await write(killed)).toBe('0 ');
      expect(await diffRuns(whole, killed)).toEqual([]);
      const [a, b] = [await readRun(whole), await readRun(killed)];
      expect(await b.checkpointIterations()).toEqual(await a.checkpointIterations());
      expect(await b.readMetrics()).toHaveLength(80);
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  },
);
