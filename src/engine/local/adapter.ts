import { HoneError, RandomStream } from '../../core/index.js';
import { checkAdapterFits, readPeftAdapter, writePeftAdapter, type ModelConfig } from '../../model/index.js';
import { LORA_TARGETS, type AdapterSource } from '../types.js';
import { layerNames, loraA, loraB } from './llama/weights.js';
import type { Arrays } from './parameters.js';

/** The low-rank updates of one model (LoRA, Hu et al. 2021): the weight of each module gains scale * B A. */
export interface Adapter {
  rank: number;
  alpha: number;
  /** What alpha makes of the product: alpha / rank, or alpha / sqrt(rank) where the adapter was trained so. */
  scale: number;
  targets: readonly string[];
  /** Full names of the modules, such as model.layers.0.self_attn.q_proj. */
  modules: readonly string[];
  /** A [rank, in] and B [out, rank] of every module. */
  shapes: Map<string, number[]>;
}

type NewAdapter = Extract<AdapterSource, { kind: 'random' }>;

/** Modules of all layers whose last name is one of the targets. @throws HoneError for a target the model lacks. */
export function targetModules(config: ModelConfig, targets: readonly string[]): string[] {
  const known: readonly string[] = LORA_TARGETS;
  const unknown = targets.find((target) => !known.includes(target));
  if (unknown !== undefined || targets.length === 0) {
    throw new HoneError('usage', unknown === undefined ? 'is empty' : `has no module ${unknown}`, {
      where: 'adapter.targets',
      hint: `Choose from ${LORA_TARGETS.join(', ')}.`,
    });
  }
  return Array.from({ length: config.layers }, (_, i) => Object.values(layerNames(i)))
    .flat()
    .filter((name) => targets.some((target) => name.endsWith(`.${target}`)));
}

/** @param weights shapes of the model's own tensors */
export function adapterShapes(
  modules: readonly string[],
  weights: ReadonlyMap<string, readonly number[]>,
  rank: number,
): Map<string, number[]> {
  return new Map(
    modules.flatMap((module) => {
      const [out, width] = weights.get(`${module}.weight`) as [number, number];
      return [
        [loraA(module), [rank, width]],
        [loraB(module), [out, rank]],
      ] as const;
    }),
  );
}

function positive(value: number, where: string, whole: boolean): void {
  if (value > 0 && value < Infinity && (!whole || Number.isSafeInteger(value))) return;
  throw new HoneError('usage', `must be a ${whole ? 'whole ' : ''}number above 0, not ${value}`, { where });
}

/**
 * A fresh adapter that changes nothing yet: B is zero, A uniform within +-1/sqrt(in) (what PEFT's kaiming_uniform_ with
 * a = sqrt(5) comes to).
 */
export function newAdapter(
  config: ModelConfig,
  weights: ReadonlyMap<string, readonly number[]>,
  { rank, alpha, targets = LORA_TARGETS, seed }: NewAdapter,
): { adapter: Adapter; arrays: Arrays } {
  positive(rank, 'adapter.rank', true);
  positive(alpha, 'adapter.alpha', false);
  const modules = targetModules(config, targets);
  const shapes = adapterShapes(modules, weights, rank);
  const arrays: Arrays = new Map(
    [...shapes].map(([name, [rows = 0, columns = 0]]) => {
      const data = new Float32Array(rows * columns);
      if (name.endsWith('.lora_A.weight')) {
        const random = new RandomStream(seed, 'adapter', name);
        const bound = 1 / Math.sqrt(columns);
        for (let i = 0; i < data.length; i++) data[i] = bound * (2 * random.uniform(i) - 1);
      }
      return [name, data];
    }),
  );
  return { adapter: { rank, alpha, scale: alpha / rank, targets, modules, shapes }, arrays };
}

/** A PEFT adapter from its folder. @throws HoneError when it is damaged or does not fit the model. */
export async function loadAdapter(
  weights: ReadonlyMap<string, readonly number[]>,
  path: string,
): Promise<{ adapter: Adapter; arrays: Arrays }> {
  const read = await readPeftAdapter(path);
  checkAdapterFits(read, weights, path);
  const { rank, alpha, scale, targets, tensors } = read;
  const modules = [...tensors.keys()];
  const shapes = adapterShapes(modules, weights, rank);
  const arrays: Arrays = new Map(
    [...tensors].flatMap(([module, { a, b }]) => [
      [loraA(module), a],
      [loraB(module), b],
    ]),
  );
  return { adapter: { rank, alpha, scale, targets, modules, shapes }, arrays };
}

/** Writes the adapter as a PEFT folder. */
export async function saveAdapter(folder: string, adapter: Adapter, arrays: Arrays): Promise<void> {
  const { rank, alpha, scale, targets, modules } = adapter;
  const array = (name: string): Float32Array => arrays.get(name) as Float32Array;
  const tensors = modules.map((module) => [module, { a: array(loraA(module)), b: array(loraB(module)) }] as const);
  await writePeftAdapter(folder, {
    ...{ rank, alpha, targets, rslora: scale !== alpha / rank },
    tensors: new Map(tensors),
  });
}
