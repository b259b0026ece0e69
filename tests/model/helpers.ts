import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect } from 'vitest';
import { HoneError } from '../../src/core/index.js';

/** Path of a committed golden file or folder. */
export function golden(name: string): string {
  return fileURLToPath(new URL(`../golden/model/${name}`, import.meta.url));
}

export async function goldenJson<T>(name: string): Promise<T> {
  return JSON.parse(await readFile(golden(name), 'utf8')) as T;
}

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

/** A new empty folder that is removed after the tests of the file. */
export async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hone-model-'));
  folders.push(folder);
  return folder;
}

/** The HoneError that `work` ends with. */
export async function failure(work: Promise<unknown> | (() => unknown)): Promise<HoneError> {
  let thrown: unknown;
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(HoneError);
  return thrown as HoneError;
}
