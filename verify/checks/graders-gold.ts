import { gradeMaths, type MathsVerdict } from '../../src/tasks/index.js';
import { goldsOf, type Gold } from '../graders/golds.js';
import type { Check } from '../types.js';

/** Share of gold answers that have to be found correct, by data set. */
const WANTED: Readonly<Record<string, number>> = {
  aime24: 1,
  aime25: 1,
  amc23: 1,
  gsm8k_test: 1,
  math500: 0.995,
  minerva_math: 0.99,
  olympiadbench_math_en: 0.99,
  deepscaler: 0.99,
  omni_math2_600: 0.99,
  olymmath_en: 0.99,
};

/** Three forms of reply around a gold answer. */
const FORMS: Readonly<Record<string, (gold: string) => string>> = {
  boxed: (gold) => `Let us add up. Then the answer is \\boxed{${gold}}.`,
  line: (gold) => `We have $a = 1$ and 17 more.\n\n**Answer:** ${gold.replace(/\s+/g, ' ')}`,
  tag: (gold) => `<think>First 5, no, 6.</think>\nSo it follows.\n<answer>${gold}</answer>`,
};

const check: Check = {
  name: 'graders-gold',
  shows:
    'gold answers in three forms of reply are graded correct with the fast path for equal texts off, on ten data sets',
  needs: ['data'],
  run: (ctx) => {
    const numbers: Record<string, string> = {};
    let passed = true;
    for (const [name, wanted] of Object.entries(WANTED)) {
      const { correct, parsed, graded, rows } = gradeAll(goldsOf(ctx.data as string, name), (line) => ctx.log(line));
      const share = correct / graded;
      passed &&= share >= wanted;
      numbers[name] = `${correct}/${graded} correct, ${((100 * parsed) / graded).toFixed(1)} % parsed, ${rows} rows`;
      ctx.log(`${name}: ${numbers[name]}`);
    }
    return Promise.resolve({
      status: passed ? 'passed' : 'failed',
      detail: passed ? 'every data set reaches its share' : 'a data set is below its share',
      numbers,
    });
  },
};
export default check;

function gradeAll(
  golds: readonly Gold[],
  log: (line: string) => void,
): { correct: number; parsed: number; graded: number; rows: number } {
  let [correct, parsed, graded] = [0, 0, 0];
  for (const { answer, where } of golds)
    for (const [form, wrap] of Object.entries(FORMS)) {
      const verdict: MathsVerdict = gradeMaths(goldAlone(answer), wrap(goldAlone(answer)), { sameText: false });
      graded++;
      if (verdict.by !== 'text') parsed++;
      if (verdict.status === 'correct') correct++;
      else log(`${where} ${form}: ${verdict.status} (${verdict.reason}) ${JSON.stringify(answer.slice(0, 100))}`);
    }
  return { correct, parsed, graded, rows: golds.length };
}

/** GSM8K's golds are whole solutions that end in #### 18. */
const goldAlone = (answer: string): string => /####\s*(.+)\s*$/.exec(answer)?.[1] ?? answer;
