import { EpochOrder } from '../core/epoch-order.js';
import { HoneError, peakMemoryBytes, silentProgress, type Progress } from '../core/index.js';
import { mergeMetrics, metricValues } from '../engine/metrics.js';
import { learningRate, optimStepOf } from '../engine/optimizer.js';
import { TrainingRun, type ResumePoint, type Validation } from '../engine/training-run.js';
import type { Metric, TrainableModel } from '../engine/types.js';
import type { MetricsLine, Run } from '../runs/types.js';
import { parseSftConfig, type SftConfig } from './config.js';
import { fit, tokenMeanDatums, type Fitted, type SftSource } from './examples.js';
import { crossEntropy } from './loss.js';

export interface TrainSftOptions {
  model: TrainableModel;
  data: SftSource;
  /** Examples for the evaluation loss; default: `heldOut` examples of a finite `data`, which are then not trained on. */
  heldOutData?: SftSource;
  config: SftConfig;
  /** Where metrics and checkpoints go; without one nothing is written. */
  run?: Run;
  /** Seed of every random draw; default: the run's. */
  seed?: number;
  /** Measured beside the evaluation loss; without it, checkpoints are ranked by that loss. */
  validate?: (model: TrainableModel, iteration: number) => Promise<Validation>;
  /** Ends the run early after an iteration, on what was measured. */
  stopWhen?: (metrics: MetricsLine) => boolean;
  progress?: Progress;
  signal?: AbortSignal;
  /** A checkpoint of this run. The continuation is bit for bit that of an unbroken run. */
  resumeFrom?: ResumePoint;
}

export interface TrainSftResult {
  iterations: number;
  updates: number;
  bestScore: number | undefined;
  lastMetrics: MetricsLine | undefined;
}

/** Everything an iteration needs. */
interface Context extends TrainSftOptions {
  progress: Progress;
  order: { at(position: number): number };
  heldOut: SftSource | undefined;
  /** Updates of the whole run. */
  totalUpdates: number;
  /** Examples of the whole run; Infinity when `updates` decides. */
  totalExamples: number;
  iterations: number;
  /** Examples of a finite data set that have nothing to learn within the limits. */
  dropped: number;
}

/**
 * Supervised fine-tuning: cross-entropy on the learned tokens, token-mean over each update, AdamW.
 *
 * @throws HoneError('interrupted') on abort, after a checkpoint of the last trained iteration; HoneError('numeric')
 * after `maxSkippedUpdates` non-finite updates in a row; HoneError('usage' | 'input') for options and data.
 */
export async function trainSft(options: TrainSftOptions): Promise<TrainSftResult> {
  const context = contextOf(options);
  const { model, run, signal, progress, iterations, config } = context;
  const checkpointEvery = config.checkpoint.every;
  const training = new TrainingRun({ model, run, progress, signal, iterations, checkpointEvery });
  if (options.resumeFrom) await training.restore(options.resumeFrom);
  progress.phase('SFT', iterations);
  if (training.iteration > 0) progress.update(training.iteration, { resumed: training.iteration });
  while (training.iteration < iterations) {
    await training.stopIfAborted();
    const metrics = await iterate(context, training);
    if (options.stopWhen?.(metrics)) break;
  }
  await training.checkpoint();
  progress.end();
  const { iteration, state, lastMetrics } = training;
  return { iterations: iteration, updates: state.updates, bestScore: state.bestScore ?? undefined, lastMetrics };
}

function contextOf(options: TrainSftOptions): Context {
  const config = parseSftConfig(options.config);
  const seed = options.seed ?? options.run?.manifest.seed;
  if (seed === undefined) throw new HoneError('usage', 'training needs a seed', { hint: 'Give `seed` or `run`.' });
  if (config.maxTokens > options.model.info.maxContext)
    throw new HoneError('usage', `exceeds the model's context of ${options.model.info.maxContext}`, {
      where: 'maxTokens',
      hint: `Set maxTokens to at most ${options.model.info.maxContext}.`,
    });
  const progress = options.progress ?? silentProgress;
  const { data, dropped } = usablePart(options.data, config);
  if (dropped > 0)
    progress.note(`${dropped} of ${options.data.size} examples are left out (maxTokens, masks).`, 'warn');
  const { train, heldOut } = divide(data, options.heldOutData, config, seed);
  if (config.epochs !== null && train.size === Infinity)
    throw new HoneError('usage', 'an endless data source has no epochs', { where: 'epochs', hint: 'Set updates.' });
  const totalExamples = config.epochs === null ? Infinity : Math.ceil(config.epochs * train.size);
  const totalUpdates = config.updates ?? Math.ceil(totalExamples / config.sequencesPerUpdate);
  const iterations = Math.ceil(totalUpdates / config.updatesPerIteration);
  const order = new EpochOrder(train.size, seed, 'sft');
  return {
    ...options,
    config,
    data: train,
    heldOut,
    progress,
    order,
    totalExamples,
    totalUpdates,
    iterations,
    dropped,
  };
}

