import path from 'node:path';
import { HoneError } from '../core/index.js';
import type { EngineCapabilities, ModelInfo, TrainableModel } from '../engine/index.js';
import { evaluate } from '../evals/index.js';
import type { ModelFolder } from '../model/index.js';
import { assertCapable, getRecipe } from '../recipes/index.js';
import { engineNeeds, renderingOf, type RlConfig, trainRl, type Validation } from '../rl/index.js';
import { type CheckpointState, type Json, type MetricsLine, type Run, writeReport } from '../runs/index.js';
import { trainSft } from '../sft/index.js';
import { type HeldOut, holdOut, loadTask, type ProblemSource, type Task, validateTask } from '../tasks/index.js';
import { checkpointModel, copySideFiles, exists, RUN_MODEL_FOLDER, type Scratch } from './checkpoint-model.js';
import { openCritic } from './critic-model.js';
import { withEngine } from './engine.js';
import type { Io } from './io.js';
import { baseFolder, type FolderOptions } from './model-folder.js';
import { type ResolvedModel, resolveModel } from './model-source.js';
import { type SftData, sftData } from './sft-data.js';
import type { AdapterBase, AdapterSettings, TrainSettings } from './train-settings.js';

/** Gold answers that have to be graded correct before RL starts; of an endless task, so many. */
const GOLD_CHECKS = { finite: 20_000, endless: 50 };

type Checkpoint = { folder: string; state: CheckpointState };

/** A run that is taken up again. */
export interface GoneOn {
  path: string;
  /** undefined: it had not saved any. */
  checkpoint: Checkpoint | undefined;
  /** undefined: the run trains all weights. */
  base: AdapterBase | undefined;
}

/** What a run needs besides its folder; made before the folder is, so that a mistake leaves nothing behind. */
export interface Prepared {
  settings: TrainSettings;
  model: ResolvedModel;
  task: Task | undefined;
  /** sft only. */
  data: SftData | undefined;
  /** rl with validation only: problems to train on, and problems to validate on that are never trained on. */
  heldOut: HeldOut | undefined;
}

export interface TrainingSummary {
  iterations: number;
  bestScore: number | undefined;
  lastMetrics: MetricsLine | undefined;
}

/** Loads task, model and data of a run, and checks that they fit. Nothing is written outside of `scratch`. */
export async function prepare(
  settings: TrainSettings,
  seed: number,
  scratch: Scratch,
  io: Io,
  fromRun?: GoneOn,
): Promise<Prepared> {
  const task = settings.task === null ? undefined : await loadTask(settings.task.spec, settings.task.options);
  const options = { scratch, warn: (line: string) => io.progress.note(line, 'warn') };
  const model = await resolveModel(await modelOf(settings, options, fromRun), { random: { task, seed }, ...options });
  if (settings.adapter !== null && model.source.kind === 'random') throw adapterOnRandom(settings);
  if (settings.method === 'sft') {
    const data = await sftData(settings, { task, folder: model.folder, seed });
    return { settings, model, task, data, heldOut: undefined };
  }
  if (task === undefined)
    throw new HoneError('usage', 'reinforcement learning needs a task', { hint: 'Add --task (hone tasks list).' });
  const { every, problems } = settings.training.validation;
  const heldOut = every > 0 ? holdOut(task, problems, seed) : undefined;
  await checkGold(task, seed, io);
  return { settings, model, task, data: undefined, heldOut };
}

/**
 * Under an adapter the starting model, which a checkpoint does not hold; else a run that goes on needs that no more:
 * the checkpoint has the weights.
 */
async function modelOf(settings: TrainSettings, options: FolderOptions, fromRun: GoneOn | undefined): Promise<string> {
  if (fromRun === undefined) return settings.model;
  const { path: run, checkpoint, base } = fromRun;
  if (base !== undefined) return baseFolder(base, run, options);
  if (checkpoint === undefined) return settings.model;
  return checkpointModel(run, checkpoint.folder, { scratch: options.scratch, given: run });
}

function adapterOnRandom({ model }: TrainSettings): HoneError {
  return new HoneError('usage', `${model} has random weights: an adapter would leave them as they are`, {
    where: '--lora',
    hint: 'Leave --lora out to train all weights, or give --model a trained model.',
  });
}

async function checkGold(task: Task, seed: number, io: Io): Promise<void> {
  const { size } = task.problems('train', seed);
  const count = size === Infinity ? GOLD_CHECKS.endless : Math.min(size, GOLD_CHECKS.finite);
  const { unvalidated, checked } = await validateTask(task, count, { seed, signal: io.signal });
  if (checked === 0)
    io.progress.note(`${task.name} knows no right answers to check its grader with: ${unvalidated} problems`, 'warn');
}

