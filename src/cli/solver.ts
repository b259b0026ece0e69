import type { ChatModel, ChatSampling, Finish } from '../engine/chat/index.js';
import type { Solver } from '../evals/index.js';
import { compareAnswers, extractAnswer, type Problem, type Response, type Task } from '../tasks/index.js';
import { type Answers, type Method, totals, withoutTiming, callsOf } from '../thinking/index.js';

const STOP_REASONS: Readonly<Record<Finish, Response['stopReason']>> = {
  stop: 'eos',
  tool_calls: 'eos',
  length: 'length',
  content_filter: 'aborted',
  aborted: 'aborted',
};

/** Which comparison decides whether two answers are the same: the one line to change for another grader. */
export const sameAnswer = (a: string, b: string): boolean => compareAnswers(a, b).equal === true;

/**
 * How answers to a problem are read. A chat task's answers stand where every rule looks for them; a raw task's own
 * grader says what it has read.
 */
export function answersFor(task: Task, problem: Problem): Answers {
  if (task.format === 'chat') return { extract: (text) => extractAnswer(text)?.answer, same: sameAnswer };
  const extract = async (text: string): Promise<string | undefined> => {
    const response: Response = { text, tokens: new Int32Array(0), stopReason: 'eos' };
    return (await task.grade(problem, response)).extracted;
  };
  return { extract, same: (a, b) => a === b || sameAnswer(a, b) };
}

export interface SolverOptions {
  method: Method;
  model: ChatModel;
  task: Task;
  sampling: ChatSampling;
}

/** A method of thinking with a model, as what an evaluation asks. */
export function methodSolver({ method, model, task, sampling }: SolverOptions): Solver {
  return async (problem, { seed, signal }) => {
    const question = { prompt: problem.prompt, ...(task.system === undefined ? {} : { system: task.system }) };
    const thought = await method.run(question, {
      ...{ model, sampling, seed, answers: answersFor(task, problem) },
      ...(task.stop ? { stop: task.stop } : {}),
      ...(signal ? { signal } : {}),
    });
    const calls = callsOf(thought.transcript);
    const cost = totals(thought.transcript);
    return {
      text: thought.text ?? '',
      stopReason: STOP_REASONS[thought.finish],
      ...{ promptTokens: cost.promptTokens, tokens: cost.completionTokens, calls: cost.calls },
      ...(calls.some(({ estimated }) => estimated) ? { estimated: true } : {}),
      transcript: withoutTiming(thought.transcript),
      timing: { seconds: cost.seconds, attempts: calls.reduce((sum, { timing }) => sum + timing.attempts, 0) },
    };
  };
}
