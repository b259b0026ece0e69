import type { Rational } from '../../rational.js';
import { call, constant, mapChildren, numberNode, product, small, type MathNode, type NodeOf } from './ast.js';
import {
  addExact,
  binomialExact,
  equalExact,
  factorialExact,
  floorExact,
  isInteger,
  MINUS_ONE,
  multiplyExact,
  ONE,
  powerExact,
  rootExact,
  ZERO,
} from './exact.js';
import type { Budget } from './limits.js';
import { solutionsOf } from './solutions.js';

/**
 * The normal form of a tree: exact numbers folded, terms and factors sorted, units moved outwards, ± spread out. Trees
 * with the same key are equal; the reverse is decided by evaluation.
 */
export function normalize(node: MathNode, budget: Budget): MathNode {
  return new Normalizer(budget).of(node);
}

const TRIGONOMETRIC = new Set(['sin', 'cos', 'tan', 'cot', 'sec', 'csc']);
/** Largest matrix that is multiplied, and most answers that ± spreads into. */
const MAX_CELLS = 400;
const MAX_SIGNS = 64;

class Normalizer {
  constructor(private readonly budget: Budget) {}

  of(node: MathNode): MathNode {
    this.budget.spend();
    const inner = mapChildren(node, (child) => this.of(child));
    switch (inner.kind) {
      case 'sum':
        return this.sum(inner.terms);
      case 'product':
        return this.product(inner.factors);
      case 'power':
        return this.power(inner);
      case 'call':
        return this.call(inner);
      case 'list':
        return solutionsOf(inner) ?? { ...inner, items: inner.items.flatMap((item) => this.spread(item, inner.kind)) };
      case 'set':
        return { ...inner, items: inner.items.flatMap((item) => this.spread(item, inner.kind)) };
      default:
        return inner;
    }
  }

  /** Lists inside lists become one; ± becomes two members. */
  private spread(item: MathNode, into: 'list' | 'set'): MathNode[] {
    const signs = expandSigns(item);
    if (signs.length > 1) return signs.map((one) => this.of(one));
    if (into === 'list' && item.kind === 'list' && item.separator === ',') return item.items;
    return [item];
  }

  private sum(terms: MathNode[]): MathNode {
    if (terms.some((term) => term.kind === 'quantity')) return this.sumOfQuantities(terms);
    if (terms.some((term) => term.kind === 'matrix')) return this.matrixSum(terms);
    let total: Rational | undefined = ZERO;
    let decimal = false;
    const rest: MathNode[] = [];
    for (const term of terms.flatMap((one) => (one.kind === 'sum' ? one.terms : [one]))) {
      const next: Rational | undefined =
        term.kind === 'number' && total ? addExact(total, term.value, this.budget) : undefined;
      if (term.kind === 'number' && next) {
        total = next;
        decimal ||= term.decimal === true;
      } else rest.push(term);
    }
    if (total && (rest.length === 0 || !equalExact(total, ZERO))) rest.push(number(total, decimal));
    return rest.length === 1 ? (rest[0] as MathNode) : { kind: 'sum', terms: sorted(rest, this.budget) };
  }

  /** 50° + 40° = 90°, 3% + 4% = 7%; 100 - 10% takes the share; a unit in words is that of the sum. */
  private sumOfQuantities(terms: MathNode[]): MathNode {
    const units = new Set(terms.map((term) => (term.kind === 'quantity' ? term.unit : '')));
    const [unit = ''] = [...units].filter((one) => one !== '');
    if (units.has('%') && units.size > 1) return this.sum(terms.map((term) => this.withoutPercent(term)));
    return { kind: 'quantity', value: this.sum(terms.map(valueOf)), unit };
  }

  private withoutPercent(node: MathNode): MathNode {
    if (node.kind !== 'quantity' || node.unit !== '%') return node;
    return this.product([node.value, numberNode({ numerator: 1n, denominator: 100n })]);
  }

