import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { copyAtomically, readText, writeAtomically, writeJson } from '../../src/model/files.js';
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
  it('are resource errors with a way out, about the file that was to be written', async () => {
    const file = join(await scratch(), 'a.json');
    const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    const failed = await failure(writeAtomically(file, () => Promise.reject(full)));
    expect(failed).toMatchObject({ kind: 'resource', where: file, hint: expect.stringContaining('Free some space') });
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
