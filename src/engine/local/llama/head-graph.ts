import { Graph } from '../graph/graph.js';
import type { Value } from '../graph/values.js';

/** Which graph: `rows` positions at a time, and what it computes for them. */
export interface HeadGraphKey {
  rows: number;
  vocabSize: number;
  hiddenSize: number;
  /** Full-vocabulary entropy as an output, and its coefficient as an input of the backward pass. */
  entropy: boolean;
  /** Derivatives by the hidden rows and, with `weight`, by the matrix. */
  backward: boolean;
  weight: boolean;
}

/** Names of the graph's inputs and outputs. */
export const HEAD_IO = {
  hidden: 'hidden',
  matrix: 'matrix',
  targets: 'targets',
  inverseTemperature: 'inverse_temperature',
  logits: 'logits',
  logprobs: 'logprobs',
  entropy: 'entropy',
  dLogprobs: 'd_logprobs',
  dEntropy: 'd_entropy',
  dHidden: 'd_hidden',
  /** Input: the matrix's gradient so far. Output: with these rows' added, except for the target rows (see below). */
  accumulator: 'accumulator',
  gradient: 'gradient',
} as const;

interface Head {
  g: Graph;
  x: Value;
  matrix: Value;
  logits: Value;
  inverseTemperature: Value;
}

/** z = x W^T / T, [R, V]; the temperature divides x, which is the smaller. */
function head({ rows, vocabSize, hiddenSize }: Pick<HeadGraphKey, 'rows' | 'vocabSize' | 'hiddenSize'>): Head {
  const g = new Graph();
  const matrix = g.input(HEAD_IO.matrix, 'float32', [vocabSize, hiddenSize]);
  const inverseTemperature = g.input(HEAD_IO.inverseTemperature, 'float32', []);
  const x = g.mul(g.input(HEAD_IO.hidden, 'float32', [rows, hiddenSize]), inverseTemperature);
  return { g, x, matrix, logits: g.linear(x, matrix), inverseTemperature };
}

/** Builds the graph whose output is the logits themselves, [R, V]: for comparing models. */
export function headLogitsGraph(key: Pick<HeadGraphKey, 'rows' | 'vocabSize' | 'hiddenSize'>): Graph {
  const { g, logits } = head(key);
  g.output(HEAD_IO.logits, logits);
  return g;
}

/**
 * Builds the LM head over some rows: logprob and entropy, and the chain rule from their derivatives dl, dH down to the
 * hidden rows and the matrix, all within [rows, vocabulary].
 *
 * With p = softmax(z) and l = log p[target]: dz = dl (onehot - p) - dH p (log p + H).
 * The onehot term never touches the vocabulary: in dx it is the target's row of W, and in dW it is dl x added to the
 * target's row, which the caller does (`addTargetRows`).
 */
export function headGraph(key: HeadGraphKey): Graph {
  const { g, x, matrix, logits, inverseTemperature } = head(key);
  const column = [key.rows, 1] as const;
  const targets = g.input(HEAD_IO.targets, 'int64', column);
  const logp = g.node('LogSoftmax', [logits]);
  g.output(HEAD_IO.logprobs, g.node('GatherElements', [logp, targets]));
  const p = g.node('Exp', [logp]);
  const entropy = key.entropy ? g.neg(g.sum(g.mul(p, logp), [1])) : undefined;
  if (entropy) g.output(HEAD_IO.entropy, entropy);
  if (!key.backward) return g;

  const dl = g.input(HEAD_IO.dLogprobs, 'float32', column);
  const targetRows = g.reshape(g.node('Gather', [matrix, targets]), [key.rows, key.hiddenSize]);
  const dx = (spread: Value): void =>
    g.output(HEAD_IO.dHidden, g.mul(g.add(g.mul(targetRows, dl), spread), inverseTemperature));
  const dW = (rows: Value, scaled: Value): void => {
    if (!key.weight) return;
    const accumulator = g.input(HEAD_IO.accumulator, 'float32', [key.vocabSize, key.hiddenSize]);
    g.output(HEAD_IO.gradient, g.node('Gemm', [rows, scaled, accumulator], { transA: 1 }));
  };
  if (!entropy) {
    // Row factors commute with the products, so they scale [R, H] and not [R, V].
    const minus = g.neg(dl);
    dx(g.mul(g.node('Gemm', [p, matrix]), minus));
    dW(p, g.mul(x, minus));
    return g;
  }
  const dH = g.input(HEAD_IO.dEntropy, 'float32', column);
  const constant = g.neg(g.add(dl, g.mul(dH, entropy)));
  const spread = g.mul(p, g.sub(constant, g.mul(logp, dH)));
  dx(g.node('Gemm', [spread, matrix]));
  dW(spread, x);
  return g;
}
