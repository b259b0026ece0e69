import { RandomStream } from '../../../core/index.js';
import type { MathNode, NodeOf } from './ast.js';
import { NoValue, type Complex, type ComplexField } from './complex.js';
import { integer } from './exact.js';
import type { Budget } from './limits.js';

/** Values of the free names of an expression. */
export type Environment<R> = ReadonlyMap<string, Complex<R>>;

/** Longest finite sum that is added up, and the largest factorial evaluated. */
const MAX_TERMS = 400;
const MAX_FACTORIAL = 200;

/** What one step costs, against one for a node. */
const FUNCTION_COST = 30;

/**
 * Value of an expression. Functions without a meaning (f, an integral) get a smooth function of their own, drawn from
 * the name: equal arguments give equal values.
 * @throws NoValue where it has none; LimitReached when the budget is spent.
 */
export function evaluate<R>(node: MathNode, env: Environment<R>, field: ComplexField<R>, budget: Budget): Complex<R> {
  budget.spend(2 * field.reals.cost);
  const of = (child: MathNode): Complex<R> => evaluate(child, env, field, budget);
  switch (node.kind) {
    case 'number':
      return field.from(node.value);
    case 'constant':
      return constantValue(node.name, field);
    case 'symbol': {
      const value = env.get(node.name);
      if (!value) throw new NoValue();
      return value;
    }
    case 'sum':
      return node.terms.map(of).reduce((a, b) => field.add(a, b));
    case 'product':
      return node.factors.map(of).reduce((a, b) => field.multiply(a, b));
    case 'power':
      budget.spend(FUNCTION_COST * field.reals.cost);
      return node.base.kind === 'constant' && node.base.name === 'e'
        ? field.exp(of(node.exponent))
        : field.power(of(node.base), of(node.exponent));
    case 'quantity':
      return node.unit === '%' ? field.divide(of(node.value), field.from(integer(100))) : of(node.value);
    case 'based':
      return field.from(integer(basedValue(node)));
    case 'call':
      budget.spend(FUNCTION_COST * field.reals.cost);
      return node.name === 'sum' || node.name === 'prod'
        ? series(node, env, field, budget)
        : called(node, node.args.map(of), field, budget);
    default:
      throw new NoValue();
  }
}

/** The whole number that digits mean in their base. @throws NoValue for a digit that the base lacks. */
export function basedValue({ digits, base }: NodeOf<'based'>): bigint {
  let value = 0n;
  for (const digit of digits) {
    if (Number(digit) >= base) throw new NoValue();
    value = value * BigInt(base) + BigInt(digit);
  }
  return value;
}

function constantValue<R>(name: NodeOf<'constant'>['name'], field: ComplexField<R>): Complex<R> {
  const { pi, one, zero } = field.reals;
  if (name === 'pi') return field.real(pi);
  if (name === 'e') return field.exp(field.real(one));
  if (name === 'i') return { re: zero, im: one };
  throw new NoValue();
}

function called<R>({ name }: NodeOf<'call'>, args: Complex<R>[], field: ComplexField<R>, budget: Budget): Complex<R> {
  const [a, b] = args;
  if (!a) throw new NoValue();
  const one = field.real(field.reals.one);
  switch (name) {
    case 'sin':
    case 'cos':
    case 'sinh':
    case 'cosh':
    case 'exp':
    case 'ln':
    case 'asin':
    case 'acos':
    case 'atan':
      return field[name](a);
    case 'tan':
      return field.divide(field.sin(a), field.cos(a));
    case 'cot':
      return field.divide(field.cos(a), field.sin(a));
    case 'sec':
      return field.divide(one, field.cos(a));
    case 'csc':
      return field.divide(one, field.sin(a));
    case 'tanh':
      return field.divide(field.sinh(a), field.cosh(a));
    case 'coth':
      return field.divide(field.cosh(a), field.sinh(a));
    case 'acot':
      return field.atan(field.divide(one, a));
    case 'log':
      return b ? field.divide(field.ln(a), field.ln(b)) : field.ln(a);
    case 'root':
      return field.root(a, b ?? field.from(integer(2)));
    case 'abs':
      return field.real(field.magnitude(a));
    case 're':
      return field.real(a.re);
    case 'im':
      return field.real(a.im);
    case 'arg':
      return field.real(field.argument(a));
    case 'floor':
      return field.real(field.reals.floor(realPart(a, field)));
    case 'ceil':
      return field.negate(field.real(field.reals.floor(realPart(field.negate(a), field))));
    default:
      return counted(name, args, field, budget) ?? opaque(name, args, field);
  }
}

function realPart<R>(a: Complex<R>, field: ComplexField<R>): R {
  if (!field.isReal(a)) throw new NoValue();
  return a.re;
}

