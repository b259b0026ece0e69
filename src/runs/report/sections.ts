import type { RunFile } from '../manifest.js';
import type { Json, MetricsLine, RolloutRow } from '../types.js';
import { type Chart, describeChart, formatNumber, formatValue, latestValue } from './charts.js';
import { escapeHtml, visibleLine, visibleText } from './escape.js';
import { type Comparison, edges, formatDuration, type Measure, totalSeconds } from './headline.js';
import type { Attempt, SamplePair } from './samples.js';

const MAX_TEXT = 12_000;
const percent = (share: number): string => `${(share * 100).toFixed(1)}`;
const VERDICTS: Readonly<Record<RolloutRow['status'], string>> = {
  correct: 'Right',
  wrong: 'Wrong',
  no_verdict: 'No verdict',
};

/** A section with its heading; nothing at all when it has no content. */
export function section(id: string, title: string, lead: string, content: string): string {
  if (content === '') return '';
  return `<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2><p class="lead">${lead}</p>${content}</section>`;
}

/** Before and after as cards; without a result, what the metrics say. */
export function headlineCards(
  comparisons: { sides: readonly [string, string]; rows: Comparison[] },
  metrics: readonly MetricsLine[],
): string {
  const cards = comparisons.rows.map((row) => comparisonCard(row, comparisons.sides));
  if (cards.length === 0) cards.push(...edgeCard('Accuracy in training', metrics, 'accuracy', true));
  cards.push(...edgeCard('Loss', metrics, 'loss', false).slice(0, cards.length === 0 ? 1 : 0));
  cards.push(...edgeCard('Response length', metrics, 'length.mean', false, ' tokens'));
  const seconds = totalSeconds(metrics);
  const iterations = metrics.at(-1)?.iteration ?? 0;
  if (iterations > 0) {
    const time = seconds === undefined ? '' : `<p>${formatDuration(seconds)} of sampling, grading and training</p>`;
    cards.push(card('Iterations', `<div class="figure">${iterations}</div>${time}`));
  }
  return cards.length === 0 ? '' : `<div class="cards">${cards.join('')}</div>`;
}

function card(title: string, content: string, wide = false): string {
  return `<div class="card${wide ? ' wide' : ''}"><h3>${title}</h3>${content}</div>`;
}

function comparisonCard({ label, before, after }: Comparison, [from, to]: readonly [string, string]): string {
  const gain = (after.accuracy - before.accuracy) * 100;
  const size = Math.abs(gain).toFixed(1);
  const direction = Number(size) === 0 ? ' none' : gain < 0 ? ' down' : '';
  const sign = Number(size) === 0 ? '±' : gain < 0 ? '−' : '+';
  const n = after.n === undefined ? '' : ` on ${after.n} problems`;
  return card(
    label === 'accuracy' ? 'Accuracy' : `Accuracy, ${escapeHtml(label)}${(after.k ?? 1) > 1 ? ` avg@${after.k}` : ''}`,
    `<div class="figure"><span class="from">${percent(before.accuracy)} →</span> ${percent(after.accuracy)} %</div>
<p><span class="gain${direction}">${sign}${size} points</span>${n}</p>
<div class="interval">${intervalRow(from, before, '')}${intervalRow(to, after, 'after')}</div>`,
    true,
  );
}

function intervalRow(side: string, { accuracy, ci95 }: Measure, kind: string): string {
  const [low, high] = ci95 ?? [accuracy, accuracy];
  const at = (share: number): string => `${(Math.min(1, Math.max(0, share)) * 100).toFixed(2)}%`;
  const spoken = ci95 === undefined ? '' : `, 95 % interval ${percent(low)} to ${percent(high)} %`;
  const label = escapeHtml(`${side}: ${percent(accuracy)} %${spoken}`);
  return `<span>${escapeHtml(side.length <= 3 ? side.toUpperCase() : side)}</span>
<svg class="${kind}" role="img" aria-label="${label}"><title>${label}</title><line class="rail" x1="0" x2="100%" y1="7" y2="7"/>
<line class="ci" x1="${at(low)}" x2="${at(high)}" y1="7" y2="7"/><circle class="dot" cx="${at(accuracy)}" cy="7" r="5"/></svg>
<span class="ends">${ci95 === undefined ? '' : `${percent(low)} to ${percent(high)} %`}</span>`;
}

function edgeCard(title: string, metrics: readonly MetricsLine[], metric: string, share: boolean, unit = ''): string[] {
  const found = edges(metrics, metric);
  if (found === undefined) return [];
  const shown = (value: number): string => (share ? percent(value) : formatNumber(value));
  const span = found.n === 1 ? 'first and last iteration' : `mean of the first and of the last ${found.n} iterations`;
  const figure = `<span class="from">${shown(found.early)} →</span> ${shown(found.late)}${share ? ' %' : ''}`;
  return [card(title, `<div class="figure">${figure}</div><p>${unit === '' ? '' : `${unit.trim()}, `}${span}</p>`)];
}

export function chartFigures(charts: readonly Chart[]): string {
  return charts.length === 0 ? '' : `<div class="charts">${charts.map(chartFigure).join('')}</div>`;
}

function chartFigure(chart: Chart, index: number): string {
  const legend = chart.series.map((series) => {
    const kind = chart.stacked ? ' area' : series.faint ? ' faint' : ` ${series.dash ?? ''}`;
    const value = escapeHtml(formatValue(latestValue(series), chart.unit));
    return `<li><button type="button" aria-pressed="true"><span class="swatch c${series.color % 6}${kind}"></span>${escapeHtml(series.label)}<span class="value">${value}</span></button></li>`;
  });
  return `<figure class="chart${index === 0 ? ' hero' : ''}" id="chart-${chart.id}"><h3>${escapeHtml(chart.title)}</h3><p class="note">${escapeHtml(chart.note)}</p>
<div class="plot" tabindex="0" role="img" aria-label="${escapeHtml(describeChart(chart))} Arrow keys read single iterations."></div><ul class="legend">${legend.join('')}</ul></figure>`;
}

