import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { HoneError } from '../../src/core/index.js';
import { ggufName } from '../../src/model/gguf/import.js';
import { quantFormat } from '../../src/model/gguf/quants.js';
import {
  importGguf,
  loadModelConfig,
  loadModelFolder,
  modelInfo,
  openSafetensors,
  type ModelConfig,
} from '../../src/model/index.js';
import { buildGguf, type TensorToWrite } from './gguf-builder.js';
import { failure, golden, goldenJson, scratch } from './helpers.js';

describe('dequantisation', () => {
  interface QuantCase {
    name: string;
    type: number;
    blocks: string;
    values: string;
  }

  it('is bit-equal to gguf-py in every format', async () => {
    const { cases } = await goldenJson<{ cases: QuantCase[] }>('quants.json');
    expect(cases).toHaveLength(11);
    for (const { name, type, blocks, values } of cases) {
      const format = quantFormat(type);
      const decoded = format?.decode(Uint8Array.from(Buffer.from(blocks, 'base64')));
      expect(format?.name).toBe(name);
      expect(Buffer.from(decoded?.buffer ?? new ArrayBuffer(0)).toString('base64')).toBe(values);
    }
  });
});

const tokens = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', 'a', 'b', 'c', 'Ġ', 'ab', 'Ġa', '1', '2', '12'];
const baseMetadata = {
  'general.architecture': 'llama',
  'llama.block_count': 2,
  'llama.context_length': 64,
  'llama.embedding_length': 32,
  'llama.feed_forward_length': 48,
  'llama.attention.head_count': 2,
  'llama.attention.head_count_kv': 1,
  'llama.attention.layer_norm_rms_epsilon': { f32: 1e-5 },
  'llama.rope.freq_base': { f32: 10000 },
  'llama.rope.dimension_count': 16,
  'tokenizer.ggml.model': 'gpt2',
  'tokenizer.ggml.pre': 'smollm',
  'tokenizer.ggml.tokens': tokens,
  'tokenizer.ggml.token_type': { i32: tokens.map((_, id) => (id < 3 ? 3 : 1)) },
  'tokenizer.ggml.merges': ['a b', 'Ġ a', '1 2'],
  'tokenizer.ggml.bos_token_id': 1,
  'tokenizer.ggml.eos_token_id': 2,
  'tokenizer.chat_template': '{{ messages[0].content }}',
};

/** llama.cpp's row order: what convert_hf_to_gguf.py does to query and key weights. */
function permuteRows(data: Float32Array, heads: number, headDim: number): Float32Array {
  const width = data.length / (heads * headDim);
  const row = (i: number) => data.subarray(i * width, (i + 1) * width);
  const rows = Array.from({ length: heads * headDim }, (_, i) => {
    const [head, within] = [Math.floor(i / headDim), i % headDim];
    return row(head * headDim + (within % 2) * (headDim / 2) + Math.floor(within / 2));
  });
  return Float32Array.from(rows.flatMap((values) => Array.from(values)));
}

/** The tensors of the tiny golden Llama as llama.cpp would write them, in float32. */
async function tinyTensors(config: ModelConfig, folder: string): Promise<TensorToWrite[]> {
  const weights = await openSafetensors(folder);
  const tensors: TensorToWrite[] = [];
  for (const name of weights.names()) {
    const { shape, data } = await weights.read(name);
    const heads = name.includes('q_proj') ? config.heads : name.includes('k_proj') ? config.kvHeads : 0;
    const values = heads > 0 ? permuteRows(data, heads, config.headDim) : data;
    tensors.push({ name: ggufName(name), shape, type: 0, bytes: new Uint8Array(values.buffer) });
  }
  return tensors;
}

