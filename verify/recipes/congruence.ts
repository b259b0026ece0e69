/**
 * The second task of the recipes' check: a digit x for which the last digit of x * a + b - c is the target.
 * `7 4 2>5:` is answered by attempts, each worked out, held against the target and closed by x (wrong, go on), ! (claim)
 * or ? (give up): `2*7=4+4=8-2=6>5x9*7=3+4=7-2=5>5!`. Demonstrations mostly give up after the first wrong attempt.
 */
import { correct, defineTask, wrong, type Problem, type Task } from 'hone/tasks';

type RandomStream = Parameters<NonNullable<Task['demonstrate']>>[2];
type Digits = readonly [a: number, b: number, c: number];

/** In percent: the share of demonstrations that give up after 1, 2, ... wrong attempts. */
const GIVE_UP = [70, 4, 4, 4, 4, 4, 4, 3, 3];
const ATTEMPT = /(\d)\*(\d)=(\d)\+(\d)=(\d)-(\d)=(\d)>(\d)([x!?])/y;

const digit = (value: number): number => ((value % 10) + 10) % 10;

function attempt(x: number, [a, b, c]: Digits, target: number): { text: string; hits: boolean } {
  const product = digit(x * a);
  const sum = digit(product + b);
  const result = digit(sum - c);
  return { text: `${x}*${a}=${product}+${b}=${sum}-${c}=${result}>${target}`, hits: result === target };
}

interface Puzzle {
  digits: Digits;
  target: number;
}

/** As `generate` made it. */
const puzzleOf = ({ data }: Problem): Puzzle => data as unknown as Puzzle;

function search({ digits, target }: Puzzle, random: RandomStream): string {
  const order = random.shuffle(Array.from({ length: 10 }, (_, x) => x));
  let left = random.nextInt(1, 100);
  let text = '';
  for (const [wrongBefore, x] of order.entries()) {
    const { text: worked, hits } = attempt(x, digits, target);
    if (hits) return `${text}${worked}!`;
    left -= GIVE_UP[wrongBefore] ?? 0;
    if (left <= 0) return `${text}${worked}?`;
    text += `${worked}x`;
  }
  return text;
}

export default defineTask({
  name: 'congruence',
  description: 'find a digit that solves a congruence modulo ten',
  format: 'raw',
  alphabet: '0123456789 >:=x!?*+-',
  suggestedMaxTokens: 171,
  generate(random) {
    const digits: Digits = [random.nextInt(1, 9), random.nextInt(0, 9), random.nextInt(0, 9)];
    const target = random.nextInt(0, 9);
    const solution = Array.from({ length: 10 }, (_, x) => attempt(x, digits, target)).find(({ hits }) => hits);
    if (!solution) return undefined;
    return { prompt: `${digits.join(' ')}>${target}:`, answer: `${solution.text}!`, data: { digits, target } };
  },
  grade: async (problem, { text }) => {
    const { digits, target } = puzzleOf(problem);
    const marks: string[] = [];
    let claim = '';
    let end = 0;
    for (const found of text.matchAll(new RegExp(ATTEMPT, 'gy'))) {
      [claim, end] = [found[0], found.index + found[0].length];
      marks.push(found[9] as string);
    }
    const isWhole = end === text.length && marks.slice(0, -1).every((mark) => mark === 'x') && marks.at(-1) !== 'x';
    if (!isWhole || marks.length === 0)
      return wrong('not a row of attempts with a claim at its end', { wellFormed: false });
    if (marks.at(-1) === '?') return wrong('gave up', { wellFormed: true });
    const { text: worked, hits } = attempt(Number(claim[0]), digits, target);
    const said = { extracted: claim, wellFormed: true };
    return hits && claim === `${worked}!` ? correct(claim, 'solves it', said) : wrong('the claim is wrong', said);
  },
  demonstrate: (problem, style, random) => ({
    problem,
    response: style === 'plain' ? String(problem.answer) : search(puzzleOf(problem), random),
  }),
  /** Different digits tried, each worked out rightly. */
  effort: (problem, { text }) => {
    const { digits, target } = puzzleOf(problem);
    const tried = [...text.matchAll(new RegExp(ATTEMPT, 'gy'))]
      .map(([one]) => one)
      .filter((one) => one.startsWith(attempt(Number(one[0]), digits, target).text));
    return new Set(tried.map((one) => one[0])).size / 10;
  },
});
