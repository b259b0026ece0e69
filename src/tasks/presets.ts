import { join } from 'node:path';
import { z } from 'zod';
import { datasetOptions, datasetTask, type DatasetTask } from './dataset.js';
import { parseOptions } from './options.js';

/** Options of a preset: the folder of its files, and what a dataset task lets be changed. */
export const presetOptions = datasetOptions
  .pick({
    template: true,
    system: true,
    format: true,
    answer: true,
    profile: true,
    thinking: true,
    benchmarkRows: true,
    maxSolutionLines: true,
  })
  .extend({
    /** Folder with the data files; default: the environment variable HONE_DATA, or ./data. */
    data: z.string().optional(),
    prompt: z.string().optional(),
    maxTokens: z.int().min(1).optional(),
  })
  .strict();
type PresetOptions = z.input<typeof presetOptions>;

interface Preset {
  name: string;
  description: string;
  train: string;
  test: string;
  maxTokens: number;
  profile: string;
  solution?: string;
}

const GSM8K: Preset = {
  name: 'gsm8k',
  description: 'grade-school word problems (GSM8K: 7,473 to train on, 1,319 to test)',
  train: 'gsm8k_train.jsonl',
  test: 'gsm8k_test.jsonl',
  maxTokens: 512,
  profile: 'gsm8k',
  solution: 'solution',
};

const MATH: Preset = {
  name: 'math',
  description: 'competition problems (MATH training problems; test: MATH-500)',
  train: 'math_train.jsonl',
  test: 'math500.jsonl',
  maxTokens: 1024,
  profile: 'math',
};

function presetTask({ solution, ...preset }: Preset, input: PresetOptions | undefined): DatasetTask {
  const { data, ...rest } = parseOptions(presetOptions, input, preset.name);
  const folder = data ?? process.env.HONE_DATA ?? 'data';
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return datasetTask({
    ...preset,
    ...(solution ? { fields: { solution } } : {}),
    train: join(folder, preset.train),
    test: join(folder, preset.test),
    ...given,
  });
}

/** GSM8K (Cobbe et al. 2021) from gsm8k_train.jsonl and gsm8k_test.jsonl: rows {id, problem, answer, solution}. */
export const gsm8kTask = (options?: PresetOptions): DatasetTask => presetTask(GSM8K, options);

/** MATH (Hendrycks et al. 2021): math_train.jsonl to train on, math500.jsonl to test: rows {id, problem, answer}. */
export const mathTask = (options?: PresetOptions): DatasetTask => presetTask(MATH, options);
