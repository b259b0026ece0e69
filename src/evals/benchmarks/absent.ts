import type { AbsentBenchmark } from './types.js';

/** Benchmarks that are known by name and cannot be run here. */
export const ABSENT: readonly AbsentBenchmark[] = [
  {
    name: 'gpqa-diamond',
    title: 'GPQA Diamond',
    why: 'its data are gated: they may not be passed on, and hone has no reader for multiple choice yet',
  },
  {
    name: 'livecodebench',
    title: 'LiveCodeBench',
    why: 'hone has no reader for its files yet; its kinds of tests are those of a code task (docs/code-grading.md)',
  },
];
