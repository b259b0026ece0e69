import { constants } from 'node:fs';
import { mkdir, open, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HoneError } from '../core/index.js';

/** A file opened for writing. Nothing is promised to outlive a power cut until `sync` has returned. */
export interface DurableFile {
  /** Writes all of `data` at the file's position. */
  write(data: Uint8Array): Promise<void>;
  truncate(length: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Every durable write of hone goes through these few operations, so that a test can stop the world at each of them.
 * A name (created, renamed or removed) outlives a power cut only after `syncFolder` of the folder that holds it.
 */
export interface DurableFs {
  /** `w`: create or empty. `a`: append, create if missing. `r+`: an existing file, from its start. */
  open(path: string, flags: 'w' | 'a' | 'r+'): Promise<DurableFile>;
  /** Atomic; replaces an existing file. */
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Creates missing parents; an existing folder is fine. */
  mkdir(path: string): Promise<void>;
  /** Removes a folder and what it holds; a missing one is fine. */
  rm(path: string): Promise<void>;
  syncFolder(path: string): Promise<void>;
}

/** Largest piece of one write call; the operating system's limit is 2 GiB. */
const PIECE = 64 * 1024 * 1024;

/**
 * Creates a folder and its missing parents; an existing folder is fine. Not `mkdir` with `recursive`: Node's tries
 * without end where a file system refuses with ENOENT although the parent is there (/proc/x).
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (code !== 'ENOENT') throw error;
    const parent = dirname(path);
    const missing = await stat(parent).then(
      () => false,
      () => true,
    );
    if (!missing || parent === path) {
      throw new HoneError('resource', 'the folder cannot be created here', {
        where: path,
        hint: 'Choose another folder, on a disk that can be written to.',
        cause: error,
      });
    }
    await makeFolder(parent);
    await makeFolder(path);
  }
}

/** The real file system. */
export const nodeFs: DurableFs = {
  async open(path, flags) {
    const handle = await open(path, flags);
    return {
      write: async (data) => {
        for (let done = 0; done < data.length;) {
          const piece = Math.min(PIECE, data.length - done);
          done += (await handle.write(data, done, piece)).bytesWritten;
        }
      },
      truncate: (length) => handle.truncate(length),
      sync: () => handle.sync(),
      close: () => handle.close(),
    };
  },
  rename,
  unlink,
  mkdir: makeFolder,
  rm: (path) => rm(path, { recursive: true, force: true }),
  async syncFolder(path) {
    // Windows cannot open a folder for syncing; NTFS journals names by itself.
    if (process.platform === 'win32') return;
    const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

const CAUSES: Readonly<Record<string, readonly [cause: string, hint: string]>> = {
  ENOSPC: ['no space left on the disk', 'Free some space, or choose another disk with --out.'],
  EDQUOT: ['the disk quota is used up', 'Free some space, or choose another disk with --out.'],
  EACCES: ['permission denied', 'Give your user write permission on this path, or choose another folder with --out.'],
  EPERM: ['operation not permitted', 'Give your user write permission on this path, or choose another folder.'],
  EROFS: ['the file system is read-only', 'Choose a folder on a writable disk with --out.'],
  EIO: ['the disk reported an input/output error', 'Check the disk; copy the run folder to another one.'],
  EMFILE: ['too many open files', 'Raise the limit (ulimit -n) or close other programs.'],
};

/** The `code` of a Node system error, e.g. `ENOENT`. Errors of another realm (node:vm) count too. */
export function errorCode(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** A system error about `path` as a HoneError('resource') with the way out; any other value comes back as it is. */
export function explainSystemError(error: unknown, path: string | undefined): unknown {
  const known = CAUSES[errorCode(error) ?? ''];
  if (error instanceof HoneError || known === undefined) return error;
  return new HoneError('resource', known[0], { where: path, hint: known[1], cause: error });
}

async function explained<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw explainSystemError(error, path);
  }
}

/** The same file system, whose errors name the path and the way out. */
export function explaining(fs: DurableFs): DurableFs {
  return {
    async open(path, flags) {
      const file = await explained(path, fs.open(path, flags));
      return {
        write: (data) => explained(path, file.write(data)),
        truncate: (length) => explained(path, file.truncate(length)),
        sync: () => explained(path, file.sync()),
        close: () => explained(path, file.close()),
      };
    },
    rename: (from, to) => explained(to, fs.rename(from, to)),
    unlink: (path) => explained(path, fs.unlink(path)),
    mkdir: (path) => explained(path, fs.mkdir(path)),
    rm: (path) => explained(path, fs.rm(path)),
    syncFolder: (path) => explained(path, fs.syncFolder(path)),
  };
}
