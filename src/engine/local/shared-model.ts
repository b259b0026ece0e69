import type { OpenModelOptions } from '../types.js';
import { Board, sizesOf } from './board.js';
import { tokensOfEach } from './divide.js';
import { DEFAULT_CACHE_BYTES } from './kv-cache.js';
import { defaultTokensPerMicroBatch } from './micro-batches.js';
import { Parameters } from './parameters.js';

/** What it takes to make a copy of a model in another thread; its weights lie in `weights`. */
export interface SharedModel extends Pick<Parameters, 'config' | 'adapter' | 'version'> {
  weights: SharedArrayBuffer;
  sizes: [name: string, length: number][];
  options: OpenModelOptions;
  tokensPerMicroBatch: number;
}

/** @param weights where the model shows them */
export function describe(parameters: Parameters, weights: Board, options: OpenModelOptions): SharedModel {
  const { config, adapter, arrays, version } = parameters;
  return {
    ...{ config, adapter, version, options, sizes: sizesOf(arrays) },
    weights: weights.memory,
    tokensPerMicroBatch: options.tokensPerMicroBatch ?? defaultTokensPerMicroBatch(config),
  };
}

/** Weights of a copy, and where it finds new ones. */
export async function copyOf(shared: SharedModel): Promise<{ parameters: Parameters; weights: Board }> {
  const { config, adapter, version, sizes } = shared;
  const arrays = new Map(sizes.map(([name, length]) => [name, new Float32Array(length)]));
  const parameters = await Parameters.of(config, arrays, adapter);
  const weights = new Board(shared.weights, sizes);
  parameters.take(weights, version);
  return { parameters, weights };
}

/** Options of each of `size` copies, which divide the model's memory for caches and micro-batches between them. */
export function optionsOfEach({ options, tokensPerMicroBatch }: SharedModel, size: number): OpenModelOptions {
  const { samplingSlots } = options;
  return {
    ...options,
    ...(samplingSlots === undefined ? {} : { samplingSlots: Math.ceil(samplingSlots / size) }),
    cacheBytes: Math.floor((options.cacheBytes ?? DEFAULT_CACHE_BYTES) / size),
    tokensPerMicroBatch: tokensOfEach(tokensPerMicroBatch, size),
  };
}
