import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRun, readRun, renderReport, writeReport, type Json } from '../../src/runs/index.js';
import { describeChart, formatNumber, formatValue, planCharts } from '../../src/runs/report/charts.js';
import { embedJson, visibleLine, visibleText } from '../../src/runs/report/escape.js';
import { edges, formatDuration, readComparisons, totalSeconds } from '../../src/runs/report/headline.js';
import { HOSTILE, makeSyntheticRun } from './synthetic.js';

let root: string;
beforeAll(async () => void (root = await mkdtemp(join(tmpdir(), 'hone-report-'))));
afterAll(() => rm(root, { recursive: true, force: true }));

describe('model text', () => {
  test('cannot open a tag, whatever it is, and nothing invisible is left', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const html = visibleText(text);
        const withoutOurs = html.replaceAll(/<span class="hidden-char">U\+[0-9A-F]+<\/span>/g, '');
        expect(withoutOurs).not.toMatch(/[<>"']/);
        expect(withoutOurs).not.toMatch(/[^\P{Cc}\n\t]|\p{Cf}|\p{Cs}/u);
      }),
      { seed: 5, numRuns: 500 },
    );
  });

  test('shows what bidi and control characters would hide', () => {
    const hidden = (code: string): string => `<span class="hidden-char">U+${code}</span>`;
    expect(visibleText('a\u202Eb\u0007\r\nc\td')).toBe(`a${hidden('202E')}b${hidden('0007')}\nc\td`);
    expect(visibleText('\u{E0041}\ud800\u3164')).toBe(hidden('E0041') + hidden('D800') + hidden('3164'));
    expect(visibleText('naïve 日本語 👍 עברית')).toBe('naïve 日本語 👍 עברית');
  });

  test('a line is cut between characters', () => {
    expect(visibleLine('👍'.repeat(10), 3)).toBe('👍👍👍…');
    expect(visibleLine(' a\n\n b ')).toBe('a b');
  });

  test('data for the page cannot end its block', () => {
    const text = embedJson({ a: '</script><!--', b: '\u2028' });
    expect(text).not.toMatch(/[<\u2028]/);
    expect(JSON.parse(text)).toEqual({ a: '</script><!--', b: '\u2028' });
  });
});

describe('charts', () => {
  test('leave out what was never logged, and causes that never occurred', () => {
    const charts = planCharts([
      { iteration: 1, loss: 1, samples: 4, 'missing.wrong': 1, 'missing.truncated': 0, timing: { sample_s: 2 } },
      { iteration: 2, loss: 0.5, samples: 4, 'missing.wrong': 3, 'missing.truncated': 0, timing: { sample_s: 3 } },
    ]);
    expect(charts.map(({ id }) => id)).toEqual(['missing', 'loss', 'time']);
    expect(charts[0]).toMatchObject({ iterations: [1, 2], series: [{ label: 'wrong answer', values: [0.25, 0.75] }] });
    expect(describeChart(charts[1] ?? fail())).toBe('Loss, iterations 1 to 2: training from 1 to 0.5.');
  });

  test('keep gaps, and smooth only long dense curves', () => {
    const lines = Array.from({ length: 30 }, (_, i) => ({
      iteration: i + 1,
      accuracy: i % 2,
      ...(i === 9 ? { 'val.accuracy': 0.5 } : {}),
    }));
    const [chart] = planCharts(lines);
    expect(chart?.series.map(({ label, faint }) => [label, faint ?? false])).toEqual([
      ['training problems, each iteration', true],
      ['training problems, mean of 5', false],
      ['validation', false],
    ]);
    expect(chart?.series[2]?.values.filter((value) => value !== null)).toEqual([0.5]);
    expect(chart?.series[1]?.values[10]).toBeCloseTo(0.4);
  });

  test.each([
    [0.12345, 'percent', '12.3 %'],
    [0.002345, 'percent', '0.23 %'],
    [1234.5, 'tokens', '1,235 tokens'],
    [0.0000123, 'nats', '1.23e-5 nats'],
    [0, 'number', '0'],
    [null, 'seconds', '–'],
  ] as const)('%d as %s reads %s', (value, unit, text) => expect(formatValue(value, unit)).toBe(text));

  test('numbers keep three digits', () =>
    expect([0.1 + 0.2, 99.96, -5].map(formatNumber)).toEqual(['0.3', '100', '-5']));
});

function fail(): never {
  throw new Error('missing');
}

