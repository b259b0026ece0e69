import { childContext, childSeed, labelled, methodNode } from './call.js';
import { direct } from './direct.js';
import { AGAIN_PROMPT, fillSlots } from './prompts/index.js';
import type { Method, Thought } from './types.js';

/**
 * What a round is shown of the one before. `text`: everything behind the thoughts; `extracted`: the answer alone;
 * `auto`: the text where there are thoughts apart from it, the extracted answer otherwise (the paper is silent; this
 * is the reading that keeps older reasoning out in both cases).
 */
export type ShownAnswer = 'auto' | 'text' | 'extracted';

export interface MultiRoundOptions {
  /** Rounds in all; the paper has 2 for all models and up to 4 for one. */
  rounds: number;
  shows?: ShownAnswer;
  /** What a round is. Default: one call. */
  inner?: Method;
}

/**
 * Multi-round Thinking (arXiv 2503.19855, section 2): P_n = P_user + A_{n-1}, every round a new conversation that
 * sees the last answer and none of the reasoning. Fixed rounds, no early stop, no vote; the last answer counts. A round
 * without an answer keeps the one before (the paper is silent) and is counted in `notes.kept`.
 */
export function multiRound(options: MultiRoundOptions): Method {
  const { rounds, shows = 'auto', inner = direct() } = options;
  if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError(`multiRound: ${rounds} rounds`);
  return {
    name: 'multi-round',
    needs: inner.needs,
    settings: { rounds, shows, prompt: AGAIN_PROMPT, inner: { method: inner.name, ...inner.settings } },
    run: async (question, context) => {
      let last: Thought | undefined;
      let shown: string | undefined;
      let kept = 0;
      const answers: (string | null)[] = [];
      const children = [];
      for (let round = 1; round <= rounds; round++) {
        const label = `round ${round}`;
        const seed = round === 1 ? context.seed : childSeed(context, 'round', round);
        const prompt = shown === undefined ? question.prompt : again(question.prompt, shown);
        const thought = await inner.run({ ...question, prompt }, childContext(context, label, seed));
        children.push(labelled(thought.transcript, label));
        const next = shownAnswer(thought, shows);
        if (next === undefined) kept++;
        if (next !== undefined || last === undefined) last = thought;
        shown = next ?? shown;
        answers.push(thought.answer ?? null);
      }
      const found = last as Thought;
      return { ...found, transcript: methodNode('multi-round', children, { kept, answers }) };
    },
  };
}

function again(prompt: string, answer: string): string {
  return fillSlots(AGAIN_PROMPT, { 'Original question prompt': prompt, 'last round answer': answer });
}

function shownAnswer({ text, answer, reasoned }: Thought, shows: ShownAnswer): string | undefined {
  const whole = shows === 'text' || (shows === 'auto' && reasoned);
  const shown = whole ? text?.trim() : answer;
  return shown === '' ? undefined : shown;
}
