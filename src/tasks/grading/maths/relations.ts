import type { MathNode, NodeOf, RelationSign } from './ast.js';
import { proportion, type Method } from './equal.js';
import type { Budget } from './limits.js';
import { keyOf, normalize } from './normal.js';
import { flipped, isName, realSet, sameSets } from './real-sets.js';
import type { CompareRules } from './rules.js';
import {
  assigned,
  hasDecimal,
  isCollection,
  isVariable,
  reversed,
  shortened,
  sideDifference,
  unknowns,
  type Assignment,
} from './shapes.js';
import { substitute } from './substitute.js';

/** Compares equations and inequalities with each other and with bare values; their parts are the subclass's. */
export abstract class RelationComparer {
  readonly methods = new Set<Method | 'structure'>();

  constructor(
    protected readonly rules: CompareRules,
    protected readonly budget: Budget,
  ) {}

  /** Whether `given` answers `gold`. */
  abstract same(gold: MathNode, given: MathNode): boolean;
  protected abstract inOrder(a: readonly MathNode[], b: readonly MathNode[]): boolean;
  protected abstract members(a: readonly MathNode[], b: readonly MathNode[]): boolean;

  protected relations(gold: MathNode, given: MathNode): boolean {
    const [a, b] = [shortened(gold), shortened(given)];
    if (a.kind !== 'relation' || b.kind !== 'relation') {
      if (a.kind !== 'relation' && b.kind !== 'relation') return this.same(a, b);
      return this.relationAndValue(a, b);
    }
    if (keyOf(a) === keyOf(b)) return true;
    this.methods.add('structure');
    if (!this.rules.relationForSet && a.signs[0] === 'in' && b.signs[0] !== 'in') return false;
    const [named, other] = [assigned(a), assigned(b)];
    if (named && other) return this.assignments(named, other, a, b);
    if (a.signs.every((sign) => sign === '=') !== b.signs.every((sign) => sign === '=')) return this.relationSets(a, b);
    return a.signs.every((sign) => sign === '=') ? this.equations(a, b) : this.inequalities(a, b);
  }

  private relationAndValue(a: MathNode, b: MathNode): boolean {
    const goldIsRelation = a.kind === 'relation';
    const [relation, value] = goldIsRelation ? [a, b] : [b as NodeOf<'relation'>, a];
    const inner = assigned(relation);
    if (inner) return goldIsRelation ? this.same(inner.value, value) : this.same(value, inner.value);
    const listed = this.asMember(relation, value, goldIsRelation);
    if (listed !== undefined) return listed;
    if (!goldIsRelation && !this.rules.relationForSet) return false;
    return this.relationSets(a, b);
  }

  /** One statement against a list of one. */
  private asMember(relation: MathNode, value: MathNode, goldIsRelation: boolean): boolean | undefined {
    if ((value.kind !== 'list' && value.kind !== 'set') || value.items.length !== 1) return undefined;
    const [only] = value.items as [MathNode];
    return goldIsRelation ? this.same(relation, only) : this.same(only, relation);
  }

  private relationSets(a: MathNode, b: MathNode): boolean {
    const [x, y] = [realSet(a, this.budget), realSet(b, this.budget)];
    this.methods.add('structure');
    return (
      x !== undefined &&
      y !== undefined &&
      sameSets(
        x,
        y,
        (p, q) =>
          [a, b].some(hasDecimal) &&
          p.toDecimalPlaces(this.rules.precision).eq(q.toDecimalPlaces(this.rules.precision)),
      )
    );
  }

  private assignments(a: Assignment, b: Assignment, left: NodeOf<'relation'>, right: NodeOf<'relation'>): boolean {
    const renamed = this.renamed(a.name, b);
    if (this.sameNames(a.name, renamed.name)) return this.same(a.value, renamed.value);
    if (this.equations(left, right)) return true;
    const areVariables = isVariable(a.name) && isVariable(b.name);
    return (!areVariables || !this.rules.strict) && isName(a.name) === isName(b.name) && this.same(a.value, b.value);
  }

  private sameNames(a: MathNode, b: MathNode): boolean {
    return keyOf(a) === keyOf(b);
  }

  /** f(t) = t^2 is f(x) = x^2: the arguments take the names of the other side. */
  private renamed(name: MathNode, other: Assignment): Assignment {
    if (name.kind !== 'call' || other.name.kind !== 'call' || name.args.length !== other.name.args.length) return other;
    let result = other;
    name.args.forEach((arg, index) => {
      const from = (other.name as NodeOf<'call'>).args[index] as MathNode;
      if (arg.kind === 'symbol' && from.kind === 'symbol' && arg.name !== from.name)
        result = {
          name: substitute(result.name, from, arg),
          value: normalize(substitute(result.value, from, arg), this.budget),
        };
    });
    return result;
  }

  private equations(a: NodeOf<'relation'>, b: NodeOf<'relation'>): boolean {
    if (a.items.length !== b.items.length) return false;
    if (a.items.length > 2) return this.inOrder(a.items, b.items) || this.members(a.items, b.items);
    if ([a, b].some((side) => side.items.some(isCollection))) return this.inOrder(a.items, b.items);
    return proportion(sideDifference(a, this.budget), sideDifference(b, this.budget), this.budget) !== undefined;
  }

  /** As sets of solutions in one name, else link by link: differences with a constant ratio and the same direction. */
  private inequalities(a: NodeOf<'relation'>, b: NodeOf<'relation'>): boolean {
    if (a.signs.length === b.signs.length && this.sameChain(a, b)) return true;
    const names = new Set([a, b].flatMap((side) => side.items.flatMap((item) => unknowns(item))));
    return names.size <= 1 || !this.rules.strict ? this.relationSets(a, b) : false;
  }

  private sameChain(a: NodeOf<'relation'>, b: NodeOf<'relation'>): boolean {
    return [b, reversed(b)].some(
      (side) =>
        (a.signs.join() === side.signs.join() &&
          a.items.every((item, index) => this.same(item, side.items[index] as MathNode))) ||
        (a.signs.length === 1 && this.sameLink(a, side)),
    );
  }

  private sameLink(a: NodeOf<'relation'>, b: NodeOf<'relation'>): boolean {
    if ([...a.items, ...b.items].some(isCollection)) return false;
    const sign = proportion(sideDifference(a, this.budget), sideDifference(b, this.budget), this.budget);
    if (sign === undefined) return false;
    return a.signs[0] === (sign === 1 ? b.signs[0] : flipped(b.signs[0] as RelationSign));
  }
}
