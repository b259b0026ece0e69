import type { Problem, Response, Task, Verdict } from '../../src/tasks/types.js';
import { ReferenceEngine, decodeChars, encodeChars, type ReferenceEngineOptions } from './reference-engine.js';
import type { Rendering } from '../../src/rl/index.js';
import { RandomStream } from '../../src/core/index.js';

export const CHARS = 'abcd>';

/** Asks for a letter to come first: `a>` -> `a`, `ab`, ... A tiny model finds it by chance and learns it by reinforcement. */
export function echoTask(grade: (problem: Problem, response: Response) => Verdict = gradeEcho): Task {
  return {
    name: 'echo',
    description: 'Repeat the letter.',
    format: 'raw',
    alphabet: CHARS,
    suggestedMaxTokens: 4,
    problems: (split, seed) => ({
      size: Infinity,
      at: (index) => {
        const letter = new RandomStream(seed, split, index).pick([...'abcd']);
        return { id: `${split}-${index}`, prompt: `${letter}>`, answer: letter };
      },
    }),
    grade: (problem, response) => Promise.resolve(grade(problem, response)),
  };
}

export function gradeEcho(problem: Problem, { text }: Response): Verdict {
  const correct = text[0] === problem.answer;
  return {
    status: correct ? 'correct' : 'wrong',
    score: correct ? 1 : 0,
    extracted: text === '' ? undefined : text,
    reason: correct ? 'the letter' : 'not the letter',
    wellFormed: text.length === 1,
  };
}

export const rendering: Rendering = {
  prompt: (problem) => encodeChars(CHARS, problem.prompt),
  response: (tokens, stopReason) => ({ text: decodeChars(CHARS, tokens), tokens, stopReason }),
};

export function openEchoPolicy(seed: number, options: ReferenceEngineOptions = {}) {
  return new ReferenceEngine(options).openModel({
    source: { kind: 'random', seed, config: { chars: CHARS, hidden: 8, lags: 2, maxContext: 16 } },
  });
}
