import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HoneError } from '../../src/core/index.js';
import { openSafetensors, writeSafetensors } from '../../src/model/index.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hone-safetensors-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A file from a header object (or its text) and raw data. */
async function rawFile(name: string, header: unknown, data: Uint8Array): Promise<string> {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const path = join(folder, name);
  await writeFile(path, Buffer.concat([length, json, data]));
  return path;
}

async function failure(path: string): Promise<HoneError> {
  const error: unknown = await openSafetensors(path).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(HoneError);
  return error as HoneError;
}

const tensor = (begin: number, end: number, shape: number[], dtype = 'F32') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

describe('writeSafetensors and openSafetensors', () => {
  it('reads back what was written', async () => {
    const shapes = fc.array(fc.nat(4), { maxLength: 3 });
    const tensors = fc.dictionary(fc.string(), shapes, { maxKeys: 5 });
    await fc.assert(
      fc.asyncProperty(tensors, async (byName) => {
        const path = join(folder, 'round.safetensors');
        const written = Object.entries(byName)
          .filter(([name]) => name !== '__metadata__')
          .map(([name, shape], i): [string, { shape: number[]; data: Float32Array }] => {
            const length = shape.reduce((a, b) => a * b, 1);
            return [name, { shape, data: Float32Array.from({ length }, (_, j) => Math.sin(i + j)) }];
          });
        await writeSafetensors(path, written);
        const file = await openSafetensors(path);
        expect(file.names()).toEqual(written.map(([name]) => name).sort());
        for (const [name, { shape, data }] of written) expect(await file.read(name)).toEqual({ shape, data });
      }),
      { seed: 5, numRuns: 40 },
    );
  });

  it('asks for lazy values one at a time and leaves nothing behind when one fails', async () => {
    const path = join(folder, 'lazy.safetensors');
    await writeSafetensors(path, [['a', { shape: [2], data: () => Promise.resolve(Float32Array.of(1, 2)) }]]);
    expect((await (await openSafetensors(path)).read('a')).data).toEqual(Float32Array.of(1, 2));
    const wrong = writeSafetensors(join(folder, 'wrong.safetensors'), [
      ['a', { shape: [3], data: () => Float32Array.of(1) }],
    ]);
    await expect(wrong).rejects.toThrow('tensor a has 1 values for shape [3]');
    expect((await readdir(folder)).filter((file) => file.startsWith('wrong'))).toEqual([]);
  });

  it('aligns the data to 8 bytes', async () => {
    const path = join(folder, 'aligned.safetensors');
    await writeSafetensors(path, [['abc', { shape: [1], data: Float32Array.of(1) }]]);
    const bytes = await readFile(path);
    expect(Number(bytes.readBigUInt64LE()) % 8).toBe(0);
    expect(bytes.readFloatLE(bytes.length - 4)).toBe(1);
  });

  it('decodes halves and bfloats exactly', async () => {
    const halves = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x03ff, 0x0400, 0x7bff, 0x7c00, 0xfc00, 0x8000, 0x7e00);
    const bfloats = Uint16Array.of(0x3f80, 0xc000, 0x0001, 0x7f80, 0x7fc0);
    const data = Buffer.concat([Buffer.from(halves.buffer), Buffer.from(bfloats.buffer)]);
    const path = await rawFile('half', { h: tensor(0, 20, [10], 'F16'), b: tensor(20, 30, [5], 'BF16') }, data);
    const file = await openSafetensors(path);
    const expected = [1, -2, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 65504, Infinity, -Infinity, -0, NaN];
    expect(Array.from((await file.read('h')).data)).toEqual(expected);
    expect(Array.from((await file.read('b')).data)).toEqual([1, -2, 2 ** -133, Infinity, NaN]);
  });
});

