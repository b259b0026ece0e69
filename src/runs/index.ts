export * from './types.js';
export { createRun, openRun, type CreateRunOptions } from './run.js';
export type { Checkpoint, FileHashes } from './checkpoints.js';
export { looksSecret, redact, REDACTED } from './redact.js';
export type { RunFile } from './manifest.js';
export type { LockHolder } from './lock.js';
