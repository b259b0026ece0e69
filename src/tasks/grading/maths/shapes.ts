import {
  childrenOf,
  difference,
  mapChildren,
  numberNode,
  some,
  type MathNode,
  type NodeOf,
  type RelationSign,
} from './ast.js';
import type { Budget } from './limits.js';
import { keyOf, normalize, valueOf } from './normal.js';
import { flipped, isName } from './real-sets.js';
import { substitute } from './substitute.js';

/** What a tree is, seen by the comparison: a list, a label, a time of day, an assignment. */

export const MINUS: MathNode = { kind: 'number', value: { numerator: -1n, denominator: 1n } };

export const isCollection = (node: MathNode): boolean =>
  ['list', 'set', 'tuple', 'operation', 'builder'].includes(node.kind);
export const isRound = (node: MathNode): boolean =>
  node.kind === 'tuple' && node.open !== '[' && node.close !== ']' && !node.items.some(isInfinite);
export const isInfinite = (node: MathNode): boolean =>
  some(node, (one) => one.kind === 'constant' && one.name === 'infinity');
export const hasDecimal = (node: MathNode): boolean =>
  some(node, (one) => one.kind === 'number' && one.decimal === true);
export const hasSymbol = (node: MathNode, name: string): boolean =>
  some(node, (one) => one.kind === 'symbol' && one.name === name);
export const hasConstant = (node: MathNode, name: string): boolean =>
  some(node, (one) => one.kind === 'constant' && one.name === name);
export const unitText = (node: MathNode): string => (node.kind === 'quantity' ? node.unit : '');
export const isHalfOfDay = (unit: string): boolean => /^[ap]\.? ?m\.?$/i.test(unit);
export const halfOfDay = (unit: string): string => unit.charAt(0).toLowerCase();
export const rowTuple = (row: MathNode[]): MathNode => ({ kind: 'tuple', items: row, open: '(', close: ')' });
export const digitsOf = ({ digits }: NodeOf<'based'>): string => digits.replace(/^0+(?=\d)/, '');
export const isValid = ({ digits, base }: NodeOf<'based'>): boolean =>
  [...digits].every((digit) => Number(digit) < base);

export function rename(node: MathNode, from: string, to: 'e' | 'i', budget: Budget): MathNode {
  return normalize(substitute(node, { kind: 'symbol', name: from }, { kind: 'constant', name: to }), budget);
}

export const hasTenLogarithm = (node: MathNode): boolean =>
  some(
    node,
    (one) =>
      one.kind === 'call' &&
      one.name === 'log' &&
      one.args.length === 2 &&
      one.args[1] !== undefined &&
      keyOf(one.args[1]) === 'a',
  );

export function asTenLogarithm(node: MathNode): MathNode {
  const inner = mapChildren(node, asTenLogarithm);
  if (inner.kind !== 'call' || inner.name !== 'log' || inner.args.length !== 1) return inner;
  return { ...inner, args: [...inner.args, numberNode({ numerator: 10n, denominator: 1n })] };
}

/** 12:30 is a time of day, not a proportion. */
export function isTime({ items }: NodeOf<'ratio'>): boolean {
  const [hours, minutes] = items.map((item) =>
    item.kind === 'number' && item.value.denominator === 1n ? Number(item.value.numerator) : undefined,
  );
  return (
    items.length === 2 &&
    hours !== undefined &&
    minutes !== undefined &&
    hours <= 24 &&
    (minutes === 0 || (minutes >= 10 && minutes < 60 && minutes % 5 === 0))
  );
}

/** Rows of a matrix; a tuple is a column, and a row of one line is turned to match. */
export function rowsOf(node: MathNode): MathNode[][] | undefined {
  if (node.kind === 'tuple' && node.items.every((item) => item.kind === 'tuple' && item.open === '['))
    return node.items.map((item) => (item as NodeOf<'tuple'>).items);
  if (node.kind === 'tuple' && (node.open !== '[' || node.close === ']')) return node.items.map((item) => [item]);
  if (node.kind !== 'matrix') return undefined;
  return node.rows.length === 1 && (node.rows[0]?.length ?? 0) > 1
    ? (node.rows[0] as MathNode[]).map((cell) => [cell])
    : node.rows;
}

