import type { AbsentBenchmark } from './types.js';

const NO_SANDBOX = 'its answers are programs, and hone has no sandbox yet in which to run them';

/** Benchmarks that are known by name and cannot be run here. */
export const ABSENT: readonly AbsentBenchmark[] = [
  {
    name: 'gpqa-diamond',
    title: 'GPQA Diamond',
    why: 'its data are gated: they may not be passed on, and hone has no reader for multiple choice yet',
  },
  { name: 'livecodebench', title: 'LiveCodeBench', why: NO_SANDBOX },
  { name: 'humaneval', title: 'HumanEval', why: NO_SANDBOX },
  { name: 'mbpp', title: 'MBPP', why: NO_SANDBOX },
];