  private product(factors: MathNode[]): MathNode {
    const last = factors.findLastIndex((factor) => factor.kind === 'quantity');
    if (last >= 0) return this.productOfQuantities(factors, last);
    if (factors.every((factor) => factor.kind === 'tuple') && factors.length > 1)
      return { kind: 'list', items: factors, separator: ',' };
    if (factors.some((factor) => factor.kind === 'matrix')) return this.matrixProduct(factors);
    let total: Rational | undefined = ONE;
    let decimal = false;
    const rest: MathNode[] = [];
    for (const factor of factors.flatMap((one) => (one.kind === 'product' ? one.factors : [one]))) {
      const next: Rational | undefined =
        factor.kind === 'number' && total ? multiplyExact(total, factor.value, this.budget) : undefined;
      if (factor.kind === 'number' && next) {
        total = next;
        decimal ||= factor.decimal === true;
      } else rest.push(factor);
    }
    if (total && equalExact(total, ZERO) && !rest.some((factor) => factor.kind === 'constant' || factor.kind === 'set'))
      return number(ZERO, decimal);
    if (total && (rest.length === 0 || !equalExact(total, ONE))) rest.push(number(total, decimal));
    return rest.length === 1 ? (rest[0] as MathNode) : { kind: 'product', factors: sorted(rest, this.budget) };
  }

  /** The unit of a product is that of its last factor with one; other percents are shares. */
  private productOfQuantities(factors: MathNode[], last: number): MathNode {
    const { unit } = factors[last] as NodeOf<'quantity'>;
    const isPercentOfMore =
      unit === '%' && factors.length > 1 && factors.some((f, i) => i !== last && !isPlainNumber(f));
    const values = factors.map((factor, index) =>
      index === last && !isPercentOfMore ? valueOf(factor) : valueOf(this.withoutPercent(factor)),
    );
    const value = this.product(values);
    return isPercentOfMore ? value : { kind: 'quantity', value, unit };
  }

  private power(node: NodeOf<'power'>): MathNode {
    const { base, exponent } = node;
    if (base.kind === 'quantity') return { ...base, value: this.power({ ...node, base: base.value }) };
    if (base.kind === 'matrix' && exponent.kind === 'symbol' && /^(?:T|top|prime|intercal)$/.test(exponent.name))
      return transposed(base);
    if (exponent.kind !== 'number') return node;
    if (equalExact(exponent.value, ONE)) return base;
    if (base.kind === 'matrix')
      return equalExact(exponent.value, { numerator: 2n, denominator: 1n }) ? this.matrixProduct([base, base]) : node;
    const exact = base.kind === 'number' ? powerExact(base.value, exponent.value, this.budget) : undefined;
    if (exact) return number(exact, (base as NodeOf<'number'>).decimal === true);
    // (a^b)^n = a^(b n) for a whole n, and (a b)^-1 = a^-1 b^-1.
    if (!isInteger(exponent.value)) return node;
    if (base.kind === 'power')
      return this.power({ kind: 'power', base: base.base, exponent: this.product([base.exponent, exponent]) });
    if (base.kind === 'product' && base.factors.length < 32)
      return this.product(base.factors.map((factor) => this.power({ kind: 'power', base: factor, exponent })));
    return node;
  }

  private call(node: NodeOf<'call'>): MathNode {
    const { name } = node;
    const args = TRIGONOMETRIC.has(name)
      ? node.args.map((arg) => this.radians(arg))
      : node.args.map((arg) => (name === 'pm' || name === 'mp' ? arg : valueOf(this.withoutPercent(arg))));
    const [first, second] = args;
    if ((name === 'pm' || name === 'mp') && first?.kind === 'quantity')
      return { ...first, value: call(name, first.value) };
    if (name === 'det' && first?.kind === 'matrix') return this.determinant(first);
    if (first?.kind !== 'number') return { ...node, args };
    const exact = this.exactCall(name, first.value, second?.kind === 'number' ? second.value : undefined, args);
    return exact ? number(exact, first.decimal === true) : { ...node, args };
  }

  private radians(arg: MathNode): MathNode {
    if (arg.kind !== 'quantity' || arg.unit !== 'deg') return valueOf(arg);
    return this.product([arg.value, constant('pi'), numberNode({ numerator: 1n, denominator: 180n })]);
  }

