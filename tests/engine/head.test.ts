import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addGradients } from '../../src/engine/local/graph/autodiff.js';
import { Graph } from '../../src/engine/local/graph/graph.js';
import { Head, type HeadRow } from '../../src/engine/local/head.js';
import { FINAL_NORM, headName } from '../../src/engine/local/llama/weights.js';
import { Parameters } from '../../src/engine/local/parameters.js';
import { SessionCache } from '../../src/engine/local/session-cache.js';
import { loadOrt, tensorOf } from '../../src/engine/local/session.js';
import { RandomStream } from '../../src/core/index.js';
import { parseModelConfig } from '../../src/model/index.js';
import { evaluate, normals } from './support.js';

const [V, H] = [40, 32];
const B = 3;
const LENGTHS = [5, 33, 40];
const N = 40 * B;
/** Rows of time-major hidden states: token t of sequence b is row t * B + b. */
const ROWS: HeadRow[] = LENGTHS.flatMap((length, b) =>
  Array.from({ length }, (_, t) => ({ n: t * B + b, member: b, t })),
);

function configOf(tied: boolean) {
  const config = {
    model_type: 'llama',
    vocab_size: V,
    hidden_size: H,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    num_key_value_heads: 2,
    intermediate_size: 16,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 64,
    tie_word_embeddings: tied,
    hidden_act: 'silu',
    eos_token_id: 1,
  };
  return parseModelConfig(config, 'test');
}

interface Problem {
  hidden: Float32Array;
  sequences: { input: Int32Array; target: Int32Array }[];
  coefficients: { dLogprobs: Float32Array[]; dEntropy: Float32Array[] };
}

function problem(seed: number): Problem {
  const random = new RandomStream(seed, 'head');
  const tokens = (length: number): Int32Array => Int32Array.from({ length }, () => random.nextInt(0, V - 1));
  const draws = (): Float32Array[] => LENGTHS.map((length, i) => normals(seed, `d ${i}`, [length], 1));
  return {
    hidden: normals(seed, 'hidden', [N, H]),
    sequences: LENGTHS.map((length) => ({ input: tokens(length), target: tokens(length) })),
    coefficients: { dLogprobs: draws(), dEntropy: draws().map((row) => row.map((value) => 0.3 * value - 0.1)) },
  };
}

interface Expected {
  logits: Float32Array;
  logprobs: Float32Array;
  entropy: Float32Array;
  dHidden: Float32Array;
  dMatrix: Float32Array;
  dGain: Float32Array;
}

/** All rows at once, from single ops and their gradient rules; results in the order of `rows`. */
async function unchunked(
  parameters: Parameters,
  { hidden, sequences, coefficients }: Problem,
  rows: readonly HeadRow[],
  { temperature, entropy }: { temperature: number; entropy: boolean },
): Promise<Expected> {
  const g = new Graph();
  const R = rows.length;
  const [x, gain, matrix] = [
    g.input('x', 'float32', [R, H]),
    g.input('gain', 'float32', [H]),
    g.input('matrix', 'float32', [V, H]),
  ];
  const meanSquare = g.scale(g.node('ReduceSumSquare', [x], { over: [1] }), 1 / H);
  const rms = g.node('Sqrt', [g.add(meanSquare, g.scalar(1e-5))]);
  const norm = g.mul(g.node('Div', [x, rms]), gain);
  const logits = g.scale(g.linear(norm, matrix), 1 / temperature);
  const logp = g.node('LogSoftmax', [logits]);
  const targets = BigInt64Array.from(rows, ({ member, t }) => BigInt(sequences[member]?.target[t] as number));
  const logprobs = g.node('GatherElements', [logp, g.constant(targets, [R, 1])]);
  const H_R = g.neg(g.sum(g.mul(g.node('Exp', [logp]), logp), [1]));
  const pick = (from: Float32Array[]): Float32Array =>
    Float32Array.from(rows, ({ member, t }) => from[member]?.[t] as number);
  const dl = g.scale(g.constant(pick(coefficients.dLogprobs), [R, 1]), 1);
  const dH = g.scale(g.constant(pick(coefficients.dEntropy), [R, 1]), entropy ? 1 : 0);
  const gradients = addGradients(
    g,
    [
      [logprobs, dl],
      [H_R, dH],
    ],
    [x, gain, matrix],
  );
  const outputs = { logits, logprobs, entropy: H_R, dHidden: gradients.get('x'), dMatrix: gradients.get('matrix') };
  for (const [name, value] of Object.entries({ ...outputs, dGain: gradients.get('gain') }))
    if (value) g.output(name, value);
  const own = rows.flatMap(({ n }) => [...hidden.subarray(n * H, (n + 1) * H)]);
  const feeds = {
    x: Float32Array.from(own),
    gain: parameters.arrays.get(FINAL_NORM) as Float32Array,
    matrix: parameters.arrays.get(headName(parameters.config)) as Float32Array,
  };
  return (await evaluate(g, feeds)) as unknown as Expected;
}

/** Largest difference, over the largest number wanted. */
function difference(got: ArrayLike<number>, wanted: Float32Array): number {
  expect(got.length).toBe(wanted.length);
  const most = wanted.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-3);
  return wanted.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (got[i] as number)) / most), 0);
}

