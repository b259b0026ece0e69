import { createReadStream } from 'node:fs';
import { type FileHandle, readFile, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HoneError } from '../core/index.js';
import { errorCode, explainSystemError, nodeFs } from '../formats/index.js';
import { parseJson } from './parse.js';

/** Largest piece of one read call; the operating system's limit is 2 GiB. */
const PIECE = 64 * 1024 * 1024;

/** What is at `path`: a file with its size, a folder, or nothing. */
export async function pathKind(path: string): Promise<{ kind: 'file' | 'folder'; bytes: number } | undefined> {
  try {
    const found = await stat(path);
    return { kind: found.isDirectory() ? 'folder' : 'file', bytes: found.size };
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(errorCode(error) ?? '')) return undefined;
    throw error;
  }
}

/**
 * Text of a file, or undefined where there is none.
 * @throws HoneError('input') above `maxBytes`, before anything is read.
 */
export async function readText(path: string, maxBytes: number): Promise<string | undefined> {
  const found = await pathKind(path);
  if (found?.kind !== 'file') return undefined;
  if (found.bytes > maxBytes)
    throw new HoneError('input', `is ${found.bytes} bytes long, above the limit of ${maxBytes}`, { where: path });
  return readFile(path, 'utf8');
}

/** Parsed JSON of a file, or undefined where there is none. */
export async function readJson(path: string, maxBytes: number): Promise<unknown> {
  const text = await readText(path, maxBytes);
  return text === undefined ? undefined : parseJson(text, path);
}

/**
 * Fills `target` from `position` of the file.
 * @throws HoneError('input') when the file ends before.
 */
export async function readExactly(
  handle: FileHandle,
  target: Uint8Array,
  position: number,
  where: string,
): Promise<void> {
  for (let done = 0; done < target.length;) {
    const { bytesRead } = await handle.read(target, done, Math.min(PIECE, target.length - done), position + done);
    if (bytesRead === 0) throw truncated(where, position + target.length, position + done);
    done += bytesRead;
  }
}

/** The error for a weight file that is shorter than its own header says. */
export function truncated(where: string, expected: number, found: number): HoneError {
  return new HoneError('input', `is truncated: ${expected} bytes expected, ${found} present`, {
    where,
    hint: 'The copy or download did not finish: fetch the file again.',
  });
}

/**
 * Writes a file whole or not at all: into a neighbour with a temporary name, fsynced, then renamed and the folder
 * fsynced. What `write` throws removes the temporary file.
 * @throws HoneError('resource') when the disk is full.
 */
export async function writeAtomically(
  path: string,
  write: (append: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.partial`;
  try {
    const file = await nodeFs.open(temporary, 'w');
    try {
      await write((bytes) => file.write(bytes));
      await file.sync();
    } finally {
      await file.close();
    }
    await nodeFs.rename(temporary, path);
    await nodeFs.syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw explainSystemError(error, path);
  }
}

/** Writes text atomically. */
export function writeText(path: string, text: string): Promise<void> {
  return writeAtomically(path, (append) => append(new TextEncoder().encode(text)));
}

/** Writes indented JSON atomically. */
export function writeJson(path: string, value: unknown): Promise<void> {
  return writeText(path, JSON.stringify(value, null, 2) + '\n');
}

/** Copies a file atomically. */
export function copyAtomically(from: string, to: string): Promise<void> {
  return writeAtomically(to, async (append) => {
    for await (const chunk of createReadStream(from)) await append(chunk as Uint8Array);
  });
}
