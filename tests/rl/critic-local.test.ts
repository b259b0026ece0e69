import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLocalEngine } from '../../src/engine/local/index.js';
import type { Engine, TrainableModel } from '../../src/engine/types.js';
import { loadTokenizer, writeCharTokenizer, type Tokenizer } from '../../src/model/index.js';
import { renderingOf, trainRl, type Rendering } from '../../src/rl/index.js';
import { CHARS, echoTask, gradeEcho } from '../support/echo-task.js';
import { weightsOf, withOptions } from '../support/echo-training.js';
import { MemoryRun } from '../support/memory-run.js';

/** PPO with everything that a checkpoint has to hold besides the policy, on ONNX Runtime. */
const config = withOptions({
  ...{ iterations: 2, promptsPerIteration: 3, groupSize: 3, updatesPerIteration: 1, oldLogprobs: 'trainer' },
  advantage: { kind: 'gae', lambda: 0.9, lengthAdaptiveAlpha: 0.5 },
  critic: { pretrain: { iterations: 1, stopAtExplainedVariance: null } },
  kl: { placement: 'loss', coefficient: 0.1, reference: { kind: 'averaged', every: 1, keep: 0.5 } },
  checkpoint: { every: 100, keep: 9 },
});

describe.each([
  ['all weights', false],
  ['an adapter', true],
])('PPO on the local engine, training %s', (_, lora) => {
  let engine: Engine;
  let tokenizer: Tokenizer;
  let render: Rendering;
  let open: (role: 'policy' | 'critic', seed: number) => Promise<TrainableModel>;

  beforeAll(async () => {
    const tokenizerPath = await mkdtemp(join(tmpdir(), 'hone-critic-local-'));
    await writeCharTokenizer(tokenizerPath, CHARS);
    tokenizer = await loadTokenizer(tokenizerPath);
    render = renderingOf(echoTask(), { tokenizer });
    engine = await createLocalEngine({ inline: true, threads: 1 });
    const model = {
      ...{ model_type: 'llama', hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 1 },
      ...{ intermediate_size: 24, rms_norm_eps: 1e-5, max_position_embeddings: 32, rope_theta: 10000 },
      ...{ tie_word_embeddings: true, hidden_act: 'silu', vocab_size: tokenizer.vocabSize },
      eos_token_id: [...tokenizer.eosIds],
    };
    open = (role, seed) =>
      engine.openModel({
        ...{
          role,
          source: { kind: 'random', config: model, seed, initStd: 0.3, tokenizerPath },
          tokensPerMicroBatch: 64,
        },
        ...(lora && role === 'policy' ? { adapter: { kind: 'random', rank: 2, alpha: 2, seed: seed + 1 } } : {}),
      });
  });
  afterAll(() => engine.close());

  it.each([1, 2])('stopped after iteration %i and resumed is the unbroken run bit for bit', async (at) => {
    const train = async (run: MemoryRun, stopAt: number | undefined) => {
      const [policy, critic] = [await open('policy', 1), await open('critic', 5)];
      const controller = new AbortController();
      const task = echoTask((problem, response) => {
        if (run.metrics.length === stopAt) controller.abort();
        return gradeEcho(problem, response);
      });
      const resumeFrom = await run.latestCheckpoint();
      const training = trainRl({ policy, critic, task, render, run, config, resumeFrom, signal: controller.signal });
      if (stopAt === undefined) await training;
      else await expect(training).rejects.toMatchObject({ kind: 'interrupted' });
      return [...(await weightsOf(policy)), ...(await weightsOf(critic))];
    };
    const [straight, broken] = [await MemoryRun.create(7), await MemoryRun.create(7)];
    const expected = await train(straight, undefined);
    await train(broken, at);
    expect(await train(broken, undefined)).toEqual(expected);
    expect(broken.comparable()).toEqual(straight.comparable());
    expect(straight.metrics.map((line) => line['critic.pretraining'] ?? 0)).toEqual([1, 0, 0]);
  });
});
