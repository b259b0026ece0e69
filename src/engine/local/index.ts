export { createLocalEngine, type LocalEngine, type LocalEngineOptions } from './engine.js';
export type { LocalModel } from './model.js';
