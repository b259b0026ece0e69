import { beforeAll, describe, expect, it } from 'vitest';
import { RandomStream } from '../../src/core/index.js';
import type { OptimizerConfig } from '../../src/engine/optimizer.js';
import type { TrainableModel } from '../../src/engine/types.js';
import {
  decoupledGae,
  evaluateCritic,
  monteCarloTargets,
  outcomeRewards,
  trainCritic,
  valuesOf,
  type GradedGroup,
} from '../../src/rl/index.js';
import { createLocalEngine } from '../../src/engine/local/index.js';
import { ReferenceEngine } from '../support/reference-engine.js';

const optimizer: OptimizerConfig = {
  ...{ lr: 0.03, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradClipNorm: null },
  ...{ warmupUpdates: 0, schedule: 'constant', finalLrFraction: 1 },
};
const options = {
  optimizer,
  sequencesPerUpdate: 8,
  epochs: 1,
  valueClip: null,
  lossCoefficient: 1,
  maxSkippedUpdates: 3,
};
const VOCAB = 8;

/** The share of a reply's tokens that are of the upper half of the vocabulary. */
const rewardOf = (tokens: Int32Array): number => tokens.filter((id) => id >= VOCAB / 2).length / tokens.length;

/** Graded groups of what the policy says now; a round of its own for every seed. */
async function rollouts(policy: TrainableModel, seed: number, prompts: number): Promise<GradedGroup[]> {
  const sampler = await policy.liveSampler();
  const random = new RandomStream(seed, 'prompts');
  const requests = Array.from({ length: prompts }, (_, i) => ({
    promptTokens: Int32Array.from({ length: 2 }, () => random.nextInt(1, VOCAB / 2 - 1)),
    params: { n: 4, maxTokens: 5, temperature: 1, stop: [], seed: 1000 * seed + i },
  }));
  const samples = await sampler.sampleBatch(requests);
  await sampler.dispose();
  return requests.map(({ promptTokens }, p) => ({
    prompt: promptTokens,
    attempts: samples[p]!.map(({ tokens }) => ({ tokens, reward: rewardOf(tokens) })),
  }));
}

