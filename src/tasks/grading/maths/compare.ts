import { numberNode, product, type MathNode, type NodeOf } from './ast.js';
import { equalExpressions, freeNames } from './equal.js';
import { basedValue } from './evaluate.js';
import { expandSigns, keyOf, normalize, valueOf } from './normal.js';
import { realSet, sameSets } from './real-sets.js';
import { RelationComparer } from './relations.js';
import {
  asTenLogarithm,
  digitsOf,
  distinct,
  halfOfDay,
  hasConstant,
  hasDecimal,
  hasSymbol,
  hasTenLogarithm,
  isCollection,
  isHalfOfDay,
  isRound,
  isTime,
  isValid,
  MINUS,
  rename,
  rowsOf,
  rowTuple,
  unitText,
} from './shapes.js';
import { substitute } from './substitute.js';
import { unitOf } from './units.js';

/** Lists and sets longer than this are compared in order alone. */
const MAX_MATCHING = 400;

/** Compares two normalised trees. The methods used are collected: `structure` when more than one value was compared. */
export class Comparer extends RelationComparer {
  /** Whether `given` answers `gold`. */
  same(gold: MathNode, given: MathNode): boolean {
    this.budget.spend(5);
    if (keyOf(gold) === keyOf(given)) return true;
    const signs = this.signs(gold, given);
    if (signs !== undefined) return signs;
    if (gold.kind === 'relation' || given.kind === 'relation') return this.relations(gold, given);
    if (gold.kind === 'quantity' || given.kind === 'quantity') return this.quantities(gold, given);
    if (gold.kind === 'based' || given.kind === 'based') return this.based(gold, given);
    if (gold.kind === 'ratio' || given.kind === 'ratio') return this.ratios(gold, given);
    if (gold.kind === 'matrix' || given.kind === 'matrix') return this.matrices(gold, given);
    if (isCollection(gold) || isCollection(given)) return this.collections(gold, given);
    if (gold.kind === 'cases' && given.kind === 'cases')
      return this.members(gold.rows.map(rowTuple), given.rows.map(rowTuple));
    if (gold.kind === 'text' || given.kind === 'text') return false;
    return this.expressions(gold, given);
  }

  private expressions(gold: MathNode, given: MathNode): boolean {
    const absolute = typeof this.rules.absolute === 'number' ? this.rules.absolute : this.rules.absolute?.[0];
    const { equal, method } = equalExpressions(gold, given, { precision: this.rules.precision, absolute }, this.budget);
    this.methods.add(method);
    return equal || this.withOtherLetters(gold, given) || (!this.rules.strict && this.withOtherNames(gold, given));
  }

  /** SymPy prints e and i as E and I; `log` may mean the logarithm to base 10 that the other side spells out. */
  private withOtherLetters(gold: MathNode, given: MathNode): boolean {
    const changed = [given, gold].map((side, index) => {
      const other = index === 0 ? gold : given;
      let result = side;
      if (hasConstant(other, 'e') && hasSymbol(side, 'E') && !hasSymbol(other, 'E'))
        result = rename(result, 'E', 'e', this.budget);
      if (hasConstant(other, 'i') && hasSymbol(side, 'I') && !hasSymbol(other, 'I'))
        result = rename(result, 'I', 'i', this.budget);
      if (hasTenLogarithm(other)) result = normalize(asTenLogarithm(result), this.budget);
      return result;
    });
    const [newGiven, newGold] = changed as [MathNode, MathNode];
    if (keyOf(newGiven) === keyOf(given) && keyOf(newGold) === keyOf(gold)) return false;
    return equalExpressions(newGold, newGiven, { precision: this.rules.precision }, this.budget).equal;
  }

  /** Not strict: the names of one side stand for those of the other, in the order of the alphabet. */
  private withOtherNames(gold: MathNode, given: MathNode): boolean {
    const [wanted, found] = [freeNames(gold), freeNames(given)];
    if (wanted.length !== found.length || wanted.length === 0 || wanted.join() === found.join()) return false;
    const marked = found.reduce(
      (node, name, index) => substitute(node, { kind: 'symbol', name }, { kind: 'symbol', name: `#${index}` }),
      given,
    );
    const renamed = wanted.reduce(
      (node, name, index) => substitute(node, { kind: 'symbol', name: `#${index}` }, { kind: 'symbol', name }),
      marked,
    );
    return equalExpressions(gold, normalize(renamed, this.budget), { precision: this.rules.precision }, this.budget)
      .equal;
  }

