import {
  call,
  negate,
  power,
  product,
  quotient,
  small,
  sum,
  type MathNode,
  type NodeOf,
  type RelationSign,
} from './ast.js';
import { dollars, isWhole } from './atoms.js';
import { BracketParser } from './brackets.js';
import { cleanMaths } from './clean.js';
import { isUnitWord, tokenize, type CommaReading } from './lexer.js';
import { Budget } from './limits.js';
import { FRACTIONS, FUNCTIONS, GREEK, RELATIONS } from './names.js';
import { Unreadable } from './reader.js';

/** Commands that stand between values, never at the start of one. */
const INFIX = new Set([
  'cdot',
  'times',
  'div',
  'pm',
  'mp',
  'cup',
  'cap',
  'setminus',
  'backslash',
  'bmod',
  'mod',
  'pmod',
  'quad',
  'qquad',
  '}',
  'rangle',
  'rfloor',
  'rceil',
  'rvert',
  'rVert',
  'mid',
  '%',
  '\\',
  'end',
  'circ',
  'degree',
  'land',
  'lor',
  'wedge',
  'vee',
  '&',
  'prime',
  'choose',
  'ast',
  'vert',
  'Vert',
  '|',
]);
const PERCENT_WORDS = ['percent', 'percentage', 'pct'];
const DEGREE_WORDS = ['degrees', 'degree', 'deg'];

/** The whole grammar, from the loosest binding (`;`) to the tightest. */
class Parser extends BracketParser {
  whole(): MathNode {
    const node = this.semicolons();
    if (!this.is('end')) throw new Unreadable(`${this.peek().text} is left over`);
    return node;
  }

  protected semicolons(): MathNode {
    const items = [this.commaList()];
    while (this.accept('sign', ';')) if (!this.is('end')) items.push(this.commaList());
    return items.length === 1 ? (items[0] as MathNode) : { kind: 'list', items, separator: ';' };
  }

  protected commaList(): MathNode {
    this.separators();
    const items = [this.relation()];
    while (this.separators() && !this.atClosing()) items.push(this.relation());
    return items.length === 1 ? (items[0] as MathNode) : { kind: 'list', items, separator: ',' };
  }

  /** Commas, "and", "or" and wide spaces, as many as stand here. */
  private separators(): boolean {
    let found = false;
    for (;;) {
      const { kind, text } = this.peek();
      const separates =
        (kind === 'sign' && (text === ',' || text === '&')) ||
        (kind === 'word' && /^(?:and|or)$/i.test(text)) ||
        (kind === 'text' && /^[\s,.;]*(?:and|or)?[\s,:]*$/i.test(text)) ||
        (kind === 'command' && ['quad', 'qquad', '\\', 'land', 'lor', 'wedge', 'vee', '&'].includes(text));
      if (!separates || (this.inCell && (text === '&' || text === '\\'))) return found;
      this.next();
      found = true;
    }
  }

  private atClosing(): boolean {
    const { kind, text } = this.peek();
    if (this.inCell && (text === '&' || text === '\\')) return true;
    return (
      kind === 'end' ||
      (kind === 'sign' && [')', ']', '}', ';'].includes(text)) ||
      (kind === 'command' && ['}', 'rangle', 'end'].includes(text))
    );
  }

  private relation(): MathNode {
    const sign = this.relationSign(0);
    if (sign === '=' || sign === '~' || sign === '=>') this.next();
    const items = [this.modulus(this.setLevel())];
    const signs: RelationSign[] = [];
    for (let found = this.relationSign(0); found; found = this.relationSign(0)) {
      this.next();
      // `\le=`, `> =` and an empty right side are slips of the pen.
      while (this.relationSign(0) === '=') this.next();
      if (this.is('end')) break;
      signs.push(found);
      items.push(this.modulus(this.setLevel()));
    }
    return signs.length === 0 ? (items[0] as MathNode) : { kind: 'relation', items, signs };
  }

  private relationSign(ahead: number): RelationSign | undefined {
    const { kind, text } = this.peek(ahead);
    if (kind !== 'sign' && kind !== 'command') return undefined;
    if (text === ':' || (kind === 'sign' && /^[a-z]/.test(text))) return undefined;
    return RELATIONS.get(text);
  }

  /** `\pmod{m}` and `(mod m)` behind a value. */
  private modulus(value: MathNode): MathNode {
    if (this.accept('command', 'pmod')) return call('pmod', value, this.argument());
    if (!this.isModBracket()) return value;
    this.next();
    const word = this.next();
    const inline = /^\s*mod(?:ulo)?\s*(\d+)\s*$/.exec(word.text)?.[1];
    const modulus = inline === undefined ? this.commaList() : small(Number(inline));
    this.close('sign', ')');
    return call('pmod', value, modulus);
  }

