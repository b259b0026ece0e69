import { HoneError, RandomStream } from '../../core/index.js';
import { type ChatMessage, type ChatTemplate, encodeChat, type ModelFolder } from '../../model/index.js';
import type { Sample, SampleParams, Sampler, SampleRequest } from '../types.js';
import { ChatError, interrupted, stopIfAborted } from './errors.js';
import { joinPartial, opensThoughts, unfinishedTurn } from './partial.js';
import { splitReasoning } from './reasoning.js';
import { StreamedChoice } from './streamed.js';
import { tellReply } from './assemble.js';
import type {
  ChatCapabilities,
  ChatChoice,
  ChatDelta,
  ChatModel,
  ChatOptions,
  ChatReply,
  ChatRequest,
  ChatTurn,
  Finish,
  Json,
  TokenLogprob,
} from './types.js';

export interface SamplerChatOptions {
  sampler: Sampler;
  folder: ModelFolder;
  name: string;
  /** What results say about the model besides its name. */
  identity?: { readonly [key: string]: Json };
  /** Seed of requests that name none: request i draws seed i of its stream. Default 0. */
  seed?: number;
  /** Log-probabilities of tokens[i] given tokens[..i], [T - 1], for `scoreTokens`. A TrainableModel's forward gives them. */
  score?: (tokens: Int32Array) => Promise<Float32Array>;
  /** Requests handed to the sampler at once; those that come while it works wait for the next turn. Default 256. */
  batch?: number;
}

const FINISHES: Readonly<Record<Sample['stopReason'], Finish>> = {
  eos: 'stop',
  stop: 'stop',
  length: 'length',
  aborted: 'aborted',
};

/** What most servers take where a request names no limit. */
const DEFAULT_MAX_TOKENS = 1024;

interface Prompt {
  tokens: Int32Array;
  /** It has opened the thoughts. */
  inside: boolean;
  /** Of a text, not of a chat. */
  rawText: boolean;
}

interface Waiting {
  request: SampleRequest;
  signal: AbortSignal | undefined;
  resolve: (samples: Sample[]) => void;
  reject: (error: unknown) => void;
  onToken: ((sample: number, token: number) => void) | undefined;
}

/**
 * A Sampler and its model's chat template as a ChatModel. Requests that come together are sampled together, and what
 * their prompts have in common is read once.
 */
export class SamplerChatModel implements ChatModel {
  readonly name: string;
  readonly identity: { readonly [key: string]: Json };
  readonly capabilities: ChatCapabilities;
  readonly #options: SamplerChatOptions;
  readonly #batch: number;
  #waiting: Waiting[] = [];
  #working = false;
  #unseeded = 0;

  constructor(options: SamplerChatOptions) {
    this.#options = options;
    this.#batch = options.batch ?? 256;
    this.name = options.name;
    this.identity = { model: options.name, weightsVersion: options.sampler.weightsVersion, ...options.identity };
    this.capabilities = {
      continueAssistant: true,
      scoreTokens: options.score !== undefined,
      embed: false,
      logprobs: true,
      seeds: true,
      tools: false,
      completeText: true,
    };
  }

  async complete(request: ChatRequest, options: ChatOptions = {}): Promise<ChatReply> {
    if (request.tools !== undefined)
      throw new ChatError('refused', `${this.name} knows no function calling`, {
        where: 'tools',
        hint: 'Use the tool loop over code blocks, or an endpoint that knows function calling.',
      });
    return this.#sample({ ...this.#prompt(request), rawText: false }, request, options);
  }

  async completeText(
    prompt: string,
    request: Omit<ChatRequest, 'messages'>,
    options: ChatOptions = {},
  ): Promise<ChatReply> {
    const { tokenizer } = this.#options.folder;
    const encoded = tokenizer.encode(prompt);
    const bos = tokenizer.bosId;
    const tokens = bos === undefined || encoded[0] === bos ? encoded : Int32Array.from([bos, ...encoded]);
    return this.#sample({ tokens, inside: opensThoughts(prompt), rawText: true }, request, options);
  }

