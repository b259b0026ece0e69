export { createLocalEngine, type LocalEngine, type LocalEngineOptions } from './engine.js';
export type { LocalModel } from './model.js';
export type { LocalSampler } from './sampler.js';
export type { SamplingStats } from './sampling.js';
