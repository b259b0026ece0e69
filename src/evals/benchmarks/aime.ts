import { type Benchmark, LIGHTEVAL_MATH, paperProtocol, type Protocol } from './types.js';

/** lm-evaluation-harness, tasks/aime: greedy, ends at the next question. */
const LM_EVAL: Protocol = {
  prompt: 'Question: {problem}\nAnswer:',
  temperature: 0,
  maxTokens: 32_768,
  k: 1,
  stop: ['Question:', '</s>', '<|im_end|>', '<|eot_id|>'],
  source: 'lm-evaluation-harness, lm_eval/tasks/aime/aime24.yaml',
};

export const aime24: Benchmark = {
  name: 'aime24',
  title: 'AIME 2024 I and II',
  file: 'aime24.jsonl',
  problems: 30,
  source: 'hkust-nlp/simpleRL-reason, examples/simplelr_math_eval/data/aime24',
  licence: 'MIT (repository); problems: Mathematical Association of America',
  maxTokens: 32_768,
  protocols: { paper: paperProtocol(64), lighteval: LIGHTEVAL_MATH, 'lm-eval': LM_EVAL },
  hub: {
    ...{ dataset: 'HuggingFaceH4/aime_2024', config: 'default', split: 'train' },
    fields: { id: 'id', problem: 'problem', answer: 'answer' },
  },
};

export const aime25: Benchmark = {
  ...aime24,
  name: 'aime25',
  title: 'AIME 2025 I and II',
  file: 'aime25.jsonl',
  source: 'Zhuofeng-Li/math-evaluation-harness, data/aime25',
  hub: {
    ...{ dataset: 'yentinglin/aime_2025', config: 'default', split: 'train' },
    fields: { id: 'id', problem: 'problem', answer: 'answer' },
  },
};
