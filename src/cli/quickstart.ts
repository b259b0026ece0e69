import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { HoneError, RandomStream } from '../core/index.js';
import { makeFolder } from '../formats/index.js';
import type { Engine, ModelSource, TrainableModel } from '../engine/index.js';
import { evaluate, type EvalResult } from '../evals/index.js';
import { loadModelFolder, loadTokenizer, type ModelFolder, writeCharTokenizer } from '../model/index.js';
import { quickstartPlan, type QuickstartPlan } from '../recipes/index.js';
import { renderingOf, trainRl } from '../rl/index.js';
import { createRun, openRun, writeReport, type Json, type Run, type RunManifest } from '../runs/index.js';
import { promptResponseExample, trainSft, type SftSource } from '../sft/index.js';
import { lastDigitSkills, loadTask, renderDemonstration, type Task } from '../tasks/index.js';
import { checkpointModel, copySideFiles, exists, RUN_MODEL_FOLDER, Scratch } from './checkpoint-model.js';
import type { QuickstartOptions } from './commands/quickstart.js';
import { assertEngineInstalled, withEngine } from './engine.js';
import type { Io } from './io.js';
import { printQuickstart } from './quickstart-report.js';
import { resultOf, samplePairs, type Stage } from './quickstart-result.js';
import { randomConfig } from './random-models.js';
import { shellWord } from './text.js';

/** The warm-start is a run of its own inside the quickstart's folder. */
const WARM_START = 'warm-start';

/** Everything the stages share. */
interface Context {
  plan: QuickstartPlan;
  options: QuickstartOptions;
  out: string;
  seed: number;
  task: Task;
  folder: ModelFolder;
  engine: Engine;
  io: Io;
  /** When the command began, in milliseconds of `performance.now`. */
  started: number;
}

export function quickstartFolder({ out, seed, arm }: QuickstartOptions): string {
  return out ?? path.join('runs', `quickstart-${seed}${arm === 'rl' ? '' : `-${arm}`}`);
}

/**
 * Warm-start, evaluation, RL (or a control arm), evaluation, report. An interrupted quickstart goes on when it is
 * started again with the same options.
 */
export async function runQuickstart(options: QuickstartOptions, io: Io): Promise<{ readonly [key: string]: Json }> {
  const started = performance.now();
  const plan = planFor(options);
  const out = quickstartFolder(options);
  const task = await loadTask(plan.task.name, plan.task.options);
  assertEngineInstalled();
  const run = await openOrCreate(out, plan, options);
  try {
    const folder = await modelFolderOf(out, plan, task);
    return await withEngine({ threads: options.threads }, (engine) =>
      stages({ plan, options, out, seed: options.seed, task, folder, engine, io, started }, run),
    );
  } catch (error) {
    if (!(error instanceof HoneError) || error.kind !== 'interrupted') throw error;
    throw new HoneError('interrupted', error.message, { hint: `Go on with: ${again(options, out)}`, cause: error });
  } finally {
    await run.close();
  }
}

async function stages(context: Context, run: Run): Promise<{ readonly [key: string]: Json }> {
  const { options, out, seed, io } = context;
  io.print(intro(context));
  const warm = await warmStart(context);
  const before = await stage(context, warm, 'after the warm-start');
  const armStarted = performance.now();
  const model = await Scratch.with((scratch) => followUp(context, run, warm, scratch));
  const armSeconds = (performance.now() - armStarted) / 1000;
  const after = await stage(context, model, afterWhat(options));
  const seconds = (performance.now() - context.started) / 1000;
  const result = resultOf(before, after, { seconds, armSeconds, arm: options.arm, seed, run: out });
  await run.writeResult('result.json', result);
  await run.writeResult('samples.json', samplePairs(before.sampled, after.sampled));
  await writeReport(out);
  io.result(result, () => printQuickstart(result, before, after, out, io));
  return result;
}

/** The command that goes on with an interrupted quickstart. */
export function again({ seed, quick, arm, armSeconds, threads }: QuickstartOptions, out: string): string {
  const flags = [
    `--seed ${seed}`,
    `--out ${shellWord(out)}`,
    ...(quick ? ['--quick'] : []),
    ...(arm === 'rl' ? [] : [`--arm ${arm}`]),
    ...(arm === 'sft-only' ? [`--arm-seconds ${armSeconds}`] : []),
    ...(threads === undefined ? [] : [`--threads ${threads}`]),
  ];
  return `hone quickstart ${flags.join(' ')}`;
}

