import type { MetricsLine } from '../runs/types.js';

/** When a stage ends: at the first of its rules that holds. With none of them it is the last. */
export interface StageEnd {
  /** Iterations of the stage. */
  iterations: number | null;
  /** Validation scores have stopped rising, see `slope`. */
  plateau: { window: number; slope: number } | null;
  /** A smaller share of an iteration's samples was cut at the length limit. */
  truncatedBelow: number | null;
}

/** Where a run stands in its stages. A function of the metrics so far (`stageAfter`), so no checkpoint has to hold it. */
export interface StageState {
  /** Stage of the next iteration, from 0. */
  stage: number;
  /** Iterations done in it. */
  iterations: number;
  /** Validation scores within the stage, oldest first. */
  scores: readonly number[];
}

export const FIRST_STAGE: StageState = { stage: 0, iterations: 0, scores: [] };

/**
 * How fast a moving average rises: (mean of the last W scores - mean of the W before) / W, per score.
 * undefined: fewer than 2 W scores yet.
 */
export function slope(scores: readonly number[], window: number): number | undefined {
  if (scores.length < 2 * window) return undefined;
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [before, last] = [scores.slice(-2 * window, -window), scores.slice(-window)];
  return (mean(last) - mean(before)) / window;
}

/** Why a stage ends after an iteration that `state` counts already; undefined: it goes on. */
export function stageEnds(until: StageEnd, state: StageState, line: MetricsLine): keyof StageEnd | undefined {
  const { iterations, plateau, truncatedBelow } = until;
  if (iterations !== null && state.iterations >= iterations) return 'iterations';
  const rise = plateau === null ? undefined : slope(state.scores, plateau.window);
  if (plateau !== null && rise !== undefined && rise < plateau.slope) return 'plateau';
  const truncated = truncatedShare(line);
  if (truncatedBelow !== null && truncated !== undefined && truncated < truncatedBelow) return 'truncatedBelow';
  return undefined;
}

/** Share of an iteration's samples that were cut at the length limit, right or wrong. */
export function truncatedShare(line: MetricsLine): number | undefined {
  const share = line['truncated.share'];
  return typeof share === 'number' ? share : undefined;
}

/** The state with one more iteration, in the same stage. */
export function counted(state: StageState, line: MetricsLine): StageState {
  const score = line['val.score'];
  const scores = typeof score === 'number' ? [...state.scores, score] : state.scores;
  return { ...state, iterations: state.iterations + 1, scores };
}

/** The state after one more iteration. The last stage never ends. */
export function stageAt(stages: readonly { until: StageEnd }[], state: StageState, line: MetricsLine): StageState {
  const seen = counted(state, line);
  const until = stages[state.stage]?.until;
  const isLast = state.stage >= stages.length - 1;
  if (until === undefined || isLast || stageEnds(until, seen, line) === undefined) return seen;
  return { stage: state.stage + 1, iterations: 0, scores: [] };
}

/** The state after the iterations that metrics were written of. */
export function stageAfter(stages: readonly { until: StageEnd }[], lines: readonly MetricsLine[]): StageState {
  return lines.reduce((state, line) => stageAt(stages, state, line), FIRST_STAGE);
}
