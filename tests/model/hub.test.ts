import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { importFromHub, importModel, loadModelConfig, openSafetensors } from '../../src/model/index.js';
import { failure, golden, scratch } from './helpers.js';

/** A hub with one repository, speaking the three requests that an import makes. */
let server: Server;
let hubUrl: string;
let files: Map<string, Buffer>;
let ranges: string[];
/** Replaces the content of what is sent. */
let corrupt: ((name: string, body: Buffer) => Buffer) | undefined;

function listing(): unknown[] {
  return [...files].map(([path, body]) => {
    const lfs = path.endsWith('.safetensors') && {
      lfs: { oid: createHash('sha256').update(body).digest('hex'), size: body.length, pointerSize: 130 },
    };
    const oid = createHash('sha1').update(`blob ${body.length}\0`).update(body).digest('hex');
    return { type: 'file', path, size: body.length, oid, ...lfs };
  });
}

beforeAll(async () => {
  server = createServer((request, response) => {
    const [path = ''] = (request.url ?? '').split('?');
    const tree = /^\/api\/models\/owner\/tiny\/tree\/main/.test(path);
    const name = decodeURIComponent(/^\/owner\/tiny\/resolve\/main\/(.+)$/.exec(path)?.[1] ?? '');
    const body = files.get(name);
    if (tree) return response.setHeader('content-type', 'application/json').end(JSON.stringify(listing()));
    if (!body) return response.writeHead(path.includes('gated') ? 403 : 404).end('{}');
    const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const last = to === '' ? body.length - 1 : Math.min(Number(to), body.length - 1);
    if (last > 0) ranges.push(`${name} ${from}`);
    const sent = corrupt ? corrupt(name, body) : body;
    response.writeHead(request.headers.range ? 206 : 200, {
      'content-range': `bytes ${from}-${last}/${body.length}`,
      etag: '"x"',
    });
    return response.end(sent.subarray(Number(from), last + 1));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

beforeEach(async () => {
  const read = (name: string) => readFile(golden(name));
  files = new Map([
    ['README.md', Buffer.from('not wanted')],
    ['config.json', await read('tiny-llama-tied/config.json')],
    ['model.safetensors', await read('tiny-llama-tied/model.safetensors')],
    ['tokenizer_config.json', Buffer.from('{"eos_token":"<eos>"}')],
    ['../evil.safetensors', Buffer.from('x')],
  ]);
  ranges = [];
  corrupt = undefined;
});

describe('importFromHub', () => {
  it('downloads what a model needs and nothing else', async () => {
    const out = await scratch();
    await importModel('owner/tiny', out, { hubUrl });
    expect((await readdir(out)).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer_config.json']);
    expect((await loadModelConfig(out)).layers).toBe(2);
    expect((await openSafetensors(out)).names()).toHaveLength(20);
  });

  it('goes on where an interrupted download stopped', async () => {
    const out = await scratch();
    const weights = files.get('model.safetensors') ?? Buffer.alloc(0);
    await writeFile(join(out, 'model.safetensors.partial'), weights.subarray(0, 50_000));
    await importFromHub('owner/tiny', out, { hubUrl });
    expect(ranges).toContain('model.safetensors 50000');
    expect(await readFile(join(out, 'model.safetensors'))).toEqual(weights);
  });

  it('refuses content that does not hash to what the hub says, and starts afresh the next time', async () => {
    const out = await scratch();
    corrupt = (name, body) => (name === 'model.safetensors' ? Buffer.alloc(body.length) : body);
    expect((await failure(importFromHub('owner/tiny', out, { hubUrl }))).message).toContain('arrived damaged');
    expect(await readdir(out)).not.toContain('config.json');
    corrupt = undefined;
    await importFromHub('owner/tiny', out, { hubUrl });
    expect(await readdir(out)).toContain('config.json');
  });

  it('checks the architecture before it fetches weights', async () => {
    const config = JSON.parse((files.get('config.json') ?? '').toString()) as object;
    files.set('config.json', Buffer.from(JSON.stringify({ ...config, model_type: 'mamba' })));
    const error = await failure(importFromHub('owner/tiny', await scratch(), { hubUrl }));
    expect(error.message).toContain('unknown architecture "mamba"');
    expect(ranges.filter((range) => range.startsWith('model'))).toEqual([]);
  });

  it('says what a repository lacks', async () => {
    files.delete('model.safetensors');
    files.set('pytorch_model.bin', Buffer.from('x'));
    const pickled = await failure(importFromHub('owner/tiny', await scratch(), { hubUrl }));
    expect(pickled.hint).toContain('Pickle weights');
    files.set('tiny.gguf', Buffer.from('x'));
    expect((await failure(importFromHub('owner/tiny', await scratch(), { hubUrl }))).hint).toContain('.gguf');
    files.delete('config.json');
    const empty = await failure(importFromHub('owner/tiny', await scratch(), { hubUrl }));
    expect(empty.message).toContain('no config.json');
  });

  it('tells a missing model, a gated one and a missing network apart', async () => {
    const out = await scratch();
    expect((await failure(importFromHub('owner/none', out, { hubUrl }))).message).toContain('no such model');
    expect((await failure(importFromHub('owner/gated', out, { hubUrl }))).hint).toContain('HF_TOKEN');
    const offline = await failure(importFromHub('owner/tiny', out, { hubUrl: 'http://127.0.0.1:1' }));
    expect(offline.kind).toBe('resource');
    expect(offline.hint).toContain('Without internet, give the path');
  });
});
