import { difference, small, some, type MathNode, type NodeOf, type RelationSign } from './ast.js';
import { freeNames, realValue } from './equal.js';
import type { Budget } from './limits.js';
import { keyOf, normalize } from './normal.js';
import { decimals, type Big } from './numeric.js';
import { substitute } from './substitute.js';

/** A piece of the real line; a point has equal closed ends. */
export interface Piece {
  low: Big;
  high: Big;
  lowOpen: boolean;
  highOpen: boolean;
}

/** Pieces in order, none touching the next. */
export type RealSet = readonly Piece[];

const INFINITY = decimals.divide(decimals.one, decimals.zero);
const MINUS_INFINITY = decimals.negate(INFINITY);
const WHOLE_LINE: Piece = { low: MINUS_INFINITY, high: INFINITY, lowOpen: true, highOpen: true };
const MAX_PIECES = 200;

/**
 * The set of real numbers that an answer describes: intervals, unions, differences, sets of numbers, inequalities in
 * one name, `x in ...`. `(a, b)` counts as an interval. undefined: it is no such set.
 */
export function realSet(node: MathNode, budget: Budget): RealSet | undefined {
  budget.spend(5);
  switch (node.kind) {
    case 'tuple':
      return interval(node, budget);
    case 'set':
      return points(node.items, budget);
    case 'symbol':
      return node.name === 'bb:R' ? [WHOLE_LINE] : undefined;
    case 'operation':
      return operation(node, budget);
    case 'relation':
      return solutions(node, budget);
    case 'builder':
      return realSet(node.condition, budget);
    case 'list':
      return unionOf(
        node.items.map((item) =>
          item.kind === 'relation' || item.kind === 'tuple' || item.kind === 'operation'
            ? realSet(item, budget)
            : undefined,
        ),
      );
    default:
      return undefined;
  }
}

function endOf(node: MathNode, budget: Budget): Big | undefined {
  if (node.kind === 'constant' && node.name === 'infinity') return INFINITY;
  const isMinusInfinity =
    node.kind === 'product' && node.factors.some((f) => f.kind === 'constant' && f.name === 'infinity');
  if (!isMinusInfinity) return realValue(node, budget);
  const others = node.factors.filter((f) => !(f.kind === 'constant' && f.name === 'infinity'));
  const scale = realValue({ kind: 'product', factors: others }, budget);
  return scale && !scale.isZero() ? (scale.isNeg() ? MINUS_INFINITY : INFINITY) : undefined;
}

function interval({ items, open, close }: NodeOf<'tuple'>, budget: Budget): RealSet | undefined {
  const [from, to] = items;
  if (!from || !to || items.length !== 2 || open === '<') return undefined;
  const [low, high] = [endOf(from, budget), endOf(to, budget)];
  if (!low || !high || high.lt(low)) return undefined;
  const [lowOpen, highOpen] = [open === '(' || !low.isFinite(), close === ')' || !high.isFinite()];
  if (low.eq(high) && (lowOpen || highOpen)) return [];
  return [{ low, high, lowOpen, highOpen }];
}

function points(items: readonly MathNode[], budget: Budget): RealSet | undefined {
  const values = items.slice(0, MAX_PIECES).map((item) => realValue(item, budget));
  if (items.length > MAX_PIECES || values.some((value) => value === undefined)) return undefined;
  return merged((values as Big[]).map((value) => ({ low: value, high: value, lowOpen: false, highOpen: false })));
}

function unionOf(sets: readonly (RealSet | undefined)[]): RealSet | undefined {
  if (sets.length === 0 || sets.some((set) => set === undefined)) return undefined;
  return merged((sets as RealSet[]).flat());
}

function operation({ sign, items }: NodeOf<'operation'>, budget: Budget): RealSet | undefined {
  const sets = items.map((item) => realSet(item, budget));
  if (sets.some((set) => set === undefined)) return undefined;
  const [first, ...rest] = sets as RealSet[];
  if (sign === 'union') return merged(sets.flat() as Piece[]);
  return rest.reduce((set, other) => intersected(set, sign === 'minus' ? complement(other) : other), first as RealSet);
}

