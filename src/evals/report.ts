import { buildPage, REPORT_STYLE, visibleLine, visibleText } from '../runs/index.js';
import { type StoredResult, settingDifferences } from './result.js';

export interface NamedResult {
  /** What to call it in chart and table. */
  name: string;
  result: StoredResult;
}

const WIDTH = 860;
const HEIGHT = 420;
const LEFT = 64;
const RIGHT = 24;
const TOP = 20;
const BOTTOM = 52;
/** Samples shown of each result. */
const SHOWN = 12;

const STYLE = `
.evalchart { width: 100%; height: auto; display: block; }
.evalchart text { font: 12px system-ui, sans-serif; fill: var(--soft); }
.evalchart .name { fill: var(--ink); font-weight: 600; }
.evalchart .grid { stroke: var(--line); }
.evalchart .s0 { stroke: var(--series-0); fill: var(--series-0); } .evalchart .s1 { stroke: var(--series-1); fill: var(--series-1); }
.evalchart .s2 { stroke: var(--series-2); fill: var(--series-2); } .evalchart .s3 { stroke: var(--series-3); fill: var(--series-3); }
.evalchart .s4 { stroke: var(--series-4); fill: var(--series-4); } .evalchart .s5 { stroke: var(--series-5); fill: var(--series-5); }
td.number, th.number { text-align: right; white-space: nowrap; }
`;

/**
 * A page that opens anywhere, offline: accuracy against tokens for results side by side, their numbers, the settings in
 * which they differ, and some answers of each. Carries no script, and its content policy lets none run.
 */
export function renderEvalReport(results: readonly NamedResult[]): string {
  const tasks = [...new Set(results.map(({ result }) => result.task))].join(', ');
  const body = `<div class="page"><header><p class="eyebrow">Evaluation</p><h1>${visibleLine(tasks)}</h1>
<p class="summary">Accuracy is avg@k with its 95 % interval, clustered by problem. Samples without a verdict count as wrong.</p></header>
<main id="main">
<section><h2>Accuracy against tokens</h2><div class="chart hero">${chart(results)}</div></section>
<section><h2>Numbers</h2><div class="scroll">${numbers(results)}</div></section>
${differences(results)}
${results.map(samples).join('\n')}
</main><footer>Written by hone.</footer></div>`;
  const style = `${REPORT_STYLE}\n${STYLE}`;
  return buildPage({ title: `${visibleLine(tasks)} · hone`, body, style, script: '', data: 'null' });
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const whole = (value: number): string => Math.round(value).toLocaleString('en-US');

/** Linear from zero; logarithmic where the tokens span more than a factor of 20. */
function horizontal(results: readonly NamedResult[]): { at: (tokens: number) => number; ticks: number[] } {
  const tokens = results.map(({ result }) => Math.max(1, result.tokens.perSample));
  const [low, high] = [Math.min(...tokens), Math.max(...tokens)];
  const width = WIDTH - LEFT - RIGHT;
  if (high / low <= 20) {
    const end = high * 1.12;
    const step = niceStep(end / 5);
    const ticks = Array.from({ length: Math.floor(end / step) + 1 }, (_, i) => i * step);
    return { at: (value) => LEFT + (value / end) * width, ticks };
  }
  const [from, to] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high * 1.1))];
  const at = (value: number): number => LEFT + ((Math.log10(Math.max(value, 1)) - from) / (to - from)) * width;
  return { at, ticks: Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i)) };
}

/** 1, 2 or 5 times a power of ten, at least `step`. */
function niceStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  return ([1, 2, 5, 10].find((factor) => factor * power >= step) ?? 10) * power;
}

