import { RandomStream } from '../../src/core/index.js';
import type { Datum, Loss, TrainableModel } from '../../src/engine/index.js';
import type { LocalEngine, LocalModel } from '../../src/engine/local/index.js';
import { clippedSurrogate } from '../../src/rl/index.js';
import { crossEntropy } from '../../src/sft/index.js';
import { MODELS, type ModelName, type SamplingCase, type TrainingCase } from './cases.js';

const surrogate = clippedSurrogate({ clipLow: 0.2, clipHigh: 0.28, dualClip: null, entropyBonus: 0 });

/** Models of the benchmark, opened once: each batch size of the sampler has its own, with as many slots. */
export class HoneModels {
  readonly #open = new Map<string, Promise<LocalModel>>();

  constructor(private readonly engine: LocalEngine) {}

  get(name: ModelName, samplingSlots?: number): Promise<LocalModel> {
    const key = `${name} ${samplingSlots ?? ''}`;
    const source = { kind: 'random', config: MODELS[name].config, seed: 1 } as const;
    const model = this.#open.get(key) ?? this.engine.openModel({ source, ...(samplingSlots ? { samplingSlots } : {}) });
    this.#open.set(key, model);
    return model;
  }
}

function randomTokens(name: string, count: number, vocabSize: number): Int32Array {
  const random = new RandomStream(1, 'bench', name);
  return Int32Array.from({ length: count }, () => random.nextInt(2, vocabSize - 1));
}

/** B sequences of T tokens, all of them trained on. */
function datums({ B, T }: TrainingCase, vocabSize: number): Datum[] {
  return Array.from({ length: B }, (_, i) => {
    const tokens = randomTokens(`datum ${i}`, T + 1, vocabSize);
    const all = (value: number): Float32Array => new Float32Array(T).fill(value);
    return {
      input: tokens.slice(0, -1),
      target: tokens.slice(1),
      vectors: { weight: all(1 / (B * T)), advantage: all(1), oldLogprob: all(-Math.log(vocabSize)) },
    };
  });
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** @returns tokens a second of forward and backward passes; `curved`: with a loss computed in TypeScript in between */
export async function trainingRate(model: TrainableModel, test: TrainingCase, curved: boolean): Promise<number> {
  const data = datums(test, model.info.vocabSize);
  const loss: Loss = curved ? surrogate : crossEntropy;
  const spent = await seconds(async () => {
    for (let i = 0; i < test.repeats; i++) await model.forwardBackward(data, loss);
  });
  return (test.repeats * test.B * test.T) / spent;
}

/** @returns tokens a second, prefill of the prompts included in the time */
export async function samplingRate(model: TrainableModel, { B, prompt, length }: SamplingCase): Promise<number> {
  const sampler = await model.liveSampler();
  const requests = Array.from({ length: B }, (_, i) => ({
    promptTokens: randomTokens(`prompt ${i}`, prompt, model.info.vocabSize),
    params: { n: 1, maxTokens: length - prompt, temperature: 1, seed: i, stop: [] },
  }));
  const spent = await seconds(() => sampler.sampleBatch(requests));
  await sampler.dispose();
  return (B * (length - prompt)) / spent;
}
