import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RandomStream } from '../../src/core/index.js';
import { createLocalEngine } from '../../src/engine/local/index.js';
import type { Engine, ModelRole, TrainableModel } from '../../src/engine/types.js';
import { writeCharTokenizer } from '../../src/model/index.js';
import { resolveRecipe } from '../../src/recipes/index.js';
import type { Attempt, RlConfig } from '../../src/rl/index.js';
import { accumulateValueGradient } from '../../src/rl/critic.js';
import { taught } from '../../src/rl/critic-updates.js';
import { accumulatePolicyGradient } from '../../src/rl/policy-gradient.js';
import { sequencesOf, type Sequence } from '../../src/rl/sequences.js';
import { echoTask, gradeEcho, openEchoPolicy } from '../support/echo-task.js';
import {
  gradientsOf,
  maxRelativeDifference,
  openEchoCritic,
  trainEcho,
  weightsOf,
  withOptions,
} from '../support/echo-training.js';

const VOCABULARY = 5;

/** Responses of several lengths, with all that a loss can read; one has a run of tool tokens. */
function randomSequences(seed: number): Sequence[] {
  const random = new RandomStream(seed, 'sequences');
  const tokens = (n: number) => Int32Array.from({ length: n }, () => random.nextInt(0, VOCABULARY - 1));
  const noise = (n: number) => Float32Array.from({ length: n }, () => random.nextNormal());
  return [1, 7, 3, 12, 2, 5, 9].map((n, i) => {
    const attempt: Attempt = {
      ...{ tokens: tokens(n), segments: undefined, stopReason: 'eos', reward: 0, trained: false },
      mask: i === 3 ? Uint8Array.from({ length: n }, (_, t) => Number(t < 4 || t > 7)) : undefined,
      response: { text: '', tokens: new Int32Array(), stopReason: 'eos' },
      verdict: { status: i % 2 ? 'correct' : 'wrong', score: i % 2, reason: '' },
      modelLogprobs: noise(n).map((x) => x * 0.2 - 1.6),
      ...{
        samplingLogprobs: undefined,
        advantage: i - 3,
        advantages: i === 5 ? Float64Array.from(noise(n)) : undefined,
      },
    };
    const group = { problem: { id: '', prompt: '' }, prompt: tokens(1 + (i % 3)), attempts: [attempt] };
    const [sequence] = sequencesOf([group]).flat();
    const known = { oldLogprobs: noise(n).map((x) => x * 0.2 - 1.6), refLogprobs: noise(n).map((x) => x * 0.2 - 1.6) };
    return { ...sequence!, ...known, values: noise(n), returns: Float64Array.from(noise(n)) };
  });
}

/** Every term of the loss at once. */
const everything = withOptions({
  loss: { kind: 'clip', dualClip: 3, entropyBonus: 0.01, positiveNll: 0.1 },
  ...{ oldLogprobs: 'trainer', pipeline: { importanceCap: 2 }, kl: { placement: 'loss', coefficient: 0.1 } },
  critic: { valueClip: 0.2 },
});

async function policyGradient(policy: TrainableModel, sequences: Sequence[], config: RlConfig): Promise<number[]> {
  await accumulatePolicyGradient(policy, sequences, { config, klCoefficient: 0.1, ratioOne: false });
  const gradients = await gradientsOf(policy);
  await policy.zeroGrad();
  return gradients;
}

async function valueGradient(critic: TrainableModel, sequences: Sequence[]): Promise<number[]> {
  await accumulateValueGradient(critic, sequences.map(taught), everything.critic);
  const gradients = await gradientsOf(critic);
  await critic.zeroGrad();
  return gradients;
}

/** A step away from a value head of zero, whose gradient would be all there is. */
async function moveHead(critic: TrainableModel): Promise<void> {
  await accumulateValueGradient(critic, randomSequences(2).map(taught), everything.critic);
  await critic.optimStep({ lr: 0.1, beta1: 0.9, beta2: 0.9, eps: 1e-2, weightDecay: 0, gradClipNorm: Infinity });
}

/** A model at a micro-batch that fits everything, and one at a micro-batch that makes the engine split and pad. */
interface Engines {
  open(role: ModelRole, split: boolean): Promise<TrainableModel>;
  close(): Promise<void>;
}

async function localEngines(): Promise<Engines> {
  const tokenizerPath = await mkdtemp(join(tmpdir(), 'hone-invariants-'));
  await writeCharTokenizer(tokenizerPath, 'abcd');
  const engine: Engine = await createLocalEngine({ inline: true, threads: 1 });
  const config = {
    ...{ model_type: 'llama', hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 1 },
    ...{ intermediate_size: 24, rms_norm_eps: 1e-5, max_position_embeddings: 32, rope_theta: 10000 },
    ...{ tie_word_embeddings: true, hidden_act: 'silu', vocab_size: 8, eos_token_id: [0] },
  };
  const source = { kind: 'random', config, seed: 3, initStd: 0.3, tokenizerPath } as const;
  return {
    open: (role, split) => engine.openModel({ role, source, tokensPerMicroBatch: split ? 16 : 512 }),
    close: () => engine.close(),
  };
}

