import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { HoneError } from '../core/index.js';
import { loadChatTemplate } from './chat-template.js';
import { parameterCount, type ModelConfig } from './config.js';
import { pathKind, readJson } from './files.js';
import { checkTensors, loadModelConfig } from './folder.js';
import { ggufConfig } from './gguf/config.js';
import { openGguf, type GgufFile } from './gguf/file.js';
import { openSafetensors } from './safetensors.js';
import { vocabularyKind } from './token-bytes.js';
import { parseTokenizerJson, vocabularySize } from './tokenizer-json.js';

/** What `hone models info` tells about a model on disk. */
export interface ModelSummary {
  path: string;
  format: 'folder' | 'gguf';
  architecture: string;
  parameters: number;
  /** Tensors by dtype as stored, e.g. {Q4_1: 210, F32: 61}. */
  dtypes: Record<string, number>;
  /** Rows of the embedding. */
  vocabSize: number;
  /** Tokens. */
  maxContext: number;
  config: ModelConfig;
  /** Kind and size of the vocabulary; undefined where the folder has no tokenizer. */
  tokenizer: { kind: string; tokens: number } | undefined;
  chatTemplate: boolean;
  files: { name: string; bytes: number }[];
}

const MAX_TOKENIZER_BYTES = 256 * 1024 * 1024;

/**
 * Describes a model folder or a GGUF file from its headers, checking that the weights fit the configuration.
 * @throws HoneError('input') when it is neither, or is damaged.
 */
export async function modelInfo(path: string): Promise<ModelSummary> {
  const found = await pathKind(path);
  if (!found)
    throw new HoneError('input', 'there is no such file or folder', {
      where: path,
      hint: 'Give a model folder or a .gguf file.',
    });
  return found.kind === 'file' ? ggufInfo(path) : folderInfo(path);
}

async function folderInfo(path: string): Promise<ModelSummary> {
  const config = await loadModelConfig(path);
  const weights = await openSafetensors(path);
  checkTensors(weights, config, path);
  const tokenizerFile = join(path, 'tokenizer.json');
  const json = await readJson(tokenizerFile, MAX_TOKENIZER_BYTES);
  const tokenizer = json === undefined ? undefined : parseTokenizerJson(json, tokenizerFile);
  return {
    ...summary(path, config),
    format: 'folder',
    dtypes: tally(weights.names().map((name) => weights.info(name).dtype)),
    tokenizer: tokenizer && { kind: vocabularyKind(tokenizer), tokens: vocabularySize(tokenizer) },
    chatTemplate: (await loadChatTemplate(path)) !== undefined,
    files: await filesIn(path),
  };
}

async function ggufInfo(path: string): Promise<ModelSummary> {
  const file = await openGguf(path);
  const tokens = file.metadata.get('tokenizer.ggml.tokens');
  return {
    ...summary(path, await ggufConfig(file)),
    format: 'gguf',
    dtypes: tally([...file.tensors.values()].map((tensor) => tensor.dtype)),
    tokenizer: Array.isArray(tokens) ? { kind: ggufVocabularyKind(file), tokens: tokens.length } : undefined,
    chatTemplate: file.metadata.has('tokenizer.chat_template'),
    files: [{ name: basename(path), bytes: file.bytes }],
  };
}

/** The vocabulary's type as the file names it, with the way text is split. */
function ggufVocabularyKind(file: GgufFile): string {
  const type = file.metadata.get('tokenizer.ggml.model');
  return `${type === 'gpt2' ? 'byte-level' : String(type)} (${String(file.metadata.get('tokenizer.ggml.pre'))})`;
}

function summary(path: string, config: ModelConfig) {
  const { architecture, vocabSize, maxContext } = config;
  return { path, architecture, parameters: parameterCount(config), vocabSize, maxContext, config };
}

function tally(values: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

async function filesIn(folder: string): Promise<{ name: string; bytes: number }[]> {
  const files: { name: string; bytes: number }[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const found = await pathKind(join(folder, name));
    if (found?.kind === 'file') files.push({ name, bytes: found.bytes });
  }
  return files;
}
