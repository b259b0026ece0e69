export * from './types.js';
export { createRun, openRun, type CreateRunOptions } from './run.js';
export type { Checkpoint, FileHashes } from './checkpoint-files.js';
export { listRuns, readRun, type RunReader, type RunSummary } from './reader.js';
export { diffRuns, type RunDifference } from './diff.js';
export {
  COMPARED_METRICS,
  compareRuns,
  metricValue,
  summariseMetric,
  type MetricSummary,
  type RunComparison,
} from './compare.js';
export {
  compareOverSeeds,
  groupBySettings,
  type OverSeeds,
  type SeedComparison,
  type SeedGroup,
} from './over-seeds.js';
export { looksSecret, redact, REDACTED } from './redact.js';
export { renderReport, REPORT_FILE, writeReport } from './report.js';
export type { RunFile } from './manifest.js';
export { lockFile, type LockHolder, type RunLock } from './lock.js';
export { buildPage, type PageParts } from './report/page.js';
export { escapeHtml, visibleLine, visibleText } from './report/escape.js';
export { STYLE as REPORT_STYLE } from './report/style.js';
export { exportTensorboard, scalarsOf, TENSORBOARD_FOLDER } from './tensorboard.js';
