import { EpochOrder } from '../core/epoch-order.js';
import { HoneError, silentProgress, type Progress } from '../core/index.js';
import { z } from 'zod';
import type { TrainableModel } from '../engine/types.js';
import type { CheckpointState, MetricsLine, Run } from '../runs/types.js';
import type { ProblemSource, Task } from '../tasks/types.js';
import { collectGroups } from './collect.js';
import { hasFilters, parseRlConfig, type RlConfig } from './config.js';
import { iterationMetrics } from './iteration-metrics.js';
import { rolloutRows, type Rendering, type RolloutContext } from './rollouts.js';
import { planUpdates, runUpdates } from './updates.js';

/** Result of a validation: `score` ranks checkpoints (higher is better); all numbers go to metrics as `val.*`. */
export interface Validation {
  score: number;
  metrics: Record<string, number>;
}

export interface TrainRlOptions {
  policy: TrainableModel;
  task: Pick<Task, 'name' | 'problems' | 'grade' | 'stop'>;
  /** Training problems; default: the task's train split under the run's seed. */
  problems?: ProblemSource;
  render: Rendering;
  /** Where metrics, rollouts and checkpoints go; its manifest's seed feeds every random draw. */
  run: Run;
  config: RlConfig;
  validate?: (policy: TrainableModel, iteration: number) => Promise<Validation>;
  /** Ends the run early after an iteration; a function of metrics, never of the clock, so that runs repeat. */
  stopWhen?: (metrics: MetricsLine) => boolean;
  /** Grader calls in flight at once; default 8. */
  gradeConcurrency?: number;
  progress?: Progress;
  signal?: AbortSignal;
  /** A checkpoint of this run (Run.latestCheckpoint). The continuation is bit for bit that of an unbroken run. */
  resumeFrom?: { folder: string; state: CheckpointState };
}

export interface TrainRlResult {
  /** Iterations completed, over all sittings. */
  iterations: number;
  /** Best validation score, if there was a validation. */
  bestScore: number | undefined;
  lastMetrics: MetricsLine | undefined;
}

const trainerStateSchema = z.strictObject({
  cursor: z.number(),
  updates: z.number(),
  skippedInARow: z.number(),
  bestScore: z.number().nullable(),
});
type TrainerState = z.infer<typeof trainerStateSchema>;

/**
 * Reinforcement learning from verifiable rewards: every iteration samples groups of attempts, grades them, turns rewards
 * into group-relative advantages, and makes one or more updates with a clipped surrogate. GRPO, DAPO and Dr. GRPO are
 * configurations of it (src/recipes).
 *
 * @throws HoneError('interrupted') on abort, after a checkpoint of the last completed iteration; HoneError('numeric')
 * after `maxSkippedUpdates` non-finite updates in a row; HoneError('usage' | 'input') for options and data.
 */
export async function trainRl(options: TrainRlOptions): Promise<TrainRlResult> {
  const config = parseRlConfig(options.config);
  const loop = new RlLoop(options, config);
  await loop.restore();
  return loop.run();
}

class RlLoop {
  readonly #options: TrainRlOptions;
  readonly #config: RlConfig;
  readonly #context: RolloutContext;
  readonly #progress: Progress;
  #iteration = 0;
  #state: TrainerState = { cursor: 0, updates: 0, skippedInARow: 0, bestScore: null };
  /** Iteration of the newest checkpoint; -1: none. */
  #saved = -1;
  #last: MetricsLine | undefined;

  constructor(options: TrainRlOptions, config: RlConfig) {
    const { task, run, policy, render, signal } = options;
    const seed = run.manifest.seed;
    const problems = options.problems ?? task.problems('train', seed);
    this.#options = options;
    this.#config = config;
    this.#progress = options.progress ?? silentProgress;
    this.#context = {
      ...{ task, problems, render, config, seed, signal, progress: this.#progress },
      order: new EpochOrder(problems.size, seed, 'problems'),
      maxContext: policy.info.maxContext,
      gradeConcurrency: options.gradeConcurrency ?? 8,
    };
  }

  /** Puts weights, optimiser, cursors and the run folder back to the checkpoint. */
  async restore(): Promise<void> {
    const { resumeFrom, policy, run } = this.#options;
    if (!resumeFrom) return;
    const parsed = trainerStateSchema.safeParse(resumeFrom.state.trainer);
    if (!parsed.success)
      throw new HoneError('input', 'the checkpoint does not hold the state of an RL trainer', {
        where: resumeFrom.folder,
        hint: 'Resume it with the kind of training that wrote it.',
      });
    await policy.load(resumeFrom.folder);
    await run.truncateTo(resumeFrom.state.iteration);
    this.#state = parsed.data;
    this.#iteration = resumeFrom.state.iteration;
    this.#saved = this.#iteration;
    this.#last = (await run.readMetrics()).at(-1);
  }

