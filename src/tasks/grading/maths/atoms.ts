import { call, constant, numberNode, power, quotient, small, sum, symbol, type MathNode } from './ast.js';
import { ratio } from './exact.js';
import { isUnitWord } from './lexer.js';
import {
  BIG_OPERATORS,
  BINOMIALS,
  FRACTIONS,
  FUNCTIONS,
  GREEK,
  INVERSES,
  MARKING_DECORATIONS,
  PLAIN_DECORATIONS,
  RELATIONS,
} from './names.js';
import { TokenReader, Unreadable } from './reader.js';

/** Longest number literal, in digits. */
const MAX_DIGITS = 3000;
/** Largest exponent of a literal such as 1e-5. */
const MAX_EXPONENT = 2000;
/** Letters that stand for a function when a bracket follows at once. */
const FUNCTION_LETTERS = /^(?:[fghFGH]|phi|Phi|psi|Psi)(?:_.*)?'*$/;

/** Numbers, names, functions and commands. Brackets and everything above are the subclasses'. */
export abstract class AtomParser extends TokenReader {
  protected abstract bracket(): MathNode | undefined;
  protected abstract environment(): MathNode;
  /** One factor with its powers and signs behind it. */
  protected abstract factor(): MathNode;
  /** Factors side by side without an operator: the argument of \sin in \sin 2x. */
  protected abstract impliedProduct(asArgument: boolean): MathNode;
  /** Comma-separated statements up to a closing token. */
  protected abstract commaList(): MathNode;

  protected atom(): MathNode {
    const token = this.peek();
    switch (token.kind) {
      case 'number':
        return this.number();
      case 'letter':
        return this.named(this.next().text);
      case 'word':
        return this.word();
      case 'command':
        return this.command();
      case 'text':
        return this.textAtom();
      case 'sign': {
        const node = this.bracket();
        if (node) return node;
        break;
      }
      case 'end':
        break;
    }
    throw new Unreadable(token.kind === 'end' ? 'it ends too early' : `${token.text} stands where a value should`);
  }

  /** A literal, a repeating decimal, a number in a base, or a mixed number. */
  private number(): MathNode {
    const literal = this.next().text;
    if (this.is('sign', '_')) return this.inBase(literal);
    const repeating = this.repeating(literal);
    if (repeating) return repeating;
    const node = this.literal(literal);
    if (!/^\d+$/.test(literal)) return node;
    const part = this.mixedPart();
    return part ? sum(node, part) : node;
  }

  private literal(text: string): MathNode {
    const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e');
    const [whole = '', fraction = ''] = mantissa.split('.');
    const shift = Number(exponent) - fraction.length;
    if (whole.length + fraction.length > MAX_DIGITS || Math.abs(Number(exponent)) > MAX_EXPONENT)
      throw new Unreadable('the number is too long');
    this.budget.spend((whole.length + fraction.length) / 16);
    const digits = BigInt(whole + fraction);
    const value =
      shift >= 0
        ? { numerator: digits * 10n ** BigInt(shift), denominator: 1n }
        : ratio(digits, 10n ** BigInt(-shift), this.budget);
    if (!value) throw new Unreadable('the number is too long');
    return fraction === '' && shift >= 0 ? numberNode(value) : { kind: 'number', value, decimal: true };
  }

  private inBase(digits: string): MathNode {
    this.next();
    const base = Number(this.rawArgument());
    if (Number.isInteger(base) && base >= 2 && base <= 36 && /^\d+$/.test(digits))
      return { kind: 'based', digits, base };
    throw new Unreadable('a number with a subscript');
  }

  /** 0.\overline{3}, 0.1\dot{6}. */
  private repeating(literal: string): MathNode | undefined {
    if (!literal.includes('.') || !this.is('command', 'overline', 'dot', 'bar')) return undefined;
    this.next();
    const period = this.rawArgument();
    if (!/^\d{1,40}$/.test(period)) throw new Unreadable('a period that is no number');
    const [whole = '', fraction = ''] = literal.split('.');
    const [scale, nines] = [10n ** BigInt(fraction.length), 10n ** BigInt(period.length) - 1n];
    const value = ratio(BigInt(whole + fraction || '0') * nines + BigInt(period), scale * nines, this.budget);
    if (!value) throw new Unreadable('the number is too long');
    return numberNode(value);
  }