function planFor({ quick, arm }: QuickstartOptions): QuickstartPlan {
  const plan = quickstartPlan(quick);
  return arm === 'shuffled'
    ? { ...plan, rl: { ...plan.rl, control: { ...plan.rl.control, shuffledReward: true } } }
    : plan;
}

function afterWhat({ arm }: QuickstartOptions): string {
  if (arm === 'sft-only') return 'after more SFT';
  return arm === 'shuffled' ? 'after RL with shuffled rewards' : 'after RL';
}

async function openOrCreate(out: string, plan: QuickstartPlan, options: QuickstartOptions): Promise<Run> {
  const config: RunManifest['config'] = { ...plan, arm: options.arm };
  if (!(await exists(path.join(out, 'run.json')))) {
    const manifest: RunManifest = {
      ...{ name: path.basename(path.resolve(out)), kind: 'quickstart', recipe: 'dapo', seed: options.seed },
      ...{ config, dataHashes: {} },
    };
    return createRun({ path: out, manifest, policy: plan.rl.checkpoint, rolloutShare: 1 });
  }
  const run = await openRun(out);
  const same = run.manifest.seed === options.seed && JSON.stringify(run.manifest.config) === JSON.stringify(config);
  if (same) return run;
  await run.close();
  throw new HoneError('usage', 'holds a run with another seed, other options or of another version', {
    where: out,
    hint: 'Choose another folder with --out, or remove this one.',
  });
}