export function distinct(nodes: readonly MathNode[]): MathNode[] {
  return [...new Map(nodes.map((node) => [keyOf(node), node])).values()];
}

/** Something = value, where something is only named. */
export interface Assignment {
  name: MathNode;
  value: MathNode;
}

/** x = 5, f(x) = x^2, (p, q) = (3, 2), AB = 4, x in S: what is named and its value. */
export function assigned({ items, signs }: NodeOf<'relation'>): Assignment | undefined {
  const [name, value] = items;
  if (items.length !== 2 || !name || !value) return undefined;
  const [sign] = signs;
  if (sign === 'in') return isName(name) || name.kind === 'tuple' ? { name, value } : undefined;
  return sign === '=' && isLabel(name) ? { name, value } : undefined;
}

/** A name, or names put together: AB, |AB|, A:B, NO/BO, (p, q), angle ABC; no numbers, no sums. */
export function isLabel(node: MathNode): boolean {
  if (isName(node) || node.kind === 'text') return true;
  if (node.kind === 'quantity') return isLabel(node.value);
  if (node.kind === 'power') return isLabel(node.base) && keyOf(node.exponent) === '-1';
  if (node.kind === 'product' || node.kind === 'ratio' || node.kind === 'tuple') return childrenOf(node).every(isLabel);
  return node.kind === 'call' && node.args.every(isLabel);
}

export const isVariable = (node: MathNode): boolean => node.kind === 'symbol' && /^[a-z](?:_.*)?$/.test(node.name);

/** a = b = c without what only leads there: the first and the last; a chain of numbers is its last one. */
export function shortened(node: MathNode): MathNode {
  if (node.kind !== 'relation') return node;
  const arrow = node.signs.lastIndexOf('=>');
  if (arrow >= 0) return shortened(tail(node, arrow + 1));
  const about = node.signs.findIndex(
    (sign, index) => sign === '~' && !(index === 0 && isLabel(node.items[0] as MathNode)),
  );
  if (about === 0) return node.items[0] as MathNode;
  if (about > 0)
    return shortened({ ...node, items: node.items.slice(0, about + 1), signs: node.signs.slice(0, about) });
  const signs = node.signs.map((sign): RelationSign => (sign === '~' ? '=' : sign));
  if (signs.some((sign) => sign !== '=')) return { ...node, signs };
  const [first, last] = [node.items[0] as MathNode, node.items.at(-1) as MathNode];
  if (node.items.every(isConstant)) return last;
  if (node.items.length > 2 && isConstant(last) && !isLabel(first)) return last;
  return isLabel(first) ? { kind: 'relation', items: [first, last], signs: ['='] } : { ...node, signs };
}

export function tail(node: NodeOf<'relation'>, from: number): MathNode {
  const [items, signs] = [node.items.slice(from), node.signs.slice(from)];
  return items.length === 1 ? (items[0] as MathNode) : { kind: 'relation', items, signs };
}

export const isConstant = (node: MathNode): boolean =>
  !isCollection(node) &&
  !some(
    node,
    (one) => one.kind === 'symbol' || one.kind === 'text' || (one.kind === 'call' && one.name.startsWith('?')),
  );

export const reversed = ({ items, signs }: NodeOf<'relation'>): NodeOf<'relation'> => ({
  kind: 'relation',
  items: items.toReversed(),
  signs: signs.toReversed().map(flipped),
});

export function sideDifference({ items }: NodeOf<'relation'>, budget: Budget): MathNode {
  return normalize(difference(valueOf(items[0] as MathNode), valueOf(items[1] as MathNode)), budget);
}

/** Names and unknown calls that an inequality could be about. */
export function unknowns(node: MathNode): string[] {
  const found: string[] = [];
  some(node, (one) => {
    if (one.kind === 'symbol') found.push(one.name);
    return false;
  });
  return found;
}
