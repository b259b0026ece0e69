/** What is damaged, and how it is then loaded. */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HoneError, RandomStream } from '../../src/core/index.js';
import {
  checkAdapterFits,
  checkTensors,
  encodeChat,
  exportGguf,
  importGguf,
  llamaTensorShapes,
  loadModelConfig,
  loadModelFolder,
  modelInfo,
  openSafetensors,
  readPeftAdapter,
  writePeftAdapter,
  writeSafetensors,
  type ChatMessage,
  type TensorSource,
} from '../../src/model/index.js';
import { ggufConfig } from '../../src/model/gguf/config.js';
import { openGguf } from '../../src/model/gguf/file.js';
import { ggufTokenizerFiles } from '../../src/model/gguf/tokenizer.js';
import { parseTokenizerJson } from '../../src/model/tokenizer-json.js';
import { BOMBS, runBomb } from './bombs.js';
import { mutateBytes, mutateJson, mutateText } from './mutate.js';

type Kind = 'bytes' | 'json' | 'text';
const MUTATIONS: Readonly<Record<Kind, (content: Buffer, draws: RandomStream) => Uint8Array>> = {
  bytes: mutateBytes,
  json: (content, draws) => Buffer.from(mutateJson(content.toString('utf8'), draws)),
  text: (content, draws) => Buffer.from(mutateText(content.toString('utf8'), draws)),
};

interface Target {
  name: string;
  /** Files of the corpus, one of which is damaged. */
  files: readonly (readonly [path: string, kind: Kind])[];
  /** Does with the damaged corpus what hone does with files of others. */
  load(corpus: string, out: string): Promise<void>;
}

const GOLDEN = fileURLToPath(new URL('../../tests/golden/model/', import.meta.url));
const TOKENIZERS = ['gpt2', 'llama3', 'metaspace', 'sentencepiece', 'qwen2', 'smollm'] as const;
const TEXTS: readonly string[] = [
  '',
  'Hello, world 123!',
  ' a\n\n\u00e9\u{1f600}\u2581<|im_start|>x\u0000',
  'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab',
];
const CHAT: readonly ChatMessage[] = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: 'Hello' },
];
const TEMPLATE = `{%- if messages[0].role != 'system' %}{{ bos_token }}{% endif -%}
{%- set ns = namespace(n=0) -%}
{%- for message in messages -%}
{%- set ns.n = ns.n + 1 -%}
{%- if message['role'] == 'user' and not loop.last or ns.n > 1 -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content | trim + '<|im_end|>\\n' -}}
{%- elif message.content is defined -%}
{{- message.content[:3] ~ (message.role | upper) -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif -%}`;

async function useTokenizer(folder: string): Promise<void> {
  const model = await loadModelFolder(folder);
  for (const text of TEXTS) model.tokenizer.decode(model.tokenizer.encode(text, { addSpecial: true }));
  for (let id = 0; id < Math.min(20, model.tokenizer.vocabSize); id++) model.tokenizer.tokenBytes(id);
  if (model.chatTemplate) encodeChat(model, CHAT);
}

async function useGguf(file: string): Promise<void> {
  const opened = await openGguf(file);
  await ggufConfig(opened);
  parseTokenizerJson(ggufTokenizerFiles(opened)['tokenizer.json'], file);
  for (const name of opened.tensors.keys()) await opened.read(name);
}

export const TARGETS: readonly Target[] = [
  {
    name: 'safetensors',
    files: [
      ['model/model-00001-of-00002.safetensors', 'bytes'],
      ['model/model-00002-of-00002.safetensors', 'bytes'],
      ['model/model.safetensors.index.json', 'json'],
    ],
    async load(corpus) {
      const folder = join(corpus, 'model');
      const weights = await openSafetensors(folder);
      for (const name of weights.names()) await weights.read(name);
      checkTensors(weights, await loadModelConfig(folder), folder);
    },
  },
  {
    name: 'config',
    files: [['model/config.json', 'json']],
    async load(corpus) {
      await modelInfo(join(corpus, 'model'));
      await useTokenizer(join(corpus, 'model'));
    },
  },
  ...TOKENIZERS.map((name): Target => ({
    name: `tokenizer ${name}`,
    files: [[`tokenizers/${name}/tokenizer.json`, 'json']],
    load: (corpus) => useTokenizer(join(corpus, 'tokenizers', name)),
  })),
  {
    name: 'tokenizer settings',
    files: [
      ['model/tokenizer_config.json', 'json'],
      ['model/generation_config.json', 'json'],
      ['model/special_tokens_map.json', 'json'],
    ],
    load: (corpus) => useTokenizer(join(corpus, 'model')),
  },
  {
    name: 'chat template',
    files: [['model/chat_template.jinja', 'text']],
    load: (corpus) => useTokenizer(join(corpus, 'model')),
  },
  {
    name: 'gguf',
    files: [
      ['model-q8_0.gguf', 'bytes'],
      ['model-f16.gguf', 'bytes'],
    ],
    async load(corpus) {
      for (const type of ['q8_0', 'f16']) await useGguf(join(corpus, `model-${type}.gguf`));
    },
  },
  {
    name: 'gguf import',
    files: [['model-q8_0.gguf', 'bytes']],
    load: (corpus, out) => importGguf(join(corpus, 'model-q8_0.gguf'), out),
  },
  {
    name: 'adapter',
    files: [
      ['adapter/adapter_config.json', 'json'],
      ['adapter/adapter_model.safetensors', 'bytes'],
    ],
    async load(corpus) {
      const folder = join(corpus, 'adapter');
      const adapter = await readPeftAdapter(folder);
      checkAdapterFits(adapter, llamaTensorShapes(await loadModelConfig(join(corpus, 'model'))), folder);
    },
  },
];

