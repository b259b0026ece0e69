import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HoneError, RandomStream } from '../../src/core/index.js';
import { halfToNumber } from '../../src/model/floats.js';
import { ENCODINGS, toHalf } from '../../src/model/gguf/encode.js';
import { openGguf } from '../../src/model/gguf/file.js';
import { quantFormat } from '../../src/model/gguf/quants.js';
import { writeGguf } from '../../src/model/gguf/writer.js';
import {
  exportGguf,
  exportModel,
  importGguf,
  llamaTensorShapes,
  loadModelConfig,
  loadTokenizer,
  openSafetensors,
  writeCharTokenizer,
  writeSafetensors,
  type TensorSource,
} from '../../src/model/index.js';
import { failure, golden, scratch } from './helpers.js';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz +=\n';

/** A small Llama with random weights and a character tokenizer. */
async function tinyModel(change: Record<string, unknown> = {}, seed = 1): Promise<string> {
  const folder = join(await scratch(), 'tiny');
  await writeCharTokenizer(folder, ALPHABET);
  const config = {
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    vocab_size: 40,
    hidden_size: 64,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    intermediate_size: 48,
    max_position_embeddings: 128,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: true,
    bos_token_id: null,
    eos_token_id: 1,
    ...change,
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  const draws = new RandomStream(seed, 'weights');
  const tensors = [...llamaTensorShapes(await loadModelConfig(folder))].map(([name, shape]): [string, TensorSource] => {
    const length = shape.reduce((a, b) => a * b, 1);
    return [name, { shape, data: Float32Array.from({ length }, () => draws.nextNormal()) }];
  });
  await writeSafetensors(join(folder, 'model.safetensors'), tensors);
  return folder;
}

describe('halves', () => {
  it('decoding and encoding is the identity on every half', () => {
    for (let half = 0; half < 0x10000; half++) {
      const value = halfToNumber(half);
      if (!Number.isNaN(value)) expect(toHalf(value)).toBe(half);
    }
  });

  it('rounds to the nearest, and to the even one in the middle', () => {
    for (let half = 0; half < 0x7bff; half++) {
      const [low, high] = [halfToNumber(half), halfToNumber(half + 1)];
      const middle = (low + high) / 2;
      expect(toHalf(middle)).toBe(half % 2 === 0 ? half : half + 1);
      expect(toHalf(-middle)).toBe((half % 2 === 0 ? half : half + 1) | 0x8000);
      expect(toHalf((3 * low + high) / 4)).toBe(half);
      expect(toHalf((low + 3 * high) / 4)).toBe(half + 1);
    }
    expect(toHalf(65519.99609375)).toBe(0x7bff);
    expect(toHalf(65520)).toBe(0x7c00);
    expect(toHalf(2 ** -25)).toBe(0);
    expect(toHalf(2 ** -25 * 1.0000001)).toBe(1);
    expect(halfToNumber(toHalf(NaN))).toBeNaN();
  });
});

describe('Q8_0', () => {
  it('equals golden bytes of gguf-py', async () => {
    const { values, bytes } = JSON.parse(await readFile(golden('q8_0.json'), 'utf8')) as {
      values: string;
      bytes: string;
    };
    const raw = Buffer.from(values, 'base64');
    const floats = new Float32Array(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length));
    expect(Buffer.from(ENCODINGS.Q8_0.encode(floats)).toString('base64')).toBe(bytes);
  });

  it('decodes to within half a step, and encodes what it decoded to the same bytes', () => {
    const block = fc.float32Array({ minLength: 32, maxLength: 32, noNaN: true, min: -1000, max: 1000 });
    fc.assert(
      fc.property(block, (values) => {
        const bytes = ENCODINGS.Q8_0.encode(values);
        const decoded = quantFormat(8)?.decode(bytes) ?? new Float32Array();
        const step = Math.max(...values.map(Math.abs)) / 127;
        // d is kept as a half: 2^-11 of it, or 2^-25 below the normal halves, at up to 127 steps.
        const slack = step / 2 + 127 * Math.max(step * 2 ** -11, 2 ** -25) + 1e-9;
        expect(values.every((value, i) => Math.abs(value - (decoded[i] ?? NaN)) <= slack)).toBe(true);
      }),
      { seed: 8, numRuns: 300 },
    );
  });

  it.each([NaN, Infinity, -1e30])('refuses %d', (value) => {
    expect(() => ENCODINGS.Q8_0.encode(new Float32Array(32).fill(value))).toThrow(HoneError);
    expect(() => ENCODINGS.F16.encode(Float32Array.of(value))).toThrow(HoneError);
  });
});

