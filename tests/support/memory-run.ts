import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CheckpointState, Json, MetricsLine, RolloutRow, Run, RunManifest } from '../../src/runs/types.js';

/** A run that keeps everything in memory but the model files of its checkpoints. */
export class MemoryRun implements Run {
  readonly path: string;
  readonly manifest: RunManifest;
  readonly metrics: MetricsLine[] = [];
  readonly rollouts = new Map<number, readonly RolloutRow[]>();
  readonly checkpoints: { folder: string; state: CheckpointState }[] = [];
  readonly results = new Map<string, Json>();

  private constructor(path: string, seed: number) {
    this.path = path;
    this.manifest = { name: 'memory', kind: 'rl', recipe: 'test', seed, config: {}, dataHashes: {} };
  }

  static async create(seed: number): Promise<MemoryRun> {
    return new MemoryRun(await mkdtemp(join(tmpdir(), 'hone-run-')), seed);
  }

  appendMetrics(line: MetricsLine): Promise<void> {
    this.metrics.push(JSON.parse(JSON.stringify(line)) as MetricsLine);
    return Promise.resolve();
  }

  writeRollouts(iteration: number, rows: readonly RolloutRow[]): Promise<void> {
    this.rollouts.set(iteration, rows);
    return Promise.resolve();
  }

  async saveCheckpoint(state: CheckpointState, write: (folder: string) => Promise<void>): Promise<void> {
    const folder = join(this.path, `${state.iteration}`);
    await mkdir(folder, { recursive: true });
    await write(folder);
    this.checkpoints.push({ folder, state: JSON.parse(JSON.stringify(state)) as CheckpointState });
  }

  latestCheckpoint() {
    return Promise.resolve(this.checkpoints.at(-1));
  }

  bestCheckpoint() {
    const scored = this.checkpoints.filter(({ state }) => state.score !== undefined);
    return Promise.resolve(scored.sort((a, b) => b.state.score! - a.state.score!)[0]);
  }

  truncateTo(iteration: number): Promise<void> {
    this.metrics.splice(0, Infinity, ...this.metrics.filter((line) => line.iteration <= iteration));
    for (const key of [...this.rollouts.keys()]) if (key > iteration) this.rollouts.delete(key);
    return Promise.resolve();
  }

  readMetrics(): Promise<MetricsLine[]> {
    return Promise.resolve([...this.metrics]);
  }

  readRollouts(iteration: number): Promise<RolloutRow[]> {
    return Promise.resolve([...(this.rollouts.get(iteration) ?? [])]);
  }

  writeResult(name: string, value: Json): Promise<void> {
    this.results.set(name, value);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Metrics without wall-clock readings: what two runs of one seed share. */
  comparable(): MetricsLine[] {
    return this.metrics.map(({ timing: _timing, ...rest }) => rest);
  }
}