/** Functions of whole numbers, and max and min. */
function counted<R>(name: string, args: Complex<R>[], field: ComplexField<R>, budget: Budget): Complex<R> | undefined {
  const { whole, cost } = field.reals;
  if (name === 'factorial' || name === 'binomial') budget.spend(MAX_FACTORIAL * cost);
  const counts = (): number[] =>
    args.map((arg) => {
      const count = field.isReal(arg) ? whole(arg.re) : undefined;
      if (count === undefined) throw new NoValue();
      return count;
    });
  if (name === 'factorial') return factorial(counts()[0] as number, field);
  if (name === 'binomial') return binomial(counts(), field);
  if (name === 'mod') {
    const [a = 0, b = 0] = counts();
    if (b <= 0) throw new NoValue();
    return field.from(integer(((a % b) + b) % b));
  }
  if (name === 'gcd' || name === 'lcm')
    return field.from(
      integer(
        counts()
          .map(Math.abs)
          .reduce(name === 'gcd' ? gcd : lcm),
      ),
    );
  if (name === 'max' || name === 'min')
    return field.real(
      args.map((arg) => realPart(arg, field)).reduce((a, b) => (field.reals.less(a, b) === (name === 'max') ? b : a)),
    );
  return undefined;
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
const lcm = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : (a / gcd(a, b)) * b);

function factorial<R>(n: number, field: ComplexField<R>): Complex<R> {
  if (n < 0 || n > MAX_FACTORIAL) throw new NoValue();
  let product = field.real(field.reals.one);
  for (let k = 2; k <= n; k++) product = field.multiply(product, field.from(integer(k)));
  return product;
}

function binomial<R>([n = 0, k = 0]: number[], field: ComplexField<R>): Complex<R> {
  if (n < 0 || n > MAX_FACTORIAL) throw new NoValue();
  if (k < 0 || k > n) return field.real(field.reals.zero);
  return field.divide(factorial(n, field), field.multiply(factorial(k, field), factorial(n - k, field)));
}

/** \sum_{k=a}^{b} and \prod with whole bounds; with other bounds an unknown function of its parts. */
function series<R>(node: NodeOf<'call'>, env: Environment<R>, field: ComplexField<R>, budget: Budget): Complex<R> {
  const [body, from, to] = node.args;
  const isBound = from?.kind === 'relation' && from.items.length === 2 && from.items[0]?.kind === 'symbol';
  const bound = isBound
    ? (from.items[0] as NodeOf<'symbol'>).name
    : from?.kind === 'relation' && from.items[0]?.kind === 'constant'
      ? from.items[0].name
      : undefined;
  if (!body || !to || bound === undefined || from?.kind !== 'relation') throw new NoValue();
  const ends = [from.items[1] as MathNode, to].map((end) => {
    const value = evaluate(end, env, field, budget);
    return field.isReal(value) ? field.reals.whole(value.re) : undefined;
  });
  const [low, high] = ends;
  if (low === undefined || high === undefined || high - low > MAX_TERMS) throw new NoValue();
  let total = field.real(node.name === 'sum' ? field.reals.zero : field.reals.one);
  for (let k = low; k <= high; k++) {
    budget.spend(10 * field.reals.cost);
    const term = evaluate(body, new Map([...env, [bound, field.from(integer(k))]]), field, budget);
    total = node.name === 'sum' ? field.add(total, term) : field.multiply(total, term);
  }
  return total;
}

/** c0 + sum of c_k a_k + (sum of d_k a_k)^2 with coefficients drawn from the name. */
function opaque<R>(name: string, args: Complex<R>[], field: ComplexField<R>): Complex<R> {
  const draw = (part: string, index: number): Complex<R> =>
    field.from(drawn(`${name}/${args.length}/${part}`, index, 'positive'));
  let linear = draw('constant', 0);
  let form = field.real(field.reals.zero);
  args.forEach((arg, index) => {
    linear = field.add(linear, field.multiply(draw('linear', index), arg));
    form = field.add(form, field.multiply(draw('square', index), arg));
  });
  return field.add(linear, field.multiply(form, form));
}

/** Where the names of an expression are put: positive numbers, numbers of both signs, or whole numbers. */
export type PointKind = 'positive' | 'mixed' | 'whole';

const DENOMINATOR = 9973n;
const cache = new Map<string, ReturnType<typeof integer>>();

/** The value of a name at a point: a pure function of both. */
export function drawn(name: string, point: number, kind: PointKind): ReturnType<typeof integer> {
  const key = `${kind}:${point}:${name}`;
  const known = cache.get(key);
  if (known) return known;
  const random = new RandomStream(0, 'grading', kind, name, point);
  const value =
    kind === 'whole'
      ? integer(random.nextInt(1, 14))
      : {
          numerator: BigInt(random.nextInt(4000, 22000)) * (kind === 'mixed' && random.next() < 0.6 ? -1n : 1n),
          denominator: DENOMINATOR,
        };
  if (cache.size > 5000) cache.clear();
  cache.set(key, value);
  return value;
}
