import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type DurableFile, type DurableFs, explaining, explainSystemError, nodeFs } from './durable-fs.js';

let temporaryNames = 0;

/** Marks the temporary files of `writeFileAtomic`; one that is found when nobody writes is a left-over of a crash. */
export function isTemporaryName(name: string): boolean {
  return /^\..+\.tmp-\d+-\d+$/.test(name);
}

/** Opens, works, closes; a failure to close after a failure to work does not hide the first. */
async function withFile(file: DurableFile, work: (file: DurableFile) => Promise<void>): Promise<void> {
  try {
    await work(file);
  } catch (error) {
    await file.close().catch(() => undefined); // `error` is the cause; this handle is lost either way.
    throw error;
  }
  await file.close();
}

/**
 * Replaces `path` by `data`: after a crash at any point the file is wholly the old one or wholly the new one, and once
 * this returns it is the new one even after a power cut.
 * @throws HoneError('resource') no space, no permission
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: { fs?: DurableFs } = {},
): Promise<void> {
  const fs = explaining(options.fs ?? nodeFs);
  const temporary = join(dirname(path), `.${basename(path)}.tmp-${process.pid}-${temporaryNames++}`);
  try {
    await withFile(await fs.open(temporary, 'w'), async (file) => {
      await file.write(typeof data === 'string' ? Buffer.from(data, 'utf8') : data);
      await file.sync();
    });
    await fs.rename(temporary, path);
  } catch (error) {
    await fs.unlink(temporary).catch(() => undefined); // It may not exist; a left-over is swept when a run is opened.
    throw error;
  }
  await fs.syncFolder(dirname(path));
}

/** Appends and syncs. A crash can leave a part of `data` at the end of the file. */
export async function appendFileDurably(
  path: string,
  data: string | Uint8Array,
  options: { fs?: DurableFs } = {},
): Promise<void> {
  const fs = explaining(options.fs ?? nodeFs);
  await withFile(await fs.open(path, 'a'), async (file) => {
    await file.write(typeof data === 'string' ? Buffer.from(data, 'utf8') : data);
    await file.sync();
  });
}

/** Makes a file that somebody else wrote durable. */
export async function syncFile(path: string, options: { fs?: DurableFs } = {}): Promise<void> {
  const fs = explaining(options.fs ?? nodeFs);
  await withFile(await fs.open(path, 'r+'), (file) => file.sync());
}

/** Cuts a file to its first `length` bytes, durably. */
export async function truncateFile(path: string, length: number, options: { fs?: DurableFs } = {}): Promise<void> {
  const fs = explaining(options.fs ?? nodeFs);
  await withFile(await fs.open(path, 'r+'), async (file) => {
    await file.truncate(length);
    await file.sync();
  });
}

/** SHA-256 of a file's bytes, lower-case hexadecimal. Reads in pieces: any size. */
export async function sha256File(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece as Buffer);
  } catch (error) {
    throw explainSystemError(error, path);
  }
  return hash.digest('hex');
}

/** SHA-256 of text (as UTF-8) or bytes, lower-case hexadecimal. */
export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
