import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { GEMM_SHAPES, measureGemm } from '../../src/engine/local/gemm.js';
import { createLocalEngine } from '../../src/engine/local/index.js';
import { exportGguf, writeCharTokenizer } from '../../src/model/index.js';
import {
  flopsPerToken,
  MODELS,
  SAMPLING,
  samplingLabel,
  TRAINING,
  trainingLabel,
  type SamplingCase,
  type TrainingCase,
} from '../engine/cases.js';
import { HoneModels, samplingRate, trainingRate } from '../engine/hone.js';
import { Peer, startPeer } from '../engine/peer.js';
import { median } from '../measure.js';
import { takeTurns, type Contender } from '../turns.js';
import type { Bench, BenchOptions, BenchResult } from '../types.js';

const THREADS = availableParallelism();
const ROUNDS = 5;
const GEMM = 'best matrix product';
/** The reference: what training of each model does most, and products large enough to reach the machine's best. */
const REFERENCE_SHAPES = [...GEMM_SHAPES, [1024, 512, 1536], [1024, 576, 1536], [2048, 2048, 2048]] as const;

interface Peers {
  torch: Peer | undefined;
  llamaCpp: Peer | undefined;
}

const curvedLabel = (test: TrainingCase): string => `${trainingLabel(test)}, loss in TypeScript`;
const torchLabel = (label: string): string => `PyTorch ${label}`;
const llamaCppLabel = (label: string): string => `llama.cpp ${label}`;

async function bestProduct(): Promise<number> {
  let best = 0;
  for (const shape of REFERENCE_SHAPES) best = Math.max(best, (await measureGemm(shape, 0.1, THREADS)).gflops);
  return best;
}

function trainingContenders(test: TrainingCase, models: HoneModels, { torch }: Peers): Contender[] {
  const label = trainingLabel(test);
  const { model, B, T } = test;
  const hone = (curved: boolean) => async () => trainingRate(await models.get(model), test, curved);
  return [
    { label, rate: hone(false) },
    ...(test.curved ? [{ label: curvedLabel(test), rate: hone(true) }] : []),
    ...(torch
      ? [{ label: torchLabel(label), rate: () => torch.rate({ do: 'train', config: MODELS[model].config, B, T }) }]
      : []),
  ];
}

function samplingContenders(test: SamplingCase, models: HoneModels, { torch, llamaCpp }: Peers): Contender[] {
  const label = samplingLabel(test);
  const { model, B, prompt, length } = test;
  const { config } = MODELS[model];
  const request = { do: 'sample', config, B, prompt, length, vocab: config['vocab_size'] };
  return [
    { label, rate: async () => samplingRate(await models.get(model, B), test) },
    ...(torch ? [{ label: torchLabel(label), rate: () => torch.rate(request) }] : []),
    ...(llamaCpp && test.llamaCpp ? [{ label: llamaCppLabel(label), rate: () => llamaCpp.rate(request) }] : []),
  ];
}

/** The model that llama.cpp runs: hone's own random weights, in half precision. */
async function exportForLlamaCpp(models: HoneModels, { model, B }: SamplingCase, folder: string): Promise<string> {
  await (await models.get(model, B)).export(folder);
  await writeCharTokenizer(folder, 'abcdefghijklmnopqrstuvwxyz');
  const file = path.join(folder, 'model.gguf');
  await exportGguf(folder, file, { type: 'f16' });
  return file;
}

async function startPeers(options: BenchOptions, models: HoneModels, scratch: string, log: (line: string) => void) {
  const script = (name: string): string => path.resolve(import.meta.dirname, '../peers', name);
  const threads = String(THREADS);
  const torch = await startPeer(
    'PyTorch',
    options.python,
    '--python',
    (python) => Peer.start(python, [script('torch_llama.py'), '--threads', threads]),
    log,
  );
  const test = wanted(SAMPLING, samplingLabel, options).find(({ llamaCpp }) => llamaCpp);
  const llamaCpp = await startPeer(
    'llama.cpp',
    test && options.llamacpp,
    '--llamacpp, or no case that wants it',
    async (folder) => {
      const file = await exportForLlamaCpp(models, test as SamplingCase, path.join(scratch, 'llama-cpp'));
      return Peer.start(process.execPath, [script('llama-cpp.mjs'), folder, file, threads]);
    },
    log,
  );
  return { torch, llamaCpp };
}