  /** 1 ± 2 stands for two answers. */
  private signs(gold: MathNode, given: MathNode): boolean | undefined {
    const [wanted, found] = [expandSigns(gold), expandSigns(given)];
    if (wanted.length === 1 && found.length === 1) return undefined;
    const list = (nodes: MathNode[], whole: MathNode): MathNode =>
      nodes.length === 1 ? whole : normalize({ kind: 'list', items: nodes, separator: ',' }, this.budget);
    return this.same(list(wanted, gold), list(found, given));
  }

  // ---- quantities: percent, degrees, units ----

  private quantities(gold: MathNode, given: MathNode): boolean {
    const [goldUnit, givenUnit] = [unitText(gold), unitText(given)];
    if (goldUnit === '%' || givenUnit === '%') return this.percents(gold, given);
    if (goldUnit === 'deg' || givenUnit === 'deg') return this.angles(gold, given);
    const [a, b] = [unitOf(goldUnit, this.budget), unitOf(givenUnit, this.budget)];
    if (isHalfOfDay(goldUnit) && isHalfOfDay(givenUnit) && halfOfDay(goldUnit) !== halfOfDay(givenUnit)) return false;
    if (a && b) {
      if (a.dimension !== b.dimension) return false;
      const scaled = (node: MathNode, size: typeof a.size): MathNode =>
        normalize(product(numberNode(size), valueOf(node)), this.budget);
      return this.same(scaled(gold, a.size), scaled(given, b.size));
    }
    return this.same(valueOf(gold), valueOf(given));
  }

  private percents(gold: MathNode, given: MathNode): boolean {
    const share = (node: MathNode): MathNode =>
      unitText(node) === '%'
        ? normalize(product(numberNode({ numerator: 1n, denominator: 100n }), valueOf(node)), this.budget)
        : valueOf(node);
    const [wanted, found] = [unitText(gold) === '%', unitText(given) === '%'];
    if (wanted && found) return this.same(valueOf(gold), valueOf(given));
    if (this.same(share(gold), share(given))) return true;
    const forgiven = this.rules.percent === 'either' || (this.rules.percent === 'dropped' && wanted);
    return forgiven && this.same(valueOf(gold), valueOf(given));
  }

  /** The degree sign may be left out, and degrees may be given as radians. */
  private angles(gold: MathNode, given: MathNode): boolean {
    // 36 degrees are no 36 dollars.
    if ([gold, given].some((side) => !['', 'deg', 'rad', 'radian', 'radians'].includes(unitText(side)))) return false;
    if (this.same(valueOf(gold), valueOf(given))) return true;
    const radians = (node: MathNode): MathNode =>
      unitText(node) === 'deg'
        ? normalize(
            product(valueOf(node), { kind: 'constant', name: 'pi' }, numberNode({ numerator: 1n, denominator: 180n })),
            this.budget,
          )
        : valueOf(node);
    return unitText(gold) !== unitText(given) && this.same(radians(gold), radians(given));
  }

  // ---- numbers in a base, ratios ----

  /** 52_8 against 42_{10} by value. A bare 52 answers 52_8, the base being that of the question, but 52_8 does not answer 52. */
  private based(gold: MathNode, given: MathNode): boolean {
    if (gold.kind === 'based' && given.kind === 'based')
      return gold.base === given.base
        ? digitsOf(gold) === digitsOf(given)
        : isValid(gold) && isValid(given) && basedValue(gold) === basedValue(given);
    if (gold.kind !== 'based')
      return (
        given.kind === 'based' &&
        given.base === 10 &&
        this.same(gold, numberNode({ numerator: basedValue(given), denominator: 1n }))
      );
    const [based, bare] = [gold, given];
    return (
      bare.kind === 'number' && bare.value.denominator === 1n && bare.value.numerator.toString() === digitsOf(based)
    );
  }