/** Runs the training of a run folder to its end, and writes result and report. */
export async function train(
  run: Run,
  prepared: Prepared,
  io: Io,
  resumeFrom: Checkpoint | undefined,
): Promise<TrainingSummary> {
  const side = path.join(run.path, RUN_MODEL_FOLDER);
  if (!(await exists(path.join(side, 'config.json')))) await copySideFiles(prepared.model.folder.path, side);
  const summary = await withEngine({ threads: prepared.settings.threads }, async (engine) => {
    const { adapter, tokensPerMicroBatch, samplingSlots } = prepared.settings;
    assertCapable(getRecipe(run.manifest.recipe), engine, needsOf(prepared.settings));
    io.progress.phase('loading the model');
    const model = await engine.openModel({
      source: prepared.model.source,
      ...(adapter === null ? {} : { adapter: { kind: 'random', ...adapter, seed: run.manifest.seed } }),
      ...(tokensPerMicroBatch === null ? {} : { tokensPerMicroBatch }),
      ...(samplingSlots === null ? {} : { samplingSlots }),
    });
    if (adapter !== null) io.progress.note(adapterLine(adapter, model.info));
    const critic = await openCritic(engine, prepared.settings, prepared.model, run.manifest.seed);
    return trainModel({ model, critic }, run, prepared, io, resumeFrom);
  });
  const { iterations, bestScore, lastMetrics } = summary;
  const { timing: _, ...metrics } = lastMetrics ?? { iteration: 0 };
  await run.writeResult('result.json', { iterations, bestScore: bestScore ?? null, metrics: metrics as Json });
  await writeReport(run.path);
  return summary;
}

function needsOf(settings: TrainSettings): (keyof EngineCapabilities)[] {
  const lora = settings.adapter === null ? [] : (['lora'] as const);
  return [...lora, ...(settings.method === 'rl' ? engineNeeds(settings.training) : [])];
}

function adapterLine({ rank, alpha }: AdapterSettings, { parameters, trainedParameters }: ModelInfo): string {
  const millions = (count: number): string => `${(count / 1e6).toPrecision(3)}M`;
  return `LoRA of rank ${rank}, alpha ${alpha}: ${millions(trainedParameters)} parameters trained, ${millions(parameters)} in all`;
}

async function trainModel(
  { model, critic }: { model: TrainableModel; critic: TrainableModel | undefined },
  run: Run,
  { settings, task, data, heldOut, model: { folder } }: Prepared,
  io: Io,
  resumeFrom: Checkpoint | undefined,
): Promise<TrainingSummary> {
  const common = { run, progress: io.progress, signal: io.signal, resumeFrom };
  if (settings.method === 'sft') {
    const { examples, heldOut: heldOutData } = data as SftData;
    return trainSft({ ...common, model, data: examples, heldOutData, config: settings.training });
  }
  const rl = task as Task;
  const { seed } = run.manifest;
  const { maxTokens, environment } = settings.training;
  return trainRl({
    ...common,
    policy: model,
    ...(critic && { critic }),
    task: rl,
    render: renderingOf(rl, folder),
    config: settings.training,
    ...(heldOut && {
      problems: heldOut.train,
      validate: (policy: TrainableModel) =>
        validation(policy, {
          ...{ task: rl, validation: heldOut.validation, n: settings.training.validation.problems },
          ...{ folder, seed, maxTokens, environment, io },
        }),
    }),
  });
}

export interface Validated {
  task: Task;
  /** What is asked. */
  validation: ProblemSource;
  n: number;
  folder: ModelFolder;
  seed: number;
  maxTokens: number;
  /** Turns as in training, where the task has them. */
  environment: RlConfig['environment'];
  io: Pick<Io, 'signal'>;
}

/** Greedy accuracy on problems that are never trained on. */
export async function validation(policy: Pick<TrainableModel, 'liveSampler'>, of: Validated): Promise<Validation> {
  const { folder, n, seed, maxTokens, environment, io } = of;
  const task: Task = { ...of.task, problems: () => of.validation };
  const sampler = await policy.liveSampler();
  try {
    const { accuracy, wellFormed } = await evaluate({
      ...{ sampler, task, model: folder, split: 'test', n, k: 1, temperature: 0, seed, signal: io.signal },
      ...{ maxTokens, turns: environment },
    });
    return { score: accuracy, metrics: { accuracy, ...(wellFormed === null ? {} : { well_formed: wellFormed }) } };
  } finally {
    await sampler.dispose();
  }
}