function wanted<Case>(cases: readonly Case[], label: (test: Case) => string, { only }: BenchOptions): Case[] {
  return cases.filter((test) => only === undefined || label(test).includes(only));
}

/** Median over the rounds of one contender's rate over another's, where both ran. */
function ratioOf(rates: Map<string, number[]>, above: string, below: string, factor = 1): number | undefined {
  const [a, b] = [rates.get(above), rates.get(below)];
  return a && b ? median(a.map((rate, round) => (factor * rate) / (b[round] as number))) : undefined;
}

async function summary(
  rates: Map<string, number[]>,
  training: readonly TrainingCase[],
  sampling: readonly SamplingCase[],
  models: HoneModels,
): Promise<BenchResult> {
  const ratios: Record<string, number> = {};
  const put = (name: string, ratio: number | undefined): void => {
    if (ratio !== undefined) ratios[name] = ratio;
  };
  const readings: Record<string, string> = {};
  for (const [label, list] of rates)
    readings[label] = `${median(list).toFixed(0)} ${label === GEMM ? 'GFLOP/s' : 'tokens/s'}`;
  for (const test of training) {
    const label = trainingLabel(test);
    const work = flopsPerToken(test.model, (await models.get(test.model)).info.parameters, test.T) / 1e9;
    readings[label] += `, ${(work * median(rates.get(label) ?? [])).toFixed(0)} GFLOP/s`;
    put(`${label} / ${GEMM}`, ratioOf(rates, label, GEMM, work));
    put(`${label} / PyTorch`, ratioOf(rates, label, torchLabel(label)));
    const curved = ratioOf(rates, curvedLabel(test), label);
    put(`${label}: loss in TypeScript / linear loss`, curved);
    if (curved !== undefined) readings[curvedLabel(test)] += `, ${(1 / curved).toFixed(2)} x the time of a linear loss`;
  }
  for (const label of sampling.map(samplingLabel)) {
    put(`${label} / PyTorch`, ratioOf(rates, label, torchLabel(label)));
    put(`${label} / llama.cpp`, ratioOf(rates, label, llamaCppLabel(label)));
  }
  return { ratios, readings };
}

async function run(log: (line: string) => void, options: BenchOptions): Promise<BenchResult> {
  const engine = await createLocalEngine({ inline: true, threads: THREADS });
  const scratch = await mkdtemp(path.join(tmpdir(), 'hone-bench-'));
  const models = new HoneModels(engine);
  let peers: Peers = { torch: undefined, llamaCpp: undefined };
  try {
    peers = await startPeers(options, models, scratch, log);
    const training = wanted(TRAINING, trainingLabel, options);
    const sampling = wanted(SAMPLING, samplingLabel, options);
    const contenders = [
      { label: GEMM, rate: bestProduct },
      ...training.flatMap((test) => trainingContenders(test, models, peers)),
      ...sampling.flatMap((test) => samplingContenders(test, models, peers)),
    ];
    const rates = await takeTurns(contenders, options.rounds ?? ROUNDS, log);
    return await summary(rates, training, sampling, models);
  } finally {
    peers.torch?.close();
    peers.llamaCpp?.close();
    await engine.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

const bench: Bench = {
  name: 'engine',
  measures:
    'training and sampling, tiny models to SmolLM2-135M, against the best matrix product of the same run, PyTorch (--python) and llama.cpp (--llamacpp)',
  run,
};
export default bench;