describe('hostile safetensors', () => {
  const four = new Uint8Array(4);
  it.each<[string, unknown, Uint8Array, string]>([
    ['not JSON', '{"a":', four, 'is not JSON'],
    ['not an object', '[1]', four, 'expected record'],
    ['short data', { a: tensor(0, 8, [2]) }, four, 'is truncated: '],
    ['long data', { a: tensor(0, 4, [1]) }, new Uint8Array(9), '5 bytes behind its last tensor'],
    ['wrong count', { a: tensor(0, 4, [2]) }, four, 'has 4 bytes, but its shape [2] needs 8'],
    ['overlap', { a: tensor(0, 4, [1]), b: tensor(0, 4, [1]) }, four, 'overlaps another'],
    ['gap', { a: tensor(4, 8, [1]) }, new Uint8Array(8), 'leaves a gap'],
    ['negative offset', { a: tensor(-4, 0, [1]) }, four, 'data_offsets'],
    ['reversed', { a: tensor(4, 0, [1]) }, four, 'has -4 bytes'],
    ['huge shape', { a: tensor(0, 4, [2 ** 52, 2 ** 52]) }, four, 'impossible shape'],
    ['unknown dtype', { a: tensor(0, 4, [1], 'F4') }, four, 'unknown dtype F4'],
    ['inherited dtype', { a: tensor(0, 4, [1], 'constructor') }, four, 'unknown dtype constructor'],
    ['extra field', { a: { ...tensor(0, 4, [1]), x: 1 } }, four, 'x'],
  ])('refuses %s', async (name, header, data, message) => {
    const error = await failure(await rawFile(`bad-${name}`, header, data));
    expect(error.message).toContain(message);
  });

  it('bounds the header by the limit and by the file', async () => {
    const path = join(folder, 'header');
    await writeFile(path, Buffer.from([255, 255, 255, 255, 255, 255, 255, 255, 0]));
    expect((await failure(path)).message).toContain('is not a safetensors file');
    await writeFile(path, Buffer.from([100, 0, 0, 0, 0, 0, 0, 0, 123]));
    expect((await failure(path)).message).toContain('is truncated: 108 bytes expected, 9 present');
    await writeFile(path, 'abc');
    expect((await failure(path)).message).toContain('is truncated');
  });

  it('ends with a HoneError, or a table, whatever byte is changed or wherever the file is cut', async () => {
    const whole = join(folder, 'whole.safetensors');
    const tensors = ['a', 'b', 'c'].map((name) => [name, { shape: [2, 2], data: new Float32Array(4) }] as const);
    await writeSafetensors(whole, tensors);
    const bytes = await readFile(whole);
    const fuzzed = join(folder, 'fuzzed.safetensors');
    const change = fc.record({ at: fc.nat(bytes.length - 1), byte: fc.nat(255), cut: fc.option(fc.nat(bytes.length)) });
    await fc.assert(
      fc.asyncProperty(change, async ({ at, byte, cut }) => {
        const changed = Buffer.from(bytes);
        changed[at] = byte;
        await writeFile(fuzzed, changed.subarray(0, cut ?? bytes.length));
        const error: unknown = await openSafetensors(fuzzed).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        if (error !== undefined) expect(error).toBeInstanceOf(HoneError);
        if (cut !== null && cut < bytes.length) expect(error).toBeInstanceOf(HoneError);
      }),
      { seed: 8, numRuns: 300 },
    );
  });

  it('refuses pickles and says how to convert them', async () => {
    const path = join(folder, 'pytorch_model.bin');
    await writeFile(path, 'x');
    expect((await failure(path)).hint).toContain('safe_serialization');
    const only = join(folder, 'pickled');
    await mkdir(only);
    await writeFile(join(only, 'model.pth'), 'x');
    expect((await failure(only)).message).toContain('pickle');
  });

  it('names what is missing', async () => {
    expect((await failure(join(folder, 'nowhere'))).message).toContain('no such file');
    const empty = join(folder, 'empty');
    await mkdir(empty);
    expect((await failure(empty)).message).toContain('has no model.safetensors');
  });

  it('will not read integers as weights', async () => {
    const file = await openSafetensors(await rawFile('ints', { a: tensor(0, 8, [1], 'I64') }, new Uint8Array(8)));
    await expect(file.read('a')).rejects.toThrow('dtype I64');
    await expect(file.read('b')).rejects.toThrow('has no tensor b');
  });
});

describe('sharded weights', () => {
  async function sharded(name: string, weightMap: Record<string, string>): Promise<string> {
    const path = join(folder, name);
    await mkdir(path);
    await writeSafetensors(join(path, 'one.safetensors'), [['a', { shape: [1], data: Float32Array.of(1) }]]);
    await writeSafetensors(join(path, 'two.safetensors'), [['b', { shape: [1], data: Float32Array.of(2) }]]);
    await writeFile(join(path, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
    return path;
  }

  it('reads tensors from their shards', async () => {
    const file = await openSafetensors(await sharded('good', { a: 'one.safetensors', b: 'two.safetensors' }));
    expect(file.names()).toEqual(['a', 'b']);
    expect((await file.read('b')).data).toEqual(Float32Array.of(2));
  });

  it('refuses a shard name that no file can have', async () => {
    const error = await failure(await sharded('long', { a: 'x'.repeat(300) }));
    expect(error.message).toContain('is not a file name');
    expect(error.message.length).toBeLessThan(500);
  });

  it.each(['../one.safetensors', '/etc/passwd', '..', 'sub/one.safetensors', 'sub\\one', 'C:one', ''])(
    'refuses the shard name %j',
    async (shard) => {
      const path = await sharded(`confined${encodeURIComponent(shard)}`, { a: shard });
      expect((await failure(path)).message).toContain('is not a file name');
    },
  );

  it('names a missing shard and a tensor in the wrong shard', async () => {
    expect((await failure(await sharded('missing', { a: 'three.safetensors' }))).message).toContain(
      'shard three.safetensors is missing',
    );
    expect((await failure(await sharded('swapped', { a: 'two.safetensors' }))).message).toContain(
      'tensor a is not in two.safetensors',
    );
  });
});
