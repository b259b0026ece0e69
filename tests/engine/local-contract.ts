import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AdapterSource } from '../../src/engine/index.js';
import { createLocalEngine, type LocalEngineOptions } from '../../src/engine/local/index.js';
import { loadTokenizer, writeCharTokenizer, writePeftAdapter } from '../../src/model/index.js';
import { writeRandomCritic } from '../support/critic-folder.js';
import { engineContract, type ContractSubject } from '../support/engine-contract.js';
import { normals } from './support.js';

const ALPHABET = 'abcdefghijklmnop';

/** Grouped queries, tied embeddings; small enough for finite differences. */
const CONFIG = {
  model_type: 'llama',
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  intermediate_size: 24,
  rms_norm_eps: 1e-5,
  max_position_embeddings: 64,
  rope_theta: 10000,
  tie_word_embeddings: true,
  hidden_act: 'silu',
};

/** An adapter with both factors drawn from `seed`, so that two seeds are two policies on one base. */
async function randomAdapter(seed: number): Promise<AdapterSource> {
  const path = await mkdtemp(join(tmpdir(), 'hone-contract-adapter-'));
  const shapes = { 'self_attn.q_proj': [32, 32], 'self_attn.v_proj': [16, 32], 'mlp.down_proj': [32, 24] } as const;
  const rank = 3;
  const tensors = Object.entries(shapes).flatMap(([module, [out, width]]) =>
    [0, 1].map((layer) => {
      const name = `model.layers.${layer}.${module}`;
      const factor = (which: string, shape: number[]): Float32Array => normals(seed, `${name} ${which}`, shape, 0.4);
      return [name, { a: factor('A', [rank, width]), b: factor('B', [out, rank]) }] as const;
    }),
  );
  const targets = Object.keys(shapes).map((module) => module.split('.')[1] as string);
  await writePeftAdapter(path, { rank, alpha: 3, targets, tensors: new Map(tensors) });
  return { kind: 'folder', path };
}

const LORA_SKIPS = {
  'copyFrom copies, lerpFrom mixes': 'adapters cannot be averaged; tests/engine/adapter.test.ts has what holds instead',
};

const WORKERS: readonly LocalEngineOptions[] = [{ threads: 1 }, { threads: 2 }, { threads: 2, replicas: 2 }];

/** Holds the local engine to the contract with 1 and 2 threads and with 2 copies of the model, with in-place and plain outputs. */
export function localContract(lora: boolean): void {
  for (const workers of WORKERS)
    for (const outputs of ['in-place', 'plain'] as const) {
      const how = workers.replicas ? `${workers.replicas} copies` : `${workers.threads} threads`;
      const name = `local, ${lora ? 'LoRA' : 'all weights'}, ${how}, ${outputs} outputs`;
      engineContract(name, () => makeSubject(lora, { ...workers, outputs }), lora ? LORA_SKIPS : {});
    }
}

async function makeSubject(lora: boolean, options: LocalEngineOptions): Promise<ContractSubject> {
  const tokenizerPath = await mkdtemp(join(tmpdir(), 'hone-contract-'));
  await writeCharTokenizer(tokenizerPath, ALPHABET);
  const tokenizer = await loadTokenizer(tokenizerPath);
  const config = { ...CONFIG, vocab_size: tokenizer.vocabSize, eos_token_id: [...tokenizer.eosIds] };
  const engine = await createLocalEngine({ inline: true, ...options });
  return {
    engine,
    openPolicy: async (seed: number) =>
      engine.openModel({
        source: { kind: 'random', config, seed: lora ? 1 : seed, initStd: 0.3, tokenizerPath },
        ...(lora ? { adapter: await randomAdapter(seed) } : {}),
        tokensPerMicroBatch: 64,
        samplingSlots: 4,
      }),
    openCritic: async (seed: number) => {
      const path = await mkdtemp(join(tmpdir(), 'hone-contract-critic-'));
      await writeRandomCritic(engine, path, { kind: 'random', config, seed, initStd: 0.3 });
      return engine.openModel({ source: { kind: 'folder', path }, role: 'critic', tokensPerMicroBatch: 64 });
    },
    eosIds: tokenizer.eosIds,
    tokenText: (id: number) => tokenizer.decode([id]),
  };
}