/** Two values that are the same to 30 digits. */
const same = (a: Big, b: Big): boolean =>
  a.eq(b) || (a.isFinite() && b.isFinite() && a.minus(b).abs().lte(a.abs().plus(b.abs()).times('1e-30')));

/** In order, with touching and overlapping pieces joined. */
function merged(pieces: readonly Piece[]): RealSet {
  const order = pieces.toSorted((a, b) =>
    same(a.low, b.low) ? Number(a.lowOpen) - Number(b.lowOpen) : a.low.lt(b.low) ? -1 : 1,
  );
  const result: Piece[] = [];
  for (const piece of order) {
    const last = result.at(-1);
    const touches =
      last && (piece.low.lt(last.high) || (same(piece.low, last.high) && !(piece.lowOpen && last.highOpen)));
    if (!touches) result.push({ ...piece });
    else if (last.high.lt(piece.high) && !same(last.high, piece.high))
      [last.high, last.highOpen] = [piece.high, piece.highOpen];
    else if (same(last.high, piece.high)) last.highOpen &&= piece.highOpen;
  }
  return result;
}

function complement(set: RealSet): RealSet {
  const result: Piece[] = [];
  let [low, lowOpen] = [MINUS_INFINITY, true];
  for (const piece of set) {
    if (piece.low.isFinite()) result.push({ low, lowOpen, high: piece.low, highOpen: !piece.lowOpen });
    [low, lowOpen] = [piece.high, !piece.highOpen];
  }
  if (low.isFinite() || set.length === 0) result.push({ low, lowOpen, high: INFINITY, highOpen: true });
  return result;
}

function intersected(a: RealSet, b: RealSet): RealSet {
  const result: Piece[] = [];
  for (const p of a)
    for (const q of b) {
      const [low, lowOpen] = same(p.low, q.low)
        ? [p.low, p.lowOpen || q.lowOpen]
        : p.low.lt(q.low)
          ? [q.low, q.lowOpen]
          : [p.low, p.lowOpen];
      const [high, highOpen] = same(p.high, q.high)
        ? [p.high, p.highOpen || q.highOpen]
        : p.high.lt(q.high)
          ? [p.high, p.highOpen]
          : [q.high, q.highOpen];
      const isPoint = same(low, high) && !lowOpen && !highOpen;
      if (isPoint || (low.lt(high) && !same(low, high))) result.push({ low, lowOpen, high, highOpen });
    }
  return merged(result);
}

/** Solutions of a chain of inequalities in one name (or one unknown such as f(x)), each link linear in it. */
function solutions(node: NodeOf<'relation'>, budget: Budget): RealSet | undefined {
  const { items, signs } = node;
  if (signs[0] === 'in' && signs.length === 1)
    return isName(items[0] as MathNode) ? realSet(items[1] as MathNode, budget) : undefined;
  if (signs.some((sign) => !['<', '>', '<=', '>=', '!=', '='].includes(sign)) || signs.every((sign) => sign === '='))
    return undefined;
  const unknown = unknownOf(items);
  if (!unknown) return undefined;
  const inBars = absoluteOf(items, unknown);
  if (inBars)
    return reflected(solutions({ ...node, items: items.map((item) => substitute(item, inBars, PROBE)) }, budget));
  let result: RealSet = [WHOLE_LINE];
  for (let link = 0; link < signs.length; link++) {
    const half = solveLink(
      items[link] as MathNode,
      signs[link] as RelationSign,
      items[link + 1] as MathNode,
      unknown,
      budget,
    );
    if (!half) return undefined;
    result = intersected(result, half);
  }
  return result;
}

export const isName = (node: MathNode): boolean =>
  node.kind === 'symbol' ||
  (node.kind === 'call' && node.name.startsWith('?')) ||
  (node.kind === 'constant' && (node.name === 'e' || node.name === 'i'));

