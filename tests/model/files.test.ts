import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HoneError } from '../../src/core/index.js';
import { copyAtomically, diskError, readText, writeAtomically, writeJson } from '../../src/model/files.js';
import { failure, scratch } from './helpers.js';

describe('writeAtomically', () => {
  it('leaves the old file and nothing else when writing fails', async () => {
    const folder = await scratch();
    const file = join(folder, 'a.json');
    await writeJson(file, { a: 1 });
    const failing = writeAtomically(file, async (append) => {
      await append(new Uint8Array(10));
      throw new Error('stopped');
    });
    await expect(failing).rejects.toThrow('stopped');
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ a: 1 });
    expect(await readdir(folder)).toEqual(['a.json']);
  });

  it('copies whole files', async () => {
    const folder = await scratch();
    await writeFile(join(folder, 'from'), 'x'.repeat(200_000));
    await copyAtomically(join(folder, 'from'), join(folder, 'to'));
    expect(await readFile(join(folder, 'to'), 'utf8')).toHaveLength(200_000);
  });
});

describe('errors of the disk', () => {
  it.each([
    ['ENOSPC', 'no space left'],
    ['EDQUOT', 'no space left'],
    ['EACCES', 'cannot be written'],
  ])('%s is a resource error with a way out', (code, message) => {
    const error = diskError(Object.assign(new Error(code), { code }), 'model.safetensors');
    expect(error).toBeInstanceOf(HoneError);
    expect(error).toMatchObject({ kind: 'resource' });
    expect((error as HoneError).message).toContain(message);
  });

  it('passes others through', () => {
    const error = new Error('a bug');
    expect(diskError(error, 'x')).toBe(error);
  });
});

describe('readText', () => {
  it('is undefined for what is not there and refuses what is too long', async () => {
    const file = join(await scratch(), 'long');
    expect(await readText(file, 10)).toBeUndefined();
    await writeFile(file, 'x'.repeat(11));
    expect((await failure(readText(file, 10))).message).toContain('above the limit of 10');
  });
});