  private isModBracket(): boolean {
    const { kind, text } = this.peek(1);
    return this.is('sign', '(') && kind !== 'sign' && /^\s*b?mod/.test(text);
  }

  private setLevel(): MathNode {
    let left = this.ratio();
    for (;;) {
      const sign = this.setSign();
      if (!sign) return left;
      this.next();
      const right = this.ratio();
      left =
        left.kind === 'operation' && left.sign === sign
          ? { ...left, items: [...left.items, right] }
          : { kind: 'operation', sign, items: [left, right] };
    }
  }

  private setSign(): 'union' | 'intersection' | 'minus' | undefined {
    const { kind, text } = this.peek();
    if (kind === 'command') {
      if (text === 'cup') return 'union';
      if (text === 'cap') return 'intersection';
      if (text === 'setminus' || text === 'backslash') return 'minus';
    }
    return (kind === 'letter' && /^[uU]$/.test(text)) || (kind === 'word' && text === 'union') ? 'union' : undefined;
  }

  private ratio(): MathNode {
    const items = [this.sum()];
    while (this.sets === 0 && this.accept('sign', ':')) items.push(this.sum());
    return items.length === 1 ? (items[0] as MathNode) : { kind: 'ratio', items };
  }

  private sum(): MathNode {
    return this.nested(() => {
      const terms: MathNode[] = [];
      for (;;) {
        const sign = this.sumSign();
        if (!sign && terms.length > 0) break;
        if (sign) this.next();
        const term = this.product();
        terms.push(sign === '-' ? negate(term) : sign === 'pm' || sign === 'mp' ? call(sign, term) : term);
      }
      return sum(...terms);
    });
  }

  private sumSign(): '+' | '-' | 'pm' | 'mp' | undefined {
    const { kind, text } = this.peek();
    if (kind === 'sign' && (text === '+' || text === '-')) return text;
    return kind === 'command' && (text === 'pm' || text === 'mp') ? text : undefined;
  }

  private product(): MathNode {
    let left = this.impliedProduct(false);
    for (;;) {
      if (this.accept('sign', '*') || this.accept('command', 'cdot', 'times', 'ast'))
        left = product(left, this.impliedProduct(false));
      else if (this.accept('sign', '/') || this.accept('command', 'div')) left = this.divided(left);
      else if (this.accept('command', 'bmod', 'mod') || this.accept('word', 'mod'))
        left = call('mod', left, this.impliedProduct(false));
      else if (this.accept('command', 'choose')) left = call('binomial', left, this.impliedProduct(false));
      else return left;
    }
  }

  /** a / b, where units may be divided too: 48 km / h. */
  private divided(left: MathNode): MathNode {
    const unit = this.unitHere();
    if (left.kind === 'quantity' && unit !== undefined) {
      this.next();
      return { ...left, unit: `${left.unit}/${unit}${this.unitPower()}` };
    }
    // a/b c is (a/b) c, but a number right of the stroke takes the factors that touch it.
    return this.withUnit(product(quotient(left, this.signedFactor()), ...this.impliedRest(false)));
  }

  protected impliedProduct(asArgument: boolean): MathNode {
    const first = this.signedFactor();
    return this.withUnit(product(first, ...this.impliedRest(asArgument, first)));
  }

  private impliedRest(asArgument: boolean, first?: MathNode): MathNode[] {
    const factors: MathNode[] = [];
    let last = first;
    while (this.startsFactor(asArgument, last)) {
      last = this.factor();
      factors.push(last);
    }
    return factors;
  }

  private signedFactor(): MathNode {
    if (this.accept('sign', '-')) return negate(this.nested(() => this.signedFactor()));
    if (this.accept('sign', '+')) return this.nested(() => this.signedFactor());
    return this.factor();
  }

