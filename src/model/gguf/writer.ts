/**
 * Writes GGUF version 3, little-endian: metadata by @huggingface/gguf, then the table of tensors and their data, each
 * from a multiple of 32 bytes on. Format: github.com/ggml-org/ggml, docs/gguf.md.
 */
import { GGUFValueType, serializeGgufMetadata } from '@huggingface/gguf';
import { HoneError } from '../../core/index.js';
import { writeAtomically } from '../files.js';
import { ENCODINGS, type GgufType } from './encode.js';

/** A metadata value with its type in the file. */
export type GgufValue =
  | { u32: number }
  | { f32: number }
  | { bool: boolean }
  | { string: string }
  | { strings: readonly string[] }
  | { i32s: readonly number[] }
  | { f32s: readonly number[] };

export interface GgufTensorSource {
  /** llama.cpp's name, e.g. blk.0.attn_q.weight. */
  name: string;
  /** Row-major, as Hugging Face has it: [out, in]. */
  shape: readonly number[];
  type: GgufType;
  /** Values; asked for when their turn comes, so that one tensor is in memory at a time. */
  data: () => Float32Array | Promise<Float32Array>;
}

const ALIGNMENT = 32;
/** Values encoded at a time: a multiple of every block. */
const PIECE = 1 << 20;

/**
 * Writes a GGUF file, atomically and fsynced.
 * @throws HoneError('usage') when rows do not divide into blocks or values do not fit a shape; HoneError('numeric')
 *   for values a type cannot hold; HoneError('resource') when the disk is full.
 */
export async function writeGguf(
  path: string,
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: readonly GgufTensorSource[],
): Promise<void> {
  for (const tensor of tensors) checkRows(tensor, path);
  await writeAtomically(path, async (append) => {
    const header = headerBytes(metadata, tensors);
    await append(header);
    await append(padding(header.length));
    for (const tensor of tensors) {
      const values = await tensor.data();
      const { name, shape } = tensor;
      if (values.length !== elements(shape))
        throw new HoneError('usage', `tensor ${name} has ${values.length} values for shape [${shape.join(', ')}]`, {
          where: path,
        });
      for (let from = 0; from < values.length; from += PIECE)
        await append(encode(tensor, values.subarray(from, from + PIECE), path));
      await append(padding(encodedBytes(tensor)));
    }
  });
}

function checkRows({ name, shape, type }: GgufTensorSource, where: string): void {
  const { values } = ENCODINGS[type];
  if ((shape.at(-1) ?? 1) % values !== 0)
    throw new HoneError('usage', `rows of tensor ${name} are not a multiple of ${values} values, as ${type} needs`, {
      where,
    });
}

/** Encodes values; an error names the tensor. */
function encode({ name, type }: GgufTensorSource, values: Float32Array, where: string): Uint8Array {
  try {
    return ENCODINGS[type].encode(values);
  } catch (error) {
    if (!(error instanceof HoneError)) throw error;
    throw new HoneError(error.kind, `tensor ${name}: ${error.message}`, {
      where,
      hint: error.hint ?? '',
      cause: error,
    });
  }
}

function headerBytes(metadata: ReadonlyMap<string, GgufValue>, tensors: readonly GgufTensorSource[]): Uint8Array {
  const parts = [metadataBytes(metadata, tensors.length)];
  let offset = 0;
  for (const tensor of tensors) {
    parts.push(tensorEntry(tensor, offset));
    const bytes = encodedBytes(tensor);
    offset += bytes + padding(bytes).length;
  }
  return Buffer.concat(parts);
}

/** Magic, version, counts and metadata. With an alignment of 1 the library pads nothing. */
function metadataBytes(metadata: ReadonlyMap<string, GgufValue>, tensors: number): Uint8Array {
  return serializeGgufMetadata(
    {
      ...Object.fromEntries([...metadata].map(([key, value]) => [key, typed(value)])),
      version: { value: 3, type: GGUFValueType.UINT32 },
      tensor_count: { value: BigInt(tensors), type: GGUFValueType.UINT64 },
      kv_count: { value: BigInt(metadata.size), type: GGUFValueType.UINT64 },
    },
    { alignment: 1 },
  );
}

function typed(value: GgufValue) {
  const array = GGUFValueType.ARRAY;
  if ('u32' in value) return { value: value.u32, type: GGUFValueType.UINT32 };
  if ('f32' in value) return { value: value.f32, type: GGUFValueType.FLOAT32 };
  if ('bool' in value) return { value: value.bool, type: GGUFValueType.BOOL };
  if ('string' in value) return { value: value.string, type: GGUFValueType.STRING };
  if ('strings' in value) return { value: [...value.strings], type: array, subType: GGUFValueType.STRING };
  if ('i32s' in value) return { value: [...value.i32s], type: array, subType: GGUFValueType.INT32 };
  return { value: [...value.f32s], type: array, subType: GGUFValueType.FLOAT32 };
}

/** Name, dimensions (innermost first), type, and the offset from the start of the data. */
function tensorEntry({ name, shape, type }: GgufTensorSource, offset: number): Uint8Array {
  const text = Buffer.from(name);
  const entry = Buffer.alloc(8 + text.length + 4 + 8 * shape.length + 4 + 8);
  let at = entry.writeBigUInt64LE(BigInt(text.length));
  at += text.copy(entry, at);
  at = entry.writeUInt32LE(shape.length, at);
  for (const size of shape.toReversed()) at = entry.writeBigUInt64LE(BigInt(size), at);
  at = entry.writeUInt32LE(ENCODINGS[type].type, at);
  entry.writeBigUInt64LE(BigInt(offset), at);
  return entry;
}

function encodedBytes({ shape, type }: GgufTensorSource): number {
  const { values, bytes } = ENCODINGS[type];
  return (elements(shape) / values) * bytes;
}

function padding(length: number): Uint8Array {
  return new Uint8Array((ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT);
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}
