import { call, callsOf, methodNode, turnsOf } from './call.js';
import { direct } from './direct.js';
import type { ChatModel } from '../engine/chat/index.js';
import type { CallNode, Method, Question, ThinkContext, Thought } from './types.js';

/** Who answers from cut thoughts. The paper's summariser and its prompt are not published: say which was used. */
export type Answerer =
  /** The model itself goes on behind the closed thoughts, greedily. */
  | { kind: 'self'; close?: string; maxTokens?: number }
  /** Another model reads question and thoughts. Slots of the prompt: {question}, {thoughts}. */
  | { kind: 'model'; model: ChatModel; prompt?: string; maxTokens?: number };

export interface TruncationOptions {
  /** Thinking budgets in tokens, ascending. */
  budgets: readonly number[];
  answerer?: Answerer;
  /**
   * The first `tokens` tokens of a text. Without it a share of the characters stands in, in proportion to the tokens of
   * the whole.
   */
  cut?: (text: string, tokens: number) => string;
}

export interface TruncationPoint {
  budget: number;
  /** Tokens of thinking that were kept: the budget, or all there were. */
  kept: number;
  thought: Thought;
}

const CLOSE = '\n</think>\n\nFinal answer:';
const SUMMARISE = [
  '{question}',
  '',
  'Here is the beginning of a solution:',
  '',
  '{thoughts}',
  '',
  'From what is there, give the final answer within \\boxed{}.',
].join('\n');

/**
 * Truncation probe (T1, arXiv 2501.11651, section on inference scaling): full thoughts once, then an answer from their
 * first B tokens for each budget B; accuracy against kept tokens is the curve.
 */
export async function truncationProbe(
  question: Question,
  context: ThinkContext,
  options: TruncationOptions,
): Promise<{ full: Thought; points: TruncationPoint[] }> {
  const full = await direct().run(question, context);
  const whole = callsOf(full.transcript)[0] as CallNode;
  const thoughts = whole.reasoning ?? whole.content ?? '';
  const points: TruncationPoint[] = [];
  for (const budget of options.budgets) {
    const kept = Math.min(budget, whole.completionTokens);
    const cut = options.cut ?? proportional(whole.completionTokens);
    points.push({ budget, kept, thought: await answerFrom(question, context, cut(thoughts, kept), options, budget) });
  }
  return { full, points };
}

const proportional =
  (total: number) =>
  (text: string, tokens: number): string =>
    text.slice(0, Math.round((text.length * Math.min(tokens, total)) / Math.max(1, total)));

async function answerFrom(
  question: Question,
  context: ThinkContext,
  thoughts: string,
  { answerer = { kind: 'self' } }: TruncationOptions,
  budget: number,
): Promise<Thought> {
  const label = `budget ${budget}`;
  const greedy = { temperature: 0, maxTokens: answerer.maxTokens ?? 64 };
  if (answerer.kind === 'model') {
    const filled: Record<string, string> = { question: question.prompt, thoughts };
    const prompt = (answerer.prompt ?? SUMMARISE).replace(
      /\{(question|thoughts)\}/g,
      (_, slot: string) => filled[slot] ?? '',
    );
    const node = await call({ ...context, model: answerer.model }, label, {
      ...{ messages: turnsOf({ ...question, prompt }), ...greedy },
    });
    const answer = node.content === undefined ? undefined : await context.answers.extract(node.content);
    return { text: node.content, answer, finish: node.finish, reasoned: false, transcript: node };
  }
  const content = `<think>\n${thoughts}${answerer.close ?? CLOSE}`;
  const messages = [...turnsOf(question), { role: 'assistant' as const, content }];
  const node = await call(context, label, { messages, continueAssistant: true, ...greedy });
  const text = `Answer: ${node.raw.trim()}`;
  return { text, answer: await context.answers.extract(text), finish: node.finish, reasoned: true, transcript: node };
}

/** The probe as a method: the answer at the largest budget, every point in the notes. */
export function truncation(options: TruncationOptions): Method {
  const { answerer = { kind: 'self' as const } } = options;
  return {
    name: 'truncation',
    needs: answerer.kind === 'self' ? ['continueAssistant'] : [],
    settings: { budgets: [...options.budgets], answerer: answerer.kind, cut: options.cut ? 'tokens' : 'characters' },
    run: async (question, context) => {
      const { full, points } = await truncationProbe(question, context, options);
      const last = points.at(-1)?.thought ?? full;
      const children = [full.transcript, ...points.map(({ thought }) => thought.transcript)];
      const notes = {
        points: points.map(({ budget, kept, thought }) => ({ budget, kept, answer: thought.answer ?? null })),
      };
      return { ...last, transcript: methodNode('truncation', children, notes) };
    },
  };
}
