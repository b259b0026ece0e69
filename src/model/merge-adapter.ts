/** Folding a LoRA adapter into the model it was trained on: W' = W + scale * B A (Hu et al. 2021, section 4.1). */
import { HoneError, type Progress } from '../core/index.js';
import { llamaTensorShapes } from './config.js';
import { exportModel, loadModelConfig } from './folder.js';
import { lastName, loraScale, type LoraPair, type PeftAdapter } from './peft.js';
import { openSafetensors } from './safetensors.js';
import { readTensors } from './tensors.js';

/** What computing with an adapter takes. */
export type LoraAdapter = Pick<PeftAdapter, 'rank' | 'scale' | 'tensors' | 'baseModel'>;

/**
 * The adapter that training saved: a safetensors file with `<module>.lora_A.weight` and `<module>.lora_B.weight` alone.
 * @throws HoneError('input') when the file is damaged, or holds anything else.
 */
export async function readTrainedAdapter(
  file: string,
  { rank, alpha, targets }: { rank: number; alpha: number; targets: readonly string[] },
): Promise<PeftAdapter> {
  const [endA, endB] = ['.lora_A.weight', '.lora_B.weight'];
  const weights = await openSafetensors(file);
  const names = weights.names();
  const modules = names.filter((name) => name.endsWith(endA)).map((name) => name.slice(0, -endA.length));
  const pairs = modules.every((module) => names.includes(`${module}${endB}`));
  if (modules.length === 0 || !pairs || names.length !== 2 * modules.length)
    throw new HoneError('input', 'does not hold an adapter and nothing else', {
      where: file,
      hint: 'The file does not belong to this run.',
    });
  const shapes = modules.flatMap((module): [string, number[]][] => [
    [`${module}${endA}`, [rank, weights.info(`${module}${endA}`).shape[1] ?? 0]],
    [`${module}${endB}`, [weights.info(`${module}${endB}`).shape[0] ?? 0, rank]],
  ]);
  const values = await readTensors(file, new Map(shapes));
  const factor = (name: string): Float32Array => values.get(name) as Float32Array;
  const tensors = new Map(modules.map((name) => [name, { a: factor(name + endA), b: factor(name + endB) }]));
  const scale = loraScale({ rank, alpha });
  return { rank, alpha, rslora: false, scale, dropout: 0, targets: [...targets], tensors };
}

/**
 * Writes a model folder of its own with the adapter folded in: config.json, model.safetensors in float32, tokenizer,
 * chat template and generation files. config.json is written last. Beside the adapter one tensor is in memory.
 * @param where what errors call the adapter
 * @throws HoneError('input') when the adapter does not fit the model, or the model is damaged; HoneError('usage') when
 *   `out` already holds a model; HoneError('resource') when the disk is full.
 */
export async function mergeAdapter(
  base: string,
  adapter: LoraAdapter,
  out: string,
  options: { where: string; onProgress?: Progress },
): Promise<void> {
  checkAdapterFits(adapter, llamaTensorShapes(await loadModelConfig(base)), options.where);
  const pairs = new Map([...adapter.tensors].map(([module, pair]) => [`${module}.weight`, pair]));
  await exportModel(base, out, {
    ...options,
    change: (name, weight) => {
      const pair = pairs.get(name);
      if (pair) mergeLoraInto(weight, pair, adapter.rank, adapter.scale);
    },
  });
}

/**
 * Checks that an adapter fits a model.
 * @param shapes weight shapes [out, in] by tensor name, e.g. of `llamaTensorShapes`.
 * @throws HoneError('input') that names the first module the model lacks or whose size differs.
 */
export function checkAdapterFits(
  adapter: LoraAdapter,
  shapes: ReadonlyMap<string, readonly number[]>,
  where: string,
): void {
  const hint = `The adapter belongs to another model${adapter.baseModel ? ` (${adapter.baseModel})` : ''}.`;
  for (const [module, { a, b }] of adapter.tensors) {
    // An embedding looks a row up; PEFT adapts it with factors of another name.
    const shape = lastName(module) === 'embed_tokens' ? undefined : shapes.get(`${module}.weight`);
    if (shape?.length !== 2) throw new HoneError('input', `the model has no linear layer ${module}`, { where, hint });
    const [out, input] = [b.length / adapter.rank, a.length / adapter.rank];
    if (shape[0] !== out || shape[1] !== input)
      throw new HoneError('input', `${module} is [${shape}] in the model, [${out},${input}] in the adapter`, {
        where,
        hint,
      });
  }
}

/**
 * W + scale * B A, in place: what a merged model computes with. Products are summed in double precision and rounded
 * once, so that a merge adds no error of its own beyond that of float32.
 * @param weight [out, in]
 */
export function mergeLoraInto(weight: Float32Array, { a, b }: LoraPair, rank: number, scale: number): void {
  const [inSize, outSize] = [a.length / rank, b.length / rank];
  if (weight.length !== inSize * outSize)
    throw new HoneError('usage', `a weight of ${weight.length} values does not fit factors [${outSize},${inSize}]`);
  const row = new Float64Array(inSize);
  for (let o = 0; o < outSize; o++) {
    row.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = scale * (b[o * rank + k] as number);
      if (factor === 0) continue;
      for (let i = 0; i < inSize; i++) row[i] = (row[i] as number) + factor * (a[k * inSize + i] as number);
    }
    for (let i = 0; i < inSize; i++) weight[o * inSize + i] = (weight[o * inSize + i] as number) + (row[i] as number);
  }
}
