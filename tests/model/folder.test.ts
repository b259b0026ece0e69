import { cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  copyTokenizerFiles,
  exportModel,
  importModel,
  loadModelFolder,
  modelInfo,
  openSafetensors,
  writeCharTokenizer,
  writeSafetensors,
} from '../../src/model/index.js';
import { failure, golden, scratch } from './helpers.js';

/** The tiny golden Llama with a character tokenizer of at most 48 tokens. */
async function tinyModel(): Promise<string> {
  const folder = join(await scratch(), 'tiny');
  await cp(golden('tiny-llama-untied'), folder, { recursive: true });
  await writeCharTokenizer(folder, '0123456789+-*/()= \n');
  await writeFile(join(folder, 'chat_template.jinja'), '{{ messages[0].content }}');
  return folder;
}

describe('model folders', () => {
  it('load as a whole', async () => {
    const folder = await loadModelFolder(await tinyModel());
    expect(folder.config['vocab_size']).toBe(48);
    expect(folder.chatTemplate?.render([{ role: 'user', content: '1+1=' }])).toBe('1+1=');
    expect(folder.tokenizer.decode(folder.tokenizer.encode('1+1='))).toBe('1+1=');
  });

  it('say what is missing', async () => {
    const folder = await tinyModel();
    expect((await failure(loadModelFolder(join(folder, 'nowhere')))).message).toContain('no such model folder');
    await rm(join(folder, 'config.json'));
    expect((await failure(loadModelFolder(folder))).message).toContain('has no config.json');
  });
});

describe('exportModel', () => {
  it('copies a model completely, weights unchanged', async () => {
    const [folder, out] = [await tinyModel(), join(await scratch(), 'out')];
    await exportModel(folder, out);
    expect((await readdir(out)).sort()).toEqual([
      'chat_template.jinja',
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect(await readFile(join(out, 'model.safetensors'))).toEqual(await readFile(join(folder, 'model.safetensors')));
    expect((await modelInfo(out)).config).toEqual((await modelInfo(folder)).config);
  });

  it('never writes over a model', async () => {
    const folder = await tinyModel();
    expect((await failure(exportModel(folder, folder))).message).toContain('already holds a model');
    expect((await failure(importModel(folder, folder))).message).toContain('already holds a model');
  });

  it('leaves no config.json behind when the weights are damaged', async () => {
    const [folder, out] = [await tinyModel(), join(await scratch(), 'out')];
    await truncate(join(folder, 'model.safetensors'), 40_000);
    const error = await failure(exportModel(folder, out));
    expect(error.message).toContain('is truncated');
    expect(error.hint).toContain('fetch the file again');
  });

  it('refuses weights that do not belong to the configuration', async () => {
    const folder = await tinyModel();
    const weights = await openSafetensors(folder);
    const file = join(folder, 'model.safetensors');
    const all = await Promise.all(weights.names().map(async (name) => [name, await weights.read(name)] as const));
    await writeSafetensors(
      file,
      all.filter(([name]) => name !== 'lm_head.weight'),
    );
    expect((await failure(modelInfo(folder))).message).toContain('weights lack tensor lm_head.weight');
    const extra = ['model.layers.0.self_attn.q_proj.bias', { shape: [1], data: Float32Array.of(1) }] as const;
    await writeSafetensors(file, [...all, extra]);
    expect((await failure(modelInfo(folder))).message).toContain('q_proj.bias has no place in a llama model');
    const frequencies = [
      'model.layers.0.self_attn.rotary_emb.inv_freq',
      { shape: [1], data: Float32Array.of(1) },
    ] as const;
    await writeSafetensors(file, [...all, frequencies]);
    expect(await modelInfo(folder)).toMatchObject({ architecture: 'llama' });
    const flat = all.map(
      ([name, { shape, data }]) => [name, { shape: [shape.reduce((a, b) => a * b), 1], data }] as const,
    );
    await writeSafetensors(file, flat);
    expect((await failure(modelInfo(folder))).message).toMatch(/is \[\d+, 1\], but config.json asks for/);
  });

  it('copies tokenizer files alone', async () => {
    const [folder, out] = [await tinyModel(), await scratch()];
    expect(await copyTokenizerFiles(folder, out)).toEqual([
      'tokenizer.json',
      'tokenizer_config.json',
      'chat_template.jinja',
    ]);
  });
});

describe('importModel', () => {
  it('takes a folder', async () => {
    const [folder, out] = [await tinyModel(), join(await scratch(), 'out')];
    await importModel(folder, out);
    expect(await modelInfo(out)).toMatchObject({
      format: 'folder',
      architecture: 'llama',
      dtypes: { F32: 21 },
      vocabSize: 48,
      maxContext: 64,
      tokenizer: { kind: 'plain', tokens: 21 },
      chatTemplate: true,
    });
  });

  it('says what it cannot import', async () => {
    const out = await scratch();
    const file = join(out, 'weights.bin');
    await writeFile(file, 'x');
    expect((await failure(importModel(file, join(out, 'm')))).message).toContain('pickle');
    expect((await failure(importModel('./missing.gguf', join(out, 'm')))).hint).toContain('owner/name');
    expect((await failure(importModel('not a name', join(out, 'm')))).kind).toBe('usage');
    await writeFile(join(out, 'notes.txt'), 'x');
    expect((await failure(importModel(join(out, 'notes.txt'), join(out, 'm')))).message).toContain('not a .gguf');
  });
});
