import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type DurableFs, writeFileAtomic } from '../formats/index.js';
import type { RunFile } from './manifest.js';
import { readRun, type RunReader } from './reader.js';
import { planCharts } from './report/charts.js';
import { CLIENT_SCRIPT } from './report/client.js';
import { embedJson, escapeHtml, visibleLine } from './report/escape.js';
import { child, readComparisons } from './report/headline.js';
import { buildPage } from './report/page.js';
import { lastRollouts, pairSamples } from './report/samples.js';
import * as sections from './report/sections.js';
import { STYLE } from './report/style.js';
import type { Json, MetricsLine } from './types.js';

export const REPORT_FILE = 'report.html';
const MAX_ROLLOUTS = 48;

/**
 * Writes `report.html` into the run folder: one file that opens anywhere, offline. Works on a run that is still going.
 * @returns its path
 * @throws HoneError('input') when the folder is no run or its files are damaged; HoneError('resource') no space
 */
export async function writeReport(runPath: string, options: { fs?: DurableFs } = {}): Promise<string> {
  const run = await readRun(runPath);
  const file = join(run.path, REPORT_FILE);
  await writeFileAtomic(file, await renderReport(run), options);
  return file;
}

/** The report as HTML text. */
export async function renderReport(run: RunReader): Promise<string> {
  const metrics = await run.readMetrics();
  const result = await run.readResult('result.json');
  const charts = planCharts(metrics);
  const [pairs, last] = [
    await pairSamples(run, await run.readResult('samples.json')),
    await lastRollouts(run, MAX_ROLLOUTS),
  ];
  const parts: [string, string, string, string][] = [
    ['outcome', 'Outcome', outcomeLead(result), sections.headlineCards(readComparisons(result), metrics)],
    ['curves', 'Curves', 'One point an iteration. Choose a name to hide its line.', curves(charts, metrics)],
    [
      'samples',
      'Early against late',
      'The same problems, answered before and after learning. Taken in order, not picked by outcome.',
      sections.samplePairs(pairs),
    ],
    ['rollouts', 'Last rollouts', rolloutsLead(last), sections.rolloutGroups(last?.groups ?? [])],
    ['settings', 'Settings', 'Everything this run was, as stored in run.json.', sections.settingsTable(run.file)],
  ];
  const present = parts.filter(([, , , content]) => content !== '');
  const links = present.map(([id, title]) => `<li><a href="#${id}">${title}</a></li>`).join('');
  const body = `<a class="skip" href="#main">Skip to the content</a>
<div class="page">${header(run.file, metrics)}<nav aria-label="Sections"><ul>${links}</ul></nav>
<main id="main"><noscript><p>Curves are drawn by a script, which is switched off here. The table of metrics has all numbers.</p></noscript>
${present.map((part) => sections.section(...part)).join('\n')}</main>
<footer>Written by hone ${escapeHtml(run.file.versions['hone'] ?? '')}. Charts: uPlot, © Leon Sorokin, MIT licence.</footer></div>`;
  const plotter = await readPlotter();
  return buildPage({
    title: `${visibleLine(run.manifest.name).replace(/<[^>]*>/g, '')} · hone`,
    body,
    style: `${plotter.style}\n${STYLE}`,
    script: `${plotter.script}\n${CLIENT_SCRIPT}`,
    data: embedJson(charts),
  });
}

function curves(charts: ReturnType<typeof planCharts>, metrics: readonly MetricsLine[]): string {
  return sections.chartFigures(charts) + sections.metricsTable(metrics);
}

function header(file: RunFile, metrics: readonly MetricsLine[]): string {
  const created = `<time datetime="${escapeHtml(file.created)}">${escapeHtml(file.created.slice(0, 10))}</time>`;
  return `<header><p class="eyebrow">${visibleLine(KINDS[file.kind] ?? file.kind)} · ${created}</p><h1>${visibleLine(file.name)}</h1>
<p class="summary">${summary(file, metrics)}</p></header>`;
}

const KINDS: Readonly<Record<string, string>> = {
  rl: 'Reinforcement learning',
  sft: 'Supervised fine-tuning',
  quickstart: 'Quickstart',
};

/** One sentence: what was trained, on what, how long. */
function summary(file: RunFile, metrics: readonly MetricsLine[]): string {
  const named = (key: string): string | undefined => {
    const value = file.config[key];
    const name = typeof value === 'string' ? value : (child(value, 'name') ?? child(value, 'path'));
    return typeof name === 'string' && name !== '' ? visibleLine(name, 80) : undefined;
  };
  const [model, task] = [named('model'), named('task')];
  const what = [
    `Recipe <strong>${visibleLine(file.recipe)}</strong>`,
    ...(model === undefined ? [] : [`model ${model}`]),
    ...(task === undefined ? [] : [`task ${task}`]),
    `seed ${file.seed}`,
    `${metrics.at(-1)?.iteration ?? 0} iterations`,
  ];
  return `${what.join(', ')}; on ${visibleLine(file.machine.cpu)} with ${file.machine.threads} threads.`;
}

function outcomeLead(result: Json | undefined): string {
  return readComparisons(result).rows.length > 0
    ? 'On held-out problems, before and after. Bars are 95 % intervals on a scale from 0 to 100 %.'
    : 'This run has stored no evaluation; these are its own training metrics.';
}

function rolloutsLead(last: Awaited<ReturnType<typeof lastRollouts>>): string {
  const shown = last?.groups.flat().length ?? 0;
  return `Iteration ${last?.iteration ?? 0}: ${shown} of ${last?.total ?? 0} stored attempts, with the verdict and its reason. Open one to read it.`;
}

/** uPlot as installed, with the notice that its licence asks for. */
async function readPlotter(): Promise<{ script: string; style: string }> {
  const folder = dirname(createRequire(import.meta.url).resolve('uplot/dist/uPlot.iife.min.js'));
  const [script, style, licence] = await Promise.all([
    readFile(join(folder, 'uPlot.iife.min.js'), 'utf8'),
    readFile(join(folder, 'uPlot.min.css'), 'utf8'),
    readFile(join(folder, '..', 'LICENSE'), 'utf8'),
  ]);
  return { script: `/*\n${licence}*/\n${script}`, style };
}
