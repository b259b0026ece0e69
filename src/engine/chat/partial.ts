import { HoneError } from '../../core/index.js';
import type { ChatTurn } from './types.js';

/** The text of the unfinished assistant turn. @throws HoneError('usage') when the last turn is not the assistant's. */
export function unfinishedTurn(messages: readonly ChatTurn[]): string {
  const last = messages.at(-1);
  if (last?.role === 'assistant') return last.content;
  throw new HoneError('usage', 'there is no assistant turn to go on from', { where: 'continueAssistant' });
}

/** A prompt that has opened the thoughts already takes no second opening tag. */
export function joinPartial(prompt: string, partial: string): string {
  const opened = /<think>\s*$/.test(prompt);
  return prompt + (opened ? partial.replace(/^\s*<think>\s*/, '') : partial);
}

/** Whether a text leaves its thoughts open. */
export function opensThoughts(text: string): boolean {
  return text.lastIndexOf('<think>') > text.lastIndexOf('</think>');
}