  /** The proper fraction behind a whole number: 3\frac12, 1 1/2. */
  private mixedPart(): MathNode | undefined {
    const [over, under] = this.fractionAhead() ?? [];
    if (over === undefined || under === undefined || BigInt(over) >= BigInt(under)) return undefined;
    if (this.is('number'))
      return (this.next(), this.next(), quotient(small(Number(over)), this.literal(this.next().text)));
    this.next();
    return quotient(this.argument(), this.argument());
  }

  /** The digits of a fraction of two whole numbers that stands here, seen without taking a token. */
  private fractionAhead(): [string, string] | undefined {
    if (this.is('number')) {
      const [over, stroke, under] = [this.peek(), this.peek(1), this.peek(2)];
      const isFraction =
        over.spaced && stroke.text === '/' && /^\d{1,15}$/.test(over.text) && /^\d{1,15}$/.test(under.text);
      return isFraction ? [over.text, under.text] : undefined;
    }
    if (!this.is('command', ...FRACTIONS) && !this.is('word', ...FRACTIONS)) return undefined;
    let text = '';
    for (let ahead = 1; ahead < 7 && /^(?:[{}]|\d{1,15})$/.test(this.peek(ahead).text); ahead++)
      text += this.peek(ahead).text;
    const found = /^(?:\{(\d+)\}|(\d))(?:\{(\d+)\}|(\d)(?!\d))/.exec(text);
    return found ? [(found[1] ?? found[2]) as string, (found[3] ?? found[4]) as string] : undefined;
  }

  /** {group}, or the next digit, letter or command alone: \frac12, \sqrt3. */
  protected argument(): MathNode {
    const token = this.peek();
    if (token.kind === 'sign' && token.text === '{') return this.nested(() => this.group());
    if (token.kind === 'number' && /^\d\d/.test(token.text)) {
      this.tokens[this.at] = { ...token, text: token.text.slice(1), spaced: false };
      return small(Number(token.text[0]));
    }
    if (token.kind === 'number') return this.literal(this.next().text);
    return this.nested(() => this.atom());
  }

  private group(): MathNode {
    this.next();
    const node = this.commaList();
    this.close('sign', '}');
    return node;
  }

  /** A letter or command as a name with its subscript and primes, and its arguments where it is a function. */
  protected named(base: string): MathNode {
    let name = base;
    if (this.accept('sign', '_')) name += `_${this.rawArgument()}`;
    name += this.primes();
    if (name === 'e' || name === 'i') return constant(name);
    const opens = this.is('sign', '(') && !this.peek().spaced;
    if (!opens) return symbol(name);
    if (name === 'Gamma') return this.gamma();
    if (FUNCTION_LETTERS.test(name)) return call(`?${name}`, ...itemsOf(this.factorless()));
    const ofName = /^[A-Z]/.test(name) && this.peek(1).kind === 'letter' && this.peek(2).text === ')';
    return ofName || this.hasComma() ? call(`?${name}`, ...itemsOf(this.factorless())) : symbol(name);
  }

  /** Γ(n) = (n - 1)!, as SymPy prints factorials that it has simplified. */
  private gamma(): MathNode {
    const [argument, ...others] = itemsOf(this.factorless());
    if (!argument || others.length > 0) throw new Unreadable('Gamma takes one argument');
    return call('factorial', sum(argument, small(-1)));
  }

  /** Whether the round bracket that opens here holds a comma of its own: the arguments of a function. */
  private hasComma(): boolean {
    let open = 0;
    for (let ahead = 0; this.peek(ahead).kind !== 'end'; ahead++) {
      this.budget.spend(0.2);
      const { kind, text } = this.peek(ahead);
      if (kind !== 'sign') continue;
      if (text === ',' && open === 1) return true;
      if ('([{'.includes(text)) open++;
      if (')]}'.includes(text) && --open === 0) return false;
    }
    return false;
  }