describe('a critic', () => {
  const config = { chars: 'abcdefg', hidden: 8, lags: 7, maxContext: 16 };
  let policy: TrainableModel;
  let critic: TrainableModel;
  beforeAll(async () => {
    const open = (role: 'policy' | 'critic', seed: number) =>
      new ReferenceEngine().openModel({ source: { kind: 'random', config, seed }, role });
    [policy, critic] = [await open('policy', 1), await open('critic', 2)];
  });

  it('learns Monte-Carlo returns of a fixed policy: it moves and the policy does not, and it knows held-out rollouts', async () => {
    const before = { policy: await policy.tensors('weights'), critic: await critic.tensors('weights') };
    const heldOut = await rollouts(policy, 99, 24);
    const start = await evaluateCritic(critic, monteCarloTargets(heldOut, 1));
    let metrics = start;
    const clock = { updates: 0, skippedInARow: 0 };
    for (let round = 0; round < 40 && (metrics['critic.explained_variance'] ?? 0) < 0.3; round++) {
      const taught = monteCarloTargets(await rollouts(policy, round, 16), 1).flat();
      await trainCritic(critic, taught, options, clock, round / 40);
      metrics = await evaluateCritic(critic, monteCarloTargets(heldOut, 1));
    }
    expect(start['critic.explained_variance']).toBeLessThan(0.1);
    expect(metrics['critic.explained_variance']).toBeGreaterThanOrEqual(0.3);
    // Each of five independent tokens gives away a fifth of the reward: 0, 0.2, 0.4, 0.6, 0.8 of it can be known.
    const decile = (i: number) => metrics[`critic.explained_variance.decile_${i}`]!;
    expect(Math.abs(decile(1))).toBeLessThan(0.15);
    expect(decile(9)).toBeGreaterThan(0.45);
    expect(metrics['critic.explained_variance.within_groups']).toBeGreaterThan(0.2);
    expect(Math.abs(metrics['critic.start.bias']!)).toBeLessThan(0.15);
    expect(await policy.tensors('weights')).toEqual(before.policy);
    expect(await critic.tensors('weights')).not.toEqual(before.critic);
  });

  it('learns the mean over an update, tool tokens left out, whatever the order within it', async () => {
    const responses = monteCarloTargets(await rollouts(policy, 7, 2), 1).flat();
    const masked = responses.map((response) => ({ ...response, mask: [1, 0, 1, 1, 1] }));
    const odd = masked.map((response) => ({
      ...response,
      returns: Array.from(response.returns, (G, t) => (t === 1 ? 77 : G)),
    }));
    const after = async (taught: typeof masked) => {
      const copy = await new ReferenceEngine().openModel({
        source: { kind: 'random', config, seed: 5 },
        role: 'critic',
      });
      const metrics = await trainCritic(copy, taught, options, { updates: 0, skippedInARow: 0 }, 0);
      return {
        loss: metrics['value.loss']!,
        weights: [...(await copy.tensors('weights')).values()].map(({ data }) => data),
      };
    };
    const [first, other, reversed] = [await after(masked), await after(odd), await after([...masked].reverse())];
    expect(other).toEqual(first);
    expect(reversed.loss).toBeCloseTo(first.loss, 9);
    reversed.weights.forEach((data, i) => data.forEach((w, j) => expect(w).toBeCloseTo(first.weights[i]![j]!, 5)));
  });

  it('with a clip is held near the values it had before the updates', async () => {
    const responses = monteCarloTargets(await rollouts(policy, 8, 2), 1)
      .flat()
      .map((response) => ({ ...response, returns: Array.from(response.returns, () => 10) }));
    const train = async (valueClip: number | null) => {
      const copy = await new ReferenceEngine().openModel({
        source: { kind: 'random', config, seed: 5 },
        role: 'critic',
      });
      const before = await valuesOf(copy, responses);
      const more = { ...options, epochs: 30, valueClip };
      const metrics = await trainCritic(copy, responses, more, { updates: 0, skippedInARow: 0 }, 0);
      const moved = (await valuesOf(copy, responses)).flatMap((v, i) => [...v.map((x, t) => x - before[i]![t]!)]);
      return { metrics, moved: Math.max(...moved) };
    };
    const [free, held] = [await train(null), await train(0.1)];
    expect(free.metrics['value.clip']).toBe(0);
    expect(held.metrics['value.clip']).toBeGreaterThan(0.3);
    expect(held.moved).toBeLessThan(free.moved / 2);
  });

  it('stops after updates that are not finite', async () => {
    const [response] = monteCarloTargets(await rollouts(policy, 9, 1), 1).flat();
    const broken = Array.from({ length: 5 }, () => ({ ...response!, returns: [NaN, NaN, NaN, NaN, NaN] }));
    const clock = { updates: 0, skippedInARow: 0 };
    const training = trainCritic(critic, broken, { ...options, sequencesPerUpdate: 1 }, clock, 0);
    await expect(training).rejects.toMatchObject({ kind: 'numeric' });
    expect(clock).toEqual({ updates: 3, skippedInARow: 3 });
  });
});

describe('a fresh critic of the local engine', () => {
  it('says exactly 0, so that decoupled GAE at lambda 1 is the Monte-Carlo form', async () => {
    const engine = await createLocalEngine({ inline: true, threads: 1 });
    const config = {
      ...{ model_type: 'llama', vocab_size: 20, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 1 },
      ...{ intermediate_size: 16, rms_norm_eps: 1e-5, max_position_embeddings: 32, tie_word_embeddings: true },
    };
    const critic = await engine.openModel({ source: { kind: 'random', config, seed: 3 }, role: 'critic' });
    const responses = [3, 7].map((length, i) => ({
      prompt: Int32Array.of(1, 2),
      tokens: Int32Array.from({ length }, (_, t) => (3 * t + i) % 20),
    }));
    const values = await valuesOf(critic, responses);
    expect(values).toEqual([new Float32Array(3), new Float32Array(7)]);
    for (const [i, values_T] of values.entries()) {
      const mask_T = new Uint8Array(values_T.length).fill(1);
      const { advantages_T, returns_T } = decoupledGae({
        ...{ rewards_T: outcomeRewards(1, mask_T), values_T, mask_T, gamma: 1, lambdaPolicy: 1, lambdaCritic: 1 },
      });
      const { prompt, tokens } = responses[i]!;
      const [target] = monteCarloTargets([{ prompt, attempts: [{ tokens, reward: 1 }] }], 1).flat();
      expect(advantages_T).toEqual(target!.returns);
      expect(returns_T).toEqual(target!.returns);
    }
    await engine.close();
  });
});
