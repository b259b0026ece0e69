import type {
  Capability,
  ChatModel,
  ChatSampling,
  ChatTurn,
  Finish,
  Json,
  TokenLogprob,
  ToolCall,
} from '../engine/chat/index.js';

/** What is asked: the user turn as the model reads it, with its demand for a format. */
export interface Question {
  prompt: string;
  system?: string;
}

/** How answers are read and compared. The grader of a task gives both. */
export interface Answers {
  /** The answer in a text; undefined: none was found. */
  extract(text: string): string | undefined | Promise<string | undefined>;
  /** Whether two extracted answers mean the same. */
  same(a: string, b: string): boolean | Promise<boolean>;
}

/** Everything a method has of the outside world. */
export interface ThinkContext {
  model: ChatModel;
  sampling: ChatSampling;
  /** Strings that end an answer. */
  stop?: readonly string[];
  /** Every call's seed is a pure function of this one and of the call's place. */
  seed: number;
  answers: Answers;
  signal?: AbortSignal;
  /** Ask for logprobs of every call: a scorer needs them. */
  logprobs?: boolean;
  /** Tells what happens, while it happens. */
  onEvent?: (event: ThinkEvent) => void;
}

/** One request and what came back. */
export interface CallNode {
  kind: 'call';
  label: string;
  messages: readonly ChatTurn[];
  content: string | undefined;
  reasoning: string | undefined;
  raw: string;
  finish: Finish;
  promptTokens: number;
  completionTokens: number;
  /** The server counted nothing: characters / 4. */
  estimated: boolean;
  toolCalls?: readonly ToolCall[];
  logprobs?: readonly TokenLogprob[];
  /** No part of a result that has to be the same twice. */
  timing: { seconds: number; attempts: number };
}

/** A method at work: its calls, in the order in which they were made, and what it has to say about them. */
export interface MethodNode {
  kind: 'method';
  label: string;
  method: string;
  notes: { readonly [key: string]: Json };
  children: readonly TranscriptNode[];
}

export type TranscriptNode = CallNode | MethodNode;

/** What a method found. */
export interface Thought {
  /** The final answer without thoughts; undefined: cut off before there was one. */
  text: string | undefined;
  /** The answer read out of it. */
  answer: string | undefined;
  /** How the call ended that gave the answer. */
  finish: Finish;
  /** That call had thoughts apart from its answer. */
  reasoned: boolean;
  transcript: TranscriptNode;
}

/** A way to answer a question with a model. */
export interface Method {
  readonly name: string;
  readonly needs: readonly Capability[];
  /** Everything that shapes what it does, for result files. */
  readonly settings: { readonly [key: string]: Json };
  run(question: Question, context: ThinkContext): Promise<Thought>;
}

export type ThinkEvent =
  | { type: 'start'; label: string }
  | { type: 'delta'; label: string; kind: 'reasoning' | 'content'; text: string }
  | { type: 'restart'; label: string }
  | { type: 'end'; label: string; node: CallNode }
  | { type: 'note'; label: string; text: string };

export interface ThinkTotals {
  calls: number;
  promptTokens: number;
  completionTokens: number;
  /** Sum over calls, which may have run side by side. */
  seconds: number;
}
