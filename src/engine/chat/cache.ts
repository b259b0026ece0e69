import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HoneError } from '../../core/index.js';
import {
  type DurableFile,
  type DurableFs,
  errorCode,
  explaining,
  explainSystemError,
  nodeFs,
  sha256,
  stringifyJson,
} from '../../formats/index.js';
import type { ChatReply, Json } from './types.js';

const logprob = z.object({ token: z.string(), logprob: z.number() });
const choice = z.object({
  content: z.string().optional(),
  reasoning: z.string().optional(),
  raw: z.string(),
  finish: z.enum(['stop', 'length', 'tool_calls', 'content_filter', 'aborted']),
  tokens: z.number().optional(),
  logprobs: z.array(logprob).optional(),
  toolCalls: z.array(z.object({ id: z.string(), name: z.string(), arguments: z.string() })).optional(),
});
const reply = z.object({
  choices: z.array(choice).min(1),
  usage: z.object({ promptTokens: z.number(), completionTokens: z.number(), estimated: z.boolean() }),
  model: z.string(),
});
const record = z.object({ key: z.string(), reply });

interface Place {
  segment: FileHandle;
  offset: number;
  length: number;
}

const SEGMENT = /^replies-(\d{6})\.jsonl$/;
const NEWLINE = 0x0a;

/**
 * Replies on disk, by the hash of the whole request. A reply is durable (written and synced) before `put` returns, and
 * never asked for again. Every process appends to a file of its own and reads all of them when it opens the folder, so
 * several can share it, and a file that a crash has torn is never written to again.
 */
export class ReplyCache {
  readonly #places = new Map<string, Place>();
  readonly #segments: FileHandle[] = [];
  readonly #writer: SegmentWriter;
  /** Lines that could not be read: the end of a file that was being written, or damage. Their requests are sent again. */
  readonly damagedLines: number;

  private constructor(places: Map<string, Place>, segments: FileHandle[], writer: SegmentWriter, damaged: number) {
    this.#places = places;
    this.#segments = segments;
    this.#writer = writer;
    this.damagedLines = damaged;
  }

  /** Opens a folder, making it where it is missing. @throws HoneError('resource') no permission, no space. */
  static async open(folder: string, options: { fs?: DurableFs } = {}): Promise<ReplyCache> {
    const fs = explaining(options.fs ?? nodeFs);
    await fs.mkdir(folder);
    const places = new Map<string, Place>();
    const names = (await readdir(folder)).filter((name) => SEGMENT.test(name)).sort();
    const segments: FileHandle[] = [];
    let damaged = 0;
    for (const name of names) {
      const segment = await open(join(folder, name), 'r');
      segments.push(segment);
      damaged += await index(segment, places);
    }
    const last = Number(SEGMENT.exec(names.at(-1) ?? '')?.[1] ?? -1);
    return new ReplyCache(places, segments, new SegmentWriter(fs, folder, last + 1), damaged);
  }

  get size(): number {
    return this.#places.size;
  }

  async get(key: string): Promise<ChatReply | undefined> {
    const place = this.#places.get(key);
    if (place === undefined) return undefined;
    const bytes = Buffer.alloc(place.length);
    await place.segment.read(bytes, 0, place.length, place.offset);
    const read = record.parse(JSON.parse(bytes.toString('utf8'))).reply;
    return { ...read, choices: read.choices.map(wholeChoice) };
  }

  /** Returns once the reply would outlive a power cut. */
  async put(key: string, value: ChatReply): Promise<void> {
    const line = Buffer.from(`${stringifyJson({ key, reply: value })}\n`, 'utf8');
    const { segment, offset } = await this.#writer.append(line);
    this.#places.set(key, { segment, offset, length: line.length - 1 });
  }

