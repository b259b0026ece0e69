import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Datum, Engine, Loss, TrainableModel } from '../../src/engine/index.js';
import { findCommonPrefixes } from '../../src/engine/local/common-prefixes.js';
import { createLocalEngine } from '../../src/engine/local/index.js';
import type { Sequence } from '../../src/engine/local/training.js';
import { budgetFor, costOfWaves, planWaves, wavesOf } from '../../src/engine/local/waves.js';
import { parseModelConfig } from '../../src/model/index.js';
import { rollouts, sequenceOf, sequencesOf } from './rollouts.js';

const BUDGET = { alone: 256, beside: 256 };

/** Tokens that a set of prefixes saves. */
const saved = (prefixes: readonly { length: number; members: number[] }[]): number =>
  prefixes.reduce((sum, { length, members }) => sum + length * (members.length - 1), 0);

/** Tokens saved by giving the sequences that begin with the same tokens a prefix of this length. */
function savedAt(length: number, sequences: readonly Sequence[]): number {
  const groups = new Map<string, number>();
  for (const { input, target } of sequences) {
    const key = `${input.slice(0, length).join()} ${target.slice(0, length).join()}`;
    groups.set(key, (groups.get(key) ?? 0) + 1);
  }
  return [...groups.values()].reduce((sum, count) => sum + length * (count - 1), 0);
}

