/** Files made to cost much more than their size: as large as hone's limits let through. */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  loadModelConfig,
  loadModelFolder,
  modelInfo,
  openSafetensors,
  readPeftAdapter,
} from '../../src/model/index.js';

const MB = 1024 * 1024;

interface Bomb {
  name: string;
  /** Writes the file and has hone load it. @param folder empty; @param corpus of `makeCorpus`. */
  run(folder: string, corpus: string): Promise<unknown>;
}

/** `count` copies of what `piece` gives for each index, between `head` and `tail`. */
function repeated(head: string, piece: (i: number) => string, bytes: number, tail: string): Buffer {
  const parts = [head];
  for (let [i, size] = [0, 0]; size < bytes; i++) {
    const text = piece(i);
    parts.push(text);
    size += text.length;
  }
  return Buffer.from(parts.join('') + tail);
}

function safetensors(header: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header]);
}

async function loadTokenizerBomb(folder: string, corpus: string, text: Buffer): Promise<unknown> {
  await cp(join(corpus, 'model'), folder, { recursive: true });
  await writeFile(join(folder, 'tokenizer.json'), text);
  return loadModelFolder(folder);
}

/** A GGUF header of metadata values, each an ARRAY as `array` writes it. */
async function loadGgufBomb(folder: string, array: Buffer, count: number): Promise<unknown> {
  const head = Buffer.alloc(24);
  head.write('GGUF');
  head.writeUInt32LE(3, 4);
  head.writeBigUInt64LE(BigInt(count), 16);
  const parts: Buffer[] = [head];
  for (let i = 0; i < count; i++) {
    const key = Buffer.from(String(i).padStart(8, 'k'));
    const entry = Buffer.alloc(8 + key.length + 4);
    entry.writeBigUInt64LE(BigInt(key.length));
    key.copy(entry, 8);
    entry.writeUInt32LE(9, 8 + key.length);
    parts.push(entry, array);
  }
  const file = join(folder, 'bomb.gguf');
  await writeFile(file, Buffer.concat(parts));
  return modelInfo(file);
}

/** The body of an ARRAY value. @param type of the elements, as the file numbers them. */
function ggufArray(type: number, count: number, element: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt32LE(type);
  head.writeBigUInt64LE(BigInt(count), 4);
  return Buffer.concat([head, ...Array.from({ length: count }, () => element)]);
}

export const BOMBS: readonly Bomb[] = [
  {
    name: 'safetensors header of small entries',
    async run(folder) {
      const file = join(folder, 'model.safetensors');
      await writeFile(file, safetensors(repeated('{', (i) => `"${i}":0,`, 16 * MB - 100, '"x":0}')));
      return openSafetensors(file);
    },
  },
  {
    name: 'safetensors header of small tensors',
    async run(folder) {
      const file = join(folder, 'model.safetensors');
      const entry = (i: number) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},`;
      await writeFile(file, safetensors(repeated('{', entry, 16 * MB - 100, '"__metadata__":{}}')));
      return openSafetensors(file);
    },
  },
  {
    name: 'safetensors length of 2^63',
    async run(folder) {
      const file = join(folder, 'model.safetensors');
      await writeFile(file, Buffer.from('0000000000000080', 'hex'));
      return openSafetensors(file);
    },
  },
  {
    name: 'safetensors index of many shards',
    async run(folder) {
      const index = repeated('{"weight_map":{', (i) => `"${i}":"${i}",`, 16 * MB - 100, '"x":"y"}}');
      await writeFile(join(folder, 'model.safetensors.index.json'), index);
      return openSafetensors(folder);
    },
  },
  {
    name: 'config.json of small objects',
    async run(folder) {
      const config = repeated('{"model_type":"llama","x":[', () => '{},', 16 * MB - 100, '0]}');
      await writeFile(join(folder, 'config.json'), config);
      return loadModelConfig(folder);
    },
  },
  {
    name: 'adapter_config.json of small arrays',
    async run(folder) {
      const config = repeated('{"peft_type":"LORA","r":1,"lora_alpha":1,"x":[', () => '[],', 16 * MB - 100, '0]}');
      await writeFile(join(folder, 'adapter_config.json'), config);
      return readPeftAdapter(folder);
    },
  },
  {
    name: 'tokenizer.json of brackets',
    run: (folder, corpus) => loadTokenizerBomb(folder, corpus, Buffer.alloc(64 * MB - 1, '[')),
  },
  {
    name: 'tokenizer.json of empty merges',
    run: (folder, corpus) =>
      loadTokenizerBomb(
        folder,
        corpus,
        repeated('{"model":{"vocab":{},"merges":[', () => '[],', 64 * MB - 100, '[]]}}'),
      ),
  },
  {
    name: 'tokenizer.json of many tokens',
    run: (folder, corpus) =>
      loadTokenizerBomb(
        folder,
        corpus,
        repeated('{"model":{"merges":[],"vocab":{', (i) => `"${i}":${i},`, 64 * MB - 100, '"x":0}}}'),
      ),
  },
  { name: 'GGUF of flags', run: (folder) => loadGgufBomb(folder, ggufArray(7, 1_000_000, Buffer.alloc(1)), 46) },
  {
    name: 'GGUF of 64-bit numbers',
    run: (folder) => loadGgufBomb(folder, ggufArray(10, 1_000_000, Buffer.alloc(8)), 6),
  },
  { name: 'GGUF of empty strings', run: (folder) => loadGgufBomb(folder, ggufArray(8, 1_000_000, Buffer.alloc(8)), 6) },
  {
    name: 'GGUF of nested arrays',
    run: (folder) => loadGgufBomb(folder, ggufArray(9, 4, ggufArray(9, 900_000, Buffer.alloc(12))), 1),
  },
];

/** Runs one bomb in a folder that it may fill. */
export async function runBomb(index: number, corpus: string, folder: string): Promise<unknown> {
  await mkdir(folder, { recursive: true });
  return BOMBS[index]?.run(folder, corpus);
}
