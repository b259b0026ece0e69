import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { HoneError } from '../core/index.js';
import type { Sample, SampleParams } from '../engine/index.js';
import { errorCode, parseRow } from '../formats/index.js';
import { type ChatMessage, encodeChat, type ModelFolder } from '../model/index.js';
import { Scratch } from './checkpoint-model.js';
import { withEngine } from './engine.js';
import type { Io } from './io.js';
import { resolveModel } from './model-source.js';
import { plainText } from './text.js';

export interface SampleCommandOptions {
  model: string;
  prompt?: string;
  messages?: string;
  raw: boolean;
  n: number;
  temperature: number;
  topP?: number;
  topK?: number;
  minP?: number;
  maxTokens: number;
  stop?: string[];
  seed: number;
  threads?: number;
}

const messagesSchema: z.ZodType<ChatMessage[]> = z
  .array(z.strictObject({ role: z.enum(['system', 'user', 'assistant', 'tool']), content: z.string() }))
  .min(1);

export async function runSample(options: SampleCommandOptions, io: Io): Promise<void> {
  const asked = await readAsked(options, io);
  await Scratch.with(async (scratch) => {
    const { source, folder } = await resolveModel(options.model, {
      scratch,
      warn: (line) => io.progress.note(line, 'warn'),
    });
    const promptTokens = promptOf(asked, folder, options.raw);
    const samples = await withEngine(options, async (engine) => {
      io.progress.phase('loading the model');
      const model = await engine.openModel({ source });
      const sampler = await model.liveSampler();
      io.progress.phase('sampling', options.n);
      return sampler.sample(promptTokens, samplingParams(options), {
        signal: io.signal,
        onProgress: (done, _total, tokens) => io.progress.update(done, { tokens }),
      });
    });
    io.progress.end();
    io.signal.throwIfAborted();
    show(samples, folder, promptTokens.length, io);
  });
}

async function readAsked(options: SampleCommandOptions, io: Io): Promise<string | ChatMessage[]> {
  if (options.prompt !== undefined && options.messages !== undefined)
    throw new HoneError('usage', 'give either --prompt or --messages', { hint: 'Leave one of them out.' });
  if (options.messages !== undefined)
    return parseRow(await readMessages(options.messages), messagesSchema, options.messages);
  const text = options.prompt ?? (await io.readStdin());
  if (text !== undefined && text !== '') return text;
  throw new HoneError('usage', 'there is nothing to go on from', {
    hint: 'Give --prompt TEXT, --messages FILE, or text on standard input.',
  });
}

async function readMessages(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const why = errorCode(error) === 'ENOENT' ? 'there is no such file' : 'cannot be read';
    throw new HoneError('input', `${why} (--messages)`, {
      where: file,
      hint: 'Give a JSON file with [{"role": "user", "content": "..."}].',
      cause: error,
    });
  }
}

/** Prompt tokens: through the chat template where there is one, else the text behind BOS. */
function promptOf(asked: string | ChatMessage[], folder: ModelFolder, raw: boolean): Int32Array {
  const { chatTemplate, tokenizer } = folder;
  if (!raw && chatTemplate !== undefined) {
    const messages: ChatMessage[] = typeof asked === 'string' ? [{ role: 'user', content: asked }] : asked;
    return encodeChat(folder, messages, { addGenerationPrompt: true });
  }
  if (typeof asked !== 'string')
    throw new HoneError('usage', raw ? '--raw takes text, not messages' : 'the model has no chat template', {
      where: '--messages',
      hint: 'Give the text as the model should read it with --prompt.',
    });
  const tokens = tokenizer.encode(asked);
  return tokenizer.bosId === undefined ? tokens : Int32Array.from([tokenizer.bosId, ...tokens]);
}

function samplingParams(options: SampleCommandOptions): SampleParams {
  const { n, maxTokens, temperature, topP, topK, minP, stop, seed } = options;
  return { n, maxTokens, temperature, topP, topK, minP, stop, seed };
}

function show(samples: readonly Sample[], { tokenizer }: ModelFolder, promptTokens: number, io: Io): void {
  const texts = samples.map((sample) => tokenizer.decode(sample.tokens, { skipSpecial: true }));
  const found = samples.map(({ tokens, stopReason }, i) => ({
    text: texts[i] ?? '',
    tokens: tokens.length,
    stopReason,
  }));
  io.result({ promptTokens, samples: found }, () => {
    for (const [i, { text, tokens, stopReason }] of found.entries()) {
      if (found.length > 1) io.print(io.color.dim(`-- ${i + 1} (${tokens} tokens, ended by ${stopReason})`));
      io.print(plainText(text));
    }
  });
}
