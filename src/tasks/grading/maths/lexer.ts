import { THOUSANDS } from './clean.js';
import type { Budget } from './limits.js';

export type TokenKind = 'number' | 'letter' | 'word' | 'command' | 'text' | 'sign' | 'end';

export interface Token {
  kind: TokenKind;
  /** Digits of a number, a letter, the name of a word or command (without backslash), a text's content, a sign. */
  text: string;
  /** White space stands before it. */
  spaced: boolean;
}

/** How a comma between digits is read. */
export type CommaReading = 'thousands' | 'separator' | 'decimal';

/** Names of functions and constants as they are typed without a backslash. */
const KEYWORDS = new Set([
  'sin',
  'cos',
  'tan',
  'cot',
  'sec',
  'csc',
  'sinh',
  'cosh',
  'tanh',
  'coth',
  'arcsin',
  'arccos',
  'arctan',
  'asin',
  'acos',
  'atan',
  'arccot',
  'acot',
  'sqrt',
  'cbrt',
  'root',
  'log',
  'ln',
  'lg',
  'exp',
  'abs',
  'Abs',
  'floor',
  'ceil',
  'ceiling',
  'max',
  'min',
  'Max',
  'Min',
  'gcd',
  'lcm',
  'binomial',
  'binom',
  'factorial',
  'mod',
  'frac',
  'dfrac',
  'tfrac',
  'det',
  'Matrix',
  'Interval',
  'Union',
  'FiniteSet',
  'Rational',
  'Eq',
  'pi',
  'oo',
  'inf',
  'infinity',
  'infty',
  'alpha',
  'beta',
  'gamma',
  'delta',
  'epsilon',
  'theta',
  'lambda',
  'mu',
  'omega',
  'sigma',
  'phi',
  'psi',
  'rho',
  'tau',
  'and',
  'or',
  'AND',
  'OR',
  'And',
  'Or',
  'percent',
  'percentage',
  'pct',
  'degrees',
  'degree',
  'deg',
  'radians',
  'rad',
  'union',
  'dollars',
  'cents',
  'where',
  'for',
  'if',
]);

/** Units of two and three letters; longer words after a value are units anyhow. */
const UNITS = new Set([
  'cm',
  'mm',
  'km',
  'dm',
  'nm',
  'kg',
  'mg',
  'lb',
  'lbs',
  'oz',
  'ml',
  'mL',
  'hr',
  'hrs',
  'min',
  'mins',
  'sec',
  'secs',
  'ms',
  'ft',
  'yd',
  'yds',
  'mi',
  'mph',
  'kmh',
  'kph',
  'Hz',
  'kHz',
  'Pa',
  'kPa',
  'eV',
  'keV',
  'MeV',
  'GeV',
  'kJ',
  'kW',
  'kN',
  'mol',
  'am',
  'pm',
  'sq',
  'cu',
  'day',
  'days',
  'cats',
  'dogs',
  'men',
  'ways',
  'way',
  'inch',
  'feet',
  'foot',
  'mile',
  'hour',
  'year',
  'week',
  'USD',
  'EUR',
  'km/h',
]);

export const isUnitWord = (word: string): boolean => UNITS.has(word);

