import type { Benchmark } from './types.js';

export const humaneval: Benchmark = {
  name: 'humaneval',
  title: 'HumanEval',
  kind: 'code',
  file: 'humaneval.jsonl',
  problems: 164,
  source: 'openai/human-eval, data/HumanEval.jsonl.gz',
  licence: 'MIT',
  maxTokens: 1024,
  protocols: {},
};

export const mbpp: Benchmark = {
  name: 'mbpp',
  title: 'MBPP, sanitized, sample of 100',
  kind: 'code',
  file: 'mbpp_sanitized_sample.jsonl',
  problems: 100,
  source: 'PRIME-RL/PRIME, eval/data/mbpp (google-research, MBPP sanitized)',
  licence: 'CC-BY-4.0',
  maxTokens: 1024,
  protocols: {},
};
