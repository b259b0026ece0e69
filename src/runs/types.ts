/**
 * The run folder: everything a run was, is and can go on from.
 *
 *   run.json          resolved config, versions, seed, data hashes, git commit; keys redacted
 *   metrics.jsonl     one line an iteration
 *   rollouts/*.jsonl  one file an iteration: every prompt, completion, verdict, reward, advantage (share configurable)
 *   checkpoints/<n>/  written to a temporary name, fsynced, renamed; manifest.json with a SHA-256 of each file
 *   report.html       self-contained
 */

/** JSON values; what run.json, metrics and trainer state are made of. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** What a run is, fixed at its start. */
export interface RunManifest {
  name: string;
  /** `rl`, `sft` or `quickstart`. */
  kind: string;
  recipe: string;
  seed: number;
  /** The fully resolved configuration, every option present. */
  config: { readonly [key: string]: Json };
  /** SHA-256 of every data file, by path as given; under an adapter also that of the base model's weights. */
  dataHashes: { readonly [path: string]: string };
}

export interface MetricsLine {
  /** Iterations completed when this line was written. */
  iteration: number;
  /** Wall-clock readings and peak memory; the only part that differs between two runs of one seed, and that `runs diff` leaves out. */
  timing?: { readonly [key: string]: number };
  [key: string]: Json | undefined;
}

/** One graded attempt as stored. */
export interface RolloutRow {
  iteration: number;
  problemId: string;
  prompt: string;
  sample: number;
  text: string;
  stopReason: string;
  tokens: number;
  status: 'correct' | 'wrong' | 'no_verdict';
  score: number;
  reason: string;
  extracted?: string;
  wellFormed?: boolean;
  reward: number;
  /** What the reward was made of, where that is more than the base reward. */
  components?: { readonly [name: string]: number };
  advantage: number;
  /** False when the group was dropped (no variance, excess, no verdict). */
  trained: boolean;
}

/** What a checkpoint holds besides the files that `write` puts into its folder. */
export interface CheckpointState {
  /** Iterations completed. Resume goes on with the next. */
  iteration: number;
  /** Validation score, higher is better; absent when this checkpoint was not validated. */
  score?: number;
  /** Everything the trainer needs to go on bit for bit: data cursors, carried groups, schedules, running statistics. */
  trainer: Json;
}

export interface CheckpointPolicy {
  /** Save every so many iterations (and always at the end). */
  every: number;
  /** Keep the newest so many; the best by validation score is kept besides. */
  keep: number;
}

/** An open run, locked against other processes until `close`. */
export interface Run {
  readonly path: string;
  readonly manifest: RunManifest;
  appendMetrics(line: MetricsLine): Promise<void>;
  /** Replaces the rollouts of one iteration. */
  writeRollouts(iteration: number, rows: readonly RolloutRow[]): Promise<void>;
  /** Atomic: after a crash at any point the checkpoint is wholly there or not at all. `write` puts model files into `folder`. */
  saveCheckpoint(state: CheckpointState, write: (folder: string) => Promise<void>): Promise<void>;
  /** The newest checkpoint whose hashes hold; a damaged one is reported through `onDamaged` and passed over. */
  latestCheckpoint(
    onDamaged?: (folder: string, why: string) => void,
  ): Promise<{ folder: string; state: CheckpointState } | undefined>;
  bestCheckpoint(): Promise<{ folder: string; state: CheckpointState } | undefined>;
  /** Cuts metrics and rollouts back to the first `iteration` iterations. */
  truncateTo(iteration: number): Promise<void>;
  readMetrics(): Promise<MetricsLine[]>;
  readRollouts(iteration: number): Promise<RolloutRow[]>;
  /** Writes a small JSON result file (atomically) into the run folder, e.g. `result.json`. */
  writeResult(name: string, value: Json): Promise<void>;
  close(): Promise<void>;
}
