import { z } from 'zod';
import { HoneError, type Progress } from '../core/index.js';
import { checkCompanionName, checkCompanions, loadModels, saveModels, type Companions } from './companions.js';
import type { CheckpointState, Json, MetricsLine, Run } from '../runs/types.js';
import type { TrainableModel } from './types.js';

/** What every trainer has to remember between iterations; trainers may add fields of their own. */
export const trainingStateSchema = z.strictObject({
  /** Position in the walk over problems or examples. */
  cursor: z.number(),
  /** Updates done since the start of the run: the schedule's clock. */
  updates: z.number(),
  /** Updates skipped in a row up to now, for a non-finite loss or gradient. */
  skippedInARow: z.number(),
  /** Best validation score so far. */
  bestScore: z.number().nullable(),
  /** What else a trainer has to remember: running statistics of rewards, carried groups, the stage of a curriculum. */
  extra: z.json().optional(),
});
export type TrainingState = z.infer<typeof trainingStateSchema>;

const metricsSchema = z.object({ iteration: z.number(), timing: z.record(z.string(), z.number()).optional() });
/** What a checkpoint holds. */
const savedStateSchema = trainingStateSchema.extend({
  /** The metrics of its iteration, where a stop came before their validation. */
  unvalidated: metricsSchema.catchall(z.json()).optional(),
  /** Names of the models saved beside the one that is trained. */
  companions: z.array(z.string()).optional(),
});

/** Result of a validation: `score` ranks checkpoints (higher is better); all numbers go to metrics as `val.*`. */
export interface Validation {
  score: number;
  metrics: Record<string, number>;
}

export interface ResumePoint {
  folder: string;
  state: CheckpointState;
}

export interface TrainingRunOptions {
  model: TrainableModel;
  /**
   * Models that belong to the run besides: its critic, reference, anchor. Each is saved to a folder of its name within
   * the checkpoint, and restored from there.
   */
  companions?: Companions;
  /** Absent: nothing is written. */
  run: Run | undefined;
  progress: Progress;
  signal: AbortSignal | undefined;
  /** Planned iterations. */
  iterations: number;
  /** Iterations between checkpoints. */
  checkpointEvery: number;
}

/**
 * The bookkeeping of a training run that all trainers share: where it stands, when a checkpoint is due, how it goes on
 * from one, and how it ends when the user asks or numbers blow up.
 */
export class TrainingRun {
  readonly #options: TrainingRunOptions;
  /** Iterations completed. */
  iteration = 0;
  state: TrainingState = { cursor: 0, updates: 0, skippedInARow: 0, bestScore: null };
  lastMetrics: MetricsLine | undefined;
  /** Iteration of the newest checkpoint; undefined: none. */
  #saved: number | undefined;
  /** That checkpoint was saved before its iteration was validated. */
  #savedUnvalidated = false;
  /** Metrics of the iteration after `iteration`, trained and saved, whose validation a stop cut off: finish it first. */
  unvalidated: MetricsLine | undefined;

  /** @throws HoneError('usage') for a companion whose name cannot be a folder's */
  constructor(options: TrainingRunOptions) {
    for (const name of Object.keys(options.companions ?? {})) checkCompanionName(name);
    this.#options = options;
  }

  /**
   * Puts model, counters and run folder back to a checkpoint.
   * @throws HoneError('input') when the checkpoint was not written by a trainer.
   */
  async restore({ folder, state }: ResumePoint): Promise<void> {
    const parsed = savedStateSchema.safeParse(state.trainer);
    if (!parsed.success)
      throw new HoneError('input', 'the checkpoint does not hold the state of a trainer', {
        where: folder,
        hint: 'Resume it with the version and the kind of training that wrote it.',
      });
    const { model, companions = {}, run } = this.#options;
    const { unvalidated, companions: saved = [], ...trainer } = parsed.data;
    checkCompanions(companions, saved, folder);
    await loadModels(folder, model, companions);
    await run?.truncateTo(state.iteration);
    this.state = trainer;
    this.iteration = state.iteration;
    this.#saved = state.iteration;
    this.lastMetrics = (await run?.readMetrics())?.at(-1);
    if (unvalidated) await this.#restoreUnvalidated(unvalidated);
  }