  async run(): Promise<TrainRlResult> {
    const { iterations } = this.#config;
    if (hasFilters(this.#config))
      this.#progress.note(
        'top-p, top-k and min-p shape the sampling only: training uses the full distribution.',
        'warn',
      );
    this.#progress.phase('RL', iterations);
    while (this.#iteration < iterations) {
      await this.#stopIfAborted();
      const metrics = await this.#iterate(this.#iteration + 1);
      if (metrics && this.#options.stopWhen?.(metrics)) break;
    }
    await this.#checkpoint(undefined);
    this.#progress.end();
    return {
      iterations: this.#iteration,
      bestScore: this.#state.bestScore ?? undefined,
      lastMetrics: this.#last,
    };
  }

  /** One iteration; leaves no trace but random-access draws when it is aborted while sampling or grading. */
  async #iterate(iteration: number): Promise<MetricsLine | undefined> {
    const { policy, run } = this.#options;
    const collected = await this.#collect(iteration);
    if (!collected) return undefined;
    this.#progress.update(iteration - 1, { training: `${collected.kept.length} groups` });
    const plan = planUpdates(collected.kept, this.#config);
    const done = (iteration - 1) / this.#config.iterations;
    const report = await runUpdates(policy, plan, this.#config, this.#state, done);
    this.#state.cursor = collected.cursor;
    const metrics = iterationMetrics(iteration, collected, report);
    const validation = report.diverged ? undefined : await this.#validate(iteration);
    for (const [name, value] of Object.entries(validation?.metrics ?? {})) metrics[`val.${name}`] = value;
    if (validation) metrics['val.score'] = validation.score;
    await run.writeRollouts(iteration, rolloutRows(iteration, collected.sampled));
    await run.appendMetrics(metrics);
    if (report.diverged) throw this.#diverged(iteration);
    this.#iteration = iteration;
    this.#last = metrics;
    await this.#checkpointIfDue(validation);
    this.#progress.update(iteration, facts(metrics));
    return metrics;
  }

  async #collect(iteration: number) {
    const sampler = await this.#options.policy.liveSampler();
    try {
      return await collectGroups(this.#context, sampler, { iteration, cursor: this.#state.cursor });
    } catch (error) {
      if (!this.#options.signal?.aborted) throw error;
      return undefined;
    } finally {
      await sampler.dispose();
    }
  }

  async #validate(iteration: number): Promise<Validation | undefined> {
    const { every } = this.#config.validation;
    const due = every > 0 && (iteration % every === 0 || iteration === this.#config.iterations);
    if (!due || !this.#options.validate) return undefined;
    this.#progress.update(iteration - 1, { validating: iteration });
    try {
      return await this.#options.validate(this.#options.policy, iteration);
    } catch (error) {
      if (!this.#options.signal?.aborted) throw error;
      throw this.#interrupted(`while validating iteration ${iteration}; it is repeated on resume`);
    }
  }

  /** A checkpoint is due by cadence, and whenever validation finds a new best. */
  async #checkpointIfDue(validation: Validation | undefined): Promise<void> {
    const isBest = validation !== undefined && validation.score > (this.#state.bestScore ?? -Infinity);
    if (isBest) this.#state.bestScore = validation.score;
    const { checkpoint, iterations } = this.#config;
    const due = this.#iteration % checkpoint.every === 0 || this.#iteration === iterations;
    if (isBest || due) await this.#checkpoint(validation?.score);
  }

  async #checkpoint(score: number | undefined): Promise<void> {
    if (this.#saved === this.#iteration) return;
    const { run, policy } = this.#options;
    await run.saveCheckpoint({ iteration: this.#iteration, score, trainer: { ...this.#state } }, (folder) =>
      policy.save(folder),
    );
    this.#saved = this.#iteration;
  }

  async #stopIfAborted(): Promise<void> {
    if (!this.#options.signal?.aborted) return;
    await this.#checkpoint(undefined);
    this.#progress.end();
    throw this.#interrupted(`after iteration ${this.#iteration} of ${this.#config.iterations}`);
  }

  #interrupted(when: string): HoneError {
    const { path } = this.#options.run;
    const way =
      this.#saved >= 0 ? `Go on with: hone resume ${path}` : 'No checkpoint was due yet: start the run again.';
    return new HoneError('interrupted', `stopped ${when}`, { hint: way });
  }

  #diverged(iteration: number): HoneError {
    const kept = this.#saved >= 0 ? `the checkpoint of iteration ${this.#saved} is kept` : 'no checkpoint was due yet';
    const { lr } = this.#config.optimizer;
    return new HoneError(
      'numeric',
      `${this.#config.maxSkippedUpdates} updates in a row had a non-finite loss or gradient; ${kept}`,
      {
        where: `${this.#options.run.path}/metrics.jsonl, iteration ${iteration}`,
        hint: `Lower optimizer.lr (now ${lr}), or set optimizer.gradClipNorm and more optimizer.warmupUpdates, and train again.`,
      },
    );
  }
}

/** The few numbers worth watching while a run goes on. */
function facts(metrics: MetricsLine): Record<string, string | number> {
  const shown: Record<string, string | number> = {};
  for (const name of ['accuracy', 'reward.mean', 'length.mean', 'entropy.estimate']) {
    const value = metrics[name];
    if (typeof value === 'number') shown[name] = Number(value.toPrecision(3));
  }
  return shown;
}
