import { HoneError } from '../core/index.js';
import {
  exportGguf,
  exportModel,
  importModel,
  mergeAdapter,
  modelInfo,
  writePeftAdapter,
  type GgufExportType,
} from '../model/index.js';
import { Scratch } from './checkpoint-model.js';
import type { Io, JsonValue } from './io.js';
import { adapterOf, modelFolder } from './model-folder.js';
import { table } from './table.js';
import { bytes, oneLine } from './text.js';

async function show(folder: string, path: string, io: Io): Promise<void> {
  const { config, files, dtypes, tokenizer, ...facts } = await modelInfo(folder);
  const json = { ...facts, path, config, files, dtypes, tokenizer: tokenizer ?? null };
  io.result(JSON.parse(JSON.stringify(json)) as JsonValue, () => {
    const { layers, hiddenSize, heads, kvHeads, mlpSize } = config;
    const shape = `${layers} layers, hidden ${hiddenSize}, ${heads} heads (${kvHeads} key-value), MLP ${mlpSize}`;
    const rows = [
      ['architecture', facts.architecture],
      ['parameters', `${(facts.parameters / 1e6).toFixed(1)}M`],
      ['shape', shape],
      ['context', `${facts.maxContext} tokens`],
      ['vocabulary', `${facts.vocabSize}${config.tieEmbeddings ? ', tied to the output' : ''}`],
      ['tokenizer', tokenizer === undefined ? 'none' : `${tokenizer.kind}, ${tokenizer.tokens} tokens`],
      ['chat template', facts.chatTemplate ? 'yes' : 'none'],
      [
        'weights',
        Object.entries(dtypes)
          .map(([name, count]) => `${count} x ${name}`)
          .join(', '),
      ],
      ['files', files.map(({ name, bytes: size }) => `${name} (${bytes(size)})`).join(', ')],
    ];
    io.print(`${io.color.bold(oneLine(path, 1000))}\n${table(['', ''], rows, io).replace(/^\n/, '')}`);
  });
}

export interface ImportOptions {
  out: string;
  revision?: string;
}

export async function importCommand(source: string, { out, revision }: ImportOptions, io: Io): Promise<void> {
  const token = process.env['HF_TOKEN'];
  await importModel(source, out, { onProgress: io.progress, revision, token });
  io.progress.end();
  await show(out, out, io);
  if (!io.json) io.print(`\nTry it: hone sample --model ${oneLine(out, 1000)} --prompt "Hello"`);
}

export async function mergeCommand(base: string, adapter: string, { out }: { out: string }, io: Io): Promise<void> {
  const warn = (line: string): void => io.progress.note(line, 'warn');
  await Scratch.with(async (scratch) => {
    const pairs = await adapterOf(adapter, { scratch, warn });
    await mergeAdapter(await modelFolder(base, { scratch, warn }), pairs, out, {
      where: adapter,
      onProgress: io.progress,
    });
    io.progress.end();
    io.result({ path: out }, () => io.print(`Wrote ${oneLine(out, 1000)}: config.json, model.safetensors, tokenizer.`));
  });
}

/** Writes the adapter of a run as a PEFT folder. */
async function exportAdapter(model: string, out: string, io: Io): Promise<void> {
  const warn = (line: string): void => io.progress.note(line, 'warn');
  await Scratch.with(async (scratch) => writePeftAdapter(out, await adapterOf(model, { scratch, warn })));
  io.result({ path: out }, () =>
    io.print(`Wrote ${oneLine(out, 1000)}: adapter_config.json, adapter_model.safetensors.`),
  );
}

/** Runs `use` on the Hugging Face folder behind a model, which for a run is made for the occasion. */
async function withFolder(model: string, io: Io, use: (folder: string) => Promise<void>): Promise<void> {
  const warn = (line: string): void => io.progress.note(line, 'warn');
  await Scratch.with(async (scratch) => use(await modelFolder(model, { scratch, warn })));
}

export interface ExportOptions {
  out: string;
  format: string;
  type?: string;
}

export async function exportCommand(model: string, options: ExportOptions, io: Io): Promise<void> {
  const type = ggufType(options);
  const { out } = options;
  if (options.format === 'peft') return exportAdapter(model, out, io);
  await withFolder(model, io, async (folder) => {
    if (type) await exportGguf(folder, out, { type, onProgress: io.progress });
    else await exportModel(folder, out, { onProgress: io.progress });
    io.progress.end();
    const parts = type ? `${type} weights, tokenizer, chat template.` : 'config.json, model.safetensors, tokenizer.';
    io.result({ path: out }, () => io.print(`Wrote ${oneLine(out, 1000)}: ${parts}`));
  });
}

/** The type of a GGUF export; undefined for folders. */
function ggufType({ format, type, out }: ExportOptions): GgufExportType | undefined {
  const folder = format === 'hf' || format === 'peft';
  if (folder && type === undefined) return undefined;
  if (folder)
    throw new HoneError('usage', 'belongs to --format gguf', {
      where: '--type',
      hint: 'A folder keeps float32; leave --type out.',
    });
  if (format !== 'gguf')
    throw new HoneError('usage', `there is no format ${format}`, { where: '--format', hint: 'Give hf, gguf or peft.' });
  const found = (['f32', 'f16', 'q8_0'] as const).find((known) => known === (type ?? 'f16').toLowerCase());
  if (!found)
    throw new HoneError('usage', `there is no type ${type}`, { where: '--type', hint: 'Give f32, f16 or q8_0.' });
  if (!out.toLowerCase().endsWith('.gguf'))
    throw new HoneError('usage', 'does not end in .gguf', { where: '--out', hint: 'Name the file to write.' });
  return found;
}

export async function infoCommand(model: string, io: Io): Promise<void> {
  if (model.endsWith('.gguf')) return show(model, model, io);
  await withFolder(model, io, (folder) => show(folder, model, io));
}
