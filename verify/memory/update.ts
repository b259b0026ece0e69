/** A process of its own, so that the peak is the case's alone: one update of the case named, then what it took. */
import { peakMemoryBytes, RandomStream } from '../../src/core/index.js';
import type { Datum } from '../../src/engine/index.js';
import { clippedSurrogate } from '../../src/rl/index.js';
import { localEngine } from '../local-engine.js';
import { MEMORY_CASES } from './cases.js';

/** The message to the parent. */
export interface Footprint {
  peakBytes: number;
  parameters: number;
  trainedParameters: number;
  gradNorm: number;
  skipped: boolean;
  seconds: number;
}

/** Random tokens, every one of them trained on; old logprobs around those of a fresh model. */
function randomDatums(count: number, T: number, vocabSize: number): Datum[] {
  return Array.from({ length: count }, (_, i) => {
    const random = new RandomStream(1, 'memory', i);
    const tokens = Int32Array.from({ length: T + 1 }, () => random.nextInt(0, vocabSize - 1));
    const per = (draw: () => number): Float32Array => Float32Array.from({ length: T }, draw);
    return {
      input: tokens.slice(0, -1),
      target: tokens.slice(1),
      vectors: {
        weight: per(() => 1 / (count * T)),
        advantage: per(() => random.nextNormal()),
        oldLogprob: per(() => -Math.log(vocabSize) + 0.1 * random.nextNormal()),
      },
    };
  });
}

async function update(name: string): Promise<Footprint> {
  const test = MEMORY_CASES[name];
  if (!test) throw new Error(`no case ${name}`);
  const engine = await localEngine();
  const model = await engine.openModel(test.model);
  const { parameters, trainedParameters, vocabSize } = model.info;
  const data = randomDatums(test.sequences, test.tokens, vocabSize);
  const start = performance.now();
  await model.forwardBackward(
    data,
    clippedSurrogate({ clipLow: 0.2, clipHigh: 0.28, dualClip: null, entropyBonus: 0 }),
  );
  const step = { lr: 1e-6, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.01, gradClipNorm: 1 };
  const { gradNorm, skipped } = await model.optimStep(step);
  const seconds = (performance.now() - start) / 1000;
  await engine.close();
  return { peakBytes: peakMemoryBytes(), parameters, trainedParameters, gradNorm, skipped, seconds };
}

process.send?.(await update(process.argv[2] ?? ''));
