import { readFile, realpath, rm, rmdir } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
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

/** What is locked, and where the parts of its lock lie. */
interface Place {
  path: string;
  lock: string;
  guard: string;
  holder: string;
  /** What a person calls it, and what to do when it is in use, or lost. */
  words: { name: string; inUse: string; lost: string };
}

/**
 * Locks a run folder against every other process (and against this one opening it twice). A lock left by a killed
 * process is taken over: at once when the process was on this machine, else when its heartbeat is a minute old.
 * @param onLost called when another process has taken the folder away from us
 * @throws HoneError('resource') the folder is in use; names the holder
 */
export function lockRun(path: string, onLost: (why: HoneError) => void): Promise<RunLock> {
  return lockPlace(runPlace(path), onLost);
}

/**
 * Locks one file as {@link lockRun} does a folder, by hidden names beside it that go when it is released. The file need
 * not exist; its folder must. Two spellings of one file are one.
 * @throws HoneError('resource') the file is in use; names the holder
 */
export async function lockFile(file: string, onLost: (why: HoneError) => void): Promise<RunLock> {
  const place = filePlace(file, await trueName(file));
  const { release } = await lockPlace(place, onLost);
  return {
    release: async () => {
      await rm(place.holder, { force: true }); // First: behind the lock it could be the next holder's.
      await release();
    },
  };
}

function runPlace(path: string): Place {
  return placeAt(path, (name) => join(path, name), {
    name: 'the run folder',
    inUse:
      'Wait for it to end, stop it, or choose another folder with --out. A crashed holder frees the folder within a minute.',
    lost: 'Another process took the folder, or it was removed. See who uses it, then go on with hone resume.',
  });
}

function filePlace(path: string, real: string): Place {
  return placeAt(path, (name) => join(dirname(real), `.${basename(real)}${name}`), {
    name: 'the file',
    inUse:
      'Wait for it to end, stop it, or choose another file with --out. A crashed holder frees the file within a minute.',
    lost: 'Another process took the file. See who uses it, then run the same command again.',
  });
}

/** @param at where the file of a name lies */
function placeAt(path: string, at: (name: string) => string, words: Place['words']): Place {
  return { path, lock: at(LOCK_NAME), guard: at(GUARD_NAME), holder: at(HOLDER_NAME), words };
}

/** Without symbolic links, whether the file exists or not. */
async function trueName(file: string): Promise<string> {
  try {
    return await realpath(file);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw explainSystemError(error, file);
    return join(await realpath(dirname(resolve(file))), basename(file));
  }
}

async function lockPlace(place: Place, onLost: (why: HoneError) => void): Promise<RunLock> {
  try {
    // The guard makes 'look who holds it, take it, write our name' one step against other processes.
    const releaseGuard = await lockfile.lock(place.guard, {
      lockfilePath: place.guard,
      realpath: false,
      stale: 5_000,
      retries: { retries: 40, factor: 1, minTimeout: 150, maxTimeout: 250 },
      onCompromised: onLost.bind(undefined, lostError(place, 'the lock guard vanished')),
    });
    try {
      return await takeLock(place, onLost);
    } finally {
      await releaseGuard();
    }
  } catch (error) {
    if (errorCode(error) === 'ELOCKED') throw inUse(place, await readHolder(place.holder));
    throw explainSystemError(error, place.path);
  }
}

async function takeLock(place: Place, onLost: (why: HoneError) => void): Promise<RunLock> {
  const holder = await readHolder(place.holder);
  if (holder !== undefined && isGone(holder)) await removeLock(place.lock);
  const release = await lockfile.lock(place.lock, {
    lockfilePath: place.lock,
    realpath: false,
    stale: STALE_MS,
    update: HEARTBEAT_MS,
    onCompromised: (error) => onLost(lostError(place, messageOf(error))),
  });
  const me: LockHolder = { pid: process.pid, host: hostname(), started: processStart(process.pid) };
  try {
    await writeFileAtomic(place.holder, `${JSON.stringify(me)}\n`);
  } catch (error) {
    await release();
    throw error;
  }
  return { release };
}

async function removeLock(lock: string): Promise<void> {
  try {
    await rmdir(lock);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}

async function readHolder(file: string): Promise<LockHolder | undefined> {
  try {
    const parsed = holderSchema.safeParse(JSON.parse(await readFile(file, 'utf8')));
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
  const place = runPlace(path);
  const held = await lockfile.check(place.lock, { lockfilePath: place.lock, realpath: false, stale: STALE_MS });
  if (!held) return undefined;
  const holder = await readHolder(place.holder);
  if (holder === undefined) return 'unknown';
  return isGone(holder) ? undefined : holder;
}

function inUse({ path, words }: Place, holder: LockHolder | undefined): HoneError {
  const who = holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host}`;
  const mine = holder?.pid === process.pid && holder.host === hostname() ? ' (this process)' : '';
  return new HoneError('resource', `${words.name} is in use by ${who}${mine}`, { where: path, hint: words.inUse });
}

function lostError({ path, words }: Place, why: string): HoneError {
  return new HoneError('resource', `lost the lock of ${words.name} (${why})`, { where: path, hint: words.lost });
}
