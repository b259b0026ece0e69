import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type DurableFs,
  makeFolder,
  nodeFs,
  sha256File,
  stringifyJson,
  writeFileAtomic,
} from '../../src/formats/index.js';

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'hone-files-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

test('an atomic write replaces the file and leaves nothing beside it', async () => {
  const file = join(folder, 'a.json');
  await writeFileAtomic(file, 'old');
  await writeFileAtomic(file, Buffer.from('new'));
  expect(await readFile(file, 'utf8')).toBe('new');
  expect(await readdir(folder)).toEqual(['a.json']);
});

test('the order is: write, sync the file, rename, sync the folder', async () => {
  const order: string[] = [];
  const fs: DurableFs = {
    ...nodeFs,
    open: async (path, flags) => {
      const file = await nodeFs.open(path, flags);
      const write = (data: Uint8Array): Promise<void> => (order.push('write'), file.write(data));
      return { ...file, write, sync: () => (order.push('sync'), file.sync()) };
    },
    rename: (from, to) => (order.push('rename'), nodeFs.rename(from, to)),
    syncFolder: (path) => (order.push('sync folder'), nodeFs.syncFolder(path)),
  };
  await writeFileAtomic(join(folder, 'a'), 'text', { fs });
  expect(order).toEqual(['write', 'sync', 'rename', 'sync folder']);
});

test.each([
  ['ENOSPC', /no space left/, /Free some space/],
  ['EACCES', /permission denied/, /write permission/],
  ['EROFS', /read-only/, /writable disk/],
])('%s keeps the old file and says the way out', async (code, message, hint) => {
  const file = join(folder, 'a');
  await writeFile(file, 'old');
  const fail = async (): Promise<void> => {
    throw Object.assign(new Error(code), { code });
  };
  const fs: DurableFs = {
    ...nodeFs,
    open: async (path, flags) => ({ ...(await nodeFs.open(path, flags)), write: fail }),
  };
  await expect(writeFileAtomic(file, 'new', { fs })).rejects.toMatchObject({
    kind: 'resource',
    message: expect.stringMatching(message),
    where: expect.stringContaining(folder),
    hint: expect.stringMatching(hint),
  });
  expect(await readFile(file, 'utf8')).toBe('old');
  expect(await readdir(folder)).toEqual(['a']);
});

test('a folder without write permission is a resource error', async (context) => {
  if (process.getuid?.() === 0) context.skip('the superuser may write everywhere');
  const locked = join(folder, 'locked');
  await mkdir(locked);
  await chmod(locked, 0o500);
  await expect(writeFileAtomic(join(locked, 'a'), 'x')).rejects.toMatchObject({ kind: 'resource' });
});

test('the hash of a file is that of its bytes', async () => {
  const bytes = Buffer.alloc(3_000_001, 'hone');
  await writeFile(join(folder, 'big'), bytes);
  expect(await sha256File(join(folder, 'big'))).toBe(createHash('sha256').update(bytes).digest('hex'));
});

test('JSON text gives back every double bit for bit, -0 included, and equals JSON.stringify otherwise', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(stringifyJson(value))).toStrictEqual(JSON.parse(JSON.stringify(value)));
    }),
    { seed: 3, numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (x) => {
      expect(Object.is(JSON.parse(stringifyJson({ x })).x, x)).toBe(true);
    }),
    { seed: 4, numRuns: 2000 },
  );
  expect(stringifyJson({ a: -0, b: undefined, c: [Number.MIN_VALUE] })).toBe('{"a":-0,"c":[5e-324]}');
});

test.each([
  ['a Map', { a: new Map() }, /Map/],
  ['a typed array', { a: new Float32Array(1) }, /Float32Array/],
  ['a function', { a: () => 1 }, /function/],
  ['undefined in a list', [undefined], /undefined/],
])('%s is refused with its place', (_name, value, message) => {
  expect(() => stringifyJson(value)).toThrow(message);
});

test('a value that contains itself is refused; one that occurs twice is not', () => {
  const loop: Record<string, unknown> = {};
  loop['self'] = loop;
  expect(() => stringifyJson(loop)).toThrow(/self: JSON cannot hold a value that contains itself/);
  const shared = { x: 1 };
  expect(stringifyJson([shared, shared])).toBe('[{"x":1},{"x":1}]');
});

test('a folder is made with its parents, and refused where nothing can be made', async () => {
  const root = folder;
  const deep = join(root, 'a', 'b', 'c');
  await makeFolder(deep);
  await makeFolder(deep);
  expect((await stat(deep)).isDirectory()).toBe(true);
  await writeFile(join(root, 'file'), '');
  await expect(makeFolder(join(root, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
  if (process.platform !== 'linux') return;
  // The kernel answers ENOENT although the parent is there; Node's recursive mkdir never comes back from it.
  await expect(makeFolder('/proc/hone-test')).rejects.toMatchObject({ kind: 'resource', where: '/proc/hone-test' });
  await expect(makeFolder('/proc/hone-test/below')).rejects.toMatchObject({ kind: 'resource' });
});