/** `<run>/model`: tokenizer and config.json, which make models of the run's checkpoints. */
async function modelFolderOf(out: string, { model }: QuickstartPlan, task: Task): Promise<ModelFolder> {
  const folder = path.join(out, RUN_MODEL_FOLDER);
  await makeFolder(folder);
  await writeCharTokenizer(folder, task.alphabet as string);
  const config = randomConfig(model, await loadTokenizer(folder));
  await writeFile(path.join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  return loadModelFolder(folder);
}

function intro({ plan, seed, io, out }: Context): string {
  const { hidden, layers } = plan.model;
  return [
    io.color.bold('hone quickstart: a tiny model learns to search'),
    'Put + - * between three digits, left to right, last digit kept, so that the result is the target.',
    `A Llama of ${layers} layers, hidden ${hidden}, from random weights (seed ${seed}) first imitates ${plan.demonstrations} demonstrations,`,
    'most of which give up early, and then finds out by reinforcement learning (DAPO) that persistence pays.',
    `Everything is kept in ${out}; Ctrl-C stops cleanly.\n`,
  ].join('\n');
}

function open({ engine, plan }: Context, source: ModelSource): Promise<TrainableModel> {
  const { tokensPerMicroBatch, samplingSlots } = plan;
  return engine.openModel({ source, tokensPerMicroBatch, samplingSlots });
}

/** The first demonstrations of the training split, and nothing else. */
function demonstrations({ task, seed, plan, folder }: Context): SftSource {
  const problems = task.problems('train', seed);
  const examples = Array.from({ length: plan.demonstrations }, (_, index) => {
    const random = new RandomStream(seed, 'demonstration', index);
    const demonstration = task.demonstrate?.(problems.at(index), 'search', random);
    if (!demonstration) throw new HoneError('usage', `task ${task.name} has no demonstrations`);
    const { tokens, promptLength } = renderDemonstration(task, demonstration, folder);
    return promptResponseExample(tokens, promptLength);
  });
  return { size: examples.length, at: (index) => examples[index] as (typeof examples)[number] };
}

/** Imitates, and measures the skills that a search needs. */
async function warmStart(context: Context): Promise<TrainableModel> {
  const { plan, seed, folder, io, out } = context;
  const warmOut = path.join(out, WARM_START);
  const source: ModelSource = {
    ...{ kind: 'random', config: folder.config, seed, initStd: plan.initStd, tokenizerPath: folder.path },
  };
  const manifest: RunManifest = {
    ...{ name: WARM_START, kind: 'sft', recipe: 'sft', seed, dataHashes: {} },
    config: { ...plan.sft, demonstrations: plan.demonstrations, skills: plan.skills },
  };
  const known = await exists(path.join(warmOut, 'run.json'));
  const run = known
    ? await openRun(warmOut)
    : await createRun({ path: warmOut, manifest, policy: plan.sft.checkpoint, rolloutShare: 1 });
  try {
    await copySideFiles(folder.path, path.join(warmOut, RUN_MODEL_FOLDER));
    const model = await open(context, source);
    const checkpoint = await run.latestCheckpoint();
    if (known && checkpoint === undefined) await run.truncateTo(0);
    const { lastMetrics } = await trainSft({
      ...{ model, data: demonstrations(context), config: plan.sft, run, signal: io.signal, progress: io.progress },
      ...(checkpoint ? { resumeFrom: checkpoint } : {}),
      validate: (trained) => measureSkills(context, trained),
    });
    if (!reached(plan, lastMetrics ?? {})) {
      io.progress.note('the warm-start ended below its bar of skills: RL may settle for guessing', 'warn');
    }
    await writeReport(warmOut);
    return model;
  } finally {
    await run.close();
  }
}

function reached({ skills }: QuickstartPlan, metrics: { [key: string]: unknown }): boolean {
  return Object.entries(skills).every(([name, bar]) => {
    const value = metrics[`val.${name}`];
    return typeof value === 'number' && value >= bar;
  });
}

/** Skills on sampled answers to training problems that no demonstration covers. */
async function measureSkills({ task, plan, seed, folder, io }: Context, model: TrainableModel) {
  const sampler = await model.liveSampler();
  const unseen: Task = {
    ...task,
    problems: (split, problemSeed) => {
      const all = task.problems(split, problemSeed);
      return { size: all.size - plan.demonstrations, at: (index) => all.at(plan.demonstrations + index) };
    },
  };
  try {
    const { rows, accuracy } = await evaluate({
      ...{ sampler, task: unseen, model: folder, split: 'train', n: plan.skillProblems, k: 1, temperature: 1, seed },
      ...{ maxTokens: plan.rl.maxTokens, signal: io.signal },
    });
    const problems = unseen.problems('train', seed);
    const counts = rows.map((row, i) => lastDigitSkills(problems.at(i), row.text));
    const total = (name: 'tries' | 'rightResults' | 'rightMarks'): number =>
      counts.reduce((sum, c) => sum + c[name], 0);
    const tries = Math.max(1, total('tries'));
    const metrics = {
      accuracy,
      results: total('rightResults') / tries,
      marks: total('rightMarks') / tries,
      wellFormed: counts.filter((c) => c.wellFormed).length / counts.length,
      tries: total('tries') / counts.length,
    };
    return { score: metrics.results * metrics.marks * metrics.wellFormed, metrics };
  } finally {
    await sampler.dispose();
  }
}

/** Greedy and sampled accuracy on held-out problems. */
async function stage({ plan, task, folder, seed, io }: Context, model: TrainableModel, name: string): Promise<Stage> {
  const sampler = await model.liveSampler();
  const { problems: n, samples } = plan.evaluation;
  const { progress, signal } = io;
  const asked = { task, model: folder, split: 'test' as const, n, maxTokens: plan.rl.maxTokens, seed };
  const common = { ...asked, sampler, progress, signal };
  try {
    const greedy: EvalResult = await evaluate({ ...common, k: 1, temperature: 0 });
    const sampled = await evaluate({ ...common, k: samples, temperature: 1 });
    const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
    io.progress.note(
      `${name}: ${percent(greedy.accuracy)} greedy, ${percent(sampled.accuracy)} avg@${samples} on ${n} held-out problems`,
    );
    return { greedy, sampled };
  } finally {
    await sampler.dispose();
  }
}

/** What follows the warm-start: RL, RL with shuffled rewards, or more imitation for the same time. */
async function followUp(context: Context, run: Run, warm: TrainableModel, scratch: Scratch): Promise<TrainableModel> {
  const { options, plan, task, folder, io, seed } = context;
  if (options.arm === 'sft-only') {
    const end = performance.now() + 1000 * options.armSeconds;
    await trainSft({
      ...{
        model: warm,
        data: demonstrations(context),
        config: plan.sft,
        seed,
        signal: io.signal,
        progress: io.progress,
      },
      stopWhen: () => performance.now() >= end,
    });
    return warm;
  }
  // A fresh optimiser: the moments of imitation say nothing about RL.
  const start = await scratch.folder();
  await warm.save(start);
  await warm.dispose();
  const warmFolder = await checkpointModel(run.path, start, { scratch, given: context.out });
  const policy = await open(context, { kind: 'folder', path: warmFolder });
  const checkpoint = await run.latestCheckpoint();
  if (checkpoint === undefined) await run.truncateTo(0);
  await trainRl({
    ...{ policy, task, render: renderingOf(task, folder), run, config: plan.rl, signal: io.signal },
    ...{ progress: io.progress, ...(checkpoint ? { resumeFrom: checkpoint } : {}) },
  });
  return policy;
}