describe('common prefixes', () => {
  it('of rollouts are their prompts, but for the last token, whose target is the first of the response', () => {
    const sequences = rollouts({ groups: 5, size: 4, prompt: 12, response: (i) => 6 + i });
    const found = findCommonPrefixes(sequences).sort((a, b) => (a.members[0] as number) - (b.members[0] as number));
    expect(found).toEqual(
      Array.from({ length: 5 }, (_, g) => ({ length: 11, members: [0, 1, 2, 3].map((i) => 4 * g + i) })),
    );
  });

  it('of equal sequences leave the last token of each', () => {
    const tokens = Array.from({ length: 10 }, (_, i) => i);
    expect(findCommonPrefixes([sequenceOf(tokens), sequenceOf(tokens)])).toEqual([{ length: 8, members: [0, 1] }]);
  });

  it('differ where targets differ', () => {
    const [a, b] = [sequenceOf([1, 2, 3, 4, 5, 6, 7, 8]), sequenceOf([1, 2, 3, 4, 5, 6, 7, 8])];
    b.target[5] = 9;
    expect(findCommonPrefixes([a, b])[0]?.length).toBe(5);
    b.target[0] = 9;
    expect(findCommonPrefixes([a, b])).toEqual([]);
  });

  it('belong to all their members, and save at least what prefixes of any one length would', () => {
    const tokens = fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 9, maxLength: 9 });
    const branching = fc.array(
      tokens.map((tail) => sequenceOf([0, 1, 0, 1, ...tail])),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(branching, (sequences) => {
        const found = findCommonPrefixes(sequences);
        const members = found.flatMap((prefix) => prefix.members);
        expect(new Set(members).size).toBe(members.length);
        for (const { length, members } of found)
          for (const member of members) {
            const { input, target } = sequences[member] as Sequence;
            const first = sequences[members[0] as number] as Sequence;
            expect(input.length).toBeGreaterThan(length);
            expect(input.slice(0, length)).toEqual(first.input.slice(0, length));
            expect(target.slice(0, length)).toEqual(first.target.slice(0, length));
          }
        for (let length = 4; length < 12; length++)
          expect(saved(found)).toBeGreaterThanOrEqual(savedAt(length, sequences));
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  it('of ten thousand sequences, each the beginning of the next, are found without running out of stack', () => {
    const tokens = Array.from({ length: 10_000 }, (_, i) => i % 7);
    const sequences = Array.from({ length: 10_000 }, (_, i) => sequenceOf(tokens.slice(0, 2 + (i % 500))));
    expect(findCommonPrefixes(sequences).length).toBeGreaterThan(0);
  });
});

describe('waves', () => {
  it('run prompts once where that saves more than it costs, within the budget', () => {
    const sequences = rollouts({ groups: 16, size: 8, prompt: 40, response: (i) => 10 + ((i * 11) % 40) });
    const waves = planWaves(sequences, BUDGET);
    expect(waves.flatMap(({ prefixes }) => prefixes)).toHaveLength(16);
    for (const { prefixes, batches } of waves) {
      expect(prefixes.length * 39).toBeLessThanOrEqual(256);
      for (const { T, members } of batches) expect(T * members.length).toBeLessThanOrEqual(256);
    }
    const lengths = sequences.map(({ input }) => input.length);
    const whole = wavesOf(lengths, [...lengths.keys()], [], BUDGET);
    expect(costOfWaves(waves)).toBeLessThan(0.75 * costOfWaves(whole));
  });

  it('leave whole what shares too little', () => {
    const pair = rollouts({ groups: 1, size: 2, prompt: 6, response: () => 40 });
    const waves = planWaves([...pair, ...sequencesOf([30, 50, 60])], BUDGET);
    expect(waves.map(({ prefixes }) => prefixes)).toEqual([[]]);
  });

  it('hold prefixes and micro-batches in half the budget each where both would take more than one may', () => {
    const shape = { vocab_size: 64, num_attention_heads: 16, num_key_value_heads: 16, model_type: 'llama' };
    const more = { rms_norm_eps: 1e-5, max_position_embeddings: 64, hidden_act: 'silu', eos_token_id: 1 };
    const config = (hidden: number, layers: number) =>
      parseModelConfig(
        { ...shape, ...more, hidden_size: hidden, intermediate_size: 3 * hidden, num_hidden_layers: layers },
        'test',
      );
    expect(budgetFor(config(256, 4), 1024)).toEqual({ alone: 1024, beside: 1024 });
    expect(budgetFor(config(2048, 48), 128)).toEqual({ alone: 128, beside: 64 });
  });
});

const CONFIG = {
  ...{ model_type: 'llama', vocab_size: 32, hidden_size: 32, num_hidden_layers: 3, num_attention_heads: 2 },
  ...{ num_key_value_heads: 1, intermediate_size: 48, rms_norm_eps: 1e-5, max_position_embeddings: 512 },
  ...{ rope_theta: 10000, tie_word_embeddings: true, hidden_act: 'silu', eos_token_id: 1 },
};

/** Derivatives that depend on outputs, tokens of prompts included. */
const curved: Loss = {
  name: 'square',
  needs: { entropy: true },
  fn: ({ logprobs, entropy }) => ({
    lossSum: logprobs.flatMap((row) => [...row]).reduce((sum, value) => sum + value * value, 0),
    dLogprobs: logprobs.map((row) => row.map((value, t) => 0.02 * value * Math.cos(t + row.length))),
    dEntropy: (entropy ?? []).map((row) => row.map((_, t) => 0.01 * Math.sin(t))),
    metrics: {},
  }),
};
/** No derivative in the first tokens: a prompt's gradient comes from the responses alone. */
const ofResponses: Loss = {
  name: 'imitate',
  needs: {},
  linear: true,
  fn: ({ logprobs }) => ({
    lossSum: logprobs.flatMap((row) => [...row.slice(20)]).reduce((sum, value) => sum - value, 0),
    dLogprobs: logprobs.map((row) => row.map((_, t) => (t < 20 ? 0 : -0.05))),
    metrics: {},
  }),
};
const values: Loss = {
  name: 'values',
  needs: { values: true },
  fn: (out) => ({ lossSum: 0, dValues: (out.values ?? []).map((row) => row.map((v) => v - 1)), metrics: {} }),
};

const close = (a: Float32Array | undefined, b: Float32Array | undefined): number =>
  (a as Float32Array).reduce((worst, value, i) => Math.max(worst, Math.abs(value - (b?.[i] as number))), 0);

/** The largest difference of any gradient, over the largest entry of its tensor. */
async function worstGradient(mine: TrainableModel, its: TrainableModel): Promise<number> {
  const expected = await its.tensors('gradients');
  let worst = 0;
  for (const [name, { data }] of await mine.tensors('gradients')) {
    const other = expected.get(name)?.data as Float32Array;
    worst = Math.max(worst, close(data, other) / other.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-20));
  }
  return worst;
}

/** Prompts of one length or of several, equal responses among them, and responses long enough for several blocks of queries. */
const GROUPS = {
  'prompts of one length': rollouts({ groups: 6, size: 8, prompt: 24, response: (i) => 3 + ((i * 13) % 50) }),
  'prompts of several lengths': [30, 41, 22, 57].flatMap((prompt, g) =>
    rollouts({ groups: 1, size: 10, prompt, response: (i) => 1 + ((i * 17) % 40), seed: g }),
  ),
  'equal responses': [0, 1, 2].flatMap((g) => {
    const group = rollouts({ groups: 1, size: 2, prompt: 30, response: () => 12, seed: g });
    return [0, 1, 0, 0, 1, 0, 0, 0].map((i) => group[i] as Sequence);
  }),
  'long responses': rollouts({ groups: 3, size: 5, prompt: 90, response: (i) => 120 + ((i * 29) % 90) }),
};

describe.each(Object.entries(GROUPS))('training on shared prefixes, %s', (_, sequences) => {
  let engine: Engine;
  const data: Datum[] = sequences.map((sequence) => ({ ...sequence, vectors: {} }));
  beforeAll(async () => {
    engine = await createLocalEngine({ inline: true, threads: 1 });
  });
  afterAll(() => engine.close());

  const open = (more: object = {}): Promise<TrainableModel> =>
    engine.openModel({
      source: { kind: 'random', config: CONFIG, seed: 4, initStd: 0.3 },
      tokensPerMicroBatch: 512,
      ...more,
    });

  it('is what the planner chooses', () => {
    expect(planWaves(sequences, { alone: 512, beside: 512 })[0]?.prefixes.length).toBeGreaterThan(0);
  });

  const adapter = { kind: 'random', rank: 2, alpha: 4, seed: 1 } as const;
  it.each([
    ['any loss', curved, {}],
    ['a linear loss', ofResponses, {}],
    ['an adapter', curved, { adapter }],
    ['a critic', values, { role: 'critic' }],
    ['one layer that does not rotate', curved, { source: nope() }],
  ] as const)('equals training on one sequence at a time, with %s', async (_, loss, more) => {
    const [mine, its] = [await open(more), await open(more)];
    if (loss === values) for (const model of [mine, its]) await moveHead(model, data);
    const shared = await mine.forwardBackward(data, loss);
    const forward = await mine.forward(data, { entropy: loss.needs.entropy ?? false });
    let lossSum = 0;
    for (const [i, datum] of data.entries()) {
      const { outputs, ...one } = await its.forwardBackward([datum], loss);
      lossSum += one.lossSum;
      for (const kind of ['logprobs', 'entropy', 'values'] as const) {
        const wanted = outputs[kind]?.[0];
        if (!wanted) continue;
        expect(close(shared.outputs[kind]?.[i], wanted)).toBeLessThan(2e-5);
        expect(close(forward[kind]?.[i], wanted)).toBeLessThan(2e-5);
      }
    }
    expect(shared.lossSum).toBeCloseTo(lossSum, 1);
    expect(await worstGradient(mine, its)).toBeLessThan(2e-5);
    for (const model of [mine, its]) await model.dispose();
  });
});

function nope() {
  const config = { ...CONFIG, model_type: 'smollm3', no_rope_layers: [1, 0, 1] };
  return { kind: 'random', config, seed: 4, initStd: 0.3 } as const;
}

/** A critic's head is zero at first, and then nothing below it has a gradient. */
async function moveHead(model: TrainableModel, data: readonly Datum[]): Promise<void> {
  await model.forwardBackward(data.slice(0, 1), values);
  await model.optimStep({ lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradClipNorm: 1 });
}
