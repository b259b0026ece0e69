/**
 * A GGUF file: metadata and the tensor table by @huggingface/gguf, tensor data by our own reads.
 * Format: github.com/ggml-org/ggml, docs/gguf.md.
 */
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { gguf } from '@huggingface/gguf';
import { HoneError, messageOf } from '../../core/index.js';
import { pathKind, readExactly, truncated } from '../files.js';
import { checkHeaderBounds } from './header-bounds.js';
import { quantFormat } from './quants.js';

const MAX_ALIGNMENT = 2 ** 16;

export interface GgufTensor {
  name: string;
  /** Row-major, as Hugging Face writes it: [out, in]. */
  shape: number[];
  /** Type name, e.g. Q4_1. */
  dtype: string;
  type: number;
  /** Byte range in the file. */
  begin: number;
  end: number;
}

export interface GgufFile {
  path: string;
  bytes: number;
  metadata: ReadonlyMap<string, unknown>;
  tensors: ReadonlyMap<string, GgufTensor>;
  /** Values of one tensor, decoded to float32. */
  read(name: string): Promise<Float32Array>;
}

const damaged = (path: string, message: string, cause?: unknown): HoneError =>
  new HoneError('input', message, { where: path, hint: 'The file is damaged: fetch it again.', cause });

/**
 * Opens a GGUF file (version 2 or 3, little-endian). Reads its header; holds no open file.
 * @throws HoneError('input') when it is not one, is truncated, or has a tensor of a type hone cannot decode.
 */
export async function openGguf(file: string): Promise<GgufFile> {
  // Absolute: the library takes what looks like a URL for one.
  const path = resolve(file);
  const found = await pathKind(path);
  if (found?.kind !== 'file') throw new HoneError('input', 'there is no such file', { where: file });
  await checkHeaderBounds(path, found.bytes);
  const header = await parseHeader(path);
  const metadata = new Map<string, unknown>(Object.entries(header.metadata));
  checkAlignment(path, metadata.get('general.alignment'));
  if (!header.littleEndian) throw new HoneError('input', 'is big-endian, which is not supported', { where: path });
  const tensors = new Map<string, GgufTensor>();
  for (const info of header.tensorInfos) {
    const shape = info.shape.map(Number).reverse();
    const tensor = locate(path, info.name, shape, info.dtype, Number(header.tensorDataOffset + info.offset));
    if (tensor.end > found.bytes) throw truncated(path, tensor.end, found.bytes);
    if (tensors.has(tensor.name)) throw damaged(path, `has tensor ${tensor.name} twice`);
    tensors.set(tensor.name, tensor);
  }
  return { path, bytes: found.bytes, metadata, tensors, read: (name) => readTensor(path, tensors, name) };
}

async function parseHeader(path: string) {
  try {
    return await gguf(path, { allowLocalFile: true });
  } catch (error) {
    throw damaged(path, `has a damaged or truncated header (${messageOf(error).slice(0, 160)})`, error);
  }
}

/** The library rounds offsets up with 32-bit arithmetic, which only small powers of two survive. */
function checkAlignment(path: string, value: unknown): void {
  if (value === undefined) return;
  const alignment = Number(value);
  if (!(alignment >= 1 && alignment <= MAX_ALIGNMENT && Number.isInteger(Math.log2(alignment))))
    throw damaged(path, `metadata general.alignment must be a power of two up to ${MAX_ALIGNMENT}`);
}

function locate(path: string, name: string, shape: number[], type: number, begin: number): GgufTensor {
  const format = quantFormat(type);
  if (!format)
    throw new HoneError('input', `tensor ${name} has GGML type ${type}, which hone cannot decode`, {
      where: path,
      hint: 'Use a file in F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K or Q6_K.',
    });
  const values = shape.reduce((product, dim) => product * dim, 1);
  const bytes = (values / format.values) * format.bytes;
  const rows = (shape.at(-1) ?? 1) % format.values === 0;
  if (!rows || !Number.isSafeInteger(bytes) || !Number.isSafeInteger(begin) || begin < 0)
    throw damaged(path, `tensor ${name} has impossible shape [${shape.join(', ')}] for ${format.name}`);
  return { name, shape, dtype: format.name, type, begin, end: begin + bytes };
}

async function readTensor(path: string, tensors: ReadonlyMap<string, GgufTensor>, name: string): Promise<Float32Array> {
  const tensor = tensors.get(name);
  const format = tensor && quantFormat(tensor.type);
  if (!tensor || !format) throw new HoneError('input', `has no tensor ${name}`, { where: path });
  const bytes = new Uint8Array(tensor.end - tensor.begin);
  const handle = await open(path, 'r');
  try {
    await readExactly(handle, bytes, tensor.begin, path);
  } finally {
    await handle.close();
  }
  return format.decode(bytes);
}

/** Typed look-ups in GGUF metadata; a value of another type is an error that names the key. */
export class GgufMetadata {
  constructor(
    private readonly file: GgufFile,
    private readonly prefix = '',
  ) {}

  number(key: string): number | undefined {
    const value = this.file.metadata.get(this.prefix + key);
    if (value === undefined) return undefined;
    const number = typeof value === 'bigint' ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isFinite(number)) throw this.wrong(key, 'a number');
    return number;
  }

  requiredNumber(key: string): number {
    const value = this.number(key);
    if (value === undefined) throw damaged(this.file.path, `metadata lacks ${this.prefix}${key}`);
    return value;
  }

  string(key: string): string | undefined {
    const value = this.file.metadata.get(this.prefix + key);
    if (value !== undefined && typeof value !== 'string') throw this.wrong(key, 'a string');
    return value;
  }

  boolean(key: string): boolean | undefined {
    const value = this.file.metadata.get(this.prefix + key);
    if (value !== undefined && typeof value !== 'boolean') throw this.wrong(key, 'true or false');
    return value;
  }

  strings(key: string): string[] | undefined {
    const value = this.file.metadata.get(this.prefix + key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
      throw this.wrong(key, 'a list of strings');
    return value as string[];
  }

  numbers(key: string): number[] | undefined {
    const value = this.file.metadata.get(this.prefix + key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'number'))
      throw this.wrong(key, 'a list of numbers');
    return value as number[];
  }

  private wrong(key: string, wanted: string): HoneError {
    return damaged(this.file.path, `metadata ${this.prefix}${key} must be ${wanted}`);
  }
}