  /** The sitting that validated it may have ended before its next checkpoint: then the line is there. */
  async #restoreUnvalidated(metrics: MetricsLine): Promise<void> {
    this.#savedUnvalidated = true;
    if (this.lastMetrics?.iteration === metrics.iteration) {
      const score = this.lastMetrics['val.score'];
      return this.complete(this.lastMetrics, typeof score === 'number' ? score : undefined);
    }
    this.iteration = metrics.iteration - 1;
    this.unvalidated = metrics;
  }

  /**
   * Validates an iteration, stores its metrics and marks it as done.
   * @param validate adds `val.*` to the metrics, and returns the score that ranks checkpoints; throws on abort.
   * @throws HoneError('interrupted') on abort while it validates, after a checkpoint of the iteration: resume validates it.
   */
  async finish(
    metrics: MetricsLine,
    validate: (metrics: MetricsLine) => Promise<number | undefined>,
  ): Promise<MetricsLine> {
    const { signal, run } = this.#options;
    const validated = { ...metrics };
    let score: number | undefined;
    try {
      score = await validate(validated);
    } catch (error) {
      if (!signal?.aborted) throw error;
      throw await this.#suspend(metrics);
    }
    await run?.appendMetrics(validated);
    this.unvalidated = undefined;
    await this.complete(validated, score);
    return validated;
  }

  /** Saves a trained iteration that was not validated. */
  async #suspend(metrics: MetricsLine): Promise<HoneError> {
    const { run, progress } = this.#options;
    if (run && !this.unvalidated) {
      const unvalidated = Object.fromEntries(
        Object.entries(metrics).filter((entry): entry is [string, Json] => entry[1] !== undefined),
      );
      const { iteration } = metrics;
      await this.#save(run, { iteration, trainer: { ...this.state, unvalidated } });
      this.#saved = iteration;
    }
    progress.end();
    return this.interrupted(`while validating iteration ${metrics.iteration}, which is trained and saved`);
  }

  /** Marks an iteration as done. Checkpoints are due by cadence, at the planned end, and at a new best score. */
  async complete(metrics: MetricsLine, score: number | undefined): Promise<void> {
    this.iteration = metrics.iteration;
    this.lastMetrics = metrics;
    const isBest = score !== undefined && score > (this.state.bestScore ?? -Infinity);
    if (isBest) this.state.bestScore = score;
    const { iterations, checkpointEvery } = this.#options;
    if (isBest || this.iteration === iterations || this.iteration % checkpointEvery === 0) await this.checkpoint(score);
  }

  /** Saves the last completed iteration, unless that is saved already. */
  async checkpoint(score?: number): Promise<void> {
    const { run } = this.#options;
    if (!run || this.unvalidated || (this.#saved === this.iteration && !this.#savedUnvalidated)) return;
    await this.#save(run, { iteration: this.iteration, score, trainer: { ...this.state } });
    this.#saved = this.iteration;
    this.#savedUnvalidated = false;
  }

  /** One checkpoint with all models of the run. */
  #save(run: Run, state: CheckpointState & { trainer: object }): Promise<void> {
    const { model, companions = {} } = this.#options;
    const names = Object.keys(companions);
    const trainer = names.length > 0 ? { ...state.trainer, companions: names } : state.trainer;
    return run.saveCheckpoint({ ...state, trainer }, (folder) => saveModels(folder, model, companions));
  }

  /** @throws HoneError('interrupted') when the user asked to stop, after saving the last completed iteration. */
  async stopIfAborted(): Promise<void> {
    if (!this.#options.signal?.aborted) return;
    await this.checkpoint();
    this.#options.progress.end();
    throw this.interrupted(`after iteration ${this.iteration} of ${this.#options.iterations}`);
  }

  interrupted(when: string): HoneError {
    const path = this.#options.run?.path;
    const canResume = path !== undefined && this.#saved !== undefined;
    const hint = canResume ? `Go on with: hone resume ${path}` : 'Nothing was saved: start again.';
    return new HoneError('interrupted', `stopped ${when}`, { hint });
  }

  /** The error that ends a run whose last `inARow` updates had a non-finite loss or gradient. */
  diverged(iteration: number, inARow: number, lr: number): HoneError {
    const kept =
      this.#saved === undefined ? 'no checkpoint was due yet' : `the checkpoint of iteration ${this.#saved} is kept`;
    const file = this.#options.run ? `${this.#options.run.path}/metrics.jsonl, ` : '';
    return new HoneError('numeric', `${inARow} updates in a row had a non-finite loss or gradient; ${kept}`, {
      where: `${file}iteration ${iteration}`,
      hint: `Lower optimizer.lr (now ${lr}), or set optimizer.gradClipNorm and more optimizer.warmupUpdates, and train again.`,
    });
  }
}