  /** Whether another factor begins here without an operator between. */
  private startsFactor(asArgument: boolean, last: MathNode | undefined): boolean {
    const { kind, text } = this.peek();
    const isSet = last && ['tuple', 'set', 'operation'].includes(last.kind);
    switch (kind) {
      case 'letter':
        return !(isSet && /^[uU]$/.test(text));
      case 'number':
        // Two numbers side by side are no product: `2 3` is a slip or a list. SymPy prints (-1) 3.
        return last !== undefined && !isSet && (last.kind !== 'number' || this.followsNegativeBracket(last));
      case 'word':
        return (
          (FUNCTIONS.has(text)
            ? !asArgument
            : GREEK.has(text) || ['pi', 'sqrt', 'cbrt', 'oo'].includes(text) || FRACTIONS.has(text)) &&
          !isUnitWord(text)
        );
      case 'command':
        if (INFIX.has(text) || RELATIONS.has(text)) return false;
        return !(asArgument && FUNCTIONS.has(text));
      case 'sign':
        if (text === '|') return this.bars === 0 && this.sets === 0 && !isSet;
        return (text === '(' && !this.isModBracket()) || text === '[' || text === '{';
      default:
        return false;
    }
  }

  private followsNegativeBracket({ value }: NodeOf<'number'>): boolean {
    return value.numerator < 0n && this.tokens[this.at - 1]?.text === ')';
  }

  /** A unit behind a value, in \text{} or as a word: 125 miles, 15\mbox{ cm}^2, 48 km/h. */
  private withUnit(value: MathNode): MathNode {
    let unit = '';
    for (let word = this.unitHere(); word !== undefined; word = this.unitHere()) {
      this.next();
      unit += `${unit === '' ? '' : ' '}${word}${this.unitPower()}`;
    }
    return unit === '' ? value : { kind: 'quantity', value, unit };
  }

  private unitHere(): string | undefined {
    const { kind, text } = this.peek();
    if (kind === 'text' && !/^[\s,.;]*(?:and|or)?[\s,:]*$/i.test(text)) return text.trim();
    const isUnit =
      kind === 'word' &&
      !FUNCTIONS.has(text) &&
      !GREEK.has(text) &&
      !/^(?:and|or|mod|pi|sqrt|cbrt|oo|union|where|for|if)$/i.test(text);
    return isUnit && !PERCENT_WORDS.includes(text) && !DEGREE_WORDS.includes(text) ? text : undefined;
  }

  private unitPower(): string {
    if (!this.accept('sign', '^')) return '';
    return `^${this.rawArgument()}`;
  }

  protected factor(): MathNode {
    let value = this.nested(() => this.atom());
    for (;;) {
      this.budget.spend();
      if (this.is('sign', '^', '**')) value = this.raised(value);
      else if (this.accept('sign', '!'))
        value = this.accept('sign', '!') ? call('?doubleFactorial', value) : call('factorial', value);
      else if (this.accept('sign', '%') || this.accept('command', '%') || this.accept('word', ...PERCENT_WORDS))
        value = { kind: 'quantity', value, unit: '%' };
      else if (this.accept('command', 'circ', 'degree') || this.accept('word', ...DEGREE_WORDS)) value = degrees(value);
      else if (this.accept('command', '$')) value = dollars(value);
      else if (this.accept('sign', '$', '€', '£', '¥', '"', '`')) continue;
      else return value;
    }
  }

  private raised(base: MathNode): MathNode {
    this.next();
    const circle = this.peek();
    const inGroup = circle.text === '{' && /^(?:circ|degree)$/.test(this.peek(1).text);
    if (inGroup || (circle.kind === 'command' && /^(?:circ|degree)$/.test(circle.text))) {
      this.rawArgument();
      return degrees(base);
    }
    return power(base, this.exponent());
  }

  /** An exponent: a group, or in plain text a signed number, name or bracket. */
  private exponent(): MathNode {
    if (this.accept('sign', '-')) return negate(this.nested(() => this.exponent()));
    if (this.accept('sign', '+')) return this.nested(() => this.exponent());
    if (this.is('number')) return this.tower(this.nested(() => this.atom()));
    return this.tower(this.argument());
  }

  /** a^b^c is a^(b^c). */
  private tower(exponent: MathNode): MathNode {
    if (!this.is('sign', '^', '**')) return exponent;
    this.next();
    return power(
      exponent,
      this.nested(() => this.exponent()),
    );
  }
}

const degrees = (value: MathNode): MathNode => ({ kind: 'quantity', value, unit: 'deg' });

/** What parsing an answer gives: a tree, or why there is none. */
export type Parsed = { node: MathNode } | { unreadable: string };

/**
 * Reads an answer. @throws LimitReached when it is too long, too deep or too much work.
 */
export function parseMaths(text: string, commas: CommaReading = 'thousands', budget: Budget = new Budget()): Parsed {
  try {
    return { node: new Parser(tokenize(cleanMaths(text), commas, budget), budget).whole() };
  } catch (error) {
    if (error instanceof Unreadable) return { unreadable: error.message };
    throw error;
  }
}

export { isWhole };