describe('round trips', () => {
  it.each([
    ['a tied Llama', {}],
    ['an untied one with biases', { tie_word_embeddings: false, attention_bias: true, mlp_bias: true }],
    [
      "Llama 3.2's scaling",
      {
        rope_theta: 500000,
        rope_scaling: {
          rope_type: 'llama3',
          factor: 32,
          low_freq_factor: 1,
          high_freq_factor: 4,
          original_max_position_embeddings: 8192,
        },
      },
    ],
    ['Qwen2', { model_type: 'qwen2', architectures: ['Qwen2ForCausalLM'] }],
    ['Qwen3', { model_type: 'qwen3', architectures: ['Qwen3ForCausalLM'], head_dim: 32 }],
  ])('%s: folder -> GGUF F32 -> folder is bit-equal', async (_, change) => {
    const folder = await tinyModel(change);
    const file = join(await scratch(), 'out.gguf');
    await exportGguf(folder, file, { type: 'f32' });
    const again = join(await scratch(), 'tiny');
    await importGguf(file, again);
    expect(await loadModelConfig(again)).toEqual(await loadModelConfig(folder));
    const [before, after] = [await openSafetensors(folder), await openSafetensors(again)];
    expect(after.names()).toEqual(before.names());
    for (const name of before.names()) expect(await after.read(name)).toEqual(await before.read(name));
  });

  it.each(['f16', 'q8_0'] as const)('GGUF %s -> folder -> GGUF is the same file', async (type) => {
    const folder = await tinyModel();
    const [first, second] = [join(await scratch(), 'a.gguf'), join(await scratch(), 'b.gguf')];
    await exportGguf(folder, first, { type });
    const again = join(await scratch(), basename(folder));
    await importGguf(first, again);
    await exportGguf(again, second, { type });
    expect((await readFile(second)).equals(await readFile(first))).toBe(true);
    const dtypes = [...(await openGguf(first)).tensors.values()].map(({ dtype }) => dtype);
    // ffn_down has rows of 48 values, which are no blocks of 32.
    expect(new Set(dtypes)).toEqual(new Set(type === 'f16' ? ['F16', 'F32'] : ['Q8_0', 'F16', 'F32']));
  });

  it('the tokenizer of characters comes back as one that gives the same ids', async () => {
    const folder = await tinyModel();
    const file = join(await scratch(), 'out.gguf');
    await exportGguf(folder, file, { type: 'f16' });
    const again = join(await scratch(), 'tiny');
    await importGguf(file, again);
    const [before, after] = [await loadTokenizer(folder), await loadTokenizer(again)];
    const text = fc.string({ unit: fc.constantFrom(...ALPHABET) });
    fc.assert(
      fc.property(text, (value) => {
        expect(after.encode(value)).toEqual(before.encode(value));
        expect(after.decode(after.encode(value))).toBe(value);
      }),
      { seed: 4, numRuns: 100 },
    );
    expect([after.eosIds, after.padId, after.bosId]).toEqual([before.eosIds, before.padId, before.bosId]);
  });

  it('sharded folders of F32, F16 and BF16 keep every value through import and export', async () => {
    const folder = await tinyModel();
    const single = await openSafetensors(folder);
    const names = single.names();
    const sharded = join(await scratch(), 'sharded');
    await mkdir(sharded);
    await copyFile(join(folder, 'config.json'), join(sharded, 'config.json'));
    await writeCharTokenizer(sharded, ALPHABET);
    const weight_map: Record<string, string> = {};
    for (const [i, dtype] of (['F32', 'F16', 'BF16'] as const).entries()) {
      const own = names.filter((_, position) => position % 3 === i);
      const shard = `model-0000${i + 1}-of-00003.safetensors`;
      for (const name of own) weight_map[name] = shard;
      await writeFile(join(sharded, shard), await shardBytes(own, dtype, single));
    }
    await writeFile(join(sharded, 'model.safetensors.index.json'), JSON.stringify({ weight_map }));
    const stored = await openSafetensors(sharded);
    const [once, twice] = [join(await scratch(), 'once'), join(await scratch(), 'twice')];
    await exportModel(sharded, once);
    await exportModel(once, twice);
    const [first, second] = [
      await readFile(join(once, 'model.safetensors')),
      await readFile(join(twice, 'model.safetensors')),
    ];
    expect(second.equals(first)).toBe(true);
    const copied = await openSafetensors(once);
    for (const name of names) expect(await copied.read(name)).toEqual(await stored.read(name));
    expect(new Set(names.map((name) => stored.info(name).dtype))).toEqual(new Set(['F32', 'F16', 'BF16']));
  });
});

