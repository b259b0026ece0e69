/**
 * The arithmetic of the reference engine: a one-hidden-layer language model over the last few tokens,
 *
 *   h_t = tanh(b + sum_k E_k[x_{t-k}]),   logits_t = U h_t,   value_t = v . h_t
 *
 * with gradients by hand and everything in doubles. Slow, and small enough to check by eye.
 */

export interface Tensor {
  shape: number[];
  data: Float64Array;
}
export type Tensors = Map<string, Tensor>;

export interface Shape {
  vocab: number;
  hidden: number;
  lags: number;
}

export const lagName = (k: number): string => `lag.${k}.weight`;

/** Names and shapes of all parameters, in a fixed order. */
export function parameterShapes({ vocab, hidden, lags }: Shape): [string, number[]][] {
  const embeddings = Array.from({ length: lags }, (_, k): [string, number[]] => [lagName(k), [vocab, hidden]]);
  return [...embeddings, ['hidden.bias', [hidden]], ['lm_head.weight', [vocab, hidden]], ['value.weight', [1, hidden]]];
}

export function zeros(shape: Shape): Tensors {
  return new Map(
    parameterShapes(shape).map(([name, dims]) => [
      name,
      { shape: dims, data: new Float64Array(dims.reduce((a, b) => a * b, 1)) },
    ]),
  );
}

export function copyTensors(tensors: Tensors): Tensors {
  return new Map([...tensors].map(([name, { shape, data }]) => [name, { shape: [...shape], data: data.slice() }]));
}

function values(tensors: Tensors, name: string): Float64Array {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`no tensor ${name}`);
  return tensor.data;
}

/** h_t after reading tokens[0..t]. */
function hiddenState(weights: Tensors, { hidden, lags }: Shape, tokens: ArrayLike<number>, t: number): Float64Array {
  const h = values(weights, 'hidden.bias').slice();
  for (let k = 0; k < lags && t - k >= 0; k++) {
    const E = values(weights, lagName(k));
    const row = (tokens[t - k] as number) * hidden;
    for (let j = 0; j < hidden; j++) h[j]! += E[row + j]!;
  }
  return h.map(Math.tanh);
}

/** log softmax of logits / temperature after reading tokens[0..t], [V]. */
export function logSoftmaxAt(
  weights: Tensors,
  shape: Shape,
  tokens: ArrayLike<number>,
  t: number,
  temperature = 1,
): Float64Array {
  return logSoftmax(logitsOf(weights, shape, hiddenState(weights, shape, tokens, t)), temperature);
}

function logitsOf(weights: Tensors, { vocab, hidden }: Shape, h: Float64Array): Float64Array {
  const U = values(weights, 'lm_head.weight');
  const logits = new Float64Array(vocab);
  for (let v = 0; v < vocab; v++) for (let j = 0; j < hidden; j++) logits[v]! += U[v * hidden + j]! * h[j]!;
  return logits;
}

export function logSoftmax(logits: Float64Array, temperature: number): Float64Array {
  const scaled = logits.map((logit) => logit / temperature);
  const max = scaled.reduce((a, b) => Math.max(a, b), -Infinity);
  const logSum = max + Math.log(scaled.reduce((sum, logit) => sum + Math.exp(logit - max), 0));
  return scaled.map((logit) => logit - logSum);
}

function entropyOf(logp_V: Float64Array): number {
  return -logp_V.reduce((sum, logp) => sum + Math.exp(logp) * logp, 0);
}

export interface SequenceOutputs {
  logprobs: Float64Array;
  entropy: Float64Array;
  values: Float64Array;
}

/** Outputs at every position of one sequence. */
export function forwardSequence(
  weights: Tensors,
  shape: Shape,
  input: Int32Array,
  target: Int32Array,
  temperature: number,
): SequenceOutputs {
  const T = input.length;
  const outputs = { logprobs: new Float64Array(T), entropy: new Float64Array(T), values: new Float64Array(T) };
  const v = values(weights, 'value.weight');
  for (let t = 0; t < T; t++) {
    const h = hiddenState(weights, shape, input, t);
    const logp_V = logSoftmax(logitsOf(weights, shape, h), temperature);
    outputs.logprobs[t] = logp_V[target[t]!]!;
    outputs.entropy[t] = entropyOf(logp_V);
    outputs.values[t] = h.reduce((sum, hj, j) => sum + hj * v[j]!, 0);
  }
  return outputs;
}

export interface Coefficients {
  logprobs?: ArrayLike<number>;
  entropy?: ArrayLike<number>;
  values?: ArrayLike<number>;
}

/**
 * Adds to `gradients` the gradient of sum_t (c_t logprob_t + e_t entropy_t + u_t value_t):
 * d logprob / d logit_v = (1[v = target] - p_v) / tau, d entropy / d logit_v = -p_v (log p_v + H) / tau.
 */
export function backwardSequence(
  weights: Tensors,
  gradients: Tensors,
  shape: Shape,
  input: Int32Array,
  target: Int32Array,
  coefficients: Coefficients,
  temperature: number,
): void {
  const { vocab, hidden, lags } = shape;
  const U = values(weights, 'lm_head.weight');
  const v = values(weights, 'value.weight');
  const dU = values(gradients, 'lm_head.weight');
  const dV = values(gradients, 'value.weight');
  const dBias = values(gradients, 'hidden.bias');
  for (let t = 0; t < input.length; t++) {
    const c = coefficients.logprobs?.[t] ?? 0;
    const e = coefficients.entropy?.[t] ?? 0;
    const u = coefficients.values?.[t] ?? 0;
    if (c === 0 && e === 0 && u === 0) continue;
    const h = hiddenState(weights, shape, input, t);
    const logp_V = logSoftmax(logitsOf(weights, shape, h), temperature);
    const H = entropyOf(logp_V);
    const dh = v.map((vj) => u * vj);
    for (let j = 0; j < hidden; j++) dV[j]! += u * h[j]!;
    for (let w = 0; w < vocab; w++) {
      const p = Math.exp(logp_V[w]!);
      const hit = w === target[t] ? 1 : 0;
      const dLogit = (c * (hit - p) - e * p * (logp_V[w]! + H)) / temperature;
      for (let j = 0; j < hidden; j++) {
        dU[w * hidden + j]! += dLogit * h[j]!;
        dh[j]! += dLogit * U[w * hidden + j]!;
      }
    }
    const dPre = dh.map((d, j) => d * (1 - h[j]! * h[j]!));
    for (let j = 0; j < hidden; j++) dBias[j]! += dPre[j]!;
    for (let k = 0; k < lags && t - k >= 0; k++) {
      const dE = values(gradients, lagName(k));
      for (let j = 0; j < hidden; j++) dE[input[t - k]! * hidden + j]! += dPre[j]!;
    }
  }
}
