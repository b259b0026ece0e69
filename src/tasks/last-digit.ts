import { z } from 'zod';
import { HoneError, type RandomStream } from '../core/index.js';
import { parseAttempts, type Attempt, type Notation } from './last-digit-grammar.js';
import { parseOptions } from './options.js';
import { drawnSource, problemId, shuffledPasses, splitOf, type Draft } from './split.js';
import type { Demonstration, Problem, ProblemSource, Response, Split, Task, Verdict } from './types.js';
import { correct, wrong } from './verdicts.js';

const NAME = 'last-digit';
/** Up to this many digits the whole space (10^(digits+1) contents) is listed, so that a pass has no problem twice. */
const LISTED_DIGITS = 3;

const share = z.number().min(0).max(1);

export const lastDigitOptions = z.strictObject({
  /** Digits in a puzzle; k digits and m operators give m^(k-1) candidates. */
  digits: z.int().min(2).max(6).default(3),
  /** Operators allowed between the digits, in the order in which demonstrations try them. */
  operators: z
    .string()
    .regex(/^[-+*]{1,3}$/, 'must be one to three of + - *')
    .refine((text) => new Set(text).size === text.length, 'names an operator twice')
    .default('+-*'),
  /** `stated`: every step with its result (9-2=7-9=8); `final`: the last result alone (9-2-9=8). */
  results: z.enum(['stated', 'final']).default('stated'),
  /** `restate`: every attempt repeats the target before its mark (9-2-9=8>2x): the comparison is written out. */
  check: z.enum(['mark', 'restate']).default('mark'),
  /**
   * When a search demonstration gives up. A number: the chance of it after every wrong try. A list: weights of the
   * tries allowed, 1, 2, ...; as many as there are candidates means never.
   */
  giveUp: z.union([share, z.array(z.number().min(0)).min(1)]).default(0.6),
  /** Share of puzzles without a solution; there the right response tries every candidate and gives up. */
  unsolvable: share.default(0),
  /** Keep only puzzles with at most this many solutions: fewer are harder to hit by luck. */
  maxSolutions: z.int().min(1).optional(),
});
export type LastDigitOptions = z.output<typeof lastDigitOptions>;

/** A puzzle: digits, target, and the operators that may stand between the digits. */
interface Puzzle {
  digits: number[];
  target: number;
  operators: string;
}

/** What a demonstration wrote of one candidate: the operators between the digits and the result after each. */
interface Candidate {
  operators: string;
  results: number[];
}

/** Last digit of `left op right`; 7-9 gives 8. */
export function lastDigit(left: number, operator: string, right: number): number {
  const value = operator === '+' ? left + right : operator === '-' ? left - right : left * right;
  return ((value % 10) + 10) % 10;
}

function evaluate(digits: readonly number[], operators: string): number[] {
  let value = digits[0] as number;
  return [...operators].map((operator, i) => (value = lastDigit(value, operator, digits[i + 1] as number)));
}

/** Every way to put operators between the digits, in counting order (the first operator is the most significant). */
function candidatesOf({ digits, operators }: Puzzle): Candidate[] {
  const gaps = digits.length - 1;
  return Array.from({ length: operators.length ** gaps }, (_, number) => {
    let text = '';
    for (let rest = number, gap = 0; gap < gaps; gap++, rest = Math.floor(rest / operators.length))
      text = (operators[rest % operators.length] as string) + text;
    return { operators: text, results: evaluate(digits, text) };
  });
}

const solves = (candidate: Candidate, target: number) => candidate.results.at(-1) === target;

function draftOf(puzzle: Puzzle, options: LastDigitOptions): (Draft & { solvable: boolean }) | undefined {
  const candidates = candidatesOf(puzzle);
  const solutions = candidates.filter((candidate) => solves(candidate, puzzle.target));
  if (solutions.length > (options.maxSolutions ?? Infinity)) return undefined;
  const text = `${puzzle.digits.join(' ')}>${puzzle.target}`;
  return {
    // The content is the prompt without its colon: the operators are left out, so splits agree between option sets.
    content: text,
    solvable: solutions.length > 0,
    problem: {
      prompt: `${text}:`,
      answer: solutions[0] ? write(puzzle, solutions[0], options) : 'none',
      data: { ...puzzle, results: options.results, check: options.check },
      difficulty: candidates.length - solutions.length,
    },
  };
}

function puzzleAt(number: number, options: LastDigitOptions): Puzzle {
  const figures = String(number)
    .padStart(options.digits + 1, '0')
    .split('')
    .map(Number);
  return { digits: figures.slice(0, -1), target: figures.at(-1) as number, operators: options.operators };
}

type Pools = readonly [solvable: Draft[], unsolvable: Draft[]];

/** Every puzzle of a split, solvable and unsolvable ones apart. */
function listPools(options: LastDigitOptions, split: Split): Pools {
  const drafts = Array.from({ length: 10 ** (options.digits + 1) }, (_, i) => draftOf(puzzleAt(i, options), options))
    .filter((draft) => draft !== undefined)
    .filter((draft) => splitOf(NAME, draft.content) === split);
  return [drafts.filter((draft) => draft.solvable), drafts.filter((draft) => !draft.solvable)];
}