const referenceEngines = (): Promise<Engines> =>
  Promise.resolve({
    open: (role: ModelRole, split: boolean) =>
      (role === 'critic' ? openEchoCritic : openEchoPolicy)(3, split ? { sequencesPerMicroBatch: 2 } : {}),
    close: () => Promise.resolve(),
  });

describe.each([
  ['reference', referenceEngines],
  ['local', localEngines],
] as const)('the gradient of one update on the %s engine', (_, openEngines) => {
  let engines: Engines;
  beforeAll(async () => {
    engines = await openEngines();
  });
  afterAll(() => engines.close());

  it.each(['clip', 'cispo', 'gspo', 'importance-sampling', 'policy-gradient'] as const)(
    'is the same whatever the split, the order and the padding: %s',
    async (kind) => {
      const config = { ...everything, loss: { ...everything.loss, kind } };
      const [whole, split] = [await engines.open('policy', false), await engines.open('policy', true)];
      const expected = await policyGradient(whole, randomSequences(1), config);
      expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(1e-3);
      const shuffled = new RandomStream(5, 'order').shuffle(randomSequences(1));
      expect(maxRelativeDifference(expected, await policyGradient(split, randomSequences(1), config))).toBeLessThan(
        1e-5,
      );
      expect(maxRelativeDifference(expected, await policyGradient(split, shuffled, config))).toBeLessThan(1e-5);
    },
  );

  it('is the same for the critic', async () => {
    const [whole, split] = [await engines.open('critic', false), await engines.open('critic', true)];
    for (const critic of [whole, split]) await moveHead(critic);
    const expected = await valueGradient(whole, randomSequences(1));
    expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(1e-3);
    const shuffled = new RandomStream(5, 'order').shuffle(randomSequences(1));
    expect(maxRelativeDifference(expected, await valueGradient(split, shuffled))).toBeLessThan(1e-5);
  });
});

describe('systems that fall together, as whole runs', () => {
  it('PPO with lambda 1 and a critic of zero is the Monte-Carlo form', async () => {
    const one = withOptions({
      ...{ iterations: 3, groupSize: 1, promptsPerIteration: 24 },
      advantage: { std: 'none' },
    });
    const critic = await openEchoCritic(2);
    const forward = critic.forward.bind(critic);
    critic.forward = async (data) => ({
      ...(await forward(data)),
      values: data.map((d) => new Float32Array(d.input.length)),
    });
    const gae = await trainEcho(withOptions({ ...one, advantage: { kind: 'gae', lambda: 1, gamma: 1 } }), { critic });
    // A group of one has no baseline: its advantage is its reward, the Monte-Carlo return of every token.
    const monteCarlo = await trainEcho(one);
    expect(await weightsOf(gae.policy)).toEqual(await weightsOf(monteCarlo.policy));
  });

  it('DAPO with equal clips, no filter, no overlong, no dual clip and sequence means is GRPO', async () => {
    const small = {
      ...{ iterations: '3', promptsPerIteration: '6', groupSize: '6', maxTokens: '4', 'validation.every': '0' },
      ...{ 'optimizer.lr': '0.03', 'rewards.wrong': '0', 'kl.placement': 'off', epochs: '2' },
    };
    const without = {
      ...{
        'loss.clipLow': '0.2',
        'loss.clipHigh': '0.2',
        'loss.dualClip': 'null',
        aggregation: 'sequence-mean-token-mean',
      },
      ...{ 'dynamicSampling.enabled': 'false', 'overlong.soft.enabled': 'false', 'overlong.filter': 'false' },
    };
    const train = async (name: string, sets: Record<string, string>) => {
      const { config } = resolveRecipe(name, 'mini', sets);
      return weightsOf((await trainEcho(config as RlConfig)).policy);
    };
    const grpo = await train('grpo', small);
    expect(await train('dapo', { ...small, ...without })).toEqual(grpo);
    expect(await train('dapo', small)).not.toEqual(grpo);
  });

  it('without a critic, a KL or a right answer to imitate, no pass is made that is not needed', async () => {
    const policy = await openEchoPolicy(1);
    const forward = policy.forward.bind(policy);
    let passes = 0;
    policy.forward = (...args) => (passes++, forward(...args));
    const allWrong = echoTask((problem, response) => ({ ...gradeEcho(problem, response), status: 'wrong', score: 0 }));
    const config = withOptions({ oldLogprobs: 'trainer', loss: { positiveNll: 0.1 } });
    const { run } = await trainEcho(config, { policy, task: allWrong });
    expect(passes).toBe(0);
    expect(run.metrics.every((line) => line.grad_norm === 0)).toBe(true);
  });
});
