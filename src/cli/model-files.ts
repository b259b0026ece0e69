import { stat } from 'node:fs/promises';
import { HoneError } from '../core/index.js';
import { exportModel, importGguf, loadModelConfig, loadModelFolder, parameterCount } from '../model/index.js';
import { exists, Scratch } from './checkpoint-model.js';
import type { Io } from './io.js';
import { modelFolder } from './model-source.js';
import { table } from './table.js';
import { oneLine, short } from './text.js';

/** What `models info` tells, and `models import` of what it made. */
async function factsOf(folder: string) {
  const [config, { tokenizer, chatTemplate }] = [await loadModelConfig(folder), await loadModelFolder(folder)];
  const { architecture, layers, hiddenSize, heads, kvHeads, mlpSize, vocabSize, maxContext, tieEmbeddings } = config;
  return {
    ...{ architecture, parameters: parameterCount(config), layers, hiddenSize, heads, kvHeads, mlpSize },
    ...{ vocabSize, maxContext, tieEmbeddings, tokens: tokenizer.vocabSize, eosIds: [...tokenizer.eosIds] },
    chatTemplate: chatTemplate !== undefined,
  };
}

async function show(folder: string, path: string, io: Io): Promise<void> {
  const facts = await factsOf(folder);
  io.result({ path, ...facts }, () => {
    const rows = Object.entries(facts).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : short(value),
    ]);
    io.print(table([oneLine(path, 1000), ''], rows, io));
  });
}

export async function importCommand(source: string, { out }: { out: string }, io: Io): Promise<void> {
  if (await exists(`${out}/config.json`))
    throw new HoneError('usage', 'already holds a model', { where: out, hint: 'Choose another folder with --out.' });
  const found = (await exists(source)) ? await stat(source) : undefined;
  if (found?.isDirectory() === true) await exportModel(source, out);
  else await importGguf(source, out, { onProgress: io.progress });
  io.progress.end();
  await show(out, out, io);
  if (!io.json) io.print(`\nTry it: hone sample --model ${oneLine(out, 1000)} --prompt "Hello"`);
}

/** Runs `use` on the Hugging Face folder behind a model, which for a run is made for the occasion. */
async function withFolder(model: string, io: Io, use: (folder: string) => Promise<void>): Promise<void> {
  const scratch = new Scratch();
  try {
    await use(await modelFolder(model, { scratch, warn: (line) => io.progress.note(line, 'warn') }));
  } finally {
    await scratch.dispose();
  }
}

export async function exportCommand(model: string, { out }: { out: string }, io: Io): Promise<void> {
  await withFolder(model, io, async (folder) => {
    await exportModel(folder, out);
    io.result({ path: out }, () => io.print(`Wrote ${oneLine(out, 1000)}: config.json, model.safetensors, tokenizer.`));
  });
}

export async function infoCommand(model: string, io: Io): Promise<void> {
  await withFolder(model, io, (folder) => show(folder, model, io));
}