  private exactCall(
    name: string,
    a: Rational,
    b: Rational | undefined,
    args: readonly MathNode[],
  ): Rational | undefined {
    const { budget } = this;
    switch (name) {
      case 'factorial':
        return factorialExact(a, budget);
      case 'abs':
        return a.numerator < 0n ? { ...a, numerator: -a.numerator } : a;
      case 'floor':
        return floorExact(a);
      case 'ceil':
        return negated(floorExact(negated(a)));
      case 'binomial':
        return b && binomialExact(a, b, budget);
      case 'root':
        return b && isInteger(b) && b.numerator < 1000n ? signedRoot(a, Number(b.numerator), budget) : undefined;
      case 'mod':
        return b && isInteger(a) && isInteger(b) && b.numerator > 0n
          ? { numerator: ((a.numerator % b.numerator) + b.numerator) % b.numerator, denominator: 1n }
          : undefined;
      case 'max':
      case 'min':
        return extreme(name, args);
      default:
        return undefined;
    }
  }

  private matrixSum(terms: MathNode[]): MathNode {
    const [first, ...rest] = terms;
    const same = first?.kind === 'matrix' && rest.every((term) => term.kind === 'matrix' && sameShape(term, first));
    if (!same) return { kind: 'sum', terms };
    const rows = first.rows.map((row, r) =>
      row.map((cell, c) =>
        this.sum([cell, ...rest.map((term) => (term as NodeOf<'matrix'>).rows[r]?.[c] as MathNode)]),
      ),
    );
    return { kind: 'matrix', rows };
  }

  /** Scalars go into the cells; matrices are multiplied from left to right. */
  private matrixProduct(factors: MathNode[]): MathNode {
    const matrices = factors.filter((factor) => factor.kind === 'matrix');
    const scalars = factors.filter((factor) => factor.kind !== 'matrix');
    let result = matrices[0] as NodeOf<'matrix'>;
    for (const next of matrices.slice(1)) {
      const [rows, inner, columns] = [result.rows.length, next.rows.length, next.rows[0]?.length ?? 0];
      if (result.rows.some((row) => row.length !== inner) || rows * inner * columns > MAX_CELLS)
        return { kind: 'product', factors };
      result = {
        kind: 'matrix',
        rows: result.rows.map((row) =>
          Array.from({ length: columns }, (_, c) =>
            this.sum(row.map((cell, k) => this.product([cell, next.rows[k]?.[c] ?? small(0)]))),
          ),
        ),
      };
    }
    if (scalars.length === 0) return result;
    return { kind: 'matrix', rows: result.rows.map((row) => row.map((cell) => this.product([...scalars, cell]))) };
  }

  /** Laplace's expansion for up to 4 rows. */
  private determinant(matrix: NodeOf<'matrix'>): MathNode {
    const { rows } = matrix;
    const size = rows.length;
    if (size > 4 || rows.some((row) => row.length !== size)) return call('det', matrix);
    if (size === 1) return rows[0]?.[0] as MathNode;
    const terms = (rows[0] as MathNode[]).map((cell, column) => {
      const minor = rows.slice(1).map((row) => row.filter((_, index) => index !== column));
      return this.product([small(column % 2 === 0 ? 1 : -1), cell, this.determinant({ kind: 'matrix', rows: minor })]);
    });
    return this.sum(terms);
  }
}

const number = (value: Rational, decimal: boolean): MathNode =>
  decimal ? { kind: 'number', value, decimal } : { kind: 'number', value };
const negated = (value: Rational): Rational => ({ ...value, numerator: -value.numerator });
export const valueOf = (node: MathNode): MathNode => (node.kind === 'quantity' ? node.value : node);
const isPlainNumber = (node: MathNode): boolean =>
  node.kind === 'number' ||
  node.kind === 'constant' ||
  (node.kind === 'power' && isPlainNumber(node.base) && isPlainNumber(node.exponent)) ||
  (node.kind === 'product' && node.factors.every(isPlainNumber));

function signedRoot(value: Rational, degree: number, budget: Budget): Rational | undefined {
  if (degree < 1) return undefined;
  if (value.numerator >= 0n) return rootExact(value, degree, budget);
  const root = degree % 2 === 1 ? rootExact(negated(value), degree, budget) : undefined;
  return root && negated(root);
}

function extreme(name: 'max' | 'min', args: readonly MathNode[]): Rational | undefined {
  const values = args.map((arg) => (arg.kind === 'number' ? arg.value : undefined));
  return values.reduce((best, value) => {
    if (!best || !value) return undefined;
    const less = value.numerator * best.denominator < best.numerator * value.denominator;
    return less === (name === 'min') ? value : best;
  });
}

