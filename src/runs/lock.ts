import { readFile, rmdir } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import lockfile from 'proper-lockfile';
import { z } from 'zod';
import { HoneError, messageOf } from '../core/index.js';
import { errorCode, explainSystemError, writeFileAtomic } from '../formats/index.js';

/** A lock whose heartbeat is older is taken over. Long enough for a laptop's hiccup, short enough to wait for. */
const STALE_MS = 60_000;
const HEARTBEAT_MS = 5_000;
const LOCK_NAME = '.lock';
const GUARD_NAME = '.lock-guard';
const HOLDER_NAME = '.lock-holder.json';
export const LOCK_NAMES: readonly string[] = [LOCK_NAME, GUARD_NAME, HOLDER_NAME];

const holderSchema = z.object({ pid: z.number().int().positive(), host: z.string(), started: z.string() });
export type LockHolder = z.infer<typeof holderSchema>;

export interface RunLock {
  release(): Promise<void>;
}

/**
 * Locks a run folder against every other process (and against this one opening it twice). A lock left by a killed
 * process is taken over: at once when the process was on this machine, else when its heartbeat is a minute old.
 * @param onLost called when another process has taken the folder away from us
 * @throws HoneError('resource') the folder is in use; names the holder
 */
export async function lockRun(path: string, onLost: (why: HoneError) => void): Promise<RunLock> {
  try {
    // The guard makes 'look who holds it, take it, write our name' one step against other processes.
    const releaseGuard = await lockfile.lock(join(path, GUARD_NAME), {
      lockfilePath: join(path, GUARD_NAME),
      realpath: false,
      stale: 5_000,
      retries: { retries: 40, factor: 1, minTimeout: 150, maxTimeout: 250 },
      onCompromised: onLost.bind(undefined, lostError(path, 'the lock guard vanished')),
    });
    try {
      return await takeLock(path, onLost);
    } finally {
      await releaseGuard();
    }
  } catch (error) {
    if (errorCode(error) === 'ELOCKED') throw inUse(path, await readHolder(path));
    throw explainSystemError(error, path);
  }
}

async function takeLock(path: string, onLost: (why: HoneError) => void): Promise<RunLock> {
  const holder = await readHolder(path);
  if (holder !== undefined && isGone(holder)) await removeLock(path);
  const release = await lockfile.lock(path, {
    lockfilePath: join(path, LOCK_NAME),
    stale: STALE_MS,
    update: HEARTBEAT_MS,
    onCompromised: (error) => onLost(lostError(path, messageOf(error))),
  });
  const me: LockHolder = { pid: process.pid, host: hostname(), started: processStart(process.pid) };
  try {
    await writeFileAtomic(join(path, HOLDER_NAME), `${JSON.stringify(me)}\n`);
  } catch (error) {
    await release();
    throw error;
  }
  return { release };
}

async function removeLock(path: string): Promise<void> {
  try {
    await rmdir(join(path, LOCK_NAME));
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}

async function readHolder(path: string): Promise<LockHolder | undefined> {
  try {
    const parsed = holderSchema.safeParse(JSON.parse(await readFile(join(path, HOLDER_NAME), 'utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** True when the holder was a process of this machine that no longer runs. */
function isGone(holder: LockHolder): boolean {
  if (holder.host !== hostname()) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return errorCode(error) === 'ESRCH';
  }
  // The process number may have been given to another process since.
  return processStart(holder.pid) !== holder.started;
}

/** Start time of a process in clock ticks since boot, with the boot's id: tells a reused process number. Linux only. */
function processStart(pid: number): string {
  if (process.platform !== 'linux') return '';
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${fields[19] ?? ''}`;
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return '';
  }
}

/** Who holds a run folder now; undefined when nobody does. */
export async function lockHolder(path: string): Promise<LockHolder | 'unknown' | undefined> {
  const held = await lockfile.check(path, { lockfilePath: join(path, LOCK_NAME), stale: STALE_MS });
  if (!held) return undefined;
  const holder = await readHolder(path);
  if (holder === undefined) return 'unknown';
  return isGone(holder) ? undefined : holder;
}

function inUse(path: string, holder: LockHolder | undefined): HoneError {
  const who = holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host}`;
  const mine = holder?.pid === process.pid && holder.host === hostname() ? ' (this process)' : '';
  return new HoneError('resource', `the run folder is in use by ${who}${mine}`, {
    where: path,
    hint: 'Wait for it to end, stop it, or choose another folder with --out. A crashed holder frees the folder within a minute.',
  });
}

function lostError(path: string, why: string): HoneError {
  return new HoneError('resource', `lost the lock of the run folder (${why})`, {
    where: path,
    hint: 'Another process took the folder, or it was removed. See who uses it, then go on with hone resume.',
  });
}
