import { RandomStream } from '../../src/core/index.js';
import type { OpenModelOptions, Sample, SampleRequest } from '../../src/engine/index.js';
import type { LocalEngine, SamplingStats } from '../../src/engine/local/index.js';
import { localEngine, SMALL_LLAMA } from '../local-engine.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const LIMIT = 1e-4;
const CONFIG = { ...SMALL_LLAMA, max_position_embeddings: 1024 };
/** Keys and values of one token: 3 layers, 2 key-value heads of 16 channels, float32. */
const TOKEN_BYTES = 3 * 2 * 2 * 16 * 4;
/** For 64 sequences of up to 800 tokens, 51,200 are wanted. */
const SMALL_CACHE = 9000 * TOKEN_BYTES;

function tokens(name: string, length: number, index = 0): number[] {
  const random = new RandomStream(12, 'sampler-cache', name, index);
  return Array.from({ length }, () => random.nextInt(4, 60));
}

/** Questions after four examples in common; one half has a further part in common. */
function fewShot(count: number): SampleRequest[] {
  const examples = tokens('examples', 400);
  return Array.from({ length: count }, (_, i) => ({
    promptTokens: Int32Array.from([
      ...examples,
      ...tokens('part', i % 2 === 0 ? 120 : 0),
      ...tokens('question', 10 + ((i * 7) % 50), i),
    ]),
    params: { n: 2, maxTokens: 220, temperature: 1, stop: [], seed: i },
  }));
}

type Run = SamplingStats & { samples: Sample[] };

async function sample(
  engine: LocalEngine,
  options: Partial<OpenModelOptions>,
  requests: readonly SampleRequest[],
): Promise<Run> {
  const source = { kind: 'random', config: CONFIG, seed: 7, initStd: 0.1 } as const;
  const model = await engine.openModel({ source, samplingSlots: 64, ...options });
  const sampler = await model.liveSampler();
  const samples = (await sampler.sampleBatch(requests)).flat();
  const stats = await sampler.stats();
  await model.dispose();
  return { samples, ...stats };
}

/** Largest |logprob - logprob| over equal replies; NaN when a token differs. */
function difference(a: Run, b: Run): number {
  let max = 0;
  a.samples.forEach((sample, i) => {
    const other = b.samples[i] as Sample;
    if (sample.tokens.join() !== other.tokens.join()) max = NaN;
    sample.rawLogprobs?.forEach((logprob, t) => {
      max = Math.max(max, Math.abs(logprob - (other.rawLogprobs?.[t] ?? NaN)));
    });
  });
  return max;
}

const sameBits = (a: Run, b: Run): boolean => JSON.stringify(a.samples) === JSON.stringify(b.samples);

async function run(ctx: CheckContext): Promise<CheckResult> {
  const engine = await localEngine();
  const requests = fewShot(40);
  const apart = await sample(engine, { sharePrefixes: false }, requests);
  const together = await sample(engine, {}, requests);
  ctx.log(`tokens read: ${apart.tokensRead} apart, ${together.tokensRead} with shared prefixes`);
  const small = await sample(engine, { cacheBytes: SMALL_CACHE }, requests);
  const again = await sample(engine, { cacheBytes: SMALL_CACHE }, requests);
  ctx.log(`cache of at most ${SMALL_CACHE} bytes: peak ${small.peakCacheBytes}, ${small.setBack} sequences set back`);
  await engine.close();
  const differences = [together, small].map((other) => difference(apart, other));
  const holds =
    differences.every((max) => max <= LIMIT) &&
    together.tokensRead < apart.tokensRead / 3 &&
    small.setBack > 0 &&
    small.peakCacheBytes <= SMALL_CACHE &&
    sameBits(small, again);
  return {
    status: holds ? 'passed' : 'failed',
    detail: '80 replies of 220 tokens to 40 few-shot prompts: equal tokens with prefixes shared, and in a small cache',
    numbers: {
      tokensReadApart: apart.tokensRead,
      tokensReadShared: together.tokensRead,
      peakBytes: apart.peakCacheBytes,
      smallCacheBytes: SMALL_CACHE,
      smallPeakBytes: small.peakCacheBytes,
      setBack: small.setBack,
      maxDifferenceShared: (differences[0] as number).toExponential(2),
      maxDifferenceSmall: (differences[1] as number).toExponential(2),
      repeatEqualBits: String(sameBits(small, again)),
    },
  };
}

const check: Check = {
  name: 'sampler-cache',
  shows: 'shared prefixes, a cache budget and set-back sequences change no token; logprobs agree to 1e-4',
  needs: [],
  run,
};
export default check;
