import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type DurableFs, type DurableFile, nodeFs } from '../../src/formats/index.js';

/** What a crash does to the folder. */
export type CrashKind =
  /** kill -9: the operating system lives on and writes everything out. */
  | 'kill'
  /** Power cut, worst case: only what was synced is there. */
  | 'power';

export class Crash extends Error {}

/** The real file system without waiting for the disk, where a test does not crash. */
export const quickFs: DurableFs = {
  ...nodeFs,
  open: async (path, flags) => ({ ...(await nodeFs.open(path, flags)), sync: async () => undefined }),
  syncFolder: async () => undefined,
};

type Entry = { id: number; folder: boolean };

/**
 * The real file system below `root`, with a model of what has reached the disk: bytes of a file when it was last
 * synced, and names of a folder when it was last synced. After `stopAfter(n)` the world stops at the n-th operation
 * from then on, which itself is not done (a write and a removal: half done). With `failWith` it fails and the world goes on.
 */
export class CrashFs implements DurableFs {
  #operations: string[] = [];
  #countedFrom = 0;
  #stopAt = Infinity;
  readonly #bytes = new Map<number, Buffer>();
  readonly #names = new Map<number, Map<string, Entry>>();
  #removed = 0;
  #dead = false;

  constructor(
    readonly root: string,
    readonly graveyard: string,
    readonly failWith?: () => Error,
  ) {}

  stopAfter(operations: number): void {
    this.#countedFrom = this.#operations.length;
    this.#stopAt = this.#countedFrom + operations;
  }

  /** The operations since `stopAfter`. */
  counted(): string[] {
    return this.#operations.slice(this.#countedFrom);
  }

  /** Records one operation; throws when the world stops here. */
  #step(name: string): void {
    if (this.#dead) throw new Crash('the process is gone');
    this.#operations.push(name);
    if (this.#operations.length - 1 !== this.#stopAt) return;
    if (this.failWith !== undefined) throw this.failWith();
    this.#dead = true;
    throw new Crash(`stopped at ${name}`);
  }

  async open(path: string, flags: 'w' | 'a' | 'r+'): Promise<DurableFile> {
    this.#step(`open ${flags} ${path}`);
    const file = await nodeFs.open(path, flags);
    return {
      write: async (data) => {
        try {
          this.#step(`write ${path}`);
        } catch (error) {
          await file.write(data.subarray(0, data.length >> 1));
          throw error;
        }
        await file.write(data);
      },
      truncate: async (length) => {
        this.#step(`truncate ${path}`);
        await file.truncate(length);
      },
      sync: async () => {
        this.#step(`sync ${path}`);
        this.#bytes.set((await stat(path)).ino, await readFile(path));
      },
      close: () => file.close(),
    };
  }

  async rename(from: string, to: string): Promise<void> {
    this.#step(`rename ${from} ${to}`);
    await this.#bury(to);
    await rename(from, to);
  }

  async unlink(path: string): Promise<void> {
    this.#step(`unlink ${path}`);
    await this.#bury(path, true);
  }

  async mkdir(path: string): Promise<void> {
    this.#step(`mkdir ${path}`);
    await nodeFs.mkdir(path);
  }

  /** Removal is not atomic: when the world stops here, a part of the folder is gone. */
  async rm(path: string): Promise<void> {
    try {
      this.#step(`rm ${path}`);
    } catch (error) {
      if (error instanceof Crash && this.#operations.length - 1 === this.#stopAt) await this.#buryOneFile(path);
      throw error;
    }
    await this.#bury(path);
  }

  async syncFolder(path: string): Promise<void> {
    this.#step(`syncFolder ${path}`);
    const names = new Map<string, Entry>();
    for (const entry of await readdir(path, { withFileTypes: true }))
      names.set(entry.name, { id: (await stat(join(path, entry.name))).ino, folder: entry.isDirectory() });
    this.#names.set((await stat(path)).ino, names);
  }

  /** Moves away instead of removing, so that no inode number is used twice while the model remembers it. */
  async #bury(path: string, mustExist = false): Promise<void> {
    try {
      await rename(path, join(this.graveyard, String(this.#removed++)));
    } catch (error) {
      if (mustExist || !(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    }
  }

  async #buryOneFile(path: string): Promise<void> {
    const names = await readdir(path).catch(() => []);
    if (names[0] !== undefined) await this.#bury(join(path, names[0]));
  }

  /** Everything below `root` as it is now counts as being on the disk. */
  async settle(folder = this.root): Promise<void> {
    const names = new Map<string, Entry>();
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      const { ino } = await stat(path);
      names.set(entry.name, { id: ino, folder: entry.isDirectory() });
      if (entry.isDirectory()) await this.settle(path);
      else this.#bytes.set(ino, await readFile(path));
    }
    this.#names.set((await stat(folder)).ino, names);
  }

  /** The folder after the crash, in a place of its own. */
  async afterwards(kind: CrashKind, target: string): Promise<void> {
    if (kind === 'kill') await copyTree(this.root, target);
    else await this.#restore((await stat(this.root)).ino, target);
  }

  async #restore(id: number, target: string): Promise<void> {
    await mkdir(target, { recursive: true });
    for (const [name, entry] of this.#names.get(id) ?? []) {
      // The process that holds the lock here is the test itself, which lives on; run.test.ts tests locks of dead ones.
      if (name.startsWith('.lock')) continue;
      if (entry.folder) await this.#restore(entry.id, join(target, name));
      else await writeFile(join(target, name), this.#bytes.get(entry.id) ?? '');
    }
  }
}

async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (entry.isDirectory()) await copyTree(join(from, entry.name), join(to, entry.name));
    else await writeFile(join(to, entry.name), await readFile(join(from, entry.name)));
  }
}
