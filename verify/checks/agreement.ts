import { RandomStream } from '../../src/core/index.js';
import type { Datum, Loss, Sample, SampleParams, Sampler, TrainableModel } from '../../src/engine/index.js';
import { writeCharTokenizer } from '../../src/model/index.js';
import { localEngine, SMALL_LLAMA } from '../local-engine.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const MAX_LIMIT = 1e-4;
const MEAN_LIMIT = 1e-5;
/** With padding and end token: the vocabulary of SMALL_LLAMA. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456';

interface Case {
  name: string;
  prompts: Int32Array[];
  params: Partial<SampleParams>;
  /** Compare the sampler's own distribution (temperature) instead of the raw one. */
  sampling?: boolean;
}

interface Differences {
  max: number;
  sum: number;
  count: number;
}

function promptsOf(name: string, lengths: readonly number[]): Int32Array[] {
  const random = new RandomStream(5, 'agreement', name);
  return lengths.map((length) => Int32Array.from({ length }, () => random.nextInt(2, 60)));
}

function cases(): Case[] {
  const ragged = Array.from({ length: 12 }, (_, i) => 1 + ((i * 7) % 40));
  const edges = [15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129];
  return [
    { name: 'ragged prompts', prompts: promptsOf('ragged', ragged), params: { n: 3 } },
    {
      name: 'slot reuse',
      prompts: promptsOf(
        'reuse',
        Array.from({ length: 40 }, (_, i) => 3 + (i % 9)),
      ),
      params: { n: 2 },
    },
    { name: 'bucket edges', prompts: promptsOf('edges', edges), params: { n: 1, maxTokens: 40 } },
    { name: 'temperature', prompts: promptsOf('hot', ragged), params: { temperature: 0.6 }, sampling: true },
    { name: 'top-p', prompts: promptsOf('top-p', ragged), params: { topP: 0.8 } },
    { name: 'stop strings', prompts: promptsOf('stop', ragged), params: { stop: ['ab', 'c', '5'] } },
    { name: 'greedy', prompts: promptsOf('greedy', ragged), params: { temperature: 0, n: 1 } },
  ];
}

/** Prompt and sample as the trainer sees them; weight is 1 on the sampled tokens. */
function datumOf(prompt: Int32Array, { tokens }: Sample): Datum {
  const all = Int32Array.from([...prompt, ...tokens]);
  const weight = Float32Array.from({ length: all.length - 1 }, (_, t) => (t >= prompt.length - 1 ? 1 : 0));
  return { input: all.subarray(0, -1), target: all.subarray(1), vectors: { weight } };
}

async function compare(model: TrainableModel, sampler: Sampler, test: Case): Promise<Differences> {
  const params: SampleParams = { n: 2, maxTokens: 24, temperature: 1, seed: 9, ...test.params };
  const samples_PN = await sampler.sampleBatch(test.prompts.map((promptTokens) => ({ promptTokens, params })));
  const rows = samples_PN.flatMap((samples, p) =>
    samples.map((sample) => ({ sample, prompt: test.prompts[p] as Int32Array })),
  );
  const temperature = test.sampling === true ? params.temperature : 1;
  const { logprobs } = await model.forward(
    rows.map(({ prompt, sample }) => datumOf(prompt, sample)),
    { temperature },
  );
  const differences: Differences = { max: 0, sum: 0, count: 0 };
  rows.forEach(({ prompt, sample }, i) => {
    const claimed = (test.sampling === true ? sample.samplingLogprobs : sample.rawLogprobs) as Float32Array;
    claimed.forEach((logprob, t) => {
      const difference = Math.abs(logprob - (logprobs[i]?.[prompt.length - 1 + t] ?? NaN));
      differences.max = Math.max(differences.max, difference);
      differences.sum += difference;
      differences.count++;
    });
  });
  return differences;
}

const imitate: Loss = {
  name: 'cross-entropy',
  needs: {},
  fn: (_, data) => ({
    lossSum: 0,
    dLogprobs: data.map(({ vectors }) => (vectors['weight'] as Float32Array).map((weight) => -weight / 100)),
    metrics: {},
  }),
};

async function update(model: TrainableModel): Promise<void> {
  const [prompt] = promptsOf('update', [40]) as [Int32Array];
  const data = [
    datumOf(prompt.subarray(0, 20), { tokens: prompt.subarray(20), stopReason: 'length', weightsVersion: 0 }),
  ];
  await model.forwardBackward(data, imitate);
  await model.optimStep({ lr: 1e-2, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradClipNorm: Infinity });
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  const engine = await localEngine();
  // One character a token, so that stop strings have bytes to be found in.
  await writeCharTokenizer(ctx.scratch, ALPHABET);
  const source = { kind: 'random' as const, config: SMALL_LLAMA, seed: 7, tokenizerPath: ctx.scratch };
  const model = await engine.openModel({ source, samplingSlots: 16 });
  const total: Differences = { max: 0, sum: 0, count: 0 };
  const numbers: Record<string, string> = {};
  for (const phase of ['fresh', 'after an update'] as const) {
    if (phase !== 'fresh') await update(model);
    const sampler = await model.liveSampler();
    for (const test of cases()) {
      const found = await compare(model, sampler, test);
      ctx.log(`${phase}, ${test.name}: max ${found.max.toExponential(2)} over ${found.count} tokens`);
      total.max = Math.max(total.max, found.max);
      total.sum += found.sum;
      total.count += found.count;
    }
    await sampler.dispose();
  }
  await engine.close();
  const mean = total.sum / total.count;
  Object.assign(numbers, { max: total.max.toExponential(2), mean: mean.toExponential(2), tokens: String(total.count) });
  const holds = total.max <= MAX_LIMIT && mean <= MEAN_LIMIT;
  const detail =
    'ragged prompts, slot reuse, bucket edges, temperature, top-p, stop strings, greedy, each before and after an update';
  return { status: holds ? 'passed' : 'failed', detail, numbers };
}

const check: Check = {
  name: 'agreement',
  shows: 'sampler and trainer give the same logprobs: max <= 1e-4, mean <= 1e-5',
  needs: [],
  run,
};
export default check;
