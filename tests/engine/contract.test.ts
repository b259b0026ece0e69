import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalEngine } from '../../src/engine/local/index.js';
import { loadTokenizer, writeCharTokenizer } from '../../src/model/index.js';
import { engineContract } from '../support/engine-contract.js';

const alphabet = '0123456789+-*=>x!?é ';

engineContract('local, ONNX Runtime', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hone-contract-tokenizer-'));
  await writeCharTokenizer(folder, alphabet);
  const tokenizer = await loadTokenizer(folder);
  const engine = await createLocalEngine({ threads: 1, inline: true });
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: 22,
    hidden_size: 64,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    intermediate_size: 24,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    max_position_embeddings: 64,
    tie_word_embeddings: false,
    eos_token_id: 1,
  };
  return {
    engine,
    openPolicy: (seed) =>
      engine.openModel({
        source: { kind: 'random', config, seed, tokenizerPath: folder, initStd: 0.15 },
        maxContext: 32,
      }),
    eosIds: tokenizer.eosIds,
    tokenText: (id) => Buffer.from(tokenizer.tokenBytes(id)).toString('utf8'),
  };
});
