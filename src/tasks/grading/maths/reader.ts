import { LimitReached, type Budget } from './limits.js';
import type { Token, TokenKind } from './lexer.js';

/** Thrown where the tokens are no mathematics that is understood; the answer is then compared as text. */
export class Unreadable extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Unreadable';
  }
}

/** A place in a list of tokens, and how deep the parser stands. */
export class TokenReader {
  protected at = 0;
  private depth = 0;

  constructor(
    protected readonly tokens: Token[],
    protected readonly budget: Budget,
  ) {}

  protected peek(ahead = 0): Token {
    return this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)] as Token;
  }

  protected next(): Token {
    this.budget.spend();
    const token = this.peek();
    if (token.kind !== 'end') this.at++;
    return token;
  }

  protected is(kind: TokenKind, ...texts: readonly string[]): boolean {
    const token = this.peek();
    return token.kind === kind && (texts.length === 0 || texts.includes(token.text));
  }

  /** Takes the token if it is this one. */
  protected accept(kind: TokenKind, ...texts: readonly string[]): boolean {
    if (!this.is(kind, ...texts)) return false;
    this.next();
    return true;
  }

  /** A closing bracket; at the end of the text a missing one is forgiven. */
  protected close(kind: TokenKind, text: string): void {
    if (!this.accept(kind, text) && !this.is('end')) throw new Unreadable(`no ${text} before ${this.peek().text}`);
  }

  /** Runs `parse` one level deeper. @throws LimitReached beyond the depth limit. */
  protected nested<T>(parse: () => T): T {
    const { depth } = this.budget.limits;
    if (++this.depth > depth) throw new LimitReached('depth', depth);
    this.budget.spend();
    const result = parse();
    this.depth--;
    return result;
  }

  /** Texts of the tokens of a {group} or of one token, joined: the name of a subscript. */
  protected rawArgument(): string {
    if (!this.accept('sign', '{')) return this.next().text;
    let name = '';
    for (let open = 1; !this.is('end');) {
      const token = this.next();
      if (token.text === '{' && token.kind === 'sign') open++;
      if (token.text === '}' && token.kind === 'sign' && --open === 0) break;
      name += token.text.trim();
    }
    return name;
  }
}