/** The one thing that an inequality is about: a free name, or a single call such as f(x) or |z|. */
function unknownOf(items: readonly MathNode[]): MathNode | undefined {
  const middle = items.find((item) => item.kind === 'call' && item.name.startsWith('?'));
  if (middle) return middle;
  const names = new Set(items.flatMap(freeNames));
  const [name] = names;
  return names.size === 1 && name !== undefined ? { kind: 'symbol', name } : undefined;
}

/** |x|, where the name stands nowhere else. */
function absoluteOf(items: readonly MathNode[], unknown: MathNode): MathNode | undefined {
  const inBars: MathNode = { kind: 'call', name: 'abs', args: [unknown] };
  const isThere = items.some((item) => some(item, (one) => keyOf(one) === keyOf(inBars)));
  const elsewhere = items.some((item) => some(substitute(item, inBars, PROBE), (one) => keyOf(one) === keyOf(unknown)));
  return isThere && !elsewhere ? inBars : undefined;
}

/** {x : |x| in set} */
function reflected(set: RealSet | undefined): RealSet | undefined {
  if (!set) return undefined;
  const right = intersected(set, [{ low: decimals.zero, lowOpen: false, high: INFINITY, highOpen: true }]);
  const left = right.map(({ low, high, lowOpen, highOpen }) => ({
    low: high.neg(),
    high: low.neg(),
    lowOpen: highOpen,
    highOpen: lowOpen,
  }));
  return merged([...left, ...right]);
}

const PROBE: MathNode = { kind: 'symbol', name: 'probe' };

function solveLink(
  left: MathNode,
  sign: RelationSign,
  right: MathNode,
  unknown: MathNode,
  budget: Budget,
): RealSet | undefined {
  const line = (node: MathNode): MathNode => substitute(node, unknown, PROBE);
  const form = difference(line(left), line(right));
  const at = (x: number): Big | undefined => realValue(normalize(substitute(form, PROBE, small(x)), budget), budget);
  const [f0, f1, f2, f3] = [at(0), at(1), at(2), at(-3)];
  if (!f0 || !f1 || !f2 || !f3) return undefined;
  const slope = f1.minus(f0);
  const isLinear = same(f2.minus(f0), slope.times(2)) && same(f3.minus(f0), slope.times(-3));
  if (!isLinear) return undefined;
  if (slope.isZero()) return holds(f0, sign) ? [WHOLE_LINE] : [];
  return ray(f0.neg().div(slope), slope.isNeg() ? flipped(sign) : sign);
}

function holds(value: Big, sign: RelationSign): boolean {
  if (value.isZero()) return sign === '<=' || sign === '>=' || sign === '=';
  return sign === '!=' || (value.isNeg() ? sign.startsWith('<') : sign.startsWith('>'));
}

/** x sign root, as a set. */
function ray(root: Big, sign: RelationSign): RealSet {
  const point: Piece = { low: root, high: root, lowOpen: false, highOpen: false };
  if (sign === '=') return [point];
  if (sign === '!=') return complement([point]);
  const open = sign === '<' || sign === '>';
  return sign.startsWith('<')
    ? [{ low: MINUS_INFINITY, lowOpen: true, high: root, highOpen: open }]
    : [{ low: root, lowOpen: open, high: INFINITY, highOpen: true }];
}

export function flipped(sign: RelationSign): RelationSign {
  const pairs: Partial<Record<RelationSign, RelationSign>> = { '<': '>', '>': '<', '<=': '>=', '>=': '<=' };
  return pairs[sign] ?? sign;
}

/** Whether two sets are the same, their ends compared by `near`. */
export function sameSets(a: RealSet, b: RealSet, near: (a: Big, b: Big) => boolean): boolean {
  return (
    a.length === b.length &&
    a.every((piece, index) => {
      const other = b[index] as Piece;
      const ends = [
        [piece.low, other.low],
        [piece.high, other.high],
      ] as const;
      return (
        piece.lowOpen === other.lowOpen &&
        piece.highOpen === other.highOpen &&
        ends.every(([x, y]) => same(x, y) || (x.isFinite() && y.isFinite() && near(x, y)))
      );
    })
  );
}
