import { call, type MathNode } from './ast.js';
import { AtomParser, itemsOf } from './atoms.js';
import { MATRIX_ENVIRONMENTS, ROW_ENVIRONMENTS } from './names.js';
import { Unreadable } from './reader.js';

const CLOSING: Readonly<Record<string, string>> = { lfloor: 'rfloor', lceil: 'rceil', lvert: 'rvert', lVert: 'rVert' };

/** A row of a system, in contrast to one of a function by cases. */
const isEquation = ([cell, ...others]: MathNode[]): boolean =>
  others.length === 0 && cell?.kind === 'relation' && cell.signs.every((sign) => sign === '=');

/** Everything that opens and closes: brackets, bars, sets, environments. What stands inside is the subclass's. */
export abstract class BracketParser extends AtomParser {
  /** Inside |...| a bar closes; inside \{...\} a bar or colon ends the element. */
  protected bars = 0;
  protected sets = 0;
  /** Inside a row of a matrix & and \\ end a cell. */
  protected inCell = false;

  /** Lists of lists up to a closing token. */
  protected abstract semicolons(): MathNode;

  protected bracket(): MathNode | undefined {
    const { kind, text } = this.peek();
    if (kind === 'sign') {
      if (text === '(' || text === '[') return this.nested(() => this.tuple(text));
      if (text === ']') return this.nested(() => this.outwardInterval());
      if (text === '{') return this.nested(() => this.braces('sign'));
      if (text === '|' || text === '||') return this.nested(() => this.absolute(text));
      if ('$"`€£¥'.includes(text)) return (this.next(), this.nested(() => this.factor()));
      return undefined;
    }
    if (text === '{') return this.nested(() => this.braces('command'));
    if (text === 'langle') return this.nested(() => this.angled());
    if (text === '|' || text === 'vert' || text === 'Vert') return this.nested(() => this.absolute(text));
    const closing = CLOSING[text];
    return closing === undefined ? undefined : this.nested(() => this.fenced(closing));
  }

  /** Everything inside a bracket, where bars and colons mean again what they mean outside. */
  private inside<T>(parse: () => T): T {
    const { bars, sets } = this;
    [this.bars, this.sets] = [0, 0];
    const result = parse();
    [this.bars, this.sets] = [bars, sets];
    return result;
  }

  private tuple(open: '(' | '['): MathNode {
    this.next();
    const content = this.inside(() => this.semicolons());
    const close = this.is('sign', ']') ? ']' : ')';
    this.close('sign', close);
    if (content.kind !== 'list')
      return (open === '(') === (close === ')') ? content : { kind: 'tuple', items: [content], open, close };
    return { kind: 'tuple', items: content.items, open, close };
  }

  /** ]a, b[ */
  private outwardInterval(): MathNode {
    this.next();
    const content = this.inside(() => this.semicolons());
    const close = this.accept('sign', '[') ? ')' : ']';
    if (close === ']') this.close('sign', ']');
    if (content.kind !== 'list' || content.items.length !== 2) throw new Unreadable('] opens no interval');
    return { kind: 'tuple', items: content.items, open: '(', close };
  }

  private angled(): MathNode {
    this.next();
    const content = this.inside(() => this.semicolons());
    this.close('command', 'rangle');
    return { kind: 'tuple', items: itemsOf(content), open: '<', close: '>' };
  }

  /** \{a, b\} is a set, {a, b} a group of several answers, \{x : condition\} is described. */
  private braces(kind: 'sign' | 'command'): MathNode {
    this.next();
    if (this.accept(kind, '}')) return { kind: 'set', items: [] };
    const isSet = kind === 'command';
    const content = this.inside(() => {
      if (isSet) this.sets++;
      return this.semicolons();
    });
    if (isSet && (this.accept('sign', '|', ':') || this.accept('command', 'mid'))) {
      const condition = this.inside(() => this.commaList());
      this.close(kind, '}');
      return { kind: 'builder', element: content, condition };
    }
    this.close(kind, '}');
    if (isSet) return { kind: 'set', items: itemsOf(content) };
    return content.kind === 'list' ? { ...content, braced: true } : content;
  }

  private absolute(bar: string): MathNode {
    const kind = this.next().kind;
    const content = this.inside(() => {
      this.bars++;
      return this.commaList();
    });
    if (!this.accept(kind, bar)) throw new Unreadable('| is not closed');
    return call('abs', content);
  }

  private fenced(closing: string): MathNode {
    this.next();
    const content = this.inside(() => this.commaList());
    this.close('command', closing);
    return call(closing === 'rfloor' ? 'floor' : closing === 'rceil' ? 'ceil' : 'abs', content);
  }

  protected environment(): MathNode {
    const name = this.rawArgument();
    if (name === 'array' || name === 'alignedat') this.rawArgument();
    const rows = this.rows();
    if (!this.is('end')) {
      this.next();
      this.rawArgument();
    }
    if (MATRIX_ENVIRONMENTS.has(name))
      return name === 'vmatrix' ? call('det', { kind: 'matrix', rows }) : { kind: 'matrix', rows };
    if (/^[dr]?cases$/.test(name))
      return rows.every(isEquation) ? { kind: 'list', items: rows.flat(), separator: ',' } : { kind: 'cases', rows };
    if (ROW_ENVIRONMENTS.has(name)) return { kind: 'list', items: rows.flat(), separator: ',' };
    throw new Unreadable(`the environment ${name}`);
  }

  private rows(): MathNode[][] {
    const outer = this.inCell;
    this.inCell = true;
    const rows: MathNode[][] = [];
    let row: MathNode[] = [];
    while (!this.is('end') && !this.is('command', 'end')) {
      if (this.accept('command', 'hline')) continue;
      if (this.accept('sign', '&')) continue;
      if (this.accept('command', '\\')) {
        if (row.length > 0) rows.push(row);
        row = [];
      } else row.push(this.inside(() => this.cell()));
    }
    if (row.length > 0) rows.push(row);
    this.inCell = outer;
    return rows;
  }

  private cell(): MathNode {
    while (
      this.is('text') &&
      /^(?:if|when|for|where|otherwise|\s|,|\.)*$/i.test(this.peek().text) &&
      this.peek(1).text !== '&'
    ) {
      const { text } = this.next();
      if (/otherwise/i.test(text)) return { kind: 'text', value: 'otherwise' };
    }
    return this.commaList();
  }
}