  async close(): Promise<void> {
    await this.#writer.close();
    await Promise.all(this.#segments.map((segment) => segment.close()));
  }
}

type ReadChoice = z.output<typeof choice>;

/** Optional members of JSON as the members that a choice always has. */
function wholeChoice(read: ReadChoice): ChatReply['choices'][number] {
  return { ...read, content: read.content, reasoning: read.reasoning, tokens: read.tokens };
}

/** Notes where every whole line of a segment lies. @returns the number of lines that cannot be used. */
async function index(segment: FileHandle, places: Map<string, Place>): Promise<number> {
  let damaged = 0;
  let start = 0;
  let rest: Buffer = Buffer.alloc(0);
  const piece = Buffer.alloc(1 << 20);
  for (;;) {
    const { bytesRead } = await segment.read(piece, 0, piece.length, start + rest.length);
    if (bytesRead === 0) break;
    rest = Buffer.concat([rest, piece.subarray(0, bytesRead)]);
    let from = 0;
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE, from)) {
      const key = keyOf(rest.subarray(from, end));
      if (key === undefined) damaged++;
      else places.set(key, { segment, offset: start + from, length: end - from });
      from = end + 1;
    }
    rest = rest.subarray(from);
    start += from;
  }
  return damaged + (rest.length > 0 ? 1 : 0);
}

function keyOf(line: Buffer): string | undefined {
  try {
    return record.parse(JSON.parse(line.toString('utf8'))).key;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}

interface Waiting {
  line: Buffer;
  resolve: (place: { segment: FileHandle; offset: number }) => void;
  reject: (error: unknown) => void;
}

/** Appends lines; those that wait while the disk syncs go together in one write and one sync. */
class SegmentWriter {
  readonly #fs: DurableFs;
  readonly #folder: string;
  #number: number;
  #file: DurableFile | undefined;
  #reader: FileHandle | undefined;
  #size = 0;
  #waiting: Waiting[] = [];
  #flushing: Promise<void> | undefined;
  #broken: unknown;

  constructor(fs: DurableFs, folder: string, number: number) {
    this.#fs = fs;
    this.#folder = folder;
    this.#number = number;
  }

  append(line: Buffer): Promise<{ segment: FileHandle; offset: number }> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line, resolve, reject });
      this.#flushing ??= this.#flush().finally(() => (this.#flushing = undefined));
    });
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#write(batch);
      } catch (error) {
        // What the file holds now is not known: nothing more goes into it.
        this.#broken = error;
        for (const { reject } of batch) reject(error);
      }
    }
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    const [file, segment] = await this.#open();
    await file.write(Buffer.concat(batch.map(({ line }) => line)));
    await file.sync();
    for (const { line, resolve } of batch) {
      resolve({ segment, offset: this.#size });
      this.#size += line.length;
    }
  }

  async #open(): Promise<[DurableFile, FileHandle]> {
    if (this.#file === undefined || this.#reader === undefined) {
      const path = await this.#claim();
      this.#file = await this.#fs.open(path, 'a');
      await this.#fs.syncFolder(this.#folder);
      this.#reader = await open(path, 'r');
    }
    return [this.#file, this.#reader];
  }

  /** Creates the first free file; two processes cannot get the same one. */
  async #claim(): Promise<string> {
    for (; ; this.#number++) {
      if (this.#number > 999_999)
        throw new HoneError('resource', 'the cache folder is full of files', {
          where: this.#folder,
          hint: 'Choose a new folder for the cache.',
        });
      const path = join(this.#folder, `replies-${String(this.#number).padStart(6, '0')}.jsonl`);
      try {
        await (await open(path, 'wx')).close();
        return path;
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw explainSystemError(error, path);
      }
    }
  }

  async close(): Promise<void> {
    await this.#flushing;
    await this.#file?.close();
    await this.#reader?.close();
  }
}

/** Key of a request: the hash of its canonical JSON text. */
export function requestKey(request: { readonly [key: string]: Json }): string {
  return sha256(canonical(request)).slice(0, 40);
}

/** JSON text with members in order of their names. */
function canonical(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item: Json) => canonical(item)).join(',')}]`;
  const members = Object.entries(value as { readonly [key: string]: Json }).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`;
}
