/**
 * A first walk over a GGUF header that decodes nothing. The library that reads it allocates by counts in the file and
 * begins a value again whenever it needs more of the file, so that a header of its full 50 MB can take it minutes and
 * gigabytes. What passes here costs it no more than a large vocabulary does.
 */
import { open } from 'node:fs/promises';
import { HoneError } from '../../core/index.js';
import { readExactly, truncated } from '../files.js';

/** Far above any Llama's. */
const MAX_TENSORS = 100_000;
const MAX_METADATA = 10_000;
/** The largest published vocabularies have 262,144 tokens: texts, types, scores and merges of four such. */
const MAX_ELEMENTS = 4 * 2 ** 20;
/** What the library reads at most. */
const MAX_HEADER_BYTES = 50_000_000;

/** Bytes of a value by its type number (docs/gguf.md, enum gguf_metadata_value_type); strings and arrays have none. */
const VALUE_BYTES: readonly (number | undefined)[] = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8];
const STRING = 8;
const ARRAY = 9;

const damaged = (path: string, message: string): HoneError =>
  new HoneError('input', message, { where: path, hint: 'The file is damaged: fetch it again.' });

/**
 * Checks magic, version, counts, and that all metadata lies within the file.
 * @param bytes length of the file.
 * @throws HoneError('input') on anything else than a GGUF header of version 2 or 3 of a sensible size.
 */
export async function checkHeaderBounds(path: string, bytes: number): Promise<void> {
  if (bytes < 24) throw truncated(path, 24, bytes);
  const head = Buffer.alloc(Math.min(bytes, MAX_HEADER_BYTES));
  const handle = await open(path, 'r');
  try {
    await readExactly(handle, head, 0, path);
  } finally {
    await handle.close();
  }
  if (head.toString('latin1', 0, 4) !== 'GGUF')
    throw new HoneError('input', 'is not a GGUF file (it does not start with "GGUF")', { where: path });
  const version = head.readUInt32LE(4);
  if (version !== 2 && version !== 3)
    throw new HoneError('input', `has GGUF version ${version}; versions 2 and 3 are supported`, { where: path });
  const tensors = head.readBigUInt64LE(8);
  const entries = head.readBigUInt64LE(16);
  if (tensors > MAX_TENSORS) throw damaged(path, `claims ${tensors} tensors`);
  if (entries > MAX_METADATA) throw damaged(path, `claims ${entries} metadata entries`);
  const walk = new HeaderWalk(head, path);
  for (let i = 0; i < Number(entries); i++) walk.entry();
}

/** A position in the header that moves over one metadata entry after the other. */
class HeaderWalk {
  private at = 24;
  private elements = 0;

  constructor(
    private readonly head: Buffer,
    private readonly path: string,
  ) {}

  entry(): void {
    this.string();
    const type = this.head.readUInt32LE(this.skip(4));
    if (type === ARRAY) this.array();
    else this.value(type);
  }

  /** Arrays of arrays are in the format, but in no model's metadata. */
  private array(): void {
    const type = this.head.readUInt32LE(this.skip(4));
    const count = this.size();
    this.elements += count;
    if (this.elements > MAX_ELEMENTS) throw damaged(this.path, `has more than ${MAX_ELEMENTS} metadata elements`);
    if (type === STRING) for (let i = 0; i < count; i++) this.string();
    else this.skip(count * this.bytesOf(type));
  }

  private value(type: number): void {
    if (type === STRING) this.string();
    else this.skip(this.bytesOf(type));
  }

  private bytesOf(type: number): number {
    const bytes = VALUE_BYTES[type];
    if (bytes === undefined) throw damaged(this.path, `has a damaged header (metadata of type ${type})`);
    return bytes;
  }

  private string(): void {
    this.skip(this.size());
  }

  private size(): number {
    return Number(this.head.readBigUInt64LE(this.skip(8)));
  }

  /** Moves on by `bytes`. @returns the position before. */
  private skip(bytes: number): number {
    const before = this.at;
    this.at += bytes;
    if (this.at > this.head.length)
      throw damaged(this.path, 'has a damaged or truncated header (metadata beyond its end)');
    return before;
  }
}