const emptyOutputs = (entropy: boolean) => {
  const empty = (): Float32Array[] => LENGTHS.map((length) => new Float32Array(length));
  return { logprobs: empty(), ...(entropy ? { entropy: empty() } : {}) };
};

describe.each([
  ['tied', true],
  ['untied', false],
] as const)('the LM head in chunks, %s', (_, tied) => {
  let parameters: Parameters;
  let sessions: SessionCache;
  let head: Head;

  beforeAll(async () => {
    parameters = await Parameters.random(configOf(tied), 1, 0.4);
    parameters.arrays.get(FINAL_NORM)?.set(normals(2, 'gain', [H]));
    sessions = new SessionCache(2 ** 30);
    // Blocks of 32 rows: two full ones and a left-over of 14.
    head = new Head(parameters, sessions, { threads: 1, outputs: 'in-place' }, 32 * V);
  });
  afterAll(() => sessions.clear());

  /** Runs the head on a problem; accumulators start at 0.5. */
  async function run(
    { hidden, sequences, coefficients }: Problem,
    rows: readonly HeadRow[],
    { temperature, entropy, trained = true }: { temperature: number; entropy: boolean; trained?: boolean },
  ) {
    const ort = await loadOrt();
    const outputs = emptyOutputs(entropy);
    const dHidden = new Float32Array(N * H).fill(7);
    const sums = {
      matrix: tensorOf(ort, 'float32', [V, H], new Float32Array(V * H).fill(0.5)),
      gain: tensorOf(ort, 'float32', [H], new Float32Array(H).fill(0.5)),
    };
    const { dLogprobs, dEntropy } = coefficients;
    await head.run(rows, hidden, sequences, temperature, outputs, {
      coefficients: entropy ? { dLogprobs, dEntropy } : { dLogprobs },
      dHidden,
      gradients: trained ? { [headName(parameters.config)]: sums.matrix, [FINAL_NORM]: sums.gain } : {},
    });
    const added = (data: unknown): Float32Array => (data as Float32Array).map((value) => value - 0.5);
    const picked = (from: Float32Array[]): number[] => rows.map(({ member, t }) => from[member]?.[t] as number);
    return {
      logprobs: picked(outputs.logprobs),
      entropy: outputs.entropy && picked(outputs.entropy),
      dHidden: rows.flatMap(({ n }) => [...dHidden.subarray(n * H, (n + 1) * H)]),
      untouched: dHidden.filter((_, i) => !rows.some(({ n }) => n === Math.floor(i / H))),
      dMatrix: added(sums.matrix.data),
      dGain: added(sums.gain.data),
    };
  }

  it.each([
    { temperature: 1, entropy: false },
    { temperature: 0.7, entropy: false },
    { temperature: 1, entropy: true },
    { temperature: 1.6, entropy: true },
  ])('equals autodiff over all rows at once: %o', async (options) => {
    // The second problem finds the buffers as the first one left them.
    for (const seed of [1, 2]) {
      const given = problem(seed);
      const wanted = await unchunked(parameters, given, ROWS, options);
      const found = await run(given, ROWS, options);
      expect(difference(found.logprobs, wanted.logprobs)).toBeLessThan(1e-5);
      if (options.entropy) expect(difference(found.entropy as number[], wanted.entropy)).toBeLessThan(1e-5);
      else expect(found.entropy).toBeUndefined();
      for (const name of ['dHidden', 'dMatrix', 'dGain'] as const)
        expect(difference(found[name], wanted[name]), name).toBeLessThan(1e-5);
    }
  });

  it('visits the rows asked for and leaves the others alone', async () => {
    const rows = ROWS.filter(({ t }) => t % 3 === 1);
    const options = { temperature: 0.8, entropy: true };
    const wanted = await unchunked(parameters, problem(3), rows, options);
    const found = await run(problem(3), rows, options);
    for (const name of ['logprobs', 'dHidden', 'dMatrix', 'dGain'] as const)
      expect(difference(found[name], wanted[name]), name).toBeLessThan(1e-5);
    expect(found.untouched).toHaveLength((N - rows.length) * H);
    expect(found.untouched.every((value) => value === 7)).toBe(true);
  });

  it('gives the same derivatives of the hidden states where matrix and norm are frozen', async () => {
    const options = { temperature: 0.9, entropy: true };
    const trained = await run(problem(4), ROWS, options);
    const frozen = await run(problem(4), ROWS, { ...options, trained: false });
    expect(difference(frozen.dHidden, Float32Array.from(trained.dHidden))).toBeLessThan(1e-6);
    expect(frozen.dMatrix.every((value) => value === 0)).toBe(true);
  });

  it('gives logits at temperature 1', async () => {
    const given = problem(5);
    const logits = LENGTHS.map((length) => new Float32Array(length * V));
    await head.logits(ROWS, given.hidden, logits);
    const wanted = await unchunked(parameters, given, ROWS, { temperature: 1, entropy: false });
    const flat = logits.flatMap((row) => [...row]);
    expect(difference(flat, wanted.logits)).toBeLessThan(1e-5);
  });
});