const sameShape = (a: NodeOf<'matrix'>, b: NodeOf<'matrix'>): boolean =>
  a.rows.length === b.rows.length && a.rows.every((row, index) => row.length === b.rows[index]?.length);

const transposed = ({ rows }: NodeOf<'matrix'>): MathNode => ({
  kind: 'matrix',
  rows: (rows[0] ?? []).map((_, column) => rows.map((row) => row[column] ?? small(0))),
});

/** In the order of their keys. Keys may grow when products of sums are multiplied out, so their length is paid for. */
function sorted(nodes: MathNode[], budget: Budget): MathNode[] {
  const keyed = nodes.map((node) => ({ node, key: keyOf(node) }));
  for (const { key } of keyed) budget.spend(1 + key.length / 20);
  return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ node }) => node);
}

const keys = new WeakMap<MathNode, string>();

/** A writing of the tree in which equal trees are equal; remembered, since trees are compared many times. */
export function keyOf(node: MathNode): string {
  const known = keys.get(node);
  if (known !== undefined) return known;
  const key = writeKey(node);
  keys.set(node, key);
  return key;
}

function writeKey(node: MathNode): string {
  const all = (nodes: readonly MathNode[]): string => nodes.map(keyOf).join(',');
  switch (node.kind) {
    case 'number':
      return node.value.denominator === 1n
        ? `${node.value.numerator.toString(36)}`
        : `${node.value.numerator.toString(36)}/${node.value.denominator.toString(36)}`;
    case 'based':
      return `${node.digits.replace(/^0+(?=\d)/, '')}_${node.base}`;
    case 'constant':
      return `#${node.name}`;
    case 'symbol':
      return `$${node.name}`;
    case 'text':
      return JSON.stringify(node.value.replace(/\s+/g, '').toLowerCase());
    case 'sum':
      return `+(${all(node.terms)})`;
    case 'product':
      return `*(${all(node.factors)})`;
    case 'power':
      return `^(${keyOf(node.base)},${keyOf(node.exponent)})`;
    case 'call':
      return `${node.name}(${all(node.args)})`;
    case 'quantity':
      return `${keyOf(node.value)}[${node.unit}]`;
    case 'ratio':
      return `:(${all(node.items)})`;
    case 'tuple':
      return `${node.open}${all(node.items)}${node.close}`;
    case 'set':
      return `{${[...new Set(node.items.map(keyOf))].sort().join(',')}}`;
    case 'list':
      return `list${node.separator}(${all(node.items)})`;
    case 'builder':
      return `{${keyOf(node.element)}|${keyOf(node.condition)}}`;
    case 'operation':
      return `${node.sign}(${node.sign === 'minus' ? all(node.items) : node.items.map(keyOf).sort().join(',')})`;
    case 'matrix':
    case 'cases':
      return `${node.kind}[${node.rows.map(all).join(';')}]`;
    case 'relation':
      return `rel(${all(node.items)}${node.signs.join('')})`;
  }
}

/** An answer with ± as the answers it stands for: all upper signs, then all lower ones. Without ±, itself. */
export function expandSigns(node: MathNode): MathNode[] {
  if (node.kind === 'list' || node.kind === 'set' || !hasSign(node)) return [node];
  return [signed(node, 1), signed(node, -1)].slice(0, MAX_SIGNS);
}

function hasSign(node: MathNode): boolean {
  if (node.kind === 'call' && (node.name === 'pm' || node.name === 'mp')) return true;
  return childrenHaveSign(node);
}

function childrenHaveSign(node: MathNode): boolean {
  let found = false;
  mapChildren(node, (child) => {
    found ||= hasSign(child);
    return child;
  });
  return found;
}

function signed(node: MathNode, sign: 1 | -1): MathNode {
  if (node.kind === 'call' && (node.name === 'pm' || node.name === 'mp')) {
    const inner = signed(node.args[0] as MathNode, sign);
    return (sign === 1) === (node.name === 'pm') ? inner : product(numberNode(MINUS_ONE), inner);
  }
  return mapChildren(node, (child) => signed(child, sign));
}
