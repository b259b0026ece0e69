/** Ratios measured against each other in one process, so that a noisy machine cancels out as far as it can. */
export interface BenchResult {
  /** What is compared with what: `hone / plain loop`; more than 1 is in favour of hone. */
  ratios: Record<string, number>;
  /** Absolute readings for a person, e.g. MB/s: they depend on the machine and are never compared. */
  readings?: Record<string, string>;
}

/** What a benchmark may use. */
export interface BenchOptions {
  /** Python with the peers a benchmark names in its `measures` line. */
  python?: string;
  /** Folder whose node_modules holds node-llama-cpp with a prebuilt binary. */
  llamacpp?: string;
  /** Rounds to take the median over; default: the benchmark's own. */
  rounds?: number;
  /** Only cases whose label has this in it. */
  only?: string;
}

/** One file of bench/cases, as its default export. */
export interface Bench {
  name: string;
  measures: string;
  run(log: (line: string) => void, options: BenchOptions): Promise<BenchResult>;
}
