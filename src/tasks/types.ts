import type { RandomStream } from '../core/index.js';

export type Split = 'train' | 'test';

/** One thing to ask. Serialisable: it is stored with rollouts. */
export interface Problem {
  /** Unique within its task, stable over versions, e.g. `train-000123`. */
  id: string;
  /** What the model is asked. A task for a chat model gives `messages` content; a raw task gives the text as the model reads it. */
  prompt: string;
  /** Raw tasks: the parts of `prompt` that come from data. Special-token strings in them are plain text; the rest of the prompt is the task's own markup. */
  quoted?: readonly string[];
  /** Gold answer where one exists. */
  answer?: string;
  /** Whatever the grader needs besides. */
  data?: Record<string, unknown>;
  /** Knob or label, for metrics by difficulty. */
  difficulty?: number;
}

/** A run of tokens with one origin. Never re-tokenised. */
export interface Segment {
  tokens: Int32Array;
  source: 'prompt' | 'model' | 'tool';
  /** As the grader and the environment read it: cut after a stop string, without the end token. */
  text?: string;
  logprobs?: Float32Array;
  version?: number;
}

/** A model's answer as the grader sees it. */
export interface Response {
  /** Decoded text, cut after a stop string, without the end token. With an environment: all segments joined. */
  text: string;
  tokens: Int32Array;
  stopReason: 'eos' | 'stop' | 'length' | 'aborted';
  /** In a task with an environment: the turns of the model and what the environment said to them. */
  segments?: readonly Segment[];
}

export interface Verdict {
  status: 'correct' | 'wrong' | 'no_verdict';
  /** 0..1; 1 for correct, 0 for wrong unless the task grants partial credit. */
  score: number;
  /** For no_verdict: whose fault; for wrong: `response` when a limit of ours was hit by the response. */
  cause?: 'gold' | 'grader' | 'response';
  /** Named parts of the score. */
  components?: Record<string, number>;
  /** The answer that was read out of the response; undefined: none was found. */
  extracted?: string;
  /** One line for a person. */
  reason: string;
  /** The response keeps the task's format (whether right or wrong). Undefined: the task has no format to keep. */
  wellFormed?: boolean;
}

/** One worked solution to imitate. */
export interface Demonstration {
  problem: Problem;
  response: string;
}

export interface ProblemSource {
  /** Number of distinct problems; Infinity for a family that draws them. */
  readonly size: number;
  /**
   * Problem `index`, a pure function of (task options, split, seed, index). Defined for every index >= 0: from `size` on,
   * the problems come again in a new order.
   */
  at(index: number): Problem;
}

export interface Task {
  readonly name: string;
  readonly description: string;
  /** `raw`: prompt and response are plain text for the model; `chat`: the model's chat template is applied to the prompt as a user turn. */
  readonly format: 'raw' | 'chat';
  /** System message for chat tasks. */
  readonly system?: string;
  /** Strings that end a response, besides EOS. */
  readonly stop?: readonly string[];
  /** Characters a raw task uses, for building a tiny character tokenizer; undefined: free text. */
  readonly alphabet?: string;
  /** Upper bound for a response in tokens that fits every demonstration. */
  readonly suggestedMaxTokens: number;
  /** The problems of a split under a seed. Train and test are disjoint for every pair of seeds. */
  problems(split: Split, seed: number): ProblemSource;
  /** The rules that `grade` applies, for result files; undefined: the task's own. */
  readonly grader?: { profile: string; version: number };
  grade(problem: Problem, response: Response, context?: { signal?: AbortSignal }): Promise<Verdict>;
  /** Demonstrations, where the task can make them. `plain`: a straight solution; `search`: trial, error and self-verification. */
  demonstrate?(problem: Problem, style: 'plain' | 'search', random: RandomStream): Demonstration;
  /** A text that must grade correct, where the gold answer gives one: for checking gold against gold, not to imitate. */
  goldResponse?(problem: Problem): string | undefined;
  /** How much a response searches, from 0 to 1, right or wrong: counted, not judged. What an exploration reward pays for. */
  effort?(problem: Problem, response: Response): number;
  environment?: Environment;
}

/**
 * Tools and many turns. Absent: one prompt, one answer.
 *
 * A turn of the model ends with the end token, or with a stop string of the task or of the environment. It is handed to
 * `step`; what that appends is encoded once and put after the turn, and the model goes on.
 */
export interface Environment {
  /** Strings that end a turn, besides `Task.stop`. */
  readonly stop?: readonly string[];
  /** Turns of the model that suffice for every demonstration; what an evaluation allows. */
  readonly suggestedMaxTurns: number;
  /** A fresh state for one attempt. Draws come from `random` alone. */
  reset(problem: Problem, random: RandomStream): Promise<EnvironmentState>;
}
export interface EnvironmentState {
  /**
   * @param modelText the newest turn, cut after the stop string. @returns what to append (not read when `done`), whether
   * the attempt is over, and a reward for the turn, which is added to that of the verdict.
   */
  step(modelText: string): Promise<{ append: string; done: boolean; reward?: number }>;
}
