import type { AbsentBenchmark } from './types.js';

const PROGRAMS = 'its answers are programs, and hone grades none yet';

/** Benchmarks that are known by name and cannot be run here. */
export const ABSENT: readonly AbsentBenchmark[] = [
  { name: 'livecodebench', title: 'LiveCodeBench', why: PROGRAMS },
  { name: 'humaneval', title: 'HumanEval', why: PROGRAMS },
  { name: 'mbpp', title: 'MBPP', why: PROGRAMS },
];
