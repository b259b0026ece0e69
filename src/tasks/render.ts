import { HoneError } from '../core/index.js';
import { type ChatMessage, type ChatTemplate, encodeChat, encodePlain, type Tokenizer } from '../model/index.js';
import type { EpisodeCodec } from './episodes.js';
import type { Demonstration, Problem, Response, Task } from './types.js';

/** What rendering needs of a model. */
export interface RenderModel {
  tokenizer: Tokenizer;
  chatTemplate?: ChatTemplate | undefined;
}

/**
 * Prompt tokens as the model reads them. Raw tasks: BOS, where the tokenizer has one, and the text, whose markup is the
 * task's own (special-token strings in `problem.quoted` are plain text). Chat tasks: `encodeChat` of system message and
 * user turn with the generation prompt.
 * @throws HoneError usage when a chat task meets a model without a chat template.
 */
export function renderPrompt(task: Task, problem: Problem, model: RenderModel): Int32Array {
  if (task.format === 'chat')
    return encodeChat(withTemplate(task, model), messagesOf(task, problem), { addGenerationPrompt: true });
  return withBos(encodeRaw(problem, model.tokenizer), model.tokenizer.bosId);
}

function encodeRaw({ prompt, quoted = [] }: Problem, tokenizer: Tokenizer): Int32Array {
  const { contents, encode } = tokenizer.shield(quoted);
  return encode(quoted.reduce((text, part, i) => text.replaceAll(part, () => contents[i] as string), prompt));
}

/**
 * A demonstration as one training sequence, `tokens` [T]; the first `promptLength` of them are the prompt and carry
 * no loss. They equal `renderPrompt`, so the model is trained on the very prefix it will sample from. The sequence
 * ends with the token that ends a reply.
 * @throws HoneError usage when the model has no end token, or no template for a chat task.
 */
export function renderDemonstration(
  task: Task,
  demonstration: Demonstration,
  model: RenderModel,
): { tokens: Int32Array; promptLength: number } {
  const prompt = renderPrompt(task, demonstration.problem, model);
  const reply = encodePlain(model.tokenizer, demonstration.response);
  const end = task.format === 'chat' ? endOfTurn(task, demonstration, model) : endToken(model.tokenizer);
  return { tokens: Int32Array.from([...prompt, ...reply, end]), promptLength: prompt.length };
}

/**
 * The response a grader sees: text without special tokens, cut after the stop string that ended it.
 * @param tokens generated tokens, the stop token included.
 */
export function responseText(
  task: Task,
  model: RenderModel,
  tokens: Int32Array,
  stopReason: Response['stopReason'],
): Response {
  const text = model.tokenizer.decode(tokens, { skipSpecial: true });
  return { text: stopReason === 'stop' ? cutAfterStop(text, stopsOf(task) ?? []) : text, tokens, stopReason };
}

/** Strings that end a turn: those of the task and of its environment; undefined: none. */
export function stopsOf({ stop, environment }: Pick<Task, 'stop' | 'environment'>): readonly string[] | undefined {
  return environment?.stop ? [...(stop ?? []), ...environment.stop] : stop;
}

/**
 * Tokens of what an environment says after a turn of the model. Plain text (special-token strings in it too), except
 * after an end token of a chat task: there it is a user turn of the model's template with the next assistant turn opened.
 */
export function renderEnvironment(
  task: Task,
  model: RenderModel,
  text: string,
  after: Response['stopReason'],
): Int32Array {
  if (task.format !== 'chat' || after !== 'eos') return encodePlain(model.tokenizer, text);
  const said: ChatMessage[] = [
    { role: 'user', content: '.' },
    { role: 'assistant', content: '.' },
  ];
  const chat = withTemplate(task, model);
  const [before, whole] = [
    encodeChat(chat, said),
    encodeChat(chat, [...said, { role: 'user', content: text }], { addGenerationPrompt: true }),
  ];
  const end = before.findLastIndex((token) => model.tokenizer.eosIds.includes(token)) + 1;
  if (end === 0 || before.subarray(0, end).some((token, i) => whole[i] !== token))
    throw new HoneError('usage', 'the chat template changes earlier turns, so a turn cannot be appended', {
      where: `task ${task.name}`,
      hint: 'Use a model whose template writes each turn on its own, or let the environment stop at a string.',
    });
  return whole.slice(end);
}

/** Cuts after the stop string that is complete first. */
function cutAfterStop(text: string, stop: readonly string[]): string {
  const ends = stop
    .map((string) => ({ at: text.indexOf(string), length: string.length }))
    .filter(({ at }) => at >= 0)
    .map(({ at, length }) => at + length);
  return ends.length > 0 ? text.slice(0, Math.min(...ends)) : text;
}

function messagesOf(task: Task, problem: Problem): ChatMessage[] {
  const user: ChatMessage = { role: 'user', content: problem.prompt };
  return task.system === undefined ? [user] : [{ role: 'system', content: task.system }, user];
}

function withTemplate(task: Task, model: RenderModel): RenderModel {
  if (model.chatTemplate) return model;
  throw new HoneError('usage', `task ${task.name} is a chat task and the model has no chat template`, {
    hint: 'Use an instruction-tuned model, or give the task `format: raw` and write the prompt as the model should read it.',
  });
}

function withBos(tokens: Int32Array, bosId: number | undefined): Int32Array {
  return bosId === undefined || tokens[0] === bosId ? tokens : Int32Array.from([bosId, ...tokens]);
}

function endToken(tokenizer: Tokenizer): number {
  const [end] = tokenizer.eosIds;
  if (end !== undefined) return end;
  throw new HoneError('usage', 'the tokenizer has no end token, so a demonstration cannot say where it ends', {
    hint: 'Name eos_token in tokenizer_config.json or eos_token_id in generation_config.json.',
  });
}

/** The end token that the template writes after an assistant turn (models list several); else the tokenizer's first. */
function endOfTurn(task: Task, { problem, response }: Demonstration, model: RenderModel): number {
  const messages = [...messagesOf(task, problem), { role: 'assistant' as const, content: response }];
  const rendered = encodeChat(withTemplate(task, model), messages);
  const last = rendered.findLast((token) => model.tokenizer.eosIds.includes(token));
  return last ?? endToken(model.tokenizer);
}

/** How a task's turns become text for its environment, and the environment's words tokens. */
export function codecOf(task: Task, model: RenderModel): EpisodeCodec {
  return {
    text: (tokens, stopReason) => responseText(task, model, tokens, stopReason).text,
    environment: (text, after) => renderEnvironment(task, model, text, after),
  };
}
