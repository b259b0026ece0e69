import { tellReply } from './assemble.js';
import { ChatError, stopIfAborted } from './errors.js';
import { opensThoughts, unfinishedTurn } from './partial.js';
import { splitReasoning } from './reasoning.js';
import type { ChatCapabilities, ChatChoice, ChatModel, ChatOptions, ChatReply, ChatRequest, Finish } from './types.js';

/** What a script says to one request: the text alone, or the text and how it ends. */
export type ScriptedAnswer =
  string | { text: string; finish?: Finish; tokens?: number; logprob?: number; toolCalls?: ChatChoice['toolCalls'] };

export interface ScriptedOptions {
  name?: string;
  capabilities?: Partial<ChatCapabilities>;
}

/**
 * A model that says what a script says: for tests of methods, call by call. Answers keep to `maxTokens` and `stop`, with
 * a word and the space before it as a token. A list answers in order and must not run out.
 */
export class ScriptedChatModel implements ChatModel {
  readonly name: string;
  readonly capabilities: ChatCapabilities;
  readonly identity: { readonly [key: string]: string };
  /** Every request so far, in order. */
  readonly requests: ChatRequest[] = [];
  readonly #script: (request: ChatRequest, call: number) => ScriptedAnswer;

  constructor(
    script: readonly ScriptedAnswer[] | ((request: ChatRequest, call: number) => ScriptedAnswer),
    options: ScriptedOptions = {},
  ) {
    this.name = options.name ?? 'scripted';
    this.identity = { model: this.name };
    this.capabilities = {
      ...{ continueAssistant: true, scoreTokens: false, embed: false, logprobs: true, seeds: true, tools: true },
      completeText: false,
      ...options.capabilities,
    };
    this.#script = typeof script === 'function' ? script : (_, call) => inOrder(script, call);
  }

  complete(request: ChatRequest, options: ChatOptions = {}): Promise<ChatReply> {
    stopIfAborted(options.signal);
    const call = this.requests.push(request) - 1;
    const startsInside = request.continueAssistant === true && opensThoughts(unfinishedTurn(request.messages));
    const choices = Array.from({ length: request.n ?? 1 }, () =>
      choiceOf(this.#script(request, call), request, startsInside),
    );
    const completionTokens = choices.reduce((sum, { tokens }) => sum + (tokens ?? 0), 0);
    const promptTokens = request.messages.reduce((sum, { content }) => sum + words(content).length, 0);
    const reply: ChatReply = {
      choices,
      usage: { promptTokens, completionTokens, estimated: false },
      model: this.name,
    };
    tellReply(reply, options.onDelta);
    options.onTiming?.({ seconds: 0, attempts: 1 });
    return Promise.resolve(reply);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function inOrder(script: readonly ScriptedAnswer[], call: number): ScriptedAnswer {
  const answer = script[call];
  if (answer !== undefined) return answer;
  throw new ChatError('refused', `the script ends after ${script.length} answers`);
}

const words = (text: string): string[] => text.match(/\s*\S+|\s+$/g) ?? [];

function choiceOf(answer: ScriptedAnswer, request: ChatRequest, startsInside: boolean): ChatChoice {
  const said = typeof answer === 'string' ? { text: answer } : answer;
  const stopped = cutAt(said.text, request.stop ?? []);
  const all = words(stopped);
  const kept = all.slice(0, request.maxTokens ?? Infinity);
  const raw = kept.join('');
  const { logprob = -1, toolCalls } = said;
  return {
    ...splitReasoning(raw, startsInside),
    raw,
    finish: kept.length < all.length ? 'length' : (said.finish ?? (toolCalls ? 'tool_calls' : 'stop')),
    tokens: said.tokens ?? kept.length,
    ...(request.logprobs ? { logprobs: kept.map((token) => ({ token, logprob })) } : {}),
    ...(toolCalls ? { toolCalls } : {}),
  };
}

function cutAt(text: string, stop: readonly string[]): string {
  const ends = stop.map((string) => text.indexOf(string)).filter((at) => at >= 0);
  return ends.length > 0 ? text.slice(0, Math.min(...ends)) : text;
}
