export { createLocalEngine, type LocalEngineOptions } from './engine.js';