/** A finite data set without the examples that would be dropped, so that epochs come out even; an endless one as it is. */
function usablePart(data: SftSource, config: SftConfig): { data: SftSource; dropped: number } {
  if (data.size < 1) throw new HoneError('input', 'there are no examples to train on');
  if (data.size === Infinity) return { data, dropped: 0 };
  const all = Array.from({ length: data.size }, (_, index) => index);
  const usable = all.filter((index) => fit(data.at(index), config) !== 'dropped');
  if (usable.length === 0) throw nothingFits(config);
  const at = (index: number) => data.at(usable[index] as number);
  return { data: { size: usable.length, at }, dropped: all.length - usable.length };
}

/** Sets the held-out examples of a finite data set apart, drawn by seed. */
function divide(
  data: SftSource,
  heldOutData: SftSource | undefined,
  { heldOut }: SftConfig,
  seed: number,
): { train: SftSource; heldOut: SftSource | undefined } {
  if (heldOutData) return { train: data, heldOut: heldOutData };
  if (heldOut === 0) return { train: data, heldOut: undefined };
  if (data.size === Infinity)
    throw new HoneError('usage', 'cannot set examples of an endless source apart', {
      where: 'heldOut',
      hint: 'Set heldOut to 0, or give heldOutData.',
    });
  if (heldOut >= data.size)
    throw new HoneError('usage', `leaves nothing of ${data.size} examples to train on`, { where: 'heldOut' });
  const order = new EpochOrder(data.size, seed, 'held-out');
  const part = (from: number, to: number): SftSource => ({
    size: to - from,
    at: (index) => data.at(order.at(from + index)),
  });
  return { train: part(heldOut, data.size), heldOut: part(0, heldOut) };
}

/** Counts and sums of one iteration. */
interface Tally {
  updates: number;
  skipped: number;
  applied: number;
  loss: number;
  gradNorm: number;
  lr: number;
  truncated: number;
  /** Of the whole data set when it is finite, of this iteration otherwise. */
  dropped: number;
  sequences: number;
  tokens: number;
  diverged: boolean;
  metrics: Record<string, Metric>;
}

/** One iteration; the metrics as stored. Aborted while it evaluates, it is saved, and evaluated when the run goes on. */
async function iterate(context: Context, training: TrainingRun): Promise<MetricsLine> {
  const metrics = training.unvalidated ?? (await trainIteration(context, training));
  const finished = await training.finish(metrics, (line) => evaluateIfDue(context, line));
  context.progress.update(finished.iteration, facts(finished));
  return finished;
}

async function trainIteration(context: Context, training: TrainingRun): Promise<MetricsLine> {
  const { config, run } = context;
  const iteration = training.iteration + 1;
  const started = performance.now();
  const tally: Tally = {
    ...{ updates: 0, skipped: 0, applied: 0, loss: 0, gradNorm: 0, lr: 0, truncated: 0, dropped: context.dropped },
    ...{ sequences: 0, tokens: 0, diverged: false, metrics: {} },
  };
  const due = Math.min(config.updatesPerIteration, context.totalUpdates - training.state.updates);
  while (tally.updates < due && !tally.diverged) await update(context, training, tally);
  const trainSeconds = (performance.now() - started) / 1000;
  const metrics = metricsOf(iteration, tally, trainSeconds, training.state.cursor / context.data.size);
  if (!tally.diverged) return metrics;
  await run?.appendMetrics(metrics);
  throw training.diverged(iteration, config.maxSkippedUpdates, config.optimizer.lr);
}

async function update({ model, config, ...context }: Context, { state }: TrainingRun, tally: Tally): Promise<void> {
  const examples = nextExamples({ config, ...context }, state, tally);
  const datums = tokenMeanDatums(examples);
  const { lossSum, metrics } = await model.forwardBackward(datums, crossEntropy);
  const lr = learningRate(config.optimizer, state.updates, state.updates / context.totalUpdates);
  const finite = Number.isFinite(lossSum);
  if (!finite) await model.zeroGrad();
  const step = finite ? await model.optimStep(optimStepOf(config.optimizer, lr)) : { gradNorm: NaN, skipped: true };
  state.updates++;
  tally.updates++;
  tally.lr = lr;
  tally.sequences += examples.length;
  tally.tokens += datums.reduce((sum, datum) => sum + datum.input.length, 0);
  if (step.skipped) {
    tally.skipped++;
    tally.diverged = ++state.skippedInARow >= config.maxSkippedUpdates;
    return;
  }
  state.skippedInARow = 0;
  tally.applied++;
  tally.loss += lossSum;
  tally.gradNorm += step.gradNorm;
  tally.metrics = mergeMetrics([tally.metrics, metrics]);
}

