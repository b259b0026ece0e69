/**
 * The report's own script: draws the charts that the page carries as data, with uPlot. It runs in the reader's browser,
 * touches no text of the run but labels of charts, and is allowed to run by its hash alone.
 */
export const CLIENT_SCRIPT = String.raw`
'use strict';
(() => {
  const charts = JSON.parse(document.getElementById('chart-data').textContent);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colour = (series) => css('--series-' + (series.color % 6));
  const fade = (hex, alpha) => hex + Math.round(alpha * 255).toString(16).padStart(2, '0');
  const suffix = { percent: ' %', tokens: '', nats: '', rate: '', seconds: ' s', count: '', number: '' };
  const axisName = { percent: '', tokens: 'tokens', nats: 'nats', rate: 'tokens/s', seconds: '', count: '', number: '' };

  const number = (v) => {
    const size = Math.abs(v);
    if (v === 0) return '0';
    if (size >= 1000 && size < 1e9) return Math.round(v).toLocaleString('en-US');
    if (size < 1e-3 || size >= 1e9) return v.toExponential(2);
    return String(Number(v.toPrecision(3)));
  };
  const percent = (v) => (v !== 0 && Math.abs(v) < 1 ? String(Number(v.toPrecision(2))) : v.toFixed(1));
  const told = (v, unit) => (v == null ? '–' : unit === 'percent' ? percent(v * 100) + ' %' : number(v) + suffix[unit]);
  const tick = (v, unit) => {
    if (unit === 'percent') return Number((v * 100).toPrecision(6)) + ' %';
    const size = Math.abs(v);
    if (size >= 1e4) return v / 1000 + 'k';
    if (v !== 0 && size < 1e-3) return v.toExponential().replace('e-', 'e−');
    return String(Number(v.toPrecision(6))) + suffix[unit];
  };

  /** Stacked series are drawn as running sums, the top one first, so that each area covers the one below. */
  const columns = (chart, shown) => {
    if (!chart.stacked) return chart.series.map((s) => s.values.map((v) => (chart.logarithmic && v <= 0 ? null : v)));
    const sums = chart.iterations.map(() => 0);
    return chart.series.map((s, i) => {
      if (!shown[i]) return s.values.map(() => null);
      return s.values.map((v, t) => (sums[t] += v == null ? 0 : v));
    });
  };

  const range = (chart) => (u, low, high) => {
    if (low == null) return [0, 1];
    for (const bound of chart.shows || []) { low = Math.min(low, bound); high = Math.max(high, bound); }
    if (low === high) { const pad = Math.abs(low) * 0.1 || 1; return [low - pad, high + pad]; }
    const bounded = (v) => (chart.shows || []).includes(v);
    const pad = (high - low) * 0.06;
    return [bounded(low) ? low : low - pad, bounded(high) ? high : high + pad];
  };

  /** Powers of ten between the bounds of a logarithmic axis. */
  const decades = (u, axis, low, high) => {
    const found = [];
    for (let e = Math.ceil(Math.log10(low) - 1e-9); e <= Math.floor(Math.log10(high) + 1e-9); e++) found.push(Number('1e' + e));
    return found;
  };

  const build = (figure, chart) => {
    const host = figure.querySelector('.plot');
    const buttons = [...figure.querySelectorAll('.legend button')];
    const shown = chart.series.map(() => true);
    let plot;

    const values = (t) => chart.series.forEach((s, i) => {
      const at = t == null ? s.values.findLastIndex((v) => v != null) : t;
      buttons[i].querySelector('.value').textContent = told(s.values[at], chart.unit);
    });

    const draw = () => {
      if (plot) plot.destroy();
      const ink = css('--soft');
      const grid = { stroke: css('--line'), width: 1 };
      const font = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
      const few = chart.iterations.length <= 40;
      const order = chart.series.map((_, i) => i);
      if (chart.stacked) order.reverse();
      const series = order.map((i) => {
        const s = chart.series[i];
        const stroke = colour(s);
        return {
          label: s.label, show: shown[i], stroke: chart.stacked ? css('--card') : s.faint ? fade(stroke, 0.4) : stroke, width: s.faint ? 1 : chart.stacked ? 1 : 2,
          fill: chart.stacked ? stroke : undefined, dash: { dashed: [6, 4], dotted: [2, 3] }[s.dash],
          spanGaps: true, points: { show: !chart.stacked && !s.faint && (few || s.values.filter((v) => v != null).length <= 40), size: 5, fill: stroke },
        };
      });
      const all = columns(chart, shown);
      plot = new uPlot({
        width: host.clientWidth, height: host.clientHeight, legend: { show: false },
        padding: [10, 12, 0, 0],
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
        scales: { x: { time: false }, y: chart.logarithmic ? { distr: 3, log: 10 } : { range: range(chart) } },
        axes: [
          { stroke: ink, font, labelFont: font, grid: { show: false }, ticks: grid, size: 34, label: 'iteration', labelSize: 20, labelGap: 0, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000] },
          { stroke: ink, font, labelFont: font, grid, ticks: { show: false }, size: 58, label: axisName[chart.unit] || undefined, labelSize: 20, labelGap: 0,
            splits: chart.logarithmic ? decades : undefined, filter: chart.logarithmic ? (u, ticks) => ticks : undefined, values: (u, ticks) => ticks.map((v) => tick(v, chart.unit)) },
        ],
        series: [{}, ...series],
        hooks: { setCursor: [(u) => values(u.cursor.idx)] },
      }, [chart.iterations, ...order.map((i) => all[i])], host);
    };

    buttons.forEach((button, i) => button.addEventListener('click', () => {
      shown[i] = !shown[i];
      button.setAttribute('aria-pressed', String(shown[i]));
      draw();
    }));
    host.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      const last = chart.iterations.length - 1;
      const at = Math.max(0, Math.min(last, (plot.cursor.idx ?? last) + step));
      plot.setCursor({ left: plot.valToPos(chart.iterations[at], 'x'), top: 10 });
    });
    host.addEventListener('blur', () => plot.setCursor({ left: -10, top: -10 }));
    new ResizeObserver(() => {
      if (plot && host.clientWidth > 0) plot.setSize({ width: host.clientWidth, height: host.clientHeight });
    }).observe(host);
    draw();
    return draw;
  };

  const redraws = charts.map((chart) => build(document.getElementById('chart-' + chart.id), chart));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => redraws.forEach((draw) => draw()));
})();
`;
