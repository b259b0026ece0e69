import { Graph } from '../graph/graph.js';
import { STAND_IN } from '../graph/sizes.js';
import type { Value } from '../graph/values.js';
import { rmsNorm } from './parts.js';

/** Which graph, and what it computes for as many positions as a run chooses. */
export interface HeadGraphKey {
  vocabSize: number;
  hiddenSize: number;
  rmsEps: number;
  /** Full-vocabulary entropy as an output, and its coefficient as an input of the backward pass. */
  entropy: boolean;
  /** Derivatives by the hidden rows and, with `weights`, by the matrix and the norm's gain. */
  backward: boolean;
  weights: boolean;
}

type HeadShape = Pick<HeadGraphKey, 'vocabSize' | 'hiddenSize' | 'rmsEps'>;

/** Names of the graph's inputs and outputs. */
export const HEAD_IO = {
  hidden: 'hidden',
  gain: 'gain',
  matrix: 'matrix',
  targets: 'targets',
  inverseTemperature: 'inverse_temperature',
  /** What the matrix reads, [R, H]: the hidden rows, normalised and divided by the temperature. */
  normed: 'normed',
  logits: 'logits',
  logprobs: 'logprobs',
  entropy: 'entropy',
  dLogprobs: 'd_logprobs',
  dEntropy: 'd_entropy',
  dHidden: 'd_hidden',
  /** Inputs: gradients so far. Outputs: with these rows' added, but for the target rows of the matrix (see below). */
  gainSoFar: 'acc.gain',
  matrixSoFar: 'acc.matrix',
  dGain: 'grad.gain',
  dMatrix: 'grad.matrix',
} as const;

/** The final norm and z = x W^T / T, [R, V]; the temperature divides x, which is the smaller. */
function head({ vocabSize, hiddenSize, rmsEps }: HeadShape) {
  const g = new Graph();
  const matrix = g.input(HEAD_IO.matrix, 'float32', [vocabSize, hiddenSize]);
  const inverseTemperature = g.input(HEAD_IO.inverseTemperature, 'float32', []);
  const hidden = g.input(HEAD_IO.hidden, 'float32', [STAND_IN.rows, hiddenSize]);
  const norm = rmsNorm(g, hidden, g.input(HEAD_IO.gain, 'float32', [hiddenSize]), rmsEps);
  const x = g.mul(norm, inverseTemperature);
  return { g, norm, x, matrix, logits: g.linear(x, matrix), inverseTemperature };
}

/** Builds the graph whose output is the logits themselves, [R, V]: for comparing models. */
export function headLogitsGraph(shape: HeadShape): Graph {
  const { g, logits } = head(shape);
  g.output(HEAD_IO.logits, logits);
  return g;
}

/**
 * Builds the LM head over some rows: logprob and entropy, and the chain rule from their derivatives dl, dH down to the
 * hidden rows and the weights, all within [rows, vocabulary].
 *
 * With p = softmax(z) and l = log p[target]: dz = dl (onehot - p) - dH p (log p + H).
 * The onehot term never touches the vocabulary: in dx it is the target's row of W, and in dW it is dl x added to the
 * target's row, which the caller does with the output `normed`.
 */
export function headGraph(key: HeadGraphKey): Graph {
  const { g, norm, x, matrix, logits, inverseTemperature } = head(key);
  const column = [STAND_IN.rows, 1] as const;
  const targets = g.input(HEAD_IO.targets, 'int64', column);
  const logp = g.node('LogSoftmax', [logits]);
  g.output(HEAD_IO.logprobs, g.node('GatherElements', [logp, targets]));
  const p = g.node('Exp', [logp]);
  const entropy = key.entropy ? g.neg(g.sum(g.mul(p, logp), [1])) : undefined;
  if (entropy) g.output(HEAD_IO.entropy, entropy);
  if (!key.backward) return g;

  const dl = g.input(HEAD_IO.dLogprobs, 'float32', column);
  const targetRows = g.reshape(g.node('Gather', [matrix, targets]), [STAND_IN.rows, key.hiddenSize]);
  /** `spread` times W and times x are what the rows of p contribute, [R, H] and [V, H]. */
  const finish = (dx: Value, spread: Value, scaled: Value): Graph => {
    const dNorm = g.mul(g.add(g.mul(targetRows, dl), dx), inverseTemperature);
    const [dHidden, dGain] = g.composites.get(norm.name)?.vjp(dNorm, () => key.weights) ?? [];
    g.output(HEAD_IO.dHidden, dHidden as Value);
    if (!key.weights) return g;
    g.output(HEAD_IO.normed, x);
    g.output(HEAD_IO.dGain, g.add(g.input(HEAD_IO.gainSoFar, 'float32', [key.hiddenSize]), dGain as Value));
    const soFar = g.input(HEAD_IO.matrixSoFar, 'float32', [key.vocabSize, key.hiddenSize]);
    g.output(HEAD_IO.dMatrix, g.node('Gemm', [spread, scaled, soFar], { transA: 1 }));
    return g;
  };
  if (!entropy) {
    // Row factors commute with the products, so they scale [R, H] and not [R, V].
    const minus = g.neg(dl);
    return finish(g.mul(g.node('Gemm', [p, matrix]), minus), p, g.mul(x, minus));
  }
  const dH = g.input(HEAD_IO.dEntropy, 'float32', column);
  const constant = g.neg(g.add(dl, g.mul(dH, entropy)));
  const spread = g.mul(p, g.sub(constant, g.mul(logp, dH)));
  return finish(g.node('Gemm', [spread, matrix]), spread, x);
}