/** The examples of the next update. Dropped ones (of an endless source) are made up for by the next in order. */
function nextExamples(
  { data, order, config, totalExamples }: Pick<Context, 'data' | 'order' | 'config' | 'totalExamples'>,
  state: TrainingRun['state'],
  tally: Tally,
): Exclude<Fitted, 'dropped'>[] {
  const examples: Exclude<Fitted, 'dropped'>[] = [];
  for (let dropped = 0; examples.length < config.sequencesPerUpdate && state.cursor < totalExamples;) {
    const fitted = fit(data.at(order.at(state.cursor++)), config);
    if (fitted !== 'dropped') examples.push(fitted);
    else if (++dropped > MAX_DROPPED_PER_UPDATE) throw nothingFits(config);
    else tally.dropped++;
  }
  tally.truncated += examples.filter(({ truncated }) => truncated).length;
  return examples;
}

/** Examples an update may draw in vain from an endless source before the run gives up. */
const MAX_DROPPED_PER_UPDATE = 10_000;

function nothingFits({ maxTokens }: SftConfig): HoneError {
  return new HoneError('input', `no example has anything to learn within maxTokens ${maxTokens}`, {
    where: 'maxTokens',
    hint: 'Raise maxTokens, or check that the data has assistant turns.',
  });
}

function metricsOf(iteration: number, tally: Tally, trainSeconds: number, epoch: number): MetricsLine {
  const overApplied = (sum: number) => (tally.applied > 0 ? sum / tally.applied : undefined);
  return {
    iteration,
    loss: overApplied(tally.loss),
    ...metricValues(tally.metrics),
    grad_norm: overApplied(tally.gradNorm),
    lr: tally.lr,
    updates: tally.updates,
    skipped_updates: tally.skipped,
    epoch: epoch > 0 ? epoch : undefined,
    sequences: tally.sequences,
    'rows.truncated': tally.truncated,
    'rows.dropped': tally.dropped,
    timing: {
      train_s: trainSeconds,
      train_tokens_per_s: trainSeconds > 0 ? tally.tokens / trainSeconds : 0,
      peak_memory_bytes: peakMemoryBytes(),
    },
  };
}

/** Adds `val.*` to the metrics when an evaluation is due; returns the score that ranks checkpoints. */
async function evaluateIfDue(context: Context, metrics: MetricsLine): Promise<number | undefined> {
  const { config, heldOut, validate, model, iterations, signal } = context;
  const { iteration } = metrics;
  const due = config.evaluation.every > 0 && (iteration % config.evaluation.every === 0 || iteration === iterations);
  if (!due) return undefined;
  const loss = heldOut && (await evaluationLoss(model, heldOut, config, signal));
  const validation = await validate?.(model, iteration);
  if (loss !== undefined) metrics['val.loss'] = loss;
  for (const [name, value] of Object.entries(validation?.metrics ?? {})) metrics[`val.${name}`] = value;
  const score = validation?.score ?? (loss === undefined ? undefined : -loss);
  if (score !== undefined) metrics['val.score'] = score;
  return score;
}

/** Mean of -log p over the learned tokens of a data set, in nats; undefined when nothing fits. Throws the signal's reason on abort. */
export async function evaluationLoss(
  model: TrainableModel,
  data: SftSource,
  config: Pick<SftConfig, 'maxTokens' | 'overlong' | 'sequencesPerUpdate'>,
  signal?: AbortSignal,
): Promise<number | undefined> {
  let nll = 0;
  let learned = 0;
  for (let from = 0; from < data.size; from += config.sequencesPerUpdate) {
    signal?.throwIfAborted();
    const indices = Array.from({ length: Math.min(config.sequencesPerUpdate, data.size - from) }, (_, i) => from + i);
    const fitted = indices.map((index) => fit(data.at(index), config)).filter((example) => example !== 'dropped');
    if (fitted.length === 0) continue;
    const { logprobs } = await model.forward(tokenMeanDatums(fitted));
    fitted.forEach(({ learned_T }, i) =>
      learned_T.forEach((flag, t) => {
        nll -= flag * (logprobs[i]?.[t] ?? NaN);
        learned += flag;
      }),
    );
  }
  return learned > 0 ? nll / learned : undefined;
}

function facts(metrics: MetricsLine): Record<string, string | number> {
  const shown: Record<string, string | number> = {};
  for (const name of ['loss', 'val.loss', 'val.score']) {
    const value = metrics[name];
    if (typeof value === 'number') shown[name] = Number(value.toPrecision(3));
  }
  return shown;
}
