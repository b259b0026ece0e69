import type { ChatMessage } from '../../model/index.js';

/** A value that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A function that the model may ask to have called, as the chat API describes it. */
export interface ChatTool {
  name: string;
  description?: string;
  /** JSON schema of the arguments. */
  parameters: { readonly [key: string]: Json };
}

export interface ToolCall {
  id: string;
  name: string;
  /** JSON text as the model wrote it: not checked. */
  arguments: string;
}

/** A turn of a conversation. Thoughts of earlier turns are never part of it. */
export interface ChatTurn extends ChatMessage {
  /** Assistant turns: the calls that it asked for. */
  toolCalls?: readonly ToolCall[];
  /** Tool turns: the call that this answers. */
  toolCallId?: string;
}

/** Numbers that shape sampling; what is left out is the server's own default. */
export interface ChatSampling {
  maxTokens?: number;
  /** 0: greedy. */
  temperature?: number;
  topP?: number;
  topK?: number;
  minP?: number;
}

export interface ChatRequest extends ChatSampling {
  messages: readonly ChatTurn[];
  /** Answers to draw. Default 1. */
  n?: number;
  /** Strings that end an answer; they are not part of it. */
  stop?: readonly string[];
  seed?: number;
  /** Ask for the log-probabilities of the generated tokens. */
  logprobs?: boolean;
  /** The last turn is the assistant's and unfinished: go on from its last character. Needs `continueAssistant`. */
  continueAssistant?: boolean;
  tools?: readonly ChatTool[];
  /** Further members of the request body, as the server understands them. */
  extra?: { readonly [key: string]: Json };
  /** Tells apart equal requests that are meant as separate draws. Not sent; a part of the cache's key. */
  draw?: number;
}

export type Finish = 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'aborted';

export interface TokenLogprob {
  token: string;
  /** In nats, under the distribution that the server reports. */
  logprob: number;
}

export interface ChatChoice {
  /** The answer without thoughts; undefined when the text was cut off while it was still thinking. */
  content: string | undefined;
  /** Thoughts without their tags; undefined when there are none. */
  reasoning: string | undefined;
  /** The generated text, thoughts and tags included. Where a server sends thoughts apart, tags are put around them. */
  raw: string;
  finish: Finish;
  /** Generated tokens; undefined where the server tells only the sum over several answers. */
  tokens: number | undefined;
  logprobs?: readonly TokenLogprob[];
  toolCalls?: readonly ToolCall[];
}

export interface ChatUsage {
  promptTokens: number;
  /** Over all answers. */
  completionTokens: number;
  /** True where the server told no numbers and characters / 4 stands in. */
  estimated: boolean;
}

export interface ChatReply {
  choices: readonly ChatChoice[];
  usage: ChatUsage;
  /** The model as the server names it. */
  model: string;
}

/** A piece of an answer as it arrives. Without a declared start, thoughts can only be told by their opening tag. */
export interface ChatDelta {
  choice: number;
  kind: 'reasoning' | 'content';
  text: string;
}

/** What became of a request, for accounts; no part of the reply, so replies from a cache are equal. */
export interface CallTiming {
  seconds: number;
  /** Sent to the server so many times; 0: answered by the cache. */
  attempts: number;
}

export interface ChatOptions {
  signal?: AbortSignal;
  /** A failed attempt may have told deltas already: `onRestart` says that they are void. */
  onDelta?: (delta: ChatDelta) => void;
  onRestart?: () => void;
  /** Awaited between pieces: holds up the stream of the server while the reader of ours is behind. */
  pace?: () => Promise<void> | undefined;
  onTiming?: (timing: CallTiming) => void;
}

export interface ChatCapabilities {
  continueAssistant: boolean;
  /** Log-probabilities of a given answer. */
  scoreTokens: boolean;
  embed: boolean;
  /** Log-probabilities of generated tokens. */
  logprobs: boolean;
  /** The same seed gives the same answer. */
  seeds: boolean;
  tools: boolean;
  /** Raw text completion, without a chat template. */
  completeText: boolean;
}

export type Capability = keyof ChatCapabilities;

/**
 * Messages in, completion out. Two kinds: a Sampler with its chat template, and any OpenAI-compatible endpoint; one
 * contract suite holds both (tests/support/chat-contract.ts).
 */
export interface ChatModel {
  /** What results are labelled with. */
  readonly name: string;
  readonly capabilities: ChatCapabilities;
  /** Everything that says which model this is, for result files. No secrets. */
  readonly identity: { readonly [key: string]: Json };
  /** @throws ChatError; HoneError interrupted when the signal fires. */
  complete(request: ChatRequest, options?: ChatOptions): Promise<ChatReply>;
  /** Raw text in, raw text out; `messages` is not read. Deltas are the text as it stands, all of it `content`. */
  completeText?(prompt: string, request: Omit<ChatRequest, 'messages'>, options?: ChatOptions): Promise<ChatReply>;
  /** log p of each token of `answer` as the assistant's reply to `messages`. */
  scoreTokens?(messages: readonly ChatTurn[], answer: string, options?: ChatOptions): Promise<readonly TokenLogprob[]>;
  /** One vector a text. */
  embed?(texts: readonly string[], options?: ChatOptions): Promise<readonly (readonly number[])[]>;
  close(): Promise<void>;
}
