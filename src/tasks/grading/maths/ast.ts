import type { Rational } from '../../rational.js';
import { integer } from './exact.js';

export type Constant = 'pi' | 'e' | 'i' | 'infinity';
export type RelationSign = '=' | '<' | '>' | '<=' | '>=' | '!=' | '~' | 'in' | 'notin' | 'equiv' | '=>';

/** A parsed answer. Expressions and the structures that answers are made of share one type, since they nest. */
export type MathNode =
  /** `decimal`: written with a decimal point, so perhaps rounded. */
  | { kind: 'number'; value: Rational; decimal?: boolean }
  /** A number in a base, as written: 52_8. */
  | { kind: 'based'; digits: string; base: number }
  | { kind: 'constant'; name: Constant }
  | { kind: 'symbol'; name: string }
  | { kind: 'text'; value: string }
  | { kind: 'sum'; terms: MathNode[] }
  | { kind: 'product'; factors: MathNode[] }
  | { kind: 'power'; base: MathNode; exponent: MathNode }
  /** A function by its name; names of unknown functions begin with `?`. `pm` and `mp` are the signs ± and ∓. */
  | { kind: 'call'; name: string; args: MathNode[] }
  /** A value with %, a degree sign, a currency or a unit in words. */
  | { kind: 'quantity'; value: MathNode; unit: string }
  | { kind: 'ratio'; items: MathNode[] }
  /** (a, b), [a, b), <a, b>: round brackets may be a point or an open interval. */
  | { kind: 'tuple'; items: MathNode[]; open: '(' | '[' | '<'; close: ')' | ']' | '>' }
  | { kind: 'set'; items: MathNode[] }
  /** Answers side by side without brackets. `separator` `;` binds weaker than `,`. */
  | { kind: 'list'; items: MathNode[]; separator: ',' | ';'; braced?: boolean }
  /** {element : condition}. */
  | { kind: 'builder'; element: MathNode; condition: MathNode }
  | { kind: 'operation'; sign: 'union' | 'intersection' | 'minus'; items: MathNode[] }
  | { kind: 'matrix'; rows: MathNode[][] }
  | { kind: 'cases'; rows: MathNode[][] }
  /** a < b = c: items one more than signs. */
  | { kind: 'relation'; items: MathNode[]; signs: RelationSign[] };

export type NodeOf<K extends MathNode['kind']> = Extract<MathNode, { kind: K }>;

export const numberNode = (value: Rational): MathNode => ({ kind: 'number', value });
export const small = (value: number): MathNode => numberNode(integer(value));
export const symbol = (name: string): MathNode => ({ kind: 'symbol', name });
export const constant = (name: Constant): MathNode => ({ kind: 'constant', name });
export const call = (name: string, ...args: MathNode[]): MathNode => ({ kind: 'call', name, args });
export const power = (base: MathNode, exponent: MathNode): MathNode => ({ kind: 'power', base, exponent });

export const sum = (...terms: MathNode[]): MathNode =>
  terms.length === 1 && terms[0]
    ? terms[0]
    : { kind: 'sum', terms: terms.flatMap((t) => (t.kind === 'sum' ? t.terms : [t])) };

export const product = (...factors: MathNode[]): MathNode =>
  factors.length === 1 && factors[0]
    ? factors[0]
    : { kind: 'product', factors: factors.flatMap((f) => (f.kind === 'product' ? f.factors : [f])) };

export function negate(node: MathNode): MathNode {
  if (node.kind === 'number') {
    const { numerator, denominator } = node.value;
    return { ...node, value: { numerator: -numerator, denominator } };
  }
  if (node.kind === 'quantity') return { ...node, value: negate(node.value) };
  return product(small(-1), node);
}

export const difference = (a: MathNode, b: MathNode): MathNode => sum(a, negate(b));
export const quotient = (a: MathNode, b: MathNode): MathNode => product(a, power(b, small(-1)));

/** The parts of a node, in order. */
export function childrenOf(node: MathNode): readonly MathNode[] {
  switch (node.kind) {
    case 'sum':
      return node.terms;
    case 'product':
      return node.factors;
    case 'power':
      return [node.base, node.exponent];
    case 'call':
      return node.args;
    case 'quantity':
      return [node.value];
    case 'builder':
      return [node.element, node.condition];
    case 'matrix':
    case 'cases':
      return node.rows.flat();
    case 'ratio':
    case 'tuple':
    case 'set':
    case 'list':
    case 'operation':
    case 'relation':
      return node.items;
    default:
      return [];
  }
}

/** The node with its parts replaced by what `change` makes of them. */
export function mapChildren(node: MathNode, change: (child: MathNode) => MathNode): MathNode {
  const all = (nodes: readonly MathNode[]): MathNode[] => nodes.map(change);
  switch (node.kind) {
    case 'sum':
      return sum(...all(node.terms));
    case 'product':
      return product(...all(node.factors));
    case 'power':
      return power(change(node.base), change(node.exponent));
    case 'call':
      return { ...node, args: all(node.args) };
    case 'quantity':
      return { ...node, value: change(node.value) };
    case 'builder':
      return { ...node, element: change(node.element), condition: change(node.condition) };
    case 'matrix':
    case 'cases':
      return { ...node, rows: node.rows.map(all) };
    case 'ratio':
    case 'tuple':
    case 'set':
    case 'list':
    case 'operation':
    case 'relation':
      return { ...node, items: all(node.items) };
    default:
      return node;
  }
}

/** Whether any node of the tree passes the test. */
export function some(node: MathNode, test: (node: MathNode) => boolean): boolean {
  return test(node) || childrenOf(node).some((child) => some(child, test));
}