/** The listed puzzles of a split in the order of a seed, solvable and unsolvable ones mixed by the wanted share. */
function listedSource(pools: Pools, options: LastDigitOptions, split: Split, seed: number): ProblemSource {
  const orders = pools.map((pool, i) => shuffledPasses(pool.length, seed, `${NAME}-${split}-${i}`));
  const wanted = mixture(options.unsolvable);
  const at = (index: number): Problem => {
    const { pool, position } = wanted(index);
    const draft = pools[pool][orders[pool]?.(position) as number];
    if (!draft)
      throw new HoneError('usage', `no ${pool === 1 ? 'unsolvable' : 'solvable'} puzzle fits the options`, {
        where: `task ${NAME}`,
        hint: 'Allow more solutions (maxSolutions) or more operators.',
      });
    return { id: problemId(split, NAME, draft.content), ...draft.problem };
  };
  const [solvable, unsolvable] = pools;
  const u = options.unsolvable;
  return { size: Math.floor(Math.min(solvable.length / (1 - u), u > 0 ? unsolvable.length / u : Infinity)), at };
}

/** Spreads a share u of ones evenly over the indices: index i is unsolvable when floor(u i) steps up at i + 1. */
function mixture(u: number): (index: number) => { pool: 0 | 1; position: number } {
  return (index) => {
    const before = Math.floor(index * u);
    const isOne = Math.floor((index + 1) * u) > before;
    return isOne ? { pool: 1, position: before } : { pool: 0, position: index - before };
  };
}

function randomSource(options: LastDigitOptions, split: Split, seed: number): ProblemSource {
  return drawnSource(NAME, split, seed, (random) => {
    const solvable = random.next() >= options.unsolvable;
    const draft = draftOf(puzzleAt(random.nextInt(0, 10 ** (options.digits + 1) - 1), options), options);
    return draft?.solvable === solvable ? draft : undefined;
  });
}

function write(
  { digits, target }: Puzzle,
  candidate: Candidate,
  { results, check }: Pick<Notation, 'results' | 'check'>,
): string {
  const steps = [...candidate.operators].map((operator, i) => {
    const stated = results === 'stated' || i === candidate.operators.length - 1;
    return `${operator}${digits[i + 1]}${stated ? `=${candidate.results[i]}` : ''}`;
  });
  return digits[0] + steps.join('') + (check === 'restate' ? `>${target}` : '');
}

const puzzleSchema = z.object({
  digits: z.array(z.int().min(0).max(9)).min(2),
  target: z.int().min(0).max(9),
  operators: z.string().min(1),
  results: z.enum(['stated', 'final']),
  check: z.enum(['mark', 'restate']),
});
type PosedPuzzle = z.output<typeof puzzleSchema>;

function notationOf({ digits, results, check }: PosedPuzzle): Notation {
  return { digits: digits.length, results, check };
}

/** The tries a demonstration makes before it gives up, of `candidates`; Infinity: it never does. */
function triesAllowed(giveUp: LastDigitOptions['giveUp'], random: RandomStream): number {
  if (typeof giveUp === 'number') {
    if (giveUp === 0) return Infinity;
    let tries = 1;
    while (random.next() >= giveUp) tries++;
    return tries;
  }
  let rest = random.next() * giveUp.reduce((sum, weight) => sum + weight, 0);
  const index = giveUp.findIndex((weight) => (rest -= weight) < 0);
  return index < 0 ? giveUp.length : index + 1;
}

/** Attempts in cyclic order from a random start, until one solves the puzzle, the tries are used up, or none is left. */
function searchText(problem: Problem, options: LastDigitOptions, random: RandomStream): string {
  const puzzle = puzzleSchema.parse(problem.data);
  const candidates = candidatesOf(puzzle);
  const start = random.nextInt(0, candidates.length - 1);
  const solvable = problem.answer !== 'none';
  const allowed = solvable ? triesAllowed(options.giveUp, random) : candidates.length;
  let text = '';
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[(start + i) % candidates.length] as Candidate;
    text += write(puzzle, candidate, puzzle);
    if (solves(candidate, puzzle.target)) return `${text}!`;
    if (i + 1 >= allowed || i + 1 === candidates.length) return `${text}?`;
    text += 'x';
  }
  return text;
}

/** A solution at once, picked at random among all; on an unsolvable puzzle the exhaustive search. */
function plainText(problem: Problem, options: LastDigitOptions, random: RandomStream): string {
  const puzzle = puzzleSchema.parse(problem.data);
  const solutions = candidatesOf(puzzle).filter((candidate) => solves(candidate, puzzle.target));
  if (solutions.length === 0) return searchText(problem, options, random);
  return `${write(puzzle, random.pick(solutions), puzzle)}!`;
}

/** The attempt uses the given digits in order, allowed operators, and states every result right. */
function isRight(attempt: Attempt, puzzle: Puzzle): boolean {
  if (attempt.digits.join() !== puzzle.digits.join()) return false;
  if ([...attempt.operators].some((operator) => !puzzle.operators.includes(operator))) return false;
  if (attempt.restated !== undefined && attempt.restated !== puzzle.target) return false;
  const results = evaluate(attempt.digits, attempt.operators);
  return results.every((result, i) => attempt.results[i] === undefined || attempt.results[i] === result);
}