const NUMBER = /(?:\d+(?:\u0001\d{3})*(?:\.\d+)?|\.\d+)(?:\.(?!\d))?/y;
const GROUPED = /\d{1,3}(?:,\d{3})+(?![\d,]?\d)/y;
const SPACED = /\d{1,3}(?: \d{3})+(?!\d)/y;
const DECIMAL_COMMA = /\d+,\d+(?!\d)/y;
const EXPONENT = /[eE][+-]?\d+(?![\d.])/y;
const LETTERS = /[a-zA-Z]+/y;
/** `and` and `or` that touch a name: 1orW(x)=2. */
const JOINING = /(?:and|or)(?=[A-Z]?[a-zA-Z]?(?![a-zA-Z]))/y;
const COMMAND = /\\(?:[a-zA-Z]+|[{}%$#&_|\\])/y;
const LONG_SIGNS = ['<=', '>=', '!=', '==', ':=', '=>', '->', '**', '||'];

const TEXT_COMMANDS = new Set([
  'text',
  'textbf',
  'textit',
  'textrm',
  'textsf',
  'texttt',
  'textnormal',
  'mbox',
  'hbox',
  'emph',
  'textup',
  'mathrm',
  'operatorname',
  'mathit',
  'mathsf',
]);

/** Reads cleaned text into tokens. @throws LimitReached when there are more than the budget allows. */
export function tokenize(text: string, commas: CommaReading, budget: Budget): Token[] {
  return new Lexer(text, commas, budget).run();
}

class Lexer {
  private at = 0;
  private depth = 0;
  private readonly tokens: Token[] = [];
  private spaced = false;

  constructor(
    private readonly text: string,
    private readonly commas: CommaReading,
    private readonly budget: Budget,
  ) {}

  run(): Token[] {
    while (this.at < this.text.length) {
      this.budget.spend();
      const sign = this.text[this.at] as string;
      if (sign === ' ') {
        this.spaced = true;
        this.at++;
      } else if (isDigit(sign) || (sign === '.' && isDigit(this.text[this.at + 1] ?? ''))) this.number();
      else if (isLetter(sign)) this.letters();
      else if (sign === '\\') this.command();
      else this.sign();
    }
    this.push('end', '');
    return this.tokens;
  }

  private push(kind: TokenKind, text: string): void {
    this.tokens.push({ kind, text, spaced: this.spaced });
    this.spaced = false;
  }

  private take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  /** Digits with their separators, as plain digits with a point. */
  private number(): void {
    const start = this.at;
    const joined = this.joinedNumber();
    if (joined !== undefined) {
      // A fraction part may follow the groups: 1,234.56.
      const tail = /\.\d+/y;
      return this.push('number', joined + (joined.includes('.') ? '' : (this.take(tail) ?? '')));
    }
    let digits = this.take(NUMBER);
    if (digits === undefined) return void this.at++;
    digits = digits.replaceAll(THOUSANDS, '');
    const base = this.text[start - 1] === '_';
    const exponent = base ? undefined : this.take(EXPONENT);
    this.push('number', digits + (exponent ?? ''));
  }

  private joinedNumber(): string | undefined {
    if (this.commas === 'decimal') {
      const decimal = this.take(DECIMAL_COMMA);
      if (decimal !== undefined) return decimal.replace(',', '.');
    }
    if (this.commas === 'thousands' && this.depth === 0 && this.text[this.at] !== '0') {
      const grouped = this.take(GROUPED);
      if (grouped !== undefined) return grouped.replaceAll(',', '');
    }
    return this.text[this.at] === '0' ? undefined : this.take(SPACED)?.replaceAll(' ', '');
  }

  /** A keyword or unit as one token, a lower-case word of four letters and more too; else letter by letter. */
  private letters(): void {
    const joining =
      this.tokens.at(-1)?.kind === 'number' || this.tokens.at(-1)?.text === ')' ? this.take(JOINING) : undefined;
    if (joining !== undefined) return this.push('word', joining);
    const run = this.take(LETTERS) as string;
    if (this.isHalfOfDay(run)) return this.push('word', run);
    const isWord =
      KEYWORDS.has(run) || UNITS.has(run) || (run.length > 3 && /[aeiouy]/i.test(run) && !/^[A-Z]{4,}$/.test(run));
    if (isWord) return this.push('word', run);
    for (const letter of run) this.push('letter', letter);
  }

  /** AM and PM behind 7:30; elsewhere they are names. */
  private isHalfOfDay(run: string): boolean {
    const [hours, colon, minutes] = this.tokens.slice(-3);
    return /^[AaPp][Mm]$/.test(run) && hours?.kind === 'number' && colon?.text === ':' && minutes?.kind === 'number';
  }

  private command(): void {
    const found = this.take(COMMAND);
    if (found === undefined) return void this.at++;
    const name = found.slice(1);
    if (TEXT_COMMANDS.has(name)) {
      const content = this.group();
      if (content !== undefined) return this.push('text', content);
    }
    if (name === '{') this.depth++;
    if (name === '}') this.depth--;
    this.push('command', name);
  }

  /** The raw content of {...} that stands here. */
  private group(): string | undefined {
    let at = this.at;
    while (this.text[at] === ' ') at++;
    if (this.text[at] !== '{') return undefined;
    let depth = 0;
    for (let end = at; end < this.text.length; end++) {
      if (this.text[end] === '{') depth++;
      else if (this.text[end] === '}' && --depth === 0) {
        this.at = end + 1;
        return this.text.slice(at + 1, end);
      }
    }
    this.at = this.text.length;
    return this.text.slice(at + 1);
  }

  private sign(): void {
    const sign = LONG_SIGNS.find((long) => this.text.startsWith(long, this.at)) ?? (this.text[this.at] as string);
    this.at += sign.length;
    if ('([{'.includes(sign)) this.depth++;
    if (')]}'.includes(sign)) this.depth--;
    this.push('sign', sign);
  }
}

const isDigit = (sign: string): boolean => sign >= '0' && sign <= '9' && sign.length === 1;
const isLetter = (sign: string): boolean => /^[a-zA-Z]$/.test(sign);
