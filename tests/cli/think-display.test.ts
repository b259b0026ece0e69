import { describe, expect, it } from 'vitest';
import { ThinkDisplay } from '../../src/cli/think-display.js';
import type { CallNode, ThinkEvent } from '../../src/thinking/index.js';

function display() {
  let seen = '';
  const shown = new ThinkDisplay({ write: (text) => (seen += text), dim: (text) => text });
  const on = (...events: ThinkEvent[]): string => {
    seen = '';
    for (const event of events) shown.on(event);
    return seen;
  };
  return on;
}

const start = (label: string): ThinkEvent => ({ type: 'start', label });
const says = (label: string, text: string): ThinkEvent => ({ type: 'delta', label, kind: 'content', text });
const end = (label: string, raw = ''): ThinkEvent => ({
  type: 'end',
  label,
  node: { raw, completionTokens: 2, finish: 'stop' } as CallNode,
});

describe('hone think, while calls run', () => {
  it('shows words as they arrive', () => {
    const on = display();
    expect(on(start('a'))).toBe('-- a\n');
    expect(on(says('a', 'one '))).toBe('one ');
    expect(on(says('a', 'two'))).toBe('two');
    expect(on(end('a'))).toBe('\n   (2 tokens)\n\n');
  });

  it('lets one call speak at a time, and the others after it', () => {
    const on = display();
    on(start('a'), start('b'), start('c'));
    expect(on(says('b', 'b1 '), says('a', 'a1'), says('c', 'c1'), end('c'))).toBe('a1');
    expect(on(end('a'))).toBe('\n   (2 tokens)\n\n-- b\nb1 ');
    expect(on(says('b', 'b2'))).toBe('b2');
    expect(on(end('b'))).toBe('\n   (2 tokens)\n\n-- c\nc1\n   (2 tokens)\n\n');
  });

  it('shows a call whole that told nothing on the way, without escape sequences', () => {
    const on = display();
    expect(on(start('a'), end('a', 'all\u001b[31m at once'))).toBe('-- a\nall at once\n   (2 tokens)\n\n');
  });
});