function chart(results: readonly NamedResult[]): string {
  const { at: x, ticks } = horizontal(results);
  const top = Math.min(1, Math.max(...results.map(({ result }) => result.ci95[1])) * 1.1 + 0.02);
  const y = (share: number): number => TOP + (1 - share / top) * (HEIGHT - TOP - BOTTOM);
  const step = niceStep(top / 5);
  const shares = Array.from({ length: Math.floor(top / step + 1e-9) + 1 }, (_, i) => i * step);
  const rows = shares.map(
    (share) =>
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${fix(y(share))}" y2="${fix(y(share))}"/><text x="${LEFT - 8}" y="${fix(y(share) + 4)}" text-anchor="end">${Math.round(share * 1000) / 10} %</text>`,
  );
  const columns = ticks.map(
    (tick) => `<text x="${fix(x(tick))}" y="${HEIGHT - BOTTOM + 20}" text-anchor="middle">${whole(tick)}</text>`,
  );
  const points = results.map(({ name, result }, i) => {
    const [px, py] = [fix(x(result.tokens.perSample)), fix(y(result.accuracy))];
    const [low, high] = result.ci95.map((bound) => fix(y(bound)));
    const side =
      Number(px) > WIDTH * 0.7 ? { x: Number(px) - 10, anchor: 'end' } : { x: Number(px) + 10, anchor: 'start' };
    return `<line class="s${i % 6}" x1="${px}" x2="${px}" y1="${low}" y2="${high}" stroke-width="2"/><circle class="s${i % 6}" cx="${px}" cy="${py}" r="5"/><text class="name" x="${side.x}" y="${Number(py) - 8}" text-anchor="${side.anchor}">${visibleLine(name, 40)}</text>`;
  });
  return `<svg class="evalchart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label(results)}">${rows.join('')}${columns.join('')}
<text x="${(LEFT + WIDTH) / 2}" y="${HEIGHT - 8}" text-anchor="middle">generated tokens a sample, all calls</text>${points.join('')}</svg>`;
}

const fix = (value: number): string => value.toFixed(1);

function label(results: readonly NamedResult[]): string {
  const told = results.map(
    ({ name, result }) => `${name}: ${percent(result.accuracy)} at ${whole(result.tokens.perSample)} tokens`,
  );
  return visibleLine(told.join('; '), 1000);
}

function numbers(results: readonly NamedResult[]): string {
  const head = [
    'result',
    'accuracy',
    '95 % interval',
    'with a verdict',
    'maj@k',
    'n × k',
    'tokens a sample',
    'calls',
    'cut off',
    'no answer',
  ];
  const rows = results.map(({ name, result }) => [
    name,
    percent(result.accuracy),
    `${percent(result.ci95[0])} to ${percent(result.ci95[1])}`,
    result.accuracyOfVerdicts === null ? '–' : percent(result.accuracyOfVerdicts),
    percent(result.majAtK),
    `${result.n} × ${result.k}`,
    whole(result.tokens.perSample),
    whole(result.tokens.calls),
    percent(result.truncatedShare),
    percent(result.noAnswerShare),
  ]);
  const cells = (row: readonly string[], tag: 'td' | 'th'): string =>
    `<tr>${row.map((cell, i) => `<${tag}${i > 0 ? ' class="number"' : ''}>${visibleLine(cell)}</${tag}>`).join('')}</tr>`;
  return `<table><thead>${cells(head, 'th')}</thead><tbody>${rows.map((row) => cells(row, 'td')).join('')}</tbody></table>`;
}

function differences(results: readonly NamedResult[]): string {
  const [first, ...others] = results;
  if (!first || others.length === 0) return '';
  const names = new Set(
    others.flatMap(({ result }) => settingDifferences(first.result.settings, result.settings).map(({ name }) => name)),
  );
  const rows = [...names].sort().map((name) => {
    const values = results.map(({ result }) => JSON.stringify(valueAt(result.settings, name)) ?? '–');
    return `<tr><th>${visibleLine(name)}</th>${values.map((value) => `<td>${visibleLine(value, 120)}</td>`).join('')}</tr>`;
  });
  const head = `<tr class="section"><th>setting</th>${results.map(({ name }) => `<th>${visibleLine(name)}</th>`).join('')}</tr>`;
  const none = '<p>All settings are equal.</p>';
  const table = `<div class="scroll"><table class="settings">${head}${rows.join('')}</table></div>`;
  return `<section><h2>Settings that differ</h2>${rows.length === 0 ? none : table}</section>`;
}

function valueAt(settings: unknown, path: string): unknown {
  let value = settings;
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function samples({ name, result }: NamedResult): string {
  const shown = result.rows.slice(0, SHOWN).map((row) => {
    const { status } = row.verdict;
    const text = typeof row['text'] === 'string' ? row['text'] : '';
    const reason = typeof row.verdict['reason'] === 'string' ? row.verdict['reason'] : '';
    return `<details class="row"><summary><span class="verdict ${status}">${status.replace('_', ' ')}</span><span class="dim">${whole(row.tokens)} tokens</span><span class="dim">${visibleLine(row.problemId, 24)}</span><span class="why">${visibleLine(reason)}</span></summary>
<pre>${visibleText(row.prompt)}</pre><pre>${visibleText(text)}</pre></details>`;
  });
  return `<section><h2>${visibleLine(name)}: the first ${shown.length} samples</h2><div class="pair">${shown.join('')}</div></section>`;
}