describe('headline', () => {
  test.each<[string, Json | undefined, string[]]>([
    ['sft and rl', { sft: { accuracy: 0.1, ci95: [0, 0.2] }, rl: { accuracy: 0.5 } }, ['accuracy']],
    [
      'nested, with a number above that repeats one',
      { sft: { accuracy: 0.1, greedy: { accuracy: 0.1 } }, rl: { accuracy: 0.2, greedy: { accuracy: 0.2 } } },
      ['greedy'],
    ],
    ['nested', { sft: { greedy: { accuracy: 0.1 }, x: 1 }, rl: { greedy: { accuracy: 0.2 } } }, ['greedy']],
    [
      'before and after',
      { before: { accuracy: 0.1 }, after: { accuracy: 0.2, ci95: { low: 0, high: 1 } } },
      ['accuracy'],
    ],
    ['one side alone', { sft: { accuracy: 0.1 } }, []],
    ['something else', [1, 'x'], []],
    ['nothing', undefined, []],
  ])('reads %s', (_name, result, labels) => {
    expect(readComparisons(result).rows.map(({ label }) => label)).toEqual(labels);
  });

  test('time adds the seconds, not the rates', () => {
    const timing = { sample_s: 60, train_s: 15, sample_tokens_per_s: 5000 };
    expect(totalSeconds([{ iteration: 1, timing }])).toBe(75);
    expect(totalSeconds([{ iteration: 1 }])).toBeUndefined();
    expect([12, 75, 7260].map(formatDuration)).toEqual(['12 s', '1 min 15 s', '2 h 1 min']);
  });

  test('edges average a few iterations on each side and never share one', () => {
    const lines = [1, 2, 3].map((x, i) => ({ iteration: i + 1, x }));
    expect(edges(lines, 'x')).toEqual({ early: 1, late: 3, n: 1 });
    expect(edges(lines.slice(0, 1), 'x')).toBeUndefined();
  });
});

describe('the page', () => {
  test('holds no hostile tag, no address to load, no inline handler, and a policy by hash', async () => {
    const path = join(root, 'synthetic');
    await makeSyntheticRun(path);
    const html = await readFile(await writeReport(path), 'utf8');
    expect(html).not.toContain('<script>window.pwned');
    expect(html).not.toContain('<img');
    expect(html).not.toContain('never-to-be-seen');
    expect(html).not.toMatch(/[\u202e\u200b]/);
    expect(html).not.toMatch(/<[a-z]+ [^>]*\b(?:on[a-z]+|src|style)=/);
    expect(html.match(/<script/g)).toHaveLength(2);
    expect(html).toMatch(/default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'/);
    expect(html).toContain('Permission is hereby granted');
    for (const heading of ['Outcome', 'Curves', 'Early against late', 'Last rollouts', 'Settings'])
      expect(html).toContain(`>${heading}</h2>`);
  });

  test('of a run that has only begun, or was never evaluated, is still a page', async () => {
    const manifest = { name: 'new', kind: 'sft', recipe: 'sft', seed: 1, config: {}, dataHashes: {} };
    const run = await createRun({ root, manifest, policy: { every: 1, keep: 1 }, rolloutShare: 0 });
    expect(await renderReport(await readRun(run.path))).toMatch(/0 iterations/);
    await run.appendMetrics({ iteration: 1, loss: 2, grad_norm: 1 });
    await run.appendMetrics({ iteration: 2, loss: 1, grad_norm: 1 });
    await run.close();
    const html = await renderReport(await readRun(run.path));
    expect(html).toMatch(/id="chart-loss"/);
    expect(html).not.toMatch(/Early against late/);
  });

  test('samples of samples.json stand side by side, before those of rollouts', async () => {
    const path = join(root, 'samples');
    const manifest = { name: 'samples', kind: 'rl', recipe: 'r', seed: 1, config: {}, dataHashes: {} };
    const run = await createRun({ path, manifest, policy: { every: 1, keep: 1 }, rolloutShare: 0 });
    const side = (text: string): Json => ({ text, status: 'wrong', reason: HOSTILE });
    await run.writeResult('samples.json', [
      { problemId: 'test/1', prompt: 'What?', before: side('first try'), after: side('second try') },
    ]);
    await run.close();
    const html = await renderReport(await readRun(path));
    expect(html).toMatch(/first try[^]*second try/);
    expect(html).not.toContain('<img');
  });
});