/** A safetensors file whose 16-bit values are cut from float32 ones: any bits are as good as others. */
async function shardBytes(
  names: readonly string[],
  dtype: 'F32' | 'F16' | 'BF16',
  source: Awaited<ReturnType<typeof openSafetensors>>,
): Promise<Buffer> {
  const header: Record<string, unknown> = {};
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const name of names) {
    const { shape, data } = await source.read(name);
    const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
    const bf16 = Uint16Array.from(bits, (value) => value >>> 16);
    const stored = dtype === 'F32' ? data : dtype === 'BF16' ? bf16 : Uint16Array.from(data, toHalf);
    const bytes = new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
    parts.push(bytes);
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...parts]);
}

describe('refusals', () => {
  it('an existing file', async () => {
    const file = join(await scratch(), 'out.gguf');
    await writeFile(file, '');
    const error = await failure(exportGguf(await tinyModel(), file, { type: 'f16' }));
    expect([error.kind, error.message]).toEqual(['usage', expect.stringContaining('exists already')]);
  });

  it('weights that are not finite or too large, by tensor, leaving no file behind', async () => {
    const file = join(await scratch(), 'out.gguf');
    const data = Float32Array.of(1, 70000);
    const error = await failure(
      writeGguf(file, new Map(), [{ name: 'w', shape: [1, 2], type: 'F16', data: () => data }]),
    );
    expect([error.kind, error.message]).toEqual(['numeric', expect.stringContaining('tensor w')]);
    await expect(readFile(file)).rejects.toThrow('ENOENT');
  });

  it('values that do not fit the shape, and rows that are no blocks', async () => {
    const file = join(await scratch(), 'out.gguf');
    const data = () => new Float32Array(3);
    expect((await failure(writeGguf(file, new Map(), [{ name: 'w', shape: [2], type: 'F32', data }]))).kind).toBe(
      'usage',
    );
    expect((await failure(writeGguf(file, new Map(), [{ name: 'w', shape: [3], type: 'Q8_0', data }]))).kind).toBe(
      'usage',
    );
  });

  it('characters beyond ASCII, which have no byte-level token of their own', async () => {
    const folder = await tinyModel();
    await writeCharTokenizer(folder, 'aé');
    const error = await failure(exportGguf(folder, join(await scratch(), 'x.gguf'), { type: 'f16' }));
    expect(error.message).toContain('ASCII');
  });

  it('SmolLM3 with other unrotated layers than llama.cpp takes for granted', async () => {
    const smollm3 = { model_type: 'smollm3', architectures: ['SmolLM3ForCausalLM'], no_rope_layers: [1, 0] };
    const folder = await tinyModel(smollm3);
    const error = await failure(exportGguf(folder, join(await scratch(), 'x.gguf'), { type: 'f16' }));
    expect(error.message).toContain('no_rope_layers');
  });
});