function gradeText(problem: Problem, response: Response): Verdict {
  const puzzle = puzzleSchema.parse(problem.data);
  const { attempts, complete } = parseAttempts(response.text, notationOf(puzzle));
  const ended = response.stopReason === 'eos' || response.stopReason === 'stop';
  const last = attempts.at(-1);
  if (!ended) return wrong('cut off before the end', { cause: 'response', wellFormed: false });
  if (!complete || !last) return wrong('not a row of attempts that ends in ! or ?', { wellFormed: false });
  const said = { extracted: last.text, wellFormed: true };
  if (last.mark === '?') return gradeGiveUp(problem, puzzle, attempts, said);
  if (!isRight(last, puzzle)) return wrong('the last attempt has wrong digits, operators or results', said);
  if (last.results.at(-1) !== puzzle.target) return wrong('the claimed attempt misses the target', said);
  return correct(last.text, 'the last attempt reaches the target', { wellFormed: true });
}

function gradeGiveUp(
  problem: Problem,
  puzzle: Puzzle,
  attempts: readonly Attempt[],
  said: { extracted: string; wellFormed: boolean },
): Verdict {
  if (problem.answer !== 'none') return wrong('gave up', said);
  const tried = new Set(attempts.filter((attempt) => isRight(attempt, puzzle)).map((attempt) => attempt.operators));
  if (tried.size < candidatesOf(puzzle).length) return wrong('gave up before every candidate was tried', said);
  return correct(said.extracted, 'every candidate was tried and none reaches the target', { wellFormed: true });
}

/** Counts behind the skills a warm-start should reach; add them up over responses before dividing. */
export interface LastDigitSkills {
  /** Complete attempts at the start of the response, up to the first break of the grammar. */
  tries: number;
  /** Attempts with the given digits, allowed operators and right results. */
  rightResults: number;
  /** Marks that fit the stated result: `!` when it is the target, `x` or `?` when it is not. */
  rightMarks: number;
  /** The response ends in `?`. */
  gaveUp: boolean;
  /** The whole response keeps the grammar. */
  wellFormed: boolean;
}

/**
 * What a response shows of the skills that search needs, whether or not it solves the puzzle.
 * rightResults / tries is the share of attempts worked out right, rightMarks / tries the share of right marks.
 */
export function lastDigitSkills(problem: Problem, text: string): LastDigitSkills {
  const puzzle = puzzleSchema.parse(problem.data);
  const { attempts, complete } = parseAttempts(text, notationOf(puzzle));
  return {
    tries: attempts.length,
    rightResults: attempts.filter((attempt) => isRight(attempt, puzzle)).length,
    rightMarks: attempts.filter(({ results, mark }) => (results.at(-1) === puzzle.target) === (mark === '!')).length,
    gaveUp: attempts.at(-1)?.mark === '?',
    wellFormed: complete,
  };
}

/** Different candidates that a response tries with the given digits, of all there are. */
function effortOf(problem: Problem, { text }: Response): number {
  const puzzle = puzzleSchema.parse(problem.data);
  const { attempts } = parseAttempts(text, notationOf(puzzle));
  return (
    new Set(attempts.filter((attempt) => isRight(attempt, puzzle)).map(({ operators }) => operators)).size /
    candidatesOf(puzzle).length
  );
}

/**
 * The last-digit puzzle: put operators between digits, work from left to right keeping the last digit, reach the
 * target. `9 2 9>2:` is answered by attempts, each closed by x (wrong, go on), ! (claim) or ? (give up):
 * `9-2=7-9=8x9*2=8*9=2!`. A model that imitates demonstrations which soon give up can only improve by persistence.
 */
export function lastDigitTask(input?: z.input<typeof lastDigitOptions>): Task {
  const options = parseOptions(lastDigitOptions, input, NAME);
  const gaps = options.digits - 1;
  const attemptLength =
    2 + 2 * gaps + 2 * (options.results === 'stated' ? gaps : 1) + (options.check === 'restate' ? 2 : 0);
  const listed = options.digits <= LISTED_DIGITS && options.unsolvable < 1;
  const pools: Partial<Record<Split, Pools>> = {};
  return {
    name: NAME,
    description: 'put + - * between digits so that the last digit of the result hits the target',
    format: 'raw',
    alphabet: '0123456789 >:=x!?' + options.operators,
    // Every candidate once, and the end token.
    suggestedMaxTokens: attemptLength * options.operators.length ** gaps + 1,
    problems: (split, seed) =>
      listed
        ? listedSource((pools[split] ??= listPools(options, split)), options, split, seed)
        : randomSource(options, split, seed),
    grade: async (problem, response) => gradeText(problem, response),
    effort: effortOf,
    demonstrate: (problem, style, random): Demonstration => ({
      problem,
      response: (style === 'plain' ? plainText : searchText)(problem, options, random),
    }),
  };
}
