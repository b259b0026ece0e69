import type { StopReason } from '../engine/types.js';
import {
  renderEnvironment,
  renderPrompt,
  responseText,
  type Problem,
  type RenderModel,
  type Response,
  type Task,
} from '../tasks/index.js';

/** How a problem becomes prompt tokens and a sample becomes what is graded. */
export interface Rendering {
  prompt(problem: Problem): Int32Array;
  /** What the grader sees: decoded text, cut after a stop string, without the end token. */
  response(tokens: Int32Array, stopReason: StopReason): Response;
  /** Tokens of what an environment says after a turn that ended so. A task with an environment needs it. */
  environment?(text: string, after: StopReason): Int32Array;
}

/** The rendering of a task for a model. */
export function renderingOf(task: Task, model: RenderModel): Rendering {
  return {
    prompt: (problem) => renderPrompt(task, problem, model),
    response: (tokens, stopReason) => responseText(task, model, tokens, stopReason),
    environment: (text, after) => renderEnvironment(task, model, text, after),
  };
}
