import { type Benchmark, paperProtocol, type Protocol } from './types.js';

const LIGHTEVAL_MATH500: Protocol = {
  prompt:
    'Solve the following problem. The final line of your response MUST be of the following format:\n"ANSWER: $ANSWER" (without quotes) where $ANSWER is the final answer. Think step by step before answering.\n\n{problem}',
  temperature: 0.6,
  topP: 0.95,
  maxTokens: 32_768,
  k: 1,
  source: 'lighteval, tasks/math_500.py (prompt, length); temperature and top-p as open-r1 runs it',
};

/** lm-evaluation-harness: chain of thought without examples, greedy, the last number (its `flexible-extract`). */
const LM_EVAL_GSM8K: Protocol = {
  prompt: "Q: {problem}\nA: Let's think step by step.",
  temperature: 0,
  maxTokens: 256,
  k: 1,
  stop: ['Q:', '</s>', '<|im_end|>'],
  answer: ['last-number'],
  source: 'lm-evaluation-harness, lm_eval/tasks/gsm8k/gsm8k-cot-zeroshot.yaml (length: its default)',
};

const LIGHTEVAL_GSM8K: Protocol = {
  prompt: 'Question: {problem}\nAnswer:',
  temperature: 0,
  maxTokens: 256,
  k: 1,
  stop: ['Question:'],
  source: 'lighteval, tasks/gsm8k.py, without examples',
};

export const math500: Benchmark = {
  name: 'math500',
  title: 'MATH-500',
  file: 'math500.jsonl',
  problems: 500,
  source: 'hkust-nlp/simpleRL-reason, examples/simplelr_math_eval/data/math500',
  licence: 'MIT',
  maxTokens: 4096,
  protocols: { paper: paperProtocol(4), lighteval: LIGHTEVAL_MATH500 },
  hub: {
    ...{ dataset: 'HuggingFaceH4/MATH-500', config: 'default', split: 'test' },
    fields: { id: 'unique_id', problem: 'problem', answer: 'answer' },
  },
};

export const gsm8k: Benchmark = {
  name: 'gsm8k',
  title: 'GSM8K, test',
  file: 'gsm8k_test.jsonl',
  problems: 1319,
  source: 'openai/grade-school-math',
  licence: 'MIT',
  maxTokens: 512,
  protocols: { paper: paperProtocol(1), lighteval: LIGHTEVAL_GSM8K, 'lm-eval': LM_EVAL_GSM8K },
  hub: {
    ...{ dataset: 'openai/gsm8k', config: 'main', split: 'test' },
    fields: { problem: 'question', answer: 'answer' },
  },
};

export const amc23: Benchmark = {
  name: 'amc23',
  title: 'AMC 12 2023',
  file: 'amc23.jsonl',
  problems: 40,
  source: 'hkust-nlp/simpleRL-reason, examples/simplelr_math_eval/data/amc23',
  licence: 'MIT (repository); problems: Mathematical Association of America',
  maxTokens: 8192,
  protocols: { paper: paperProtocol(16) },
};

export const minerva: Benchmark = {
  name: 'minerva',
  title: 'Minerva Math (MIT OpenCourseWare)',
  file: 'minerva_math.jsonl',
  problems: 272,
  source: 'Lewkowycz et al. 2022; copy of hkust-nlp/simpleRL-reason',
  licence: 'as the rows state',
  maxTokens: 4096,
  protocols: { paper: paperProtocol(4) },
};

export const olympiadbench: Benchmark = {
  name: 'olympiadbench',
  title: 'OlympiadBench, open-ended mathematics in English, text only',
  file: 'olympiadbench_math_en.jsonl',
  problems: 675,
  source: 'OpenBMB/OlympiadBench',
  licence: 'as the rows state',
  maxTokens: 8192,
  protocols: { paper: paperProtocol(1) },
};

export const olymmath: Benchmark = {
  name: 'olymmath',
  title: 'OlymMATH, English, easy and hard',
  file: 'olymmath_en.jsonl',
  problems: 200,
  source: 'RUCAIBox/Slow_Thinking_with_LLMs, OlymMATH',
  licence: 'MIT',
  maxTokens: 16_384,
  protocols: { paper: paperProtocol(10) },
};

export const omniMath: Benchmark = {
  name: 'omni-math',
  title: 'Omni-MATH 2, stratified sample of 600',
  file: 'omni_math2_600.jsonl',
  problems: 598,
  source: 'PrimeIntellect-ai/prime-rl, benchmarks/datasets/omni_math2',
  licence: 'Apache-2.0 (repository)',
  maxTokens: 16_384,
  protocols: { paper: paperProtocol(1) },
};
