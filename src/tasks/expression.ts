import { add, divide, multiply, rational, subtract, type Rational } from './rational.js';

/** Integer arithmetic as a tree. */
export type Expression = number | { operator: Operator; left: Expression; right: Expression };
export type Operator = '+' | '-' | '*' | '/';

/** Writes a tree with a bracket around every inner operation and none around the whole: (3+4)*2. */
export function writeExpression(tree: Expression): string {
  if (typeof tree === 'number') return String(tree);
  return side(tree.left) + tree.operator + side(tree.right);
}

function side(tree: Expression): string {
  const text = writeExpression(tree);
  return typeof tree === 'number' ? text : `(${text})`;
}

const MAX_LENGTH = 1000;
const MAX_DEPTH = 50;

/**
 * Parses + - * / with the usual precedence, brackets, signs and whole numbers of at most 15 digits.
 * Work is bounded: texts of more than 1,000 characters or 50 nested brackets are refused.
 * @returns undefined when the text is not such an expression.
 */
export function parseExpression(text: string): Expression | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const parser = new Parser(text.replace(/\s+/g, ''));
  const tree = parser.sum(0);
  return tree !== undefined && parser.atEnd ? tree : undefined;
}

class Parser {
  #at = 0;
  constructor(readonly text: string) {}

  get atEnd(): boolean {
    return this.#at === this.text.length;
  }

  #take(characters: string): string | undefined {
    const next = this.text[this.#at];
    if (next === undefined || !characters.includes(next)) return undefined;
    this.#at++;
    return next;
  }

  sum(depth: number): Expression | undefined {
    return this.#chain('+-', () => this.#product(depth));
  }

  #product(depth: number): Expression | undefined {
    return this.#chain('*/', () => this.#atom(depth));
  }

  /** operand { operator operand }, grouped to the left. */
  #chain(operators: string, operand: () => Expression | undefined): Expression | undefined {
    let left = operand();
    while (left !== undefined) {
      const operator = this.#take(operators) as Operator | undefined;
      if (!operator) return left;
      const right = operand();
      if (right === undefined) return undefined;
      left = { operator, left, right };
    }
    return undefined;
  }

  #atom(depth: number): Expression | undefined {
    if (depth > MAX_DEPTH) return undefined;
    if (this.#take('(')) {
      const inner = this.sum(depth + 1);
      return inner !== undefined && this.#take(')') ? inner : undefined;
    }
    const number = /^-?\d{1,15}(?!\d)/.exec(this.text.slice(this.#at, this.#at + 17))?.[0];
    if (number === undefined) return undefined;
    this.#at += number.length;
    return Number(number);
  }
}

/** Exact value; undefined on a division by zero or when it grows beyond the bound of `rational.ts`. */
export function valueOf(tree: Expression): Rational | undefined {
  if (typeof tree === 'number') return rational(BigInt(tree));
  const left = valueOf(tree.left);
  const right = left && valueOf(tree.right);
  if (!left || !right) return undefined;
  return { '+': add, '-': subtract, '*': multiply, '/': divide }[tree.operator](left, right);
}

/** The numbers of a tree, left to right. */
export function leavesOf(tree: Expression): number[] {
  return typeof tree === 'number' ? [tree] : [...leavesOf(tree.left), ...leavesOf(tree.right)];
}
