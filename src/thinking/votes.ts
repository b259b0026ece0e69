import { HoneError } from '../core/index.js';
import { childContext, childSeed, labelled, methodNode } from './call.js';
import { direct } from './direct.js';
import type { Answers, Method, Question, ThinkContext, Thought } from './types.js';

export interface VoteOptions {
  /** Samples. */
  n: number;
  inner?: Method;
}

/** n draws of a method, side by side; draw i has a seed of its own. */
async function draws(question: Question, context: ThinkContext, n: number, inner: Method): Promise<Thought[]> {
  if (n > 1 && context.sampling.temperature === 0)
    throw new HoneError('usage', `greedy decoding gives the same answer ${n} times`, {
      where: 'temperature',
      hint: 'Set a temperature above 0.',
    });
  const indices = Array.from({ length: n }, (_, i) => i);
  return Promise.all(
    indices.map((i) => inner.run(question, childContext(context, `sample ${i + 1}`, childSeed(context, 'sample', i)))),
  );
}

const labelledDraws = (thoughts: readonly Thought[]) =>
  thoughts.map(({ transcript }, i) => labelled(transcript, `sample ${i + 1}`));

/** Indices of the thoughts by answer: each is held against the first of a group; no answer, no vote. */
export async function groupByAnswer(thoughts: readonly Thought[], same: Answers['same']): Promise<number[][]> {
  const groups: number[][] = [];
  for (const [i, { answer }] of thoughts.entries()) {
    if (answer === undefined) continue;
    let found: number[] | undefined;
    for (const group of groups) {
      found = (await same(thoughts[group[0] as number]?.answer as string, answer)) ? group : undefined;
      if (found) break;
    }
    if (found) found.push(i);
    else groups.push([i]);
  }
  return groups;
}

/**
 * Self-consistency (Wang et al. 2022): the most frequent answer of n samples. Of equally frequent ones the one that
 * was first seen; where nobody answered, the first sample.
 */
export function selfConsistency({ n, inner = direct() }: VoteOptions): Method {
  if (!Number.isInteger(n) || n < 1) throw new RangeError(`selfConsistency: ${n} samples`);
  return {
    name: 'self-consistency',
    needs: inner.needs,
    settings: { n, inner: { method: inner.name, ...inner.settings } },
    run: async (question, context) => {
      const thoughts = await draws(question, context, n, inner);
      const groups = await groupByAnswer(thoughts, context.answers.same);
      const largest = Math.max(0, ...groups.map((group) => group.length));
      const winner = groups.find((group) => group.length === largest)?.[0] ?? 0;
      const votes = groups.map((group) => ({
        answer: thoughts[group[0] as number]?.answer ?? null,
        votes: group.length,
      }));
      const notes = { votes, chosen: winner + 1 };
      const chosen = thoughts[winner] as Thought;
      return { ...chosen, transcript: methodNode('self-consistency', labelledDraws(thoughts), notes) };
    },
  };
}

/** A number for a candidate; the highest wins. */
export interface Scorer {
  readonly name: string;
  readonly needs: Method['needs'];
  score(question: Question, candidate: Thought, context: ThinkContext): number | Promise<number>;
}

export interface BestOfNOptions extends VoteOptions {
  scorer: Scorer;
}

/** The candidate with the highest score; candidates without an answer only where no other is left; ties to the first. */
export function bestOfN({ n, scorer, inner = direct() }: BestOfNOptions): Method {
  if (!Number.isInteger(n) || n < 1) throw new RangeError(`bestOfN: ${n} samples`);
  return {
    name: 'best-of-n',
    needs: [...new Set([...inner.needs, ...scorer.needs])],
    settings: { n, scorer: scorer.name, inner: { method: inner.name, ...inner.settings } },
    run: async (question, context) => {
      const asked = scorer.needs.includes('logprobs') ? { ...context, logprobs: true } : context;
      const thoughts = await draws(question, asked, n, inner);
      const scores = await Promise.all(thoughts.map((thought) => scorer.score(question, thought, context)));
      const answered = thoughts.flatMap(({ text }, i) => (text === undefined ? [] : [i]));
      const pool = answered.length > 0 ? answered : thoughts.map((_, i) => i);
      const best = pool.reduce((a, b) => ((scores[b] as number) > (scores[a] as number) ? b : a));
      const notes = { scores: scores.map((score) => (Number.isFinite(score) ? score : null)), chosen: best + 1 };
      const chosen = thoughts[best] as Thought;
      return { ...chosen, transcript: methodNode('best-of-n', labelledDraws(thoughts), notes) };
    },
  };
}

/** Mean log-probability of the tokens of the last call: the model's own confidence. -Infinity without tokens. */
export const meanLogprob: Scorer = {
  name: 'mean-logprob',
  needs: ['logprobs'],
  score: (_question, { transcript }) => {
    const last = lastCall(transcript);
    if (!last?.logprobs || last.logprobs.length === 0) return -Infinity;
    return last.logprobs.reduce((sum, { logprob }) => sum + logprob, 0) / last.logprobs.length;
  },
};

function lastCall(node: Thought['transcript']): Extract<Thought['transcript'], { kind: 'call' }> | undefined {
  if (node.kind === 'call') return node;
  const last = node.children.at(-1);
  return last && lastCall(last);
}
