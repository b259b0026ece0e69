import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { compareAnswers } from '../../src/tasks/index.js';
import { median } from '../measure.js';
import type { Bench } from '../types.js';

/** Answers like MATH's, each with a right and a wrong response. */
const ANSWERS: readonly (readonly [string, string, string])[] = [
  ['\\frac{14}{3}', '14/3', '\\frac{13}{3}'],
  ['3\\sqrt{13}', '\\sqrt{117}', '3\\sqrt{11}'],
  ['x^5 - x^4 + x^3 - x^2 + x - 1', '(x-1)(x^4+x^2+1)', 'x^5 - x^4 + x^3 - x^2 + x + 1'],
  ['(6,31,-1)', '(6, 31, -1)', '(31,6,-1)'],
  ['90^\\circ', '90', '80^\\circ'],
  ['\\left(\\frac{3}{5},\\frac{8}{3}\\right]', '(0.6, \\frac{8}{3}]', '[0.6, \\frac{8}{3}]'],
  ['1 \\pm \\sqrt{19}', '1+\\sqrt{19}, 1-\\sqrt{19}', '1+\\sqrt{19}'],
  [
    '\\begin{pmatrix} -2 \\\\ -14 \\\\ -7 \\end{pmatrix}',
    '\\begin{bmatrix}-2\\\\-14\\\\-7\\end{bmatrix}',
    '\\begin{pmatrix} 2 \\\\ -14 \\\\ -7 \\end{pmatrix}',
  ],
  ['288 \\pi', '288\\pi', '288'],
  ['10,\\!080', '10080', '10800'],
  ['6 - 5i', '-5i + 6', '6+5i'],
  ['11\\sqrt2', '\\sqrt{242}', '11\\sqrt3'],
  ['y = 2x + 3', '2x - y + 3 = 0', 'y = 2x - 3'],
  ['(2,\\infty)', 'x > 2', '[2,\\infty)'],
  ['\\cot x', '\\frac{\\cos x}{\\sin x}', '\\tan x'],
];

/** Each pair under its own coefficients, so that no answer is graded twice. */
function varied(count: number): [string, string][] {
  return Array.from({ length: count }, (_, index) => {
    const [gold, right, wrong] = ANSWERS[index % ANSWERS.length] as readonly [string, string, string];
    const extra = `${index + 2}`;
    const given = index % 2 === 0 ? right : wrong;
    const plain = /^[^,=<>]*$/.test(gold) && !/circ|begin|pm|80/.test(gold);
    return plain ? [`${gold}+${extra}`, `${given}+${extra}`] : [gold, given];
  });
}

/** Seconds of Math-Verify on the same pairs; undefined without a Python that has it. */
function peerSeconds(pairs: readonly [string, string][], python: string | undefined): number | undefined {
  if (python === undefined) return undefined;
  const script = path.join(import.meta.dirname, '..', '..', 'verify', 'peers', 'math_verify_speed.py');
  return Number(
    execFileSync(python, [script], {
      input: JSON.stringify(pairs),
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'ignore'],
    }),
  );
}

/** Pairs that the peer grades too. */
const PEER_PAIRS = 300;

const bench: Bench = {
  name: 'graders',
  measures: 'verdicts per second on MATH-like answers and plain numbers, against Math-Verify with --python',
  run: (log, { python }) => {
    const pairs = varied(3000);
    compareAll(varied(60));
    const latencies = compareAll(pairs);
    const seconds = latencies.reduce((sum, { seconds: one }) => sum + one, 0);
    const slow = latencies.toSorted((a, b) => b.seconds - a.seconds);
    for (const { pair, seconds: one } of slow.slice(0, 10)) log(`${(one * 1e3).toFixed(2)} ms  ${pair.join('  ~  ')}`);
    const perNumber = median(Array.from({ length: 5 }, () => secondsForNumbers(50_000))) / 50_000;
    const peer = peerSeconds(pairs.slice(0, PEER_PAIRS), python);
    const ours = latencies.slice(0, PEER_PAIRS).reduce((sum, { seconds: one }) => sum + one, 0);
    return Promise.resolve({
      ratios: {
        'plain number / MATH-like answer': seconds / pairs.length / perNumber,
        ...(peer === undefined ? {} : { 'hone / Math-Verify': peer / ours }),
      },
      readings: {
        'MATH-like answers': `${Math.round(pairs.length / seconds)} verdicts/s`,
        'plain numbers': `${Math.round(1 / perNumber)} verdicts/s`,
        'p99.9 latency': `${((slow[Math.floor(slow.length / 1000)]?.seconds ?? 0) * 1e3).toFixed(2)} ms`,
        ...(peer === undefined
          ? { 'Math-Verify': 'not measured: no --python' }
          : { 'Math-Verify': `${Math.round(PEER_PAIRS / peer)} verdicts/s` }),
      },
    });
  },
};
export default bench;

function compareAll(pairs: readonly [string, string][]): { pair: [string, string]; seconds: number }[] {
  return pairs.map((pair) => {
    const start = performance.now();
    compareAnswers(...pair);
    return { pair, seconds: (performance.now() - start) / 1000 };
  });
}

function secondsForNumbers(count: number): number {
  const pairs = Array.from({ length: count }, (_, index): [string, string] => [
    `${index * 37}`,
    index % 2 === 0 ? `${index * 37}.0` : `${index * 37 + 1}`,
  ]);
  const start = performance.now();
  for (const [gold, given] of pairs) compareAnswers(gold, given);
  return (performance.now() - start) / 1000;
}
