import { describe, expect, it } from 'vitest';
import { PlainProgress, secondsLeft } from '../../src/cli/progress.js';

function recorded(): { progress: PlainProgress; lines: string[]; clock: { now: number } } {
  const lines: string[] = [];
  const clock = { now: 0 };
  const progress = new PlainProgress({ now: () => clock.now, write: (text) => void lines.push(text.trimEnd()) }, 5);
  return { progress, lines, clock };
}

describe('plain progress', () => {
  it('prints the start, a line every five seconds with the time left, and the end', () => {
    const { progress, lines, clock } = recorded();
    progress.phase('train', 10);
    for (let done = 1; done <= 10; done++) {
      clock.now = 2 * done;
      progress.update(done, { accuracy: 0.123456 });
    }
    progress.end();
    expect(lines).toEqual([
      'train: 10 to do',
      '  train 3/10 (30 %): accuracy 0.1235, 14s left',
      '  train 6/10 (60 %): accuracy 0.1235, 8s left',
      '  train 9/10 (90 %): accuracy 0.1235, 2s left',
      '  train: 10/10 (100 %) in 20s',
    ]);
  });

  it('shows where it stands when work is silent, less often as time goes by', () => {
    const { progress, lines, clock } = recorded();
    progress.phase('sample', 2);
    for (clock.now = 1; clock.now <= 90; clock.now++) progress.tick();
    expect(lines[1]).toBe('  sample 0/2 (0 %): 5s so far');
    expect(lines).toHaveLength(1 + 11 + 2);
  });

  it('keeps hostile text off the terminal', () => {
    const { progress, lines } = recorded();
    progress.phase('\u001b[2Jtask');
    progress.note('a\u001b]0;title\u0007b', 'warn');
    expect(lines).toEqual(['task', 'warning: ab']);
  });

  it('says nothing of a phase twice', () => {
    const { progress, lines } = recorded();
    progress.phase('a', 1);
    progress.end();
    progress.end();
    expect(lines).toEqual(['a: 1 to do', '  a: 0/1 (0 %) in 0s']);
  });
});

describe('time left', () => {
  it('follows the pace so far and is unknown without one', () => {
    expect(secondsLeft(2, 10, 4)).toBe(16);
    expect(secondsLeft(0, 10, 4)).toBeUndefined();
    expect(secondsLeft(2, undefined, 4)).toBeUndefined();
  });
});
