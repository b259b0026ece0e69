import { type Command, InvalidArgumentError, Option } from 'commander';
import { HoneError } from '../core/index.js';
import {
  type BudgetLimits,
  CachedChatModel,
  type ChatModel,
  type ContinueMode,
  EndpointChatModel,
  type EndpointOptions,
  ReplyCache,
  SamplerChatModel,
  type Spending,
} from '../engine/chat/index.js';
import type { TrainableModel } from '../engine/index.js';
import { sha256 } from '../formats/index.js';
import { createChatTemplate, loadChatTemplate, type ModelFolder, weightsHash } from '../model/index.js';
import { Scratch } from './checkpoint-model.js';
import { withEngine } from './engine.js';
import type { Io } from './io.js';
import { resolveModel } from './model-source.js';
import { numberIn, threadsOption, wholeNumber } from './options.js';

/** Options by which a command says what to ask: a model of this machine, or an endpoint. */
export interface ChatModelOptions {
  model?: string;
  endpoint?: string;
  modelName?: string;
  apiKey?: string;
  concurrency?: number;
  requestTimeout?: number;
  retries?: number;
  budgetTokens?: number;
  budgetMoney?: number;
  price?: Price;
  cache?: string;
  continue?: ContinueMode;
  template?: string;
  startsThinking?: boolean;
  threads?: number;
  seed: number;
}

export function withChatModel(command: Command): Command {
  return command
    .option('--model <model>', 'model folder, run folder or checkpoint')
    .option('--endpoint <url>', 'an OpenAI-compatible server, such as http://localhost:8000/v1')
    .option('--model-name <name>', 'the model at the endpoint')
    .addOption(new Option('--api-key <key>', 'key of the endpoint').env('HONE_API_KEY'))
    .addOption(new Option('--concurrency <n>', 'requests under way at once').argParser(wholeNumber(1)))
    .addOption(
      new Option('--request-timeout <s>', 'longest silence of the server (default: 300)').argParser(
        numberIn(0.01, 1e6),
      ),
    )
    .addOption(new Option('--retries <n>', 'attempts after a failed one (default: 12)').argParser(wholeNumber(0)))
    .addOption(new Option('--budget-tokens <n>', 'stop when so many tokens are spent').argParser(wholeNumber(1)))
    .addOption(
      new Option('--budget-money <x>', 'stop when so much is spent; needs --price').argParser(numberIn(0, 1e9)),
    )
    .addOption(
      new Option(
        '--price <prompt,generated>',
        'price of a million prompt and generated tokens, such as 0.15,0.6',
      ).argParser(priceOf),
    )
    .option('--cache <dir>', 'keep every reply here, and ask for none twice')
    .addOption(
      new Option('--continue <mode>', 'how the endpoint goes on from an unfinished turn').choices([
        'vllm',
        'last-turn',
        'completions',
      ]),
    )
    .option('--template <dir>', 'folder with the chat template of the endpoint’s model (for --continue completions)')
    .option('--starts-thinking', 'the template of the endpoint’s model opens the thoughts itself')
    .addOption(threadsOption());
}

export interface OpenedChatModel {
  model: ChatModel;
  /** For settings of a result: which model, by what it can be told apart. */
  identity: Record<string, unknown>;
  /** Requests that are worth having under way at once. */
  concurrency: number;
  weightsVersion: number;
  spending: () => Spending | undefined;
}

/**
 * Opens what the options name, and closes it when `use` ends. An endpoint is asked for its models first, so that a wrong
 * address, key or name ends here.
 * @param plain a task that writes prompts as the model reads them: the chat template is left out.
 * @throws HoneError('usage') unless exactly one of --model and --endpoint is given.
 */
export async function usingChatModel<T>(
  options: ChatModelOptions,
  io: Io,
  use: (opened: OpenedChatModel) => Promise<T>,
  plain = false,
): Promise<T> {
  if ((options.model === undefined) === (options.endpoint === undefined))
    throw new HoneError('usage', 'give either --model or --endpoint', {
      hint: 'Name a model folder with --model, or a server with --endpoint URL --model-name NAME.',
    });
  if (options.endpoint === undefined) return usingLocal(options, io, use, plain);
  const opened = await openEndpoint(options, options.endpoint, io);
  try {
    return await use(opened);
  } finally {
    await opened.model.close();
  }
}

async function openEndpoint(options: ChatModelOptions, url: string, io: Io): Promise<OpenedChatModel> {
  const { modelName, apiKey, cache } = options;
  if (modelName === undefined)
    throw new HoneError('usage', 'which model of the endpoint is not said', {
      where: '--model-name',
      hint: `Name it with --model-name; ${url.replace(/\/$/, '')}/models lists what there is.`,
    });
  const budget = budgetOf(options);
  const given: EndpointOptions = {
    ...{ url, model: modelName, concurrency: options.concurrency ?? 16, seed: options.seed },
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(options.requestTimeout === undefined ? {} : { timeout: options.requestTimeout }),
    ...(options.retries === undefined ? {} : { retry: { retries: options.retries } }),
    ...(budget === undefined ? {} : { budget }),
    ...(options.continue === undefined ? {} : { continueMode: options.continue }),
    ...(options.startsThinking ? { startsThinking: true } : {}),
    ...(options.template === undefined ? {} : { renderChat: await templateOf(options.template) }),
  };
  await new EndpointChatModel(given).check(io.signal);
  const replies = cache === undefined ? undefined : await openCache(cache, io);
  const model = new EndpointChatModel(replies ? { ...given, cache: replies } : given);
  return {
    model,
    identity: { ...model.identity },
    concurrency: options.concurrency ?? 16,
    weightsVersion: 0,
    spending: () => model.spending,
  };
}

