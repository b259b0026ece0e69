import { availableParallelism } from 'node:os';
import { RandomStream } from '../../src/core/index.js';
import type { Datum, TrainableModel } from '../../src/engine/index.js';
import { GEMM_SHAPES, measureGemm } from '../../src/engine/local/gemm.js';
import { createLocalEngine } from '../../src/engine/local/index.js';
import { clippedSurrogate } from '../../src/rl/index.js';
import { crossEntropy } from '../../src/sft/index.js';
import type { Bench } from '../types.js';

const ROUNDS = 5;
const MODEL = { hidden_size: 256, num_hidden_layers: 6, num_attention_heads: 4, num_key_value_heads: 4 };
const CONFIG = {
  ...MODEL,
  model_type: 'llama',
  vocab_size: 64,
  intermediate_size: 768,
  rms_norm_eps: 1e-5,
  max_position_embeddings: 512,
  rope_theta: 10000,
  tie_word_embeddings: true,
  hidden_act: 'silu',
  eos_token_id: 1,
};
const [B, T] = [8, 128];
const THREADS = availableParallelism();

function datums(): Datum[] {
  const random = new RandomStream(1, 'bench');
  return Array.from({ length: B }, () => {
    const tokens = Int32Array.from({ length: T + 1 }, () => random.nextInt(2, 63));
    const ones = (value: number): Float32Array => new Float32Array(T).fill(value);
    return {
      input: tokens.slice(0, -1),
      target: tokens.slice(1),
      vectors: { weight: ones(1 / (B * T)), advantage: ones(1), oldLogprob: ones(-4) },
    };
  });
}

/** 6 x parameters x tokens, and 12 x layers x hidden x T a token for attention; no recomputation counted. */
function flops(parameters: number): number {
  return B * T * (6 * parameters + 12 * MODEL.num_hidden_layers * MODEL.hidden_size * (T / 2));
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] as number;

/** Training and the reference product in turn, so that both see the same machine. */
async function trainingRates(model: TrainableModel, log: (line: string) => void) {
  const data = datums();
  const surrogate = clippedSurrogate({ clipLow: 0.2, clipHigh: 0.28, dualClip: null, entropyBonus: 0 });
  await model.forwardBackward(data, crossEntropy);
  await model.forwardBackward(data, surrogate);
  const rounds: { fused: number; withLoss: number; gemm: number }[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    let gemm = 0;
    for (const shape of GEMM_SHAPES) gemm = Math.max(gemm, (await measureGemm(shape, 0.3, THREADS)).gflops);
    const fused = await seconds(() => model.forwardBackward(data, crossEntropy));
    const withLoss = await seconds(() => model.forwardBackward(data, surrogate));
    log(`round ${i + 1}: fused ${(B * T) / fused} tokens/s, best product ${gemm} GFLOP/s`);
    rounds.push({ fused, withLoss, gemm });
  }
  await model.zeroGrad();
  return rounds;
}

async function samplingRate(model: TrainableModel): Promise<number> {
  const sampler = await model.liveSampler();
  const requests = Array.from({ length: 64 }, (_, i) => ({
    promptTokens: Int32Array.from({ length: 16 }, (_, t) => 2 + ((i + t) % 60)),
    params: { n: 1, maxTokens: 112, temperature: 1, seed: i, stop: [] },
  }));
  await sampler.sampleBatch(requests.map((r) => ({ ...r, params: { ...r.params, maxTokens: 2 } })));
  const spent = await seconds(() => sampler.sampleBatch(requests));
  await sampler.dispose();
  return (64 * 112) / spent;
}

const bench: Bench = {
  name: 'engine',
  measures: 'training and sampling of a 5M-parameter model, against the best matrix product of the same run',
  run: async (log) => {
    const engine = await createLocalEngine({ inline: true, threads: THREADS });
    try {
      const model = await engine.openModel({ source: { kind: 'random', config: CONFIG, seed: 1 }, samplingSlots: 64 });
      const rounds = await trainingRates(model, log);
      const work = flops(model.info.parameters) / 1e9;
      const sampled = await samplingRate(model);
      const fused = median(rounds.map((round) => round.fused));
      return {
        ratios: {
          'training / best product': median(rounds.map((round) => work / round.fused / round.gemm)),
          'fused / with a loss in TypeScript': median(rounds.map((round) => round.fused / round.withLoss)),
        },
        readings: {
          training: `${((B * T) / fused).toFixed(0)} tokens/s, ${(work / fused).toFixed(0)} GFLOP/s`,
          'sampling, batch 64 to length 128': `${sampled.toFixed(0)} tokens/s`,
        },
      };
    } finally {
      await engine.close();
    }
  },
};
export default bench;
