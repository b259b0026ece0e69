import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Datum } from '../../src/engine/index.js';
import type { LocalEngine, LocalModel } from '../../src/engine/local/index.js';
import { openSafetensors, type SafetensorsFile } from '../../src/model/index.js';
import { crossEntropy } from './tiny.js';

/** expected.json of verify/peers/families.py. */
interface Expected {
  seed: number;
  datums: { input: number[]; target: number[]; weight: number[] }[];
  prompts: number[][];
  greedy: number[][];
  versions: Record<string, string>;
}

/** How far hone is from transformers on one checkpoint. */
export interface FamilyDifference {
  /** Largest difference of any logit. */
  logits: number;
  /** Largest norm of a tensor's difference in gradients, over the norm of the tensor's gradient (see NEGLIGIBLE). */
  gradients: number;
  /** Tensors that only one of the two has a gradient for. */
  unmatchedTensors: number;
  /** Tokens of the greedy continuations, and those before the first difference of each. */
  greedyTokens: number;
  greedyEqual: number;
}

/**
 * Tensors whose gradient is a smaller part of the whole are measured against this part. Rounding is all there is to
 * the gradient of the keys' bias in a layer that does not rotate: softmax ignores what all keys share.
 */
const NEGLIGIBLE = 1e-3;

export const FAMILY_LIMITS = { logits: 1e-4, gradients: 1e-4 } as const;

export function agrees(found: FamilyDifference): boolean {
  const { logits, gradients, unmatchedTensors, greedyTokens, greedyEqual } = found;
  const exact = unmatchedTensors === 0 && greedyTokens > 0 && greedyEqual === greedyTokens;
  return exact && logits <= FAMILY_LIMITS.logits && gradients <= FAMILY_LIMITS.gradients;
}

/** Runs a checkpoint that verify/peers/families.py made, and holds it against what transformers computed. */
export async function compareFamily(engine: LocalEngine, folder: string): Promise<FamilyDifference> {
  const expected = JSON.parse(await readFile(path.join(folder, 'expected.json'), 'utf8')) as Expected;
  const tensors = await openSafetensors(path.join(folder, 'expected.safetensors'));
  const model = await engine.openModel({ source: { kind: 'folder', path: folder } });
  const data = expected.datums.map(({ input, target, weight }) => ({
    input: Int32Array.from(input),
    target: Int32Array.from(target),
    vectors: { weight: Float32Array.from(weight) },
  }));
  const found = {
    logits: await logitsDifference(model, data, tensors),
    ...(await gradientDifference(model, data, tensors)),
    ...(await greedyAgreement(model, expected)),
  };
  await model.dispose();
  return found;
}

/** Largest difference of a model's logits from the tensors `<name>.<i>` of a peer's file; infinite where shapes differ. */
export async function logitsDifference(
  model: LocalModel,
  data: readonly Datum[],
  file: SafetensorsFile,
  name = 'logits',
): Promise<number> {
  let worst = 0;
  for (const [i, row] of (await model.logits(data.map(({ input }) => input))).entries()) {
    const theirs = (await file.read(`${name}.${i}`)).data;
    if (row.length !== theirs.length) return Infinity;
    // A NaN must not pass for agreement: no comparison with it holds.
    for (const [j, value] of row.entries())
      worst = Math.abs(value - (theirs[j] as number)) <= worst ? worst : Math.abs(value - (theirs[j] as number));
  }
  return worst;
}

async function gradientDifference(model: LocalModel, data: Datum[], file: SafetensorsFile) {
  await model.forwardBackward(data, crossEntropy);
  const ours = await model.tensors('gradients');
  await model.zeroGrad();
  const theirs = file.names().filter((name) => name.startsWith('grad.'));
  const shared = theirs.map((name) => name.slice('grad.'.length)).filter((name) => ours.has(name));
  const expected = new Map<string, Float32Array>();
  for (const name of shared) expected.set(name, (await file.read(`grad.${name}`)).data);
  const whole = Math.hypot(...[...expected.values()].map(norm));
  let gradients = 0;
  for (const [name, data] of expected) {
    const difference = norm(
      (ours.get(name)?.data ?? new Float32Array()).map((value, i) => value - (data[i] as number)),
    );
    const relative = difference / Math.max(norm(data), NEGLIGIBLE * whole);
    gradients = relative <= gradients ? gradients : relative;
  }
  return { gradients, unmatchedTensors: theirs.length + ours.size - 2 * shared.length };
}

function norm(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
}

/** All prompts in one batch, of different lengths, each to the length that the peer continued it. */
async function greedyAgreement(model: LocalModel, { prompts, greedy }: Expected) {
  const sampler = await model.snapshot();
  const requests = prompts.map((prompt, i) => ({
    promptTokens: Int32Array.from(prompt),
    params: { n: 1, maxTokens: greedy[i]?.length ?? 0, temperature: 0, stop: [], seed: 1 },
  }));
  const samples = await sampler.sampleBatch(requests);
  await sampler.dispose();
  let [greedyTokens, greedyEqual] = [0, 0];
  for (const [i, tokens] of greedy.entries()) {
    const ours = samples[i]?.[0]?.tokens ?? new Int32Array();
    const different = tokens.findIndex((token, t) => ours[t] !== token);
    greedyTokens += tokens.length;
    greedyEqual += different < 0 ? tokens.length : different;
  }
  return { greedyTokens, greedyEqual };
}