  /** A bracket without the power behind it. */
  private factorless(): MathNode {
    return this.nested(() => this.bracket() ?? this.atom());
  }

  private primes(): string {
    let primes = '';
    for (;;) {
      if (this.accept('sign', "'")) primes += "'";
      else if (this.is('sign', '^') && isPrime(this.peek(1).text, this.peek(2).text)) {
        this.next();
        primes += "'".repeat(Math.max(1, this.rawArgument().split('prime').length - 1));
      } else return primes;
    }
  }

  private word(): MathNode {
    const word = this.next().text;
    const name = FUNCTIONS.get(word);
    if (name) return this.applied(name);
    if (word === 'sqrt' || word === 'cbrt')
      return power(this.argument(), quotient(small(1), small(word === 'sqrt' ? 2 : 3)));
    if (FRACTIONS.has(word)) return quotient(this.argument(), this.argument());
    if (word === 'binomial' || word === 'binom') return call('binomial', ...itemsOf(this.factorless()));
    if (word === 'Rational') return this.rational();
    if (word === 'gamma' && this.is('sign', '(') && !this.peek().spaced) return this.gamma();
    if (['pi', 'oo', 'inf', 'infinity', 'infty'].includes(word)) return constant(word === 'pi' ? 'pi' : 'infinity');
    if (GREEK.has(word)) return this.named(word);
    throw new Unreadable(isUnitWord(word) ? `the unit ${word} without a value` : `the word ${word}`);
  }

  private rational(): MathNode {
    const [over, under] = itemsOf(this.factorless());
    if (!over || !under) throw new Unreadable('Rational needs two numbers');
    return quotient(over, under);
  }

  /** A function with its power and argument: \sin^2 x, \log_2 8, \sin{2t}. */
  private applied(name: string): MathNode {
    let base: MathNode | undefined;
    let exponent: MathNode | undefined;
    for (;;) {
      if (this.accept('sign', '_')) base = this.argument();
      else if (this.accept('sign', '^') || this.accept('sign', '**')) exponent = this.argument();
      else break;
    }
    const inverse = exponent && isMinusOne(exponent) ? INVERSES.get(name) : undefined;
    const args = this.functionArguments();
    const value = this.callOf(inverse ?? name, args, base);
    return exponent && !inverse ? power(value, exponent) : value;
  }

  private callOf(name: string, args: MathNode[], base: MathNode | undefined): MathNode {
    const [first] = args;
    if (name === 'exp' && first) return power(constant('e'), first);
    if (name === 'lg' && first) return call('log', first, small(10));
    if (name === 'ln' && first) return call('ln', first);
    return base ? call(name, ...args, base) : call(name, ...args);
  }

  private functionArguments(): MathNode[] {
    const grouped = this.is('sign', '(', '{') || this.is('command', '{', 'lvert') || this.is('sign', '[', '|');
    if (grouped) return itemsOf(this.factorless());
    return [this.nested(() => this.impliedProduct(true))];
  }

  private command(): MathNode {
    const { text: name } = this.peek();
    const bracket = this.bracket();
    if (bracket) return bracket;
    this.next();
    if (FRACTIONS.has(name)) return quotient(this.argument(), this.argument());
    if (BINOMIALS.has(name)) return call('binomial', this.argument(), this.argument());
    if (name === 'sqrt') return this.root();
    if (name === 'pi' || name === 'Pi') return name === 'pi' ? constant('pi') : symbol(name);
    if (name === 'infty') return constant('infinity');
    if (name === 'emptyset' || name === 'varnothing') return { kind: 'set', items: [] };
    if (name === 'begin') return this.nested(() => this.environment());
    if (name === 'mathbb') return symbol(`bb:${this.rawArgument()}`);
    if (name === '$') return dollars(this.factor());
    if (name === 'color' || name === 'textcolor' || name === 'colorbox') return (this.rawArgument(), this.argument());
    if (FUNCTIONS.has(name) && !BIG_OPERATORS.has(name)) return this.functionCommand(name);
    if (BIG_OPERATORS.has(name)) return this.bigOperator(name);
    if (PLAIN_DECORATIONS.has(name)) return this.argument();
    if (MARKING_DECORATIONS.has(name)) return this.marked(name);
    if (/^(?:l|c|)?dots[a-z]?$|^(?:ldots|cdots|vdots|ddots)$/.test(name)) return symbol('dots');
    if (GREEK.has(name)) return this.named(name);
    return this.unknownCommand(name);
  }

