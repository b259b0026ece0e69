import { z } from 'zod';
import { RandomStream } from '../../core/index.js';
import { correct, defineTask, type Problem, readRows, type Response, type Task, wrong } from '../../tasks/index.js';
import { type Benchmark, type BenchmarkTaskOptions, paperProtocol, type Protocol } from './types.js';

/** A row as the authors' file and the hub name its members. */
const row = z.looseObject({
  'Record ID': z.string().optional(),
  Question: z.string().min(1),
  'Correct Answer': z.string().min(1),
  'Incorrect Answer 1': z.string().min(1),
  'Incorrect Answer 2': z.string().min(1),
  'Incorrect Answer 3': z.string().min(1),
});
type Row = z.output<typeof row>;

const LETTERS = ['A', 'B', 'C', 'D'] as const;

/** Seed of the order of the options: the same for every model and run. */
const ORDER_SEED = 0;

const SIMPLE_EVALS =
  "Answer the following multiple choice question. The last line of your response should be of the following format: 'Answer: $LETTER' (without quotes) where LETTER is one of ABCD. Think step by step before answering.\n\n{problem}";

/** Options of a question in an order drawn for it. */
function problemOf(value: Row, index: number): Problem {
  const id = value['Record ID'] ?? `test-${String(index).padStart(6, '0')}`;
  const options = [
    value['Correct Answer'],
    value['Incorrect Answer 1'],
    value['Incorrect Answer 2'],
    value['Incorrect Answer 3'],
  ].map((text) => text.trim());
  const order = new RandomStream(ORDER_SEED, 'gpqa', index).shuffle([0, 1, 2, 3]);
  const listed = order.map((option, place) => `${LETTERS[place] as string}) ${options[option] as string}`);
  return {
    id,
    prompt: `${value.Question.trim()}\n\n${listed.join('\n')}`,
    answer: LETTERS[order.indexOf(0)] as string,
  };
}

/** What may stand before the letter: "Answer: C", "The answer is (C)", "\boxed{C}", "**Answer: C**". */
const CHOICE = /(?:answer[ \t*]*(?:is)?[ \t]*:?[ \t*$]*|\\boxed\{[ \t]*(?:\\text\{)?)[("'[]?([A-D])(?![A-Za-z])/gi;

/** The letter that a reply settles on: the last one that is called the answer. Thoughts do not count. */
export function chosenLetter(text: string): string | undefined {
  const said = text.slice(Math.max(0, text.lastIndexOf('</think>')));
  return [...said.matchAll(CHOICE)].at(-1)?.[1]?.toUpperCase();
}

function grade({ answer = '' }: Problem, { text }: Response) {
  const letter = chosenLetter(text);
  if (letter === undefined) return wrong('no letter is called the answer');
  return letter === answer ? correct(letter, `it is ${answer}`) : wrong(`it is ${answer}`, { extracted: letter });
}

/** Four options in an order of their own for every question, and the letter as the answer. */
export function multipleChoiceTask(file: string, options: BenchmarkTaskOptions): Task {
  const { name, description, prompt, system, maxTokens, stop } = options;
  const problems = readRows(file, row, 'test').map(({ value }, i) => {
    const made = problemOf(value, i);
    return { ...made, prompt: prompt.replace('{problem}', () => made.prompt) };
  });
  return defineTask({
    ...{ name, description, format: 'chat', suggestedMaxTokens: maxTokens },
    ...(system === undefined ? {} : { system }),
    ...(stop === undefined ? {} : { stop }),
    problems: () => ({ size: problems.length, at: (index) => problems[index % problems.length] as Problem }),
    grade: (problem, response) => Promise.resolve(grade(problem, response)),
    goldResponse: ({ answer }) => `Answer: ${answer ?? ''}`,
  });
}

const LIGHTEVAL: Protocol = {
  prompt: SIMPLE_EVALS,
  temperature: 0.6,
  topP: 0.95,
  maxTokens: 32_768,
  k: 1,
  source: 'lighteval, tasks/gpqa.py (length), prompt of simple-evals; temperature and top-p as open-r1 runs it',
};

export const gpqaDiamond: Benchmark = {
  name: 'gpqa-diamond',
  title: 'GPQA Diamond',
  file: 'gpqa_diamond.jsonl',
  problems: 198,
  source: 'Idavidrein/gpqa on the Hugging Face hub (gated: its data may not be shown in public)',
  licence: 'CC-BY-4.0',
  maxTokens: 32_768,
  prompt: SIMPLE_EVALS,
  protocols: { paper: { ...paperProtocol(8), prompt: SIMPLE_EVALS }, lighteval: LIGHTEVAL },
  hub: { dataset: 'Idavidrein/gpqa', config: 'gpqa_diamond', split: 'train' },
  task: multipleChoiceTask,
};