  /** a:b equals c:d when the proportions agree; times of day have to be the same. */
  private ratios(gold: MathNode, given: MathNode): boolean {
    if (gold.kind === 'ratio' && given.kind === 'ratio') {
      if (gold.items.length !== given.items.length) return false;
      if (gold.items.every((item, index) => this.same(item, given.items[index] as MathNode))) return true;
      return (
        !isTime(gold) &&
        !isTime(given) &&
        gold.items.slice(1).every((_, index) => this.sameShare(gold, given, index + 1))
      );
    }
    const [ratio, other] = gold.kind === 'ratio' ? [gold, given] : [given as NodeOf<'ratio'>, gold];
    const [a, b] = ratio.items as [MathNode, MathNode];
    return (
      ratio.items.length === 2 &&
      !isCollection(other) &&
      !isTime(ratio) &&
      this.same(normalize(product(a, { kind: 'power', base: b, exponent: MINUS }), this.budget), other)
    );
  }

  private sameShare(a: NodeOf<'ratio'>, b: NodeOf<'ratio'>, index: number): boolean {
    const [a0, ai, b0, bi] = [a.items[0], a.items[index], b.items[0], b.items[index]] as [
      MathNode,
      MathNode,
      MathNode,
      MathNode,
    ];
    return this.same(normalize(product(a0, bi), this.budget), normalize(product(b0, ai), this.budget));
  }

  // ---- matrices and tuples ----

  private matrices(gold: MathNode, given: MathNode): boolean {
    const [a, b] = [rowsOf(gold), rowsOf(given)];
    this.methods.add('structure');
    if (!a || !b) return gold.kind !== 'matrix' || given.kind !== 'matrix' ? this.expressionsOfOne(gold, given) : false;
    return (
      a.length === b.length &&
      a.every(
        (row, r) =>
          row.length === b[r]?.length && row.every((cell, c) => this.same(cell, (b[r] as MathNode[])[c] as MathNode)),
      )
    );
  }

  /** A matrix of one cell is its cell. */
  private expressionsOfOne(gold: MathNode, given: MathNode): boolean {
    const cell = (node: MathNode): MathNode =>
      node.kind === 'matrix' && node.rows.length === 1 && node.rows[0]?.length === 1
        ? (node.rows[0][0] as MathNode)
        : node;
    return (cell(gold) !== gold || cell(given) !== given) && this.same(cell(gold), cell(given));
  }

  private collections(gold: MathNode, given: MathNode): boolean {
    this.methods.add('structure');
    const sets = this.realSets(gold, given);
    if (sets !== undefined && !(gold.kind === 'set' && given.kind === 'set')) return sets;
    if (gold.kind === 'tuple' && given.kind === 'tuple') return this.tuples(gold, given);
    if (gold.kind === 'operation' && given.kind === 'operation')
      return (
        gold.sign === given.sign &&
        (gold.sign === 'minus' ? this.inOrder(gold.items, given.items) : this.members(gold.items, given.items))
      );
    if (gold.kind === 'builder' || given.kind === 'builder') return this.builders(gold, given);
    return this.lists(gold, given);
  }

  private builders(gold: MathNode, given: MathNode): boolean {
    if (gold.kind !== 'builder' || given.kind !== 'builder') return false;
    const renamed = substitute(given, given.element, gold.element) as NodeOf<'builder'>;
    return this.same(gold.element, renamed.element) && this.same(gold.condition, renamed.condition);
  }

  private tuples(gold: NodeOf<'tuple'>, given: NodeOf<'tuple'>): boolean {
    // Two members in square brackets are an interval; more are a list, whose brackets mean nothing.
    const isInterval = gold.items.length === 2;
    const shape = (node: NodeOf<'tuple'>): string => `${node.open}${node.close}`.replace('<', '(').replace('>', ')');
    if (isInterval && shape(gold) !== shape(given)) return false;
    return this.inOrder(gold.items, given.items);
  }