/** How often each target comes up: the wide formats more often than the narrow ones. */
const SCHEDULE: readonly Target[] = TARGETS.flatMap((target) => {
  const often: Readonly<Record<string, number>> = {
    safetensors: 4,
    config: 3,
    'chat template': 3,
    gguf: 6,
    adapter: 3,
  };
  return Array.from({ length: often[target.name] ?? 1 }, () => target);
});

/** Writes small valid files of every kind into an empty folder. */
export async function makeCorpus(folder: string): Promise<void> {
  const model = join(folder, 'model');
  await mkdir(model, { recursive: true });
  await writeFile(join(model, 'config.json'), JSON.stringify(CONFIG));
  await cp(join(GOLDEN, 'tiny-tokenizers/smollm/tokenizer.json'), join(model, 'tokenizer.json'));
  const tokenizer = JSON.parse(await readFile(join(model, 'tokenizer.json'), 'utf8')) as {
    added_tokens: { content: string }[];
  };
  const special = tokenizer.added_tokens[0]?.content ?? '';
  const names = { bos_token: special, eos_token: { content: special, special: true } };
  await writeFile(join(model, 'tokenizer_config.json'), JSON.stringify({ ...names, chat_template: TEMPLATE }));
  await writeFile(join(model, 'special_tokens_map.json'), JSON.stringify({ pad_token: special, unk_token: special }));
  await writeFile(join(model, 'generation_config.json'), JSON.stringify({ eos_token_id: [0, 1], bos_token_id: 0 }));
  for (const name of TOKENIZERS) {
    await cp(join(GOLDEN, 'tiny-tokenizers', name), join(folder, 'tokenizers', name), { recursive: true });
    await writeFile(join(folder, 'tokenizers', name, 'config.json'), JSON.stringify(CONFIG));
  }
  await writeWeights(model);
  for (const type of ['q8_0', 'f16'] as const) await exportGguf(model, join(folder, `model-${type}.gguf`), { type });
  await writeFile(join(model, 'chat_template.jinja'), TEMPLATE);
  const factors = { a: new Float32Array(2 * 32).fill(0.5), b: new Float32Array(2 * 32).fill(0.25) };
  const tensors = new Map([0, 1].map((layer) => [`model.layers.${layer}.self_attn.q_proj`, factors]));
  await writePeftAdapter(join(folder, 'adapter'), { rank: 2, alpha: 4, targets: ['q_proj'], tensors });
}

const CONFIG = {
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  vocab_size: 2048,
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  intermediate_size: 32,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_scaling: {
    rope_type: 'llama3',
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  },
  tie_word_embeddings: true,
  bos_token_id: 0,
  eos_token_id: [0, 1],
};

/** Two shards and their index. */
async function writeWeights(model: string): Promise<void> {
  const shapes = [...llamaTensorShapes(await loadModelConfig(model))];
  const weight_map: Record<string, string> = {};
  for (const half of [0, 1]) {
    const shard = `model-0000${half + 1}-of-00002.safetensors`;
    const own = shapes.filter((_, i) => i % 2 === half);
    for (const [name] of own) weight_map[name] = shard;
    const tensors = own.map(([name, shape]): [string, TensorSource] => {
      const draws = new RandomStream(1, name);
      const length = shape.reduce((a, b) => a * b, 1);
      return [name, { shape, data: Float32Array.from({ length }, () => draws.nextNormal()) }];
    });
    await writeSafetensors(join(model, shard), tensors);
  }
  await writeFile(join(model, 'model.safetensors.index.json'), JSON.stringify({ weight_map }));
}

export interface Outcome {
  target: string;
  file: string;
  /** `defect`: something other than a HoneError was thrown. */
  result: 'loaded' | 'refused' | 'defect';
  detail: string;
}

/**
 * Runs one case, a pure function of (seed, number) and the corpus, which is as before afterwards.
 * @param number from 0 on; -1, -2, ... are the bombs, which no seed changes.
 * @param out a path where nothing is; what is written there is removed.
 */
export async function runCase(seed: number, number: number, corpus: string, out: string): Promise<Outcome> {
  const bomb = BOMBS[-1 - number];
  if (bomb) return judged('bomb', bomb.name, out, () => runBomb(-1 - number, corpus, out));
  const draws = new RandomStream(seed, 'fuzz', number);
  const target = draws.pick(SCHEDULE);
  const [file, kind] = draws.pick(target.files);
  const path = join(corpus, file);
  const original = await readFile(path);
  await writeFile(path, MUTATIONS[kind](original, draws));
  const outcome = await judged(target.name, file, out, () => target.load(corpus, out));
  await writeFile(path, original);
  return outcome;
}

async function judged(target: string, file: string, out: string, load: () => Promise<unknown>): Promise<Outcome> {
  try {
    await load();
    return { target, file, result: 'loaded', detail: '' };
  } catch (error) {
    if (error instanceof HoneError) return { target, file, result: 'refused', detail: error.message };
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { target, file, result: 'defect', detail: detail.slice(0, 1500) };
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}
