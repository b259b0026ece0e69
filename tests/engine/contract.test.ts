import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalEngine, type LocalEngineOptions } from '../../src/engine/local/index.js';
import { loadTokenizer, writeCharTokenizer } from '../../src/model/index.js';
import { engineContract } from '../support/engine-contract.js';

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

const VARIANTS: Record<string, LocalEngineOptions> = {
  'one thread, in-place outputs': { threads: 1, outputs: 'in-place' },
  'two threads, plain outputs': { threads: 2, outputs: 'plain' },
};

for (const [name, options] of Object.entries(VARIANTS)) {
  engineContract(`local, ${name}`, async () => {
    const tokenizerPath = await mkdtemp(join(tmpdir(), 'hone-contract-'));
    await writeCharTokenizer(tokenizerPath, ALPHABET);
    const tokenizer = await loadTokenizer(tokenizerPath);
    const config = { ...CONFIG, vocab_size: tokenizer.vocabSize, eos_token_id: [...tokenizer.eosIds] };
    const engine = await createLocalEngine({ inline: true, ...options });
    return {
      engine,
      openPolicy: (seed) =>
        engine.openModel({
          source: { kind: 'random', config, seed, initStd: 0.3, tokenizerPath },
          tokensPerMicroBatch: 64,
          samplingSlots: 4,
        }),
      eosIds: tokenizer.eosIds,
      tokenText: (id) => tokenizer.decode([id]),
    };
  });
}
