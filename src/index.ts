export * from './core/index.js';
export * from './engine/index.js';
export * from './model/index.js';
export * from './runs/index.js';
export * from './tasks/index.js';