describe('importGguf', () => {
  const source = golden('tiny-llama-tied');
  let tensors: TensorToWrite[];
  let whole: Buffer;
  beforeAll(async () => {
    tensors = await tinyTensors(await loadModelConfig(source), source);
    whole = buildGguf(baseMetadata, tensors);
  });

  async function write(bytes: Uint8Array): Promise<[string, string]> {
    const folder = await scratch();
    await writeFile(join(folder, 'model.gguf'), bytes);
    return [join(folder, 'model.gguf'), join(folder, 'out')];
  }

  it('gives back weights, configuration, tokenizer and template', async () => {
    const [file, out] = await write(whole);
    await importGguf(file, out);
    const config = await loadModelConfig(out);
    expect(config).toEqual(await loadModelConfig(source));
    expect(await readFile(join(out, 'model.safetensors'))).toEqual(await readFile(join(source, 'model.safetensors')));
    const folder = await loadModelFolder(out);
    expect([...folder.tokenizer.encode('ab a12<|im_end|>')]).toEqual([7, 8, 9, 10, 2]);
    expect(folder.tokenizer).toMatchObject({ bosId: 1, eosIds: [2] });
    expect(folder.chatTemplate?.render([{ role: 'user', content: 'hi' }])).toBe('hi');
    expect(await modelInfo(file)).toMatchObject({ format: 'gguf', dtypes: { F32: 20 }, chatTemplate: true });
  });

  it.each(['llama-biases', 'qwen2', 'qwen3', 'smollm3'])(
    'imports %s bit for bit from what gguf-py wrote',
    async (name) => {
      // verify/peers/make_family_ggufs.py makes the files from the folders.
      const out = join(await scratch(), 'out');
      await importGguf(golden(`families/${name}.gguf`), out);
      const [ours, theirs] = [await openSafetensors(out), await openSafetensors(golden(`families/${name}`))];
      expect(ours.names().sort()).toEqual(theirs.names().sort());
      for (const tensor of theirs.names()) expect(await ours.read(tensor), tensor).toEqual(await theirs.read(tensor));
      const expected = {
        ...(await loadModelConfig(golden(`families/${name}`))),
        bosId: 0,
        eosIds: [1],
      };
      expect(await loadModelConfig(out)).toEqual(expected);
      const { tokenizer } = await loadModelFolder(out);
      expect(tokenizer.decode(tokenizer.encode('the 12 hats'))).toBe('the 12 hats');
    },
  );

  it('reads version 2, and quantised tensors', async () => {
    const { cases } = await goldenJson<{ cases: { name: string; blocks: string }[] }>('quants.json');
    const blocks = Buffer.from(cases.find(({ name }) => name === 'Q8_0')?.blocks ?? '', 'base64');
    const rows = Buffer.concat([blocks, blocks, blocks]);
    const quantised = tensors.map((tensor) =>
      tensor.name === 'blk.0.attn_v.weight' ? { ...tensor, type: 8, bytes: rows.subarray(0, 16 * 34) } : tensor,
    );
    const [file, out] = await write(buildGguf(baseMetadata, quantised, 2));
    await importGguf(file, out);
    const { data } = await (await openSafetensors(out)).read('model.layers.0.self_attn.v_proj.weight');
    expect(data).toEqual(quantFormat(8)?.decode(Uint8Array.from(rows.subarray(0, 16 * 34))));
  });

  it('recognises the rotary scaling of Llama 3.2 by its divisors', async () => {
    // With theta 10000 and 16 dimensions only the slowest frequencies lie in the stretched range.
    const divisor = (i: number) => {
      const turns = 8192 / (2 * Math.PI * 10000 ** (i / 8));
      const blend = Math.min(1, Math.max(0, (turns - 1) / 3));
      return 1 / (blend + (1 - blend) / 32);
    };
    const scaled = (values: number[]): TensorToWrite => {
      const bytes = new Uint8Array(Float32Array.from(values).buffer);
      return { name: 'rope_freqs.weight', shape: [8], type: 0, bytes };
    };
    const [file, out] = await write(
      buildGguf(baseMetadata, [...tensors, scaled([0, 1, 2, 3, 4, 5, 6, 7].map(divisor))]),
    );
    await importGguf(file, out);
    expect((await loadModelConfig(out)).ropeScaling).toMatchObject({ factor: 32, originalMaxContext: 8192 });
    const [odd] = await write(buildGguf(baseMetadata, [...tensors, scaled([1, 2, 3, 4, 5, 6, 7, 8])]));
    expect((await failure(importGguf(odd, out))).message).toContain('rope_freqs.weight');
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['another architecture', { 'general.architecture': 'mamba' }, 'unknown architecture "mamba"'],
    ['experts', { 'llama.expert_count': 8 }, 'llama.expert_count'],
    ['another scaling', { 'llama.rope.scaling.type': 'yarn' }, 'rotary scaling "yarn"'],
    ['another vocabulary', { 'tokenizer.ggml.model': 'llama' }, 'vocabularies of type "llama"'],
    ['another pre-tokenizer', { 'tokenizer.ggml.pre': 'odd' }, 'unknown pre-tokenizer "odd"'],
    ['a token outside', { 'tokenizer.ggml.eos_token_id': 99 }, 'eos_token_id: 99 is outside the vocabulary'],
    [
      'too many tokens',
      { 'tokenizer.ggml.tokens': Array.from({ length: 49 }, (_, i) => `${tokens[i] ?? `t${i}`}`) },
      'tokenizer does not fit',
    ],
    ['a merge of nothing', { 'tokenizer.ggml.merges': ['q q'] }, 'model.merges[0]'],
    ['a rotated part of each head', { 'llama.attention.key_length': 32 }, 'llama.rope.dimension_count'],
    ['a string for a number', { 'llama.block_count': 'two' }, 'llama.block_count must be a number'],
    ['wrong sizes', { 'llama.feed_forward_length': 64 }, 'has shape [48,32], expected [64,32]'],
    ['more layers than tensors', { 'llama.block_count': 3 }, 'has no tensor blk.2'],
  ])('refuses %s by name', async (_, change, message) => {
    const [file, out] = await write(buildGguf({ ...baseMetadata, ...change } as typeof baseMetadata, tensors));
    expect((await failure(importGguf(file, out))).message).toContain(message);
  });

  it('refuses a tensor that has no place, twice the same, and an unknown type', async () => {
    const [first] = tensors as [TensorToWrite];
    const cases: [TensorToWrite[], string][] = [
      [[...tensors, { ...first, name: 'blk.0.attn_q.bias' }], 'attn_q.bias has no place'],
      [[...tensors, first], 'twice'],
      [tensors.map((tensor) => (tensor === first ? { ...tensor, type: 16 } : tensor)), 'GGML type 16'],
    ];
    for (const [list, message] of cases) {
      const [file, out] = await write(buildGguf(baseMetadata, list));
      expect((await failure(importGguf(file, out))).message).toContain(message);
    }
  });

  it('says what is wrong with files that are not GGUF or not whole', async () => {
    const [text, out] = await write(Buffer.from('not a model at all, but long enough'));
    expect((await failure(importGguf(text, out))).message).toContain('is not a GGUF file');
    const [cut] = await write(whole.subarray(0, whole.length - 64));
    expect((await failure(importGguf(cut, out))).message).toContain('is truncated');
    const counts = Buffer.from(whole);
    counts.writeBigUInt64LE(2n ** 40n, 8);
    const [many] = await write(counts);
    expect((await failure(importGguf(many, out))).message).toContain('claims 1099511627776 tensors');
    const [old] = await write(buildGguf(baseMetadata, tensors, 1));
    expect((await failure(importGguf(old, out))).message).toContain('GGUF version 1');
  });

  it('ends with a HoneError, or a model, whatever bytes of the header are changed or cut', async () => {
    const folder = await scratch();
    const file = join(folder, 'fuzzed.gguf');
    const headerEnd = whole.indexOf('output_norm.weight') + 64;
    const change = fc.record({
      at: fc.nat(headerEnd),
      byte: fc.nat(255),
      cut: fc.option(fc.nat(whole.length), { freq: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(change, async ({ at, byte, cut }) => {
        const bytes = Buffer.from(whole);
        bytes[at] = byte;
        await writeFile(file, bytes.subarray(0, cut ?? bytes.length));
        const error: unknown = await modelInfo(file).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        if (error !== undefined) expect(error).toBeInstanceOf(HoneError);
      }),
      { seed: 6, numRuns: 300 },
    );
  });

  it.each([0, 3, 2 ** 31, 2 ** 32 - 1])('refuses to align to %d bytes', async (alignment) => {
    const file = join(await scratch(), 'aligned.gguf');
    await writeFile(file, buildGguf({ ...baseMetadata, 'general.alignment': alignment }, []));
    expect((await failure(modelInfo(file))).message).toContain('general.alignment');
  });

  it('refuses metadata that would cost more than its size, before it is decoded', async () => {
    const file = join(await scratch(), 'large.gguf');
    const flags = Buffer.alloc(12 + 5_000_000);
    flags.writeUInt32LE(7);
    flags.writeBigUInt64LE(5_000_000n, 4);
    // A string's place in the file is taken by an array: its type number lies 8 + 1 bytes behind the key's length.
    const whole = buildGguf({ k: '' }, []);
    whole.writeUInt32LE(9, 24 + 8 + 1);
    await writeFile(file, Buffer.concat([whole.subarray(0, 24 + 8 + 1 + 4), flags]));
    expect((await failure(modelInfo(file))).message).toContain('metadata elements');
    flags.writeUInt32LE(9);
    await writeFile(
      file,
      Buffer.concat([whole.subarray(0, 24 + 8 + 1 + 4), flags.subarray(0, 4), Buffer.from([1]), Buffer.alloc(40)]),
    );
    expect((await failure(modelInfo(file))).message).toContain('metadata of type 9');
  });
});
