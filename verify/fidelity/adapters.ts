import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Datum, OptimStep } from '../../src/engine/index.js';
import type { LocalEngine, LocalModel } from '../../src/engine/local/index.js';
import { openSafetensors, type SafetensorsFile } from '../../src/model/index.js';
import { logitsDifference } from './families.js';
import { crossEntropy, relativeNorm } from './tiny.js';

/** How far hone is from PEFT with one adapter. */
export interface AdapterDifference {
  /** Largest difference of any logit: the adapter beside the weights, and folded into them. */
  unmerged: number;
  merged: number;
  /** The same between hone's own two ways. */
  ownMerge: number;
  /** Largest norm of the difference in the gradient of an A or B, over the norm of that gradient. */
  gradients: number;
  /** Factors that only one of the two has a gradient for. */
  unmatchedTensors: number;
}

export const ADAPTER_LIMIT = 1e-4;

export function adapterAgrees({ unmatchedTensors, ...differences }: AdapterDifference): boolean {
  return unmatchedTensors === 0 && Object.values(differences).every((difference) => difference <= ADAPTER_LIMIT);
}

const STEP: OptimStep = { lr: 1e-2, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradClipNorm: 1 };

/** The sequences of a folder that verify/peers/lora_golden.py made. */
export async function adapterData(folder: string): Promise<Datum[]> {
  const rows = JSON.parse(await readFile(path.join(folder, 'datums.json'), 'utf8')) as {
    input: number[];
    target: number[];
    vectors: { weight: number[] };
  }[];
  return rows.map(({ input, target, vectors }) => ({
    input: Int32Array.from(input),
    target: Int32Array.from(target),
    vectors: { weight: Float32Array.from(vectors.weight) },
  }));
}

export function openAdapted(engine: LocalEngine, folder: string): Promise<LocalModel> {
  return engine.openModel({
    source: { kind: 'folder', path: path.join(folder, 'model') },
    adapter: { kind: 'folder', path: path.join(folder, 'adapter') },
  });
}

/** Holds model and adapter of a folder against what PEFT computed with them, `expected.safetensors`. */
export async function compareAdapter(engine: LocalEngine, folder: string): Promise<AdapterDifference> {
  const data = await adapterData(folder);
  const expected = await openSafetensors(path.join(folder, 'expected.safetensors'));
  const model = await openAdapted(engine, folder);
  const merged = await model.cloneFrozen({ merged: true });
  const found = {
    unmerged: await logitsDifference(model, data, expected, 'unmerged'),
    merged: await logitsDifference(merged, data, expected, 'merged'),
    ownMerge: await modelsDifference(model, merged, data),
    ...(await gradientDifference(model, data, expected)),
  };
  await merged.dispose();
  await model.dispose();
  return found;
}

/** Largest difference of any logit. */
export async function modelsDifference(a: LocalModel, b: LocalModel, data: readonly Datum[]): Promise<number> {
  const inputs = data.map(({ input }) => input);
  const [left, right] = [await a.logits(inputs), await b.logits(inputs)];
  let worst = 0;
  for (const [i, row] of left.entries())
    for (const [j, value] of row.entries()) {
      const difference = Math.abs(value - (right[i]?.[j] ?? NaN));
      // A NaN must not pass for agreement: no comparison with it holds.
      worst = difference <= worst ? worst : difference;
    }
  return worst;
}

async function gradientDifference(model: LocalModel, data: Datum[], file: SafetensorsFile) {
  await model.forwardBackward(data, crossEntropy);
  const ours = await model.tensors('gradients');
  await model.zeroGrad();
  const theirs = file.names().filter((name) => name.startsWith('gradient.'));
  const ownName = (name: string): string => `${name.slice('gradient.'.length)}.weight`;
  const shared = theirs.filter((name) => ours.has(ownName(name)));
  let gradients = 0;
  for (const name of shared) {
    const own = ours.get(ownName(name))?.data ?? new Float32Array();
    const difference = relativeNorm(own, (await file.read(name)).data);
    gradients = difference <= gradients ? gradients : difference;
  }
  return { gradients, unmatchedTensors: theirs.length + ours.size - 2 * shared.length };
}

/** Trains the folder's adapter for a few updates and writes it to `out`. @returns the model, for the caller to dispose of. */
export async function trainAdapter(engine: LocalEngine, folder: string, out: string): Promise<LocalModel> {
  const model = await openAdapted(engine, folder);
  const data = await adapterData(folder);
  for (let update = 0; update < 5; update++) {
    await model.forwardBackward(data, crossEntropy);
    await model.optimStep(STEP);
  }
  await model.exportAdapter(out);
  return model;
}