type Price = NonNullable<BudgetLimits['prices']>;

/** `0.15,0.6`: the price of a million prompt tokens, and of a million generated ones. */
function priceOf(text: string): Price {
  const [promptPerMillion = NaN, completionPerMillion = NaN, ...more] = text.split(',').map(Number);
  if (more.length > 0 || !(promptPerMillion >= 0) || !(completionPerMillion >= 0))
    throw new InvalidArgumentError('Give two numbers from 0, such as 0.15,0.6.');
  return { promptPerMillion, completionPerMillion };
}

/** @throws HoneError('usage') for a limit in money without prices. */
function budgetOf({ budgetTokens, budgetMoney, price }: ChatModelOptions): BudgetLimits | undefined {
  if (budgetMoney !== undefined && price === undefined)
    throw new HoneError('usage', 'a budget in money needs prices', {
      where: '--budget-money',
      hint: 'Say what a million prompt and generated tokens cost: --price 0.15,0.6.',
    });
  if (budgetTokens === undefined && price === undefined) return undefined;
  return {
    ...(budgetTokens === undefined ? {} : { tokens: budgetTokens }),
    ...(budgetMoney === undefined ? {} : { money: budgetMoney }),
    ...(price === undefined ? {} : { prices: price }),
  };
}

async function openCache(folder: string, io: Io): Promise<ReplyCache> {
  const replies = await ReplyCache.open(folder);
  if (replies.size > 0) io.progress.note(`${replies.size} replies in ${folder}`);
  if (replies.damagedLines > 0)
    io.progress.note(`${replies.damagedLines} unreadable lines in ${folder} are passed over`, 'warn');
  return replies;
}

async function templateOf(folder: string): Promise<NonNullable<EndpointOptions['renderChat']>> {
  const template = await loadChatTemplate(folder);
  if (template) return (messages) => template.render(messages, { addGenerationPrompt: true });
  throw new HoneError('input', 'there is no chat template in this folder', {
    where: folder,
    hint: 'Give a folder with chat_template.jinja, or with chat_template in tokenizer_config.json.',
  });
}

function usingLocal<T>(
  options: ChatModelOptions,
  io: Io,
  use: (opened: OpenedChatModel) => Promise<T>,
  plain: boolean,
): Promise<T> {
  const name = options.model as string;
  return Scratch.with(async (scratch) => {
    const warn = (line: string): void => io.progress.note(line, 'warn');
    const { source, folder } = await resolveModel(name, { scratch, warn });
    const identity = await localIdentity(name, folder, plain);
    const replies = options.cache === undefined ? undefined : await openCache(options.cache, io);
    return withEngine(options, async (engine) => {
      io.progress.phase('loading the model');
      const trainable = await engine.openModel({ source });
      const sampler = await trainable.liveSampler();
      const asked = plain ? plainFolder(folder) : folder;
      const made = new SamplerChatModel({ sampler, folder: asked, name, seed: options.seed, score: scorer(trainable) });
      const { weights, template } = identity;
      const model = replies ? new CachedChatModel({ model: made, cache: replies, key: { weights, template } }) : made;
      try {
        return await use({
          ...{ model, identity: { ...identity }, concurrency: options.concurrency ?? 256 },
          ...{ weightsVersion: sampler.weightsVersion, spending: () => undefined },
        });
      } finally {
        await replies?.close();
      }
    });
  });
}

/** log p of every token given those before it. */
function scorer(model: TrainableModel): (tokens: Int32Array) => Promise<Float32Array> {
  return async (tokens) => {
    const datum = { input: tokens.slice(0, -1), target: tokens.slice(1), vectors: {} };
    return (await model.forward([datum])).logprobs[0] as Float32Array;
  };
}

/** Which model this is, by what it computes: the hash of its weights, not the name of its folder alone. */
export async function localIdentity(name: string, folder: ModelFolder, plain: boolean) {
  return {
    model: name,
    architecture: String(folder.config['model_type']),
    engine: 'local',
    weights: `sha256:${await weightsHash(folder.path)}`,
    template: plain || !folder.chatTemplate ? 'none' : `sha256:${sha256(folder.chatTemplate.source).slice(0, 16)}`,
  };
}

/** The same model without its chat template: text as it stands, behind BOS. */
function plainFolder(folder: ModelFolder): ModelFolder {
  const { bosId } = folder.tokenizer;
  const bos = bosId === undefined ? undefined : folder.tokenizer.decode([bosId], { skipSpecial: false });
  const source = '{{ bos_token }}{% for message in messages %}{{ message.content }}{% endfor %}';
  const tokens = { bos: bos ?? '', eos: undefined, pad: undefined, unk: undefined };
  return { ...folder, chatTemplate: createChatTemplate(source, tokens, folder.path) };
}