  async scoreTokens(messages: readonly ChatTurn[], answer: string): Promise<readonly TokenLogprob[]> {
    const { score, folder } = this.#options;
    if (score === undefined) throw new ChatError('refused', `${this.name} was opened without scoring`);
    const prompt = encodeChat(folder, plainMessages(messages), { addGenerationPrompt: true });
    const said = folder.tokenizer.encode(answer);
    const logprobs = await score(Int32Array.from([...prompt, ...said]));
    return Array.from(said, (id, i) => ({
      token: folder.tokenizer.decode([id], { skipSpecial: false }),
      logprob: logprobs[prompt.length - 1 + i] as number,
    }));
  }

  close(): Promise<void> {
    return this.#options.sampler.dispose();
  }

  /**
   * Tokens of the prompt, in which control tokens come from the template alone; of an unfinished turn, the template's
   * opening of the turn and then its text as it stands, whose markup is the model's own.
   */
  #prompt(request: ChatRequest): { tokens: Int32Array; inside: boolean } {
    const { folder } = this.#options;
    const { messages, continueAssistant } = request;
    const turns = continueAssistant ? messages.slice(0, -1) : messages;
    const { contents, encode } = folder.tokenizer.shield(turns.map(({ content }) => content));
    const shielded = turns.map(({ role }, i) => ({ role, content: contents[i] as string }));
    const opening = templateOf(folder).render(shielded, { addGenerationPrompt: true });
    const opened = /<think>\s*$/.test(opening);
    if (!continueAssistant) return { tokens: encode(opening), inside: opened };
    const partial = unfinishedTurn(messages);
    const inside = opensThoughts(partial) || (opened && !partial.includes('</think>'));
    return { tokens: encode(joinPartial(opening, partial)), inside };
  }

  async #sample(
    { tokens: promptTokens, inside, rawText }: Prompt,
    request: Omit<ChatRequest, 'messages'>,
    options: ChatOptions,
  ): Promise<ChatReply> {
    stopIfAborted(options.signal);
    const started = performance.now();
    const params = this.#params(promptTokens.length, request);
    const streams =
      options.onDelta && this.#streams({ n: params.n, startsInside: inside, rawText }, request, options.onDelta);
    const onToken = streams && ((sample: number, token: number): void => streams[sample]?.push(token));
    const samples = await this.#queued({ promptTokens, params }, options.signal, onToken);
    const choices = samples.map((sample) => this.#choice(sample, inside, request));
    const completionTokens = samples.reduce((sum, { tokens }) => sum + tokens.length, 0);
    const reply: ChatReply = {
      choices,
      usage: { promptTokens: promptTokens.length, completionTokens, estimated: false },
      model: this.name,
    };
    const told = streams?.map((stream, i) => stream.end(choices[i]?.raw ?? '')) ?? [];
    if (told.includes(false)) {
      options.onRestart?.();
      tellReply(reply, options.onDelta, rawText);
    }
    options.onTiming?.({ seconds: (performance.now() - started) / 1000, attempts: 1 });
    return reply;
  }

  #streams(
    { n, ...how }: { n: number; startsInside: boolean; rawText: boolean },
    { stop = [] }: Pick<ChatRequest, 'stop'>,
    tell: NonNullable<ChatOptions['onDelta']>,
  ): StreamedChoice[] {
    const { tokenizer } = this.#options.folder;
    return Array.from({ length: n }, (_, choice) => {
      const emit = (kind: ChatDelta['kind'], text: string): void => tell({ choice, kind, text });
      return new StreamedChoice({ tokenizer, stop, emit, ...how });
    });
  }

  #params(promptLength: number, request: Omit<ChatRequest, 'messages'>): SampleParams {
    const { sampler, seed = 0 } = this.#options;
    const room = sampler.maxContext - promptLength;
    if (room < 1)
      throw new ChatError('context', `the prompt has ${promptLength} tokens of a context of ${sampler.maxContext}`, {
        where: this.name,
        hint: 'Shorten the prompt, or use a model with a longer context.',
      });
    const { n = 1, maxTokens = DEFAULT_MAX_TOKENS, temperature = 1, topP, topK, minP, stop } = request;
    return {
      ...{ n, temperature, topP, topK, minP },
      maxTokens: Math.min(maxTokens, room),
      // An empty list means EOS alone here; to a Sampler it would mean no end at all.
      ...(stop && stop.length > 0 ? { stop } : {}),
      seed: request.seed ?? new RandomStream(seed, 'chat').seed(this.#unseeded++),
    };
  }

  #choice(sample: Sample, startsInside: boolean, request: Omit<ChatRequest, 'messages'>): ChatChoice {
    const { tokenizer } = this.#options.folder;
    const decoded = tokenizer.decode(sample.tokens, { skipSpecial: true });
    const raw = sample.stopReason === 'stop' ? cutBeforeStop(decoded, request.stop ?? []) : decoded;
    const logprobs = request.logprobs ? this.#logprobs(sample) : undefined;
    return {
      ...splitReasoning(raw, startsInside),
      raw,
      finish: FINISHES[sample.stopReason],
      tokens: sample.tokens.length,
      ...(logprobs ? { logprobs } : {}),
    };
  }

  #logprobs({ tokens, rawLogprobs }: Sample): TokenLogprob[] | undefined {
    const { tokenizer } = this.#options.folder;
    if (rawLogprobs === undefined) return undefined;
    return Array.from(tokens, (id, i) => ({
      token: tokenizer.decode([id], { skipSpecial: false }),
      logprob: rawLogprobs[i] as number,
    }));
  }

  #queued(request: SampleRequest, signal: AbortSignal | undefined, onToken: Waiting['onToken']): Promise<Sample[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, signal, resolve, reject, onToken });
      // A turn of the event loop, so that callers who start together are sampled together.
      if (!this.#working) {
        this.#working = true;
        setImmediate(() => void this.#work());
      }
    });
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#batch);
      const asked = batch.filter(({ signal, reject }) => !signal?.aborted || void reject(interrupted(signal)));
      if (asked.length > 0) await this.#together(asked);
    }
    this.#working = false;
  }

  /** The sampler is stopped once nobody waits for it any more. */
  async #together(batch: readonly Waiting[]): Promise<void> {
    const controller = new AbortController();
    let present = batch.length;
    const leave = (): void => void (--present === 0 && controller.abort());
    for (const { signal } of batch) signal?.addEventListener('abort', leave, { once: true });
    try {
      const requests = batch.map(({ request }) => request);
      const listened = batch.some(({ onToken }) => onToken !== undefined);
      const results = await this.#options.sampler.sampleBatch(requests, {
        signal: controller.signal,
        ...(listened ? { onToken: (r, sample, token) => batch[r]?.onToken?.(sample, token) } : {}),
      });
      batch.forEach(({ signal, resolve, reject }, i) =>
        signal?.aborted ? reject(interrupted(signal)) : resolve(results[i] as Sample[]),
      );
    } catch (error) {
      for (const { signal, reject } of batch) reject(signal?.aborted ? interrupted(signal) : error);
    } finally {
      for (const { signal } of batch) signal?.removeEventListener('abort', leave);
    }
  }
}

const plainMessages = (messages: readonly ChatTurn[]): ChatMessage[] =>
  messages.map(({ role, content }) => ({ role, content }));

function templateOf(folder: ModelFolder): ChatTemplate {
  if (folder.chatTemplate) return folder.chatTemplate;
  throw new HoneError('usage', 'the model has no chat template', {
    where: folder.path,
    hint: 'Use an instruction-tuned model, or put a chat_template.jinja into the folder.',
  });
}

/** The text before the stop string that is complete first. */
function cutBeforeStop(text: string, stop: readonly string[]): string {
  const found = stop.map((string) => ({ at: text.indexOf(string), length: string.length })).filter(({ at }) => at >= 0);
  const first = found.sort((a, b) => a.at + a.length - (b.at + b.length))[0];
  return first ? text.slice(0, first.at) : text;
}
