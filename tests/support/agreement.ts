import { RandomStream } from '../../src/core/index.js';
import type { Datum, Loss, Sample, SampleParams, Sampler, TrainableModel } from '../../src/engine/index.js';

/** The tokenizer of the model under test: a character a token. */
export const AGREEMENT_ALPHABET = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
/** Fewer than the sequences of most cases, so that slots are used again. */
export const AGREEMENT_SLOTS = 16;

/** A Llama of 0.2M parameters with grouped queries, without its vocabulary. */
export const AGREEMENT_CONFIG: Record<string, unknown> = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 64,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 160,
  max_position_embeddings: 256,
  rope_theta: 10000,
  rms_norm_eps: 1e-6,
  hidden_act: 'silu',
  tie_word_embeddings: true,
};

export interface AgreementCase {
  name: string;
  prompts: Int32Array[];
  params: SampleParams;
}

/** |sampler logprob - trainer logprob| over tokens, and how the sequences ended. */
export interface Agreement {
  max: number;
  sum: number;
  tokens: number;
  ends: Record<string, number>;
}

function promptsOf(name: string, lengths: readonly number[]): Int32Array[] {
  const random = new RandomStream(5, 'agreement', name);
  return lengths.map((length) => Int32Array.from({ length }, () => random.nextInt(4, 60)));
}

/** Prompts of a long beginning in common, which the sampler reads once, and ends of their own. */
function fewShot(count: number): Int32Array[] {
  const [examples, ...questions] = promptsOf('few-shot', [150, ...range(count, (i) => 1 + ((i * 11) % 50))]);
  return questions.map((question) => Int32Array.from([...(examples as Int32Array), ...question]));
}

const range = <T>(length: number, at: (i: number) => T): T[] => Array.from({ length }, (_, i) => at(i));

/** @param size share of the full set of prompts, from 0 to 1: a unit test is content with fewer. */
export function agreementCases(size = 1): AgreementCase[] {
  const few = (count: number): number => Math.ceil(count * size);
  const ragged = range(few(12), (i) => 1 + ((i * 7) % 40));
  const base: SampleParams = { n: 2, maxTokens: 24, temperature: 1, seed: 9 };
  const make = (name: string, lengths: number[], params: Partial<SampleParams>): AgreementCase => ({
    name,
    prompts: promptsOf(name, lengths),
    params: { ...base, ...params },
  });
  return [
    make('ragged prompts', ragged, { n: 3 }),
    make(
      'slot reuse',
      range(few(40), (i) => 3 + (i % 9)),
      { stop: ['a', 'B', '7'] },
    ),
    make('bucket edges', [15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129], { n: 1, maxTokens: few(40), stop: [] }),
    make('temperature', ragged, { temperature: 0.6 }),
    make('high temperature', ragged, { temperature: 1.7 }),
    make('top-p', ragged, { topP: 0.8 }),
    make('top-p, top-k, min-p and temperature', ragged, { topP: 0.9, topK: 20, minP: 0.02, temperature: 0.8 }),
    make('stop strings', ragged, { stop: ['q', 'Zx', '42'], maxTokens: 32 }),
    make('greedy', ragged, { temperature: 0, n: 1 }),
    { name: 'a shared beginning', prompts: fewShot(few(12)), params: { ...base, n: 2 } },
  ];
}

/** Prompt and reply as the trainer sees them; weight is 1 on the reply. */
function datumOf(prompt: Int32Array, tokens: Int32Array): Datum {
  const all = Int32Array.from([...prompt, ...tokens]);
  const weight = Float32Array.from({ length: all.length - 1 }, (_, t) => (t >= prompt.length - 1 ? 1 : 0));
  return { input: all.subarray(0, -1), target: all.subarray(1), vectors: { weight } };
}

/** Which logprobs of a sample the trainer can give too: raw ones always, sampling ones where no filter cut them. */
function claims({ temperature, topP, topK, minP }: SampleParams): { of: keyof Sample; temperature: number }[] {
  const filtered = topP !== undefined || topK !== undefined || minP !== undefined;
  const raw = { of: 'rawLogprobs' as const, temperature: 1 };
  return temperature === 0 || filtered ? [raw] : [raw, { of: 'samplingLogprobs', temperature }];
}

/** Samples a case and holds every logprob against the trainer's forward pass over the same tokens. */
export async function measureAgreement(
  model: TrainableModel,
  sampler: Sampler,
  { prompts, params }: AgreementCase,
): Promise<Agreement> {
  const samples_PN = await sampler.sampleBatch(prompts.map((promptTokens) => ({ promptTokens, params })));
  const rows = samples_PN.flatMap((samples, p) =>
    samples.map((sample) => ({ sample, prompt: prompts[p] as Int32Array })),
  );
  const data = rows.map(({ prompt, sample }) => datumOf(prompt, sample.tokens));
  const found: Agreement = { max: 0, sum: 0, tokens: 0, ends: {} };
  for (const { sample } of rows) found.ends[sample.stopReason] = (found.ends[sample.stopReason] ?? 0) + 1;
  for (const { of, temperature } of claims(params)) {
    const { logprobs } = await model.forward(data, { temperature });
    rows.forEach(({ prompt, sample }, i) => {
      (sample[of] as Float32Array).forEach((logprob, t) => {
        const difference = Math.abs(logprob - (logprobs[i]?.[prompt.length - 1 + t] ?? NaN));
        // A comparison with NaN is false: it must not pass as agreement.
        found.max = difference <= found.max ? found.max : difference;
        found.sum += difference;
        found.tokens++;
      });
    });
  }
  return found;
}

const imitate: Loss = {
  name: 'cross-entropy',
  needs: {},
  linear: true,
  fn: (_, data) => ({
    lossSum: 0,
    dLogprobs: data.map(({ vectors }) => (vectors['weight'] as Float32Array).map((weight) => -weight / 20)),
    metrics: {},
  }),
};

/** An update large enough to change every distribution. */
export async function updateOnce(model: TrainableModel): Promise<void> {
  const [prompt, reply] = promptsOf('update', [20, 20]) as [Int32Array, Int32Array];
  await model.forwardBackward([datumOf(prompt, reply)], imitate);
  await model.optimStep({ lr: 1e-2, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradClipNorm: Infinity });
}
