/**
 * Safetensors: eight bytes of header length, a JSON header, then raw little-endian tensors.
 * Format and its safety rules: github.com/huggingface/safetensors, README "Format" and safetensors/src/tensor.rs.
 */
import { open, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { HoneError } from '../core/index.js';
import { pathKind, readExactly, readJson, truncated, writeAtomically } from './files.js';
import { decodeBF16, decodeF16, decodeF32 } from './floats.js';
import { parseJson, parseWith } from './parse.js';

/** A tensor in memory, row-major. */
export interface TensorData {
  shape: number[];
  data: Float32Array;
}

/** A tensor to write: its values, or how to get them when their turn comes (so that one tensor is in memory at a time). */
export interface TensorSource {
  shape: readonly number[];
  data: Float32Array | (() => Float32Array | Promise<Float32Array>);
}

export interface TensorInfo {
  /** As the file names it: F32, F16, BF16, I64, ... */
  dtype: string;
  shape: number[];
}

/** Weights on disk, one file or a folder of shards. Holds no open files. */
export interface SafetensorsFile {
  /** Tensor names, sorted. */
  names(): string[];
  /** @throws HoneError('input') when there is no such tensor. */
  info(name: string): TensorInfo;
  /** Values as float32 (from F32, F16 or BF16). @throws HoneError('input') on other dtypes and on truncated files. */
  read(name: string): Promise<TensorData>;
}

interface Entry extends TensorInfo {
  file: string;
  /** Byte range in the file. */
  begin: number;
  end: number;
}

const DTYPE_BYTES: ReadonlyMap<string, number> = new Map([
  ...['BOOL', 'U8', 'I8', 'F8_E4M3', 'F8_E5M2'].map((dtype) => [dtype, 1] as const),
  ...['I16', 'U16', 'F16', 'BF16'].map((dtype) => [dtype, 2] as const),
  ...['I32', 'U32', 'F32'].map((dtype) => [dtype, 4] as const),
  ...['I64', 'U64', 'F64'].map((dtype) => [dtype, 8] as const),
]);

/** Room for 100,000 tensors. (The reference implementation allows 100 MB, which can parse to gigabytes.) */
const MAX_HEADER_BYTES = 16 * 1024 * 1024;
const MAX_INDEX_BYTES = 16 * 1024 * 1024;
const PICKLE = /\.(bin|pt|pth|ckpt|pkl|pickle)$/i;
const DAMAGED = 'The file is damaged: fetch or export it again.';

const size = z.int().nonnegative();
const headerEntry = z.strictObject({
  dtype: z.string(),
  shape: z.array(size).max(16),
  data_offsets: z.tuple([size, size]),
});
const index = z.object({ weight_map: z.record(z.string(), z.string()) });

/**
 * Opens weights for reading: a `.safetensors` file, or a folder with `model.safetensors` or
 * `model.safetensors.index.json` and its shards. Reads headers only.
 * @throws HoneError('input') on damaged, truncated or pickled weights, and on shard names that leave the folder.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const found = await pathKind(path);
  if (!found) throw new HoneError('input', 'there is no such file or folder', { where: path });
  if (found.kind === 'file') return new TensorTable(path, await readHeader(path));
  const single = join(path, 'model.safetensors');
  if (await pathKind(single)) return new TensorTable(path, await readHeader(single));
  const indexPath = join(path, 'model.safetensors.index.json');
  const json = await readJson(indexPath, MAX_INDEX_BYTES);
  if (json === undefined) throw await noWeights(path);
  return new TensorTable(path, await readShards(path, indexPath, json));
}

class TensorTable implements SafetensorsFile {
  constructor(
    private readonly path: string,
    private readonly entries: ReadonlyMap<string, Entry>,
  ) {}

  names(): string[] {
    return [...this.entries.keys()].sort();
  }

  info(name: string): TensorInfo {
    const { dtype, shape } = this.entry(name);
    return { dtype, shape: [...shape] };
  }

  async read(name: string): Promise<TensorData> {
    const entry = this.entry(name);
    const decode = DECODERS.get(entry.dtype);
    if (!decode)
      throw new HoneError('input', `tensor ${name} has dtype ${entry.dtype}`, {
        where: entry.file,
        hint: 'Weights must be F32, F16 or BF16.',
      });
    const bytes = new Uint8Array(entry.end - entry.begin);
    const handle = await open(entry.file, 'r');
    try {
      await readExactly(handle, bytes, entry.begin, entry.file);
    } finally {
      await handle.close();
    }
    return { shape: [...entry.shape], data: decode(bytes) };
  }

  private entry(name: string): Entry {
    const entry = this.entries.get(name);
    if (!entry) throw new HoneError('input', `has no tensor ${name}`, { where: this.path });
    return entry;
  }
}

const DECODERS: ReadonlyMap<string, (bytes: Uint8Array) => Float32Array> = new Map([
  ['F32', decodeF32],
  ['F16', decodeF16],
  ['BF16', decodeBF16],
]);

async function readHeader(file: string): Promise<Map<string, Entry>> {
  if (PICKLE.test(file)) throw pickled(file);
  const fileBytes = (await pathKind(file))?.bytes ?? 0;
  if (fileBytes < 8) throw truncated(file, 8, fileBytes);
  const handle = await open(file, 'r');
  try {
    const prefix = new Uint8Array(8);
    await readExactly(handle, prefix, 0, file);
    const length = Number(new DataView(prefix.buffer).getBigUint64(0, true));
    if (length > MAX_HEADER_BYTES)
      throw new HoneError('input', `is not a safetensors file (header of ${length} bytes)`, {
        where: file,
        hint: DAMAGED,
      });
    if (8 + length > fileBytes) throw truncated(file, 8 + length, fileBytes);
    const header = new Uint8Array(length);
    await readExactly(handle, header, 8, file);
    return parseHeader(new TextDecoder().decode(header), file, 8 + length, fileBytes);
  } finally {
    await handle.close();
  }
}

/** Checks every entry and that the tensors tile the data exactly: no overlap, no hole, nothing behind the last. */
function parseHeader(text: string, file: string, dataStart: number, fileBytes: number): Map<string, Entry> {
  const header = parseWith(z.record(z.string(), z.unknown()), parseJson(text, file), file, DAMAGED);
  const entries = new Map<string, Entry>();
  for (const [name, raw] of Object.entries(header))
    if (name !== '__metadata__') entries.set(name, parseEntry(name, raw, file, dataStart));
  let end = dataStart;
  for (const [name, entry] of [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (entry.begin !== end)
      throw new HoneError('input', `tensor ${name} ${entry.begin < end ? 'overlaps another' : 'leaves a gap'}`, {
        where: file,
        hint: DAMAGED,
      });
    end = entry.end;
  }
  if (end > fileBytes) throw truncated(file, end, fileBytes);
  if (end < fileBytes)
    throw new HoneError('input', `has ${fileBytes - end} bytes behind its last tensor`, { where: file, hint: DAMAGED });
  return entries;
}

function parseEntry(name: string, raw: unknown, file: string, dataStart: number): Entry {
  const { dtype, shape, data_offsets } = parseWith(headerEntry, raw, `${file}: tensor ${name}`, DAMAGED);
  const refuse = (message: string): never => {
    throw new HoneError('input', `tensor ${name} ${message}`, { where: file, hint: DAMAGED });
  };
  const itemBytes = DTYPE_BYTES.get(dtype) ?? refuse(`has unknown dtype ${dtype}`);
  const [begin, end] = data_offsets;
  const bytes = shape.reduce((product, dim) => product * dim, itemBytes);
  if (!Number.isSafeInteger(bytes)) refuse('has an impossible shape');
  if (end - begin !== bytes) refuse(`has ${end - begin} bytes, but its shape [${shape.join(', ')}] needs ${bytes}`);
  return { dtype, shape, file, begin: dataStart + begin, end: dataStart + end };
}

async function readShards(folder: string, indexPath: string, json: unknown): Promise<Map<string, Entry>> {
  const { weight_map } = parseWith(index, json, indexPath, DAMAGED);
  const shards = new Map<string, Map<string, Entry>>();
  for (const shard of new Set(Object.values(weight_map))) {
    if (!isPlainName(shard))
      throw new HoneError('input', `shard name ${JSON.stringify(shard.slice(0, 100))} is not a file name`, {
        where: indexPath,
        hint: 'Shards lie beside the index; names with separators are refused because they could leave the folder.',
      });
    const file = join(folder, shard);
    if (!(await pathKind(file)))
      throw new HoneError('input', `shard ${shard} is missing`, { where: indexPath, hint: 'Fetch the missing shard.' });
    shards.set(shard, await readHeader(file));
  }
  const entries = new Map<string, Entry>();
  for (const [name, shard] of Object.entries(weight_map)) {
    const entry = shards.get(shard)?.get(name);
    if (!entry) throw new HoneError('input', `tensor ${name} is not in ${shard}`, { where: indexPath, hint: DAMAGED });
    entries.set(name, entry);
  }
  return entries;
}

/** A name without any path in it, short enough for a file, on every platform. */
export function isPlainName(name: string): boolean {
  return /^[^/\\:\0]{1,255}$/.test(name) && name !== '.' && name !== '..' && basename(name) === name;
}

function pickled(file: string): HoneError {
  return new HoneError('input', 'is a pickle checkpoint, which can run code when loaded, and is refused', {
    where: file,
    hint: "Convert it to safetensors where you trust it: transformers' save_pretrained(..., safe_serialization=True).",
  });
}

/** Says what a folder without safetensors holds instead. */
async function noWeights(folder: string): Promise<HoneError> {
  const files = await readdir(folder);
  const pickle = files.find((file) => PICKLE.test(file));
  if (pickle) return pickled(join(folder, pickle));
  const gguf = files.find((file) => file.toLowerCase().endsWith('.gguf'));
  return new HoneError('input', 'has no model.safetensors', {
    where: folder,
    hint: gguf ? `Import the GGUF file first: hone models import ${join(folder, gguf)}` : 'Give a model folder.',
  });
}

/**
 * Writes float32 tensors into one safetensors file, byte for byte as the reference implementation orders and pads it
 * (names sorted, header padded to 8 bytes with spaces). Atomic and fsynced; each tensor is asked for when its turn comes.
 * @param metadata string pairs for `__metadata__`; transformers wants `format: pt`, which is the default.
 * @throws HoneError('resource') when the disk is full; HoneError('usage') when values do not fit a shape.
 */
export async function writeSafetensors(
  file: string,
  tensors: Iterable<readonly [string, TensorSource]>,
  metadata: Record<string, string> = { format: 'pt' },
): Promise<void> {
  const sorted = [...tensors].sort(([a], [b]) => (a < b ? -1 : 1));
  await writeAtomically(file, async (append) => {
    await append(headerBytes(sorted, metadata));
    for (const [name, { shape, data }] of sorted) {
      const values = typeof data === 'function' ? await data() : data;
      if (values.length !== elements(shape))
        throw new HoneError('usage', `tensor ${name} has ${values.length} values for shape [${shape.join(', ')}]`, {
          where: file,
        });
      await append(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
  });
}

function headerBytes(
  tensors: readonly (readonly [string, TensorSource])[],
  metadata: Record<string, string>,
): Uint8Array {
  const fields: [string, unknown][] = [['__metadata__', metadata]];
  let offset = 0;
  for (const [name, { shape }] of tensors) {
    const end = offset + 4 * elements(shape);
    fields.push([name, { dtype: 'F32', shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const json = `{${fields.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
  const raw = new TextEncoder().encode(json);
  const padded = new Uint8Array(8 + Math.ceil(raw.length / 8) * 8).fill(0x20);
  padded.set(raw, 8);
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.length - 8), true);
  return padded;
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}