  /** undefined: one of them is no set of real numbers, or both are points (a, b) that only look like intervals. */
  private realSets(gold: MathNode, given: MathNode): boolean | undefined {
    const bothRound = isRound(gold) && isRound(given);
    const needed = [gold, given].some(
      (node) => node.kind === 'operation' || node.kind === 'builder' || node.kind === 'tuple',
    );
    if (bothRound || !needed) return undefined;
    const [a, b] = [realSet(gold, this.budget), realSet(given, this.budget)];
    if (!a || !b) return undefined;
    if (isRound(gold) !== isRound(given) && (gold.kind === 'set' || given.kind === 'set')) return false;
    if ((isRound(gold) && given.kind === 'list') || (isRound(given) && gold.kind === 'list')) return undefined;
    return sameSets(a, b, (x, y) => {
      const isDecimal = [gold, given].some(hasDecimal);
      return isDecimal && x.toDecimalPlaces(this.rules.precision).eq(y.toDecimalPlaces(this.rules.precision));
    });
  }

  /** Lists and sets in any order. A tuple is no list, but {1, 3} in bare braces and named values (x = 1, y = 3) may be either. */
  private lists(gold: MathNode, given: MathNode): boolean {
    const [a, b] = [this.listed(gold), this.listed(given)];
    if (!a || !b)
      return a !== undefined && b === undefined
        ? a.length === 1 && this.same(a[0] as MathNode, given)
        : b?.length === 1
          ? this.same(gold, b[0] as MathNode)
          : false;
    const tuples = [gold, given].filter((node) => node.kind === 'tuple');
    const sets = [gold, given].filter((node) => node.kind === 'set');
    if (tuples.length === 0) return this.members(a, b);
    if (sets.length > 0 && this.rules.strict) return false;
    const other = gold.kind === 'tuple' ? given : gold;
    const isLoose =
      !this.rules.strict ||
      (other.kind === 'list' && (other.braced === true || other.items.every((item) => item.kind === 'relation')));
    const [tuple] = tuples as [NodeOf<'tuple'>];
    if (!isLoose && tuple.open !== '[') return false;
    const isInterval =
      tuple.open !== tuple.close.replace(')', '(').replace(']', '[').replace('>', '<') ||
      (tuple.open === '[' && tuple.items.length === 2);
    if (isInterval) return false;
    return tuple.open === '[' ? this.members(a, b) : this.inOrder(a, b);
  }

  private listed(node: MathNode): readonly MathNode[] | undefined {
    return node.kind === 'list' || node.kind === 'set' || node.kind === 'tuple' ? node.items : undefined;
  }

  protected inOrder(a: readonly MathNode[], b: readonly MathNode[]): boolean {
    this.methods.add('structure');
    return a.length === b.length && a.every((item, index) => this.same(item, b[index] as MathNode));
  }

  /** Every member of one side is on the other; each given one answers at most one gold one unless both repeat. */
  protected members(a: readonly MathNode[], b: readonly MathNode[]): boolean {
    this.methods.add('structure');
    if (Array.isArray(this.rules.absolute)) return this.membersWithin(a, b, this.rules.absolute as readonly number[]);
    const [wanted, given] = [distinct(a), distinct(b)];
    if (wanted.length > MAX_MATCHING || given.length > MAX_MATCHING) return this.inOrder(wanted, given);
    if (given.length > 2 * wanted.length + 2 || wanted.length > 2 * given.length + 2) return false;
    const left = new Set(given);
    for (const item of wanted) {
      const match =
        given.find((other) => left.has(other) && this.same(item, other)) ??
        given.find((other) => this.same(item, other));
      if (!match) return false;
      left.delete(match);
    }
    return [...left].every((other) => wanted.some((item) => this.same(item, other)));
  }

  private membersWithin(a: readonly MathNode[], b: readonly MathNode[], absolute: readonly number[]): boolean {
    const left = [...b];
    return (
      a.length === b.length &&
      a.every((item, index) => {
        const comparer = new Comparer({ ...this.rules, absolute: absolute[index] ?? absolute[0] }, this.budget);
        const found = left.findIndex((other) => comparer.same(item, other));
        if (found >= 0) left.splice(found, 1);
        return found >= 0;
      })
    );
  }
}
