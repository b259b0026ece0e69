import type { AbsentBenchmark } from './types.js';

/** Benchmarks that are known by name and cannot be run here. */
export const ABSENT: readonly AbsentBenchmark[] = [
  {
    name: 'livecodebench',
    title: 'LiveCodeBench',
    why: 'hone has no reader for its files yet; its kinds of tests are those of a code task (docs/code-grading.md)',
  },
];
