import { MultiBar, type SingleBar } from 'cli-progress';
import type { Progress } from '../core/index.js';
import { duration, oneLine, short } from './text.js';

/** Where progress goes: standard error, a clock, and how wide a line may be. */
export interface ProgressTarget {
  write(text: string): void;
  now(): number;
}

type Facts = Record<string, string | number>;

/** Seconds left at the pace so far; undefined before the first unit is done or when the total is unknown. */
export function secondsLeft(done: number, total: number | undefined, elapsed: number): number | undefined {
  if (total === undefined || done <= 0 || elapsed <= 0) return undefined;
  return (elapsed / done) * Math.max(0, total - done);
}

function describe(done: number, total: number | undefined, facts: Facts, elapsed: number): string {
  const left = secondsLeft(done, total, elapsed);
  const shown = Object.entries(facts).map(([name, value]) => `${name} ${short(value)}`);
  const time = left === undefined ? `${duration(elapsed)} so far` : `${duration(left)} left`;
  return oneLine([...shown, time].join(', '), 200);
}

function count(done: number, total: number | undefined): string {
  if (total === undefined) return String(done);
  return `${done}/${total} (${total === 0 ? 100 : Math.floor((100 * done) / total)} %)`;
}

/** The line that a phase leaves behind. */
function finished(name: string, done: number, total: number | undefined, elapsed: number): string {
  const what = total === undefined && done === 0 ? 'took' : `${count(done, total)} in`;
  return `${name}: ${what} ${duration(elapsed)}`;
}

/** Progress that can be asked to show where it stands, for work that is silent for long. */
export interface TickingProgress extends Progress {
  tick(): void;
}

/** After so many seconds in one phase, plain lines come `SLOWER` times as rarely. */
const LONG = 60;
const SLOWER = 3;

/** Plain lines for logs: the start of every phase, then a line at most every `every` seconds, and its end. */
export class PlainProgress implements TickingProgress {
  readonly #target: ProgressTarget;
  readonly #every: number;
  #name: string | undefined;
  #total: number | undefined;
  #started = 0;
  #printed = 0;
  #done = 0;
  #facts: Facts = {};

  constructor(target: ProgressTarget, every = 5) {
    this.#target = target;
    this.#every = every;
  }

  phase(name: string, total?: number): void {
    this.end();
    this.#name = name;
    this.#total = total;
    this.#done = 0;
    this.#facts = {};
    this.#started = this.#printed = this.#target.now();
    this.#target.write(`${oneLine(name)}${total === undefined ? '' : `: ${total} to do`}\n`);
  }

  update(done: number, facts: Facts = {}): void {
    if (this.#name === undefined) return;
    this.#done = done;
    this.#facts = facts;
    const now = this.#target.now();
    const every = now - this.#started < LONG ? this.#every : this.#every * SLOWER;
    if (now - this.#printed < every) return;
    this.#printed = now;
    const text = describe(done, this.#total, facts, now - this.#started);
    this.#target.write(`  ${oneLine(this.#name, 40)} ${count(done, this.#total)}: ${text}\n`);
  }

  tick(): void {
    this.update(this.#done, this.#facts);
  }

  note(line: string, level: 'info' | 'warn' = 'info'): void {
    this.#target.write(`${level === 'warn' ? 'warning: ' : ''}${oneLine(line, 1000)}\n`);
  }

  end(): void {
    if (this.#name === undefined) return;
    const elapsed = this.#target.now() - this.#started;
    this.#target.write(`  ${finished(oneLine(this.#name, 40), this.#done, this.#total, elapsed)}\n`);
    this.#name = undefined;
  }
}

/** One live line on a terminal, redrawn in place; finished phases stay above it. */
export class LiveProgress implements TickingProgress {
  readonly #stream: NodeJS.WriteStream;
  readonly #now: () => number;
  #bars: MultiBar | undefined;
  #bar: SingleBar | undefined;
  #name = '';
  #total: number | undefined;
  #started = 0;
  #done = 0;
  #facts: Facts = {};

  constructor(stream: NodeJS.WriteStream, now: () => number) {
    this.#stream = stream;
    this.#now = now;
  }

  phase(name: string, total?: number): void {
    this.end();
    this.#name = oneLine(name, 40);
    this.#total = total;
    this.#done = 0;
    this.#facts = {};
    this.#started = this.#now();
    const bar = total === undefined ? '' : ' {bar} {percentage}%';
    this.#bars = new MultiBar({
      stream: this.#stream,
      format: `{name}${bar} {value}${total === undefined ? '' : '/{total}'}  {facts}`,
      barsize: 20,
      barCompleteChar: '#',
      barIncompleteChar: '.',
      hideCursor: true,
      clearOnComplete: true,
      gracefulExit: false,
      linewrap: false,
    });
    this.#bar = this.#bars.create(total ?? 0, 0, { name: this.#name, facts: '' });
  }

  update(done: number, facts: Facts = {}): void {
    this.#done = done;
    this.#facts = facts;
    this.#bar?.update(done, { facts: describe(done, this.#total, facts, this.#now() - this.#started) });
  }

  tick(): void {
    this.update(this.#done, this.#facts);
  }

  note(line: string, level: 'info' | 'warn' = 'info'): void {
    const text = `${level === 'warn' ? 'warning: ' : ''}${oneLine(line, 1000)}\n`;
    if (this.#bars === undefined) this.#stream.write(text);
    else this.#bars.log(text);
  }

  end(): void {
    if (this.#bars === undefined) return;
    this.#bars.stop();
    this.#bars = this.#bar = undefined;
    this.#stream.write(`${finished(this.#name, this.#done, this.#total, this.#now() - this.#started)}\n`);
  }
}
