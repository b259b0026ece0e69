import { call, methodNode, turnsOf } from './call.js';
import type { CallNode, Method, ThinkContext, Thought } from './types.js';

export interface BudgetForcingOptions {
  /** Most tokens of thinking, all continuations together. */
  cap: number;
  /** How often an end of thinking is suppressed. Default 0. */
  waits?: number;
  /** What is appended when an end is suppressed. */
  word?: string;
  /** Most tokens of the answer after the thoughts. Default 256. */
  answerTokens?: number;
  /** Opening of the thoughts. */
  open?: string;
  /** The string by which the model ends its thoughts. */
  end?: string;
  /** What closes the thoughts and leads to the answer; the answer follows. */
  close?: string;
}

/** Markers of the s1 models (simplescaling/s1, README at 77272c6). */
export const S1_MARKERS = {
  open: '<|im_start|>think',
  end: '<|im_start|>',
  close: '\n<|im_start|>answer\nFinal Answer:',
} as const;

/**
 * Budget forcing (s1, arXiv 2501.19393, section 3; simplescaling/s1 README). Upper bound: after `cap` tokens of thinking
 * the thoughts are closed and the answer is asked for. Lower bound: an end of thinking is suppressed `waits` times, each
 * time with `word` in its place, within what is left of the cap.
 */
export function budgetForcing(options: BudgetForcingOptions): Method {
  const markers = { open: '<think>\n', end: '</think>', close: '\n</think>\n\nFinal Answer:' };
  const settings = { waits: 0, word: 'Wait', answerTokens: 256, ...markers, ...options };
  if (!Number.isInteger(settings.cap) || settings.cap < 1) throw new RangeError(`budgetForcing: cap ${settings.cap}`);
  return {
    name: 'budget-forcing',
    needs: ['continueAssistant'],
    settings,
    run: async (question, context) => {
      const turns = turnsOf(question);
      const children: CallNode[] = [];
      const goOn = async (text: string, label: string, limit: number, stop: readonly string[]): Promise<CallNode> => {
        const messages = [...turns, { role: 'assistant' as const, content: text }];
        const node = await call(context, label, { messages, continueAssistant: true, maxTokens: limit, stop });
        children.push(node);
        return node;
      };
      const { text, spent, waits, capped } = await thinkWithin(settings, goOn);
      const answer = await goOn(text + settings.close, 'answer', settings.answerTokens, context.stop ?? []);
      const notes = { thinkingTokens: spent, waits, capped };
      return { ...(await answered(answer, context)), transcript: methodNode('budget-forcing', children, notes) };
    },
  };
}

type GoOn = (text: string, label: string, limit: number, stop: readonly string[]) => Promise<CallNode>;

async function thinkWithin(settings: Required<BudgetForcingOptions>, goOn: GoOn) {
  let text = settings.open;
  let spent = 0;
  let waits = 0;
  for (;;) {
    const node = await goOn(text, waits === 0 ? 'think' : `wait ${waits}`, settings.cap - spent, [settings.end]);
    text += node.raw;
    spent += node.completionTokens;
    const capped = node.finish === 'length' || spent >= settings.cap;
    if (capped || waits >= settings.waits) return { text, spent, waits, capped };
    text += settings.word;
    waits++;
  }
}

/** The last call is the answer alone: its raw text, whatever it looks like. */
async function answered(node: CallNode, context: ThinkContext): Promise<Omit<Thought, 'transcript'>> {
  const text = node.raw.trim();
  const found = await context.answers.extract(text);
  // An answer that stands without a mark would not be found again.
  const marked = found === undefined ? `Answer: ${text}` : text;
  const answer = found ?? (await context.answers.extract(marked));
  return { text: answer === undefined ? text : marked, answer, finish: node.finish, reasoned: true };
}
