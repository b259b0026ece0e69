import { HoneError } from '../core/index.js';
import type { ChatMessage, ChatTemplate, ShieldedContents, Tokenizer } from './types.js';

/** What of a model a conversation needs; a ModelFolder has it. */
export interface ChatModel {
  readonly tokenizer: Tokenizer;
  readonly chatTemplate?: ChatTemplate | undefined;
  /** Named in errors. */
  readonly path?: string;
}

/**
 * Tokens of a conversation under the model's chat template, [T]. The template alone decides about BOS: the
 * tokenizer adds none, so a BOS that the template writes is never doubled (as transformers' apply_chat_template).
 * Control tokens come from the template alone too: a special-token string in a message is plain text (as transformers'
 * split_special_tokens), so no row of a data set can end a turn or open another.
 * @param options.addGenerationPrompt end with the opening of an assistant turn.
 * @throws HoneError('input') when the model has no chat template or the template refuses the messages.
 */
export function encodeChat(
  model: ChatModel,
  messages: readonly ChatMessage[],
  options: { addGenerationPrompt?: boolean; variables?: Record<string, unknown> } = {},
): Int32Array {
  const template = templateOf(model);
  const { shielded, encode } = shieldMessages(model.tokenizer, messages);
  return encode(template.render(shielded, options));
}

function shieldMessages(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
): { shielded: ChatMessage[]; encode: ShieldedContents['encode'] } {
  const { contents, encode } = tokenizer.shield(messages.map(({ content }) => content));
  return { shielded: messages.map((message, i) => ({ ...message, content: contents[i] as string })), encode };
}

export interface TrainingChat {
  /** [T] */
  tokens: Int32Array;
  /** 1 on the tokens of assistant turns: their content and the token that ends the turn. [T] */
  assistantMask: Uint8Array;
}

/**
 * Tokens of a conversation with the mask of what the assistant said. Where a turn begins and ends is found by
 * rendering the conversation up to it: the text before (with the generation prompt) and after it must be a prefix of
 * the whole, in text and in tokens. A turn ends with its last end-of-reply token; what the template writes after
 * that (a line break) is not the assistant's.
 * @throws HoneError('input') when there is no assistant turn, when the template changes earlier turns (so that what
 *   is trained on would not be what the model sees when it replies), or when tokens straddle a turn's border.
 */
export function encodeChatForTraining(
  model: ChatModel,
  messages: readonly ChatMessage[],
  options: { variables?: Record<string, unknown> } = {},
): TrainingChat {
  const template = templateOf(model);
  const { shielded, encode } = shieldMessages(model.tokenizer, messages);
  const whole = template.render(shielded, options);
  const tokens = encode(whole);
  const assistantMask = new Uint8Array(tokens.length);
  const turns = messages.flatMap((message, turn) => (message.role === 'assistant' ? [turn] : []));
  if (turns.length === 0) throw new HoneError('input', 'the conversation has no assistant turn to learn from');
  for (const turn of turns) {
    const prompt = template.render(shielded.slice(0, turn), { ...options, addGenerationPrompt: true });
    const reply = template.render(shielded.slice(0, turn + 1), options);
    checkTextPrefix(prompt, reply, turn);
    checkTextPrefix(reply, whole, turn);
    const start = encode(prompt);
    const end = reply === whole ? tokens : encode(reply);
    const stop = replyEnd(end, start.length, model.tokenizer.eosIds);
    checkTokenPrefix(start, start.length, tokens, turn);
    checkTokenPrefix(end, stop, tokens, turn);
    assistantMask.fill(1, start.length, stop);
  }
  return { tokens, assistantMask };
}

function templateOf(model: ChatModel): ChatTemplate {
  if (model.chatTemplate) return model.chatTemplate;
  throw new HoneError('input', 'the model has no chat template', {
    where: model.path,
    hint: 'Use an instruction-tuned model, or put a chat_template.jinja into the folder.',
  });
}

/** One past the last end-of-reply token at or after `start`; the end where the template writes none. */
function replyEnd(tokens: Int32Array, start: number, eosIds: readonly number[]): number {
  for (let i = tokens.length - 1; i >= start; i--) if (eosIds.includes(tokens[i] as number)) return i + 1;
  return tokens.length;
}

function checkTextPrefix(prefix: string, whole: string, turn: number): void {
  if (whole.startsWith(prefix)) return;
  let same = 0;
  while (prefix[same] === whole[same]) same++;
  throw new HoneError(
    'input',
    `the chat template writes turn ${turn + 1} differently depending on what follows it ` +
      `(${excerpt(prefix, same)} against ${excerpt(whole, same)})`,
    {
      hint: 'Give one row per assistant turn, with that turn last; or use a template that leaves earlier turns alone.',
    },
  );
}

function excerpt(text: string, at: number): string {
  return JSON.stringify(text.slice(at, at + 24));
}

function checkTokenPrefix(prefix: Int32Array, length: number, whole: Int32Array, turn: number): void {
  for (let i = 0; i < length; i++)
    if (prefix[i] !== whole[i])
      throw new HoneError('input', `tokens straddle the border of turn ${turn + 1} (at token ${i})`, {
        hint: 'Use a template that puts a special token between turns, or write content without leading spaces.',
      });
}

/** Tokens of a text that carries no markup: special-token strings in it are plain text. [T] */
export function encodePlain(tokenizer: Tokenizer, text: string): Int32Array {
  const { contents, encode } = tokenizer.shield([text]);
  return encode(contents[0] as string);
}
