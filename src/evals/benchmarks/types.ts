import type { AnswerPolicy, Task } from '../../tasks/index.js';

/** One published way to run a benchmark. */
export interface Protocol {
  /** The user turn; {problem} stands for the problem. */
  prompt: string;
  system?: string;
  temperature: number;
  topP?: number;
  maxTokens: number;
  /** Samples a problem; the metric is avg@k. */
  k: number;
  stop?: readonly string[];
  /** How the answer is read; default: every rule, in the order of docs/tasks.md. */
  answer?: AnswerPolicy;
  /** Where the values are from. */
  source: string;
}

/** A set of problems that is only for measuring. */
export interface Benchmark {
  name: string;
  title: string;
  /** `code`: answers are programs, graded on tests; default: answers are compared with the gold one. */
  kind?: 'code';
  /** File in the data folder: JSONL with id, problem, answer. */
  file: string;
  /** Problems in it. */
  problems: number;
  /** Where the data are from. */
  source: string;
  /** What the source states. */
  licence: string;
  /** Limit where neither protocol nor caller names one. */
  maxTokens: number;
  protocols: Readonly<Record<string, Protocol>>;
  /** Where `hone eval fetch` gets the file. Absent: the source has to be followed by hand. */
  hub?: HubData;
  /** How problems are made of the file and graded; default: rows with problem and answer, graded as mathematics. */
  task?: (file: string, options: BenchmarkTaskOptions) => Task;
  /** The user turn without a protocol; default: the one of R1-like models. */
  prompt?: string;
}

/** A data set of the Hugging Face hub. */
export interface HubData {
  dataset: string;
  config: string;
  split: string;
  /** Names of a row's members; default: kept as they are. */
  fields?: { id?: string; problem: string; answer: string };
}

export interface BenchmarkTaskOptions {
  name: string;
  description: string;
  prompt: string;
  system?: string;
  maxTokens: number;
  stop?: readonly string[];
}

/** A benchmark that cannot be run here, and why. */
export interface AbsentBenchmark {
  name: string;
  title: string;
  why: string;
}

const BOXED = 'Please reason step by step, and put your final answer within \\boxed{}.';

/** The protocol of R1-like models (DeepSeek-R1 README; samples as open-r1 README lists them). */
export function paperProtocol(k: number): Protocol {
  return {
    prompt: `{problem}\n\n${BOXED}`,
    temperature: 0.6,
    topP: 0.95,
    maxTokens: 32_768,
    k,
    source: 'DeepSeek-R1 README (prompt, temperature, top-p, length); open-r1 README (samples)',
  };
}

/** lighteval's mathematics prompt (src/lighteval/tasks/tasks/aime.py, MIT). */
export const LIGHTEVAL_MATH: Protocol = {
  prompt:
    "Solve the following math problem efficiently and clearly.  The last line of your response should be of the following format: 'Therefore, the final answer is: $\\boxed{ANSWER}$. I hope it is correct' (without quotes) where ANSWER is just the final number or expression that solves the problem. Think step by step before answering.\n\n{problem}",
  temperature: 0.6,
  topP: 0.95,
  maxTokens: 32_768,
  k: 1,
  source: 'lighteval, tasks/aime.py (prompt, length); temperature and top-p as open-r1 runs it',
};