export function samplePairs(pairs: readonly SamplePair[]): string {
  return pairs
    .map(
      ({ problemId, prompt, early, late }) =>
        `<article class="pair">${promptBlock(problemId, prompt)}<div class="sides">${side(early)}${side(late)}</div></article>`,
    )
    .join('');
}

function promptBlock(problemId: string, prompt: string): string {
  return `<div class="prompt"><p class="id">${visibleLine(problemId)}</p>${textBlock(prompt)}</div>`;
}

function side({ label, text, status, reason, tokens }: Attempt): string {
  const size = tokens === undefined ? '' : `<span>${tokens} tokens</span>`;
  const why = reason === '' ? '' : `<p class="reason">${visibleLine(reason, 400)}</p>`;
  return `<div class="side"><p class="head"><strong>${escapeHtml(label)}</strong>${verdict(status)}${size}</p>${textBlock(text)}${why}</div>`;
}

function verdict(status: RolloutRow['status']): string {
  return `<span class="verdict ${status}">${VERDICTS[status]}</span>`;
}

/** Model text. Long ones scroll in their own box, which the keyboard can reach. */
function textBlock(text: string): string {
  const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}\n… ${text.length - MAX_TEXT} more characters` : text;
  const long = cut.length > 600 || cut.split('\n').length > 12;
  return `<pre${long ? ' tabindex="0" role="region" aria-label="Model text"' : ''}>${visibleText(cut)}</pre>`;
}

export function rolloutGroups(groups: readonly (readonly RolloutRow[])[]): string {
  return groups
    .map((rows) => {
      const first = rows[0];
      if (first === undefined) return '';
      return `<article class="pair">${promptBlock(first.problemId, first.prompt)}<div>${rows.map(rolloutRow).join('')}</div></article>`;
    })
    .join('');
}

/** ` (base 1, overlong -0.5)`, where the reward was made of parts. */
function rewardParts({ components = {} }: RolloutRow): string {
  const parts = Object.entries(components).map(([name, value]) => `${visibleLine(name, 60)} ${formatNumber(value)}`);
  return parts.length > 0 ? ` (${parts.join(', ')})` : '';
}

function rolloutRow(row: RolloutRow): string {
  const reward = `reward ${formatNumber(row.reward)}${rewardParts(row)}`;
  return `<details class="row"><summary>${verdict(row.status)}<span class="dim">${row.tokens} tokens</span><span class="dim">${reward}</span><span class="why">${visibleLine(row.reason, 300)}</span></summary>${textBlock(row.text)}</details>`;
}

/** Every option, and the facts of data, software and machine. */
export function settingsTable(file: RunFile): string {
  const groups: [string, [string, string][]][] = [
    ['Configuration', flatten(file.config)],
    ['Storage', flatten({ checkpoints: { ...file.checkpoints }, rolloutShare: file.rolloutShare })],
    ['Data (SHA-256)', Object.entries(file.dataHashes)],
    ['Software', flatten({ ...file.versions, commit: commitOf(file) })],
    ['Machine', flatten({ ...file.machine })],
  ];
  const rows = groups
    .filter(([, entries]) => entries.length > 0)
    .map(
      ([title, entries]) =>
        `<tbody><tr class="section"><th scope="rowgroup" colspan="2">${title}</th></tr>${entries.map(settingRow).join('')}</tbody>`,
    );
  return `<div class="scroll"><table class="settings">${rows.join('')}</table></div>`;
}

function settingRow([name, value]: [string, string]): string {
  return `<tr><th scope="row">${visibleLine(name)}</th><td>${visibleLine(value, 600)}</td></tr>`;
}

function commitOf({ git }: RunFile): string | null {
  return git === null ? null : git.commit + (git.modified ? ' (with changes)' : '');
}

/** Leaves by dotted path; lists of plain values on one line. */
function flatten(value: Json, path = ''): [string, string][] {
  const list = Array.isArray(value) && value.every((item) => typeof item !== 'object' || item === null);
  if (typeof value !== 'object' || value === null) return [[path, value === null ? 'none' : String(value)]];
  if (list) return [[path, value.length === 0 ? 'none' : value.map(String).join(', ')]];
  return Object.entries(value).flatMap(([key, item]) => flatten(item, path === '' ? key : `${path}.${key}`));
}

const TABLE_ROWS = 200;

/** The numbers themselves, thinned out evenly when there are very many. */
export function metricsTable(metrics: readonly MetricsLine[]): string {
  if (metrics.length === 0) return '';
  const stride = Math.ceil(metrics.length / TABLE_ROWS);
  const lines = metrics.filter((_, i) => i % stride === 0 || i === metrics.length - 1);
  const keys = [...new Set(metrics.flatMap((line) => Object.keys(line)))].filter((key) =>
    metrics.some((line) => typeof line[key] === 'number'),
  );
  const head = keys.map((key) => `<th scope="col">${visibleLine(key)}</th>`).join('');
  const body = lines.map((line) => `<tr>${keys.map((key) => metricCell(line[key])).join('')}</tr>`).join('');
  const every = stride === 1 ? '' : `, every ${stride}th line`;
  return `<details class="more"><summary>All metrics as a table${every}</summary><div class="scroll" tabindex="0" role="region" aria-label="Metrics"><table class="metrics"><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div></details>`;
}

function metricCell(value: Json | undefined): string {
  return `<td>${typeof value === 'number' ? formatNumber(value) : '–'}</td>`;
}