  private functionCommand(name: string): MathNode {
    // \max_{x} is a name's subscript, not an argument, where no value follows.
    return this.applied(FUNCTIONS.get(name) as string);
  }

  private unknownCommand(name: string): MathNode {
    if (RELATIONS.has(name) || !/^[a-zA-Z]+$/.test(name)) throw new Unreadable(`\\${name} stands where a value should`);
    const args: MathNode[] = [];
    while (this.is('sign', '{')) args.push(this.argument());
    return args.length > 0 ? call(`?${name}`, ...args) : this.named(name);
  }

  /** \bar{x}, \dot{x}: a name of its own; over more than a name a function. */
  private marked(mark: string): MathNode {
    const inner = this.argument();
    return inner.kind === 'symbol' || inner.kind === 'constant'
      ? this.named(`${inner.name}^${mark}`)
      : call(`?${mark}`, inner);
  }

  private root(): MathNode {
    let degree: MathNode = small(2);
    if (this.accept('sign', '[')) {
      degree = this.nested(() => this.commaList());
      this.close('sign', ']');
    }
    const radicand = this.argument();
    return isWhole(degree) && degree.value.numerator % 2n === 1n
      ? call('root', radicand, degree)
      : power(radicand, quotient(small(1), degree));
  }

  /** \sum_{k=0}^{n} body: the name, then the body, then what stands below and above. */
  private bigOperator(name: string): MathNode {
    const args: MathNode[] = [];
    const bounds: Partial<Record<'_' | '^', MathNode>> = {};
    while (this.is('sign', '_', '^')) {
      const place = this.next().text as '_' | '^';
      bounds[place] = this.argument();
    }
    args.push(this.nested(() => this.impliedProduct(false)));
    if (bounds['_']) args.push(bounds['_']);
    if (bounds['^']) args.push(bounds['^']);
    return call(name === 'sum' || name === 'prod' ? name : `?${name}`, ...args);
  }

  private textAtom(): MathNode {
    const content = this.next().text.trim();
    const name = FUNCTIONS.get(content);
    if (name) return this.applied(name);
    if (/^[a-zA-Z]$/.test(content)) return this.named(content);
    if (/^-?\d+$/.test(content) && content.length < MAX_DIGITS)
      return numberNode({ numerator: BigInt(content), denominator: 1n });
    const letter = /^\(([A-Z])\)$/.exec(content)?.[1];
    if (letter) return symbol(letter);
    return { kind: 'text', value: content };
  }
}

/** An amount of money; a plain $ may as well be the end of a formula, so that only \\$ says so. */
export const dollars = (value: MathNode): MathNode =>
  value.kind === 'quantity' ? value : { kind: 'quantity', value, unit: '$' };

/** Arguments in a bracket: (a, b) gives two, (a) one. */
export function itemsOf(node: MathNode): MathNode[] {
  return node.kind === 'tuple' || node.kind === 'list' || node.kind === 'set' ? node.items : [node];
}

type Whole = Extract<MathNode, { kind: 'number' }>;
export const isWhole = (node: MathNode): node is Whole =>
  node.kind === 'number' && node.value.denominator === 1n && node.value.numerator >= 0n && !node.decimal;
const isMinusOne = (node: MathNode): boolean =>
  node.kind === 'number' && node.value.numerator === -1n && node.value.denominator === 1n;
const isPrime = (first: string, second: string): boolean => first === 'prime' || (first === '{' && second === 'prime');
