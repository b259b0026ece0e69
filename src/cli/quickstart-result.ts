import { pairedDifference, type EvalResult } from '../evals/index.js';
import type { Json } from '../runs/index.js';

/** One model on the held-out problems. */
export interface Stage {
  greedy: EvalResult;
  sampled: EvalResult;
}

type JsonObject = { readonly [key: string]: Json };

function stageJson({ greedy, sampled }: Stage): JsonObject {
  const measure = ({ accuracy, ci95, n, k }: EvalResult): JsonObject => ({ accuracy, ci95: [...ci95], n, k });
  const { right, wrong } = sampled.meanTokens;
  return {
    accuracy: greedy.accuracy,
    ci95: [...greedy.ci95],
    avg4: sampled.accuracy,
    avg4ci95: [...sampled.ci95],
    wellFormed: Math.min(greedy.wellFormed ?? 0, sampled.wellFormed ?? 0),
    meanTokensRight: right,
    meanTokensWrong: wrong,
    greedy: measure(greedy),
    sampled: measure(sampled),
  };
}

function gainOf(before: EvalResult, after: EvalResult): { points: number; ci95: [number, number] } {
  const { value, ci95 } = pairedDifference(before.shares, after.shares);
  return { points: 100 * value, ci95: [100 * ci95[0], 100 * ci95[1]] };
}

/** The JSON line of the quickstart: accuracies are shares, gains are points with 95 % intervals paired by problem. */
export function resultOf(
  before: Stage,
  after: Stage,
  facts: { seconds: number; armSeconds: number; arm: string; seed: number; run: string },
): JsonObject {
  const greedy = gainOf(before.greedy, after.greedy);
  const sampled = gainOf(before.sampled, after.sampled);
  return {
    seconds: facts.seconds,
    timing: { armSeconds: facts.armSeconds },
    arm: facts.arm,
    seed: facts.seed,
    run: facts.run,
    problems: before.greedy.n,
    sft: stageJson(before),
    rl: stageJson(after),
    gain: greedy.points,
    gainCi95: greedy.ci95,
    gainAvg4: sampled.points,
    gainAvg4Ci95: sampled.ci95,
  };
}

/** First attempts of the first problems before and after, for the report; chosen without looking at the outcome. */
export function samplePairs(before: EvalResult, after: EvalResult, count = 6): Json[] {
  const first = ({ rows }: EvalResult) => rows.filter(({ sample }) => sample === 0).slice(0, count);
  const late = first(after);
  const side = (row: EvalResult['rows'][number] | undefined): Json =>
    row ? { text: row.text, status: row.verdict.status, reason: row.verdict.reason, tokens: row.tokens } : null;
  return first(before).map((row, i) => ({
    problemId: row.problemId,
    prompt: row.prompt,
    before: side(row),
    after: side(late[i]),
  }));
}
