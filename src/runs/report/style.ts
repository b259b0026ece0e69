/** The report's style sheet. Colours are variables, so that the charts can read them in light and dark. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #fcfbf9; --card: #ffffff; --ink: #1d1c1a; --soft: #5f5c57; --line: #e4e0d9; --wash: #f4f1ec;
  --accent: #0b6e75; --good: #1a7547; --good-wash: #e4f3ea; --bad: #a83a2c; --bad-wash: #faeae6;
  --none: #6a5a1c; --none-wash: #f6efd6; --hidden: #8a1f6a; --hidden-wash: #fbe6f4;
  --series-0: #0b6e75; --series-1: #d2671f; --series-2: #6a51a3; --series-3: #2f7d32; --series-4: #b8356b; --series-5: #5d6b7a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #141517; --card: #1b1d20; --ink: #eceae6; --soft: #a5a29b; --line: #303338; --wash: #202327;
    --accent: #5cc4c9; --good: #7fd3a2; --good-wash: #17301f; --bad: #f19a8b; --bad-wash: #3a1d18;
    --none: #e2ca74; --none-wash: #322b12; --hidden: #f2a3d8; --hidden-wash: #3a1731;
    --series-0: #5cc4c9; --series-1: #f0995c; --series-2: #b3a0ea; --series-3: #86cf89; --series-4: #f08cb4; --series-5: #a9b6c4;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.page { max-width: 1120px; margin: 0 auto; padding: 0 24px 96px; }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
h1, h2, h3, p, figure, dl, dd, ul, pre { margin: 0; }
h1 { font-size: clamp(28px, 5vw, 40px); line-height: 1.15; letter-spacing: -0.02em; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 22px; letter-spacing: -0.01em; font-weight: 620; margin: 64px 0 4px; scroll-margin-top: 64px; }
h2 + .lead { color: var(--soft); max-width: 68ch; margin-bottom: 20px; }
header { padding: 56px 0 28px; }
.eyebrow { color: var(--soft); font-size: 14px; margin-bottom: 10px; }
.summary { margin-top: 14px; font-size: 18px; color: var(--soft); max-width: 68ch; overflow-wrap: anywhere; }
nav { position: sticky; top: 0; z-index: 5; background: var(--paper); border-bottom: 1px solid var(--line); overflow-x: auto; }
nav ul { display: flex; gap: 24px; list-style: none; padding: 12px 0; white-space: nowrap; font-size: 14px; }
nav a { color: var(--soft); text-decoration: none; padding: 4px 0; }
nav a:hover { color: var(--ink); }
.skip { position: absolute; left: -999px; } .skip:focus { left: 16px; top: 16px; background: var(--card); padding: 8px 12px; z-index: 9; }
.cards { display: flex; flex-wrap: wrap; gap: 16px; margin-top: 20px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px; min-width: 0; flex: 1 1 220px; }
.card h3 { font-size: 13.5px; font-weight: 500; color: var(--soft); }
.card .figure { font-size: 32px; line-height: 1.2; font-weight: 620; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; margin: 6px 0 4px; white-space: nowrap; }
.card .figure .from { color: var(--soft); font-weight: 400; }
.card p { font-size: 13.5px; color: var(--soft); font-variant-numeric: tabular-nums; }
.gain { color: var(--good); font-weight: 600; } .gain.down { color: var(--bad); } .gain.none { color: inherit; }
.card.wide { flex-basis: calc(50% - 8px); }
.interval { display: grid; grid-template-columns: auto 1fr auto; gap: 4px 12px; align-items: center; margin-top: 12px; font-size: 12.5px; color: var(--soft); }
.interval svg { width: 100%; height: 14px; display: block; overflow: visible; }
.interval .rail { stroke: var(--line); stroke-width: 1; } .interval .ci { stroke: var(--soft); stroke-width: 3; stroke-linecap: round; } .interval .dot { fill: var(--soft); }
.interval .after .ci { stroke: var(--accent); } .interval .after .dot { fill: var(--accent); }
.charts { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; }
.chart { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 18px 12px; min-width: 0; }
.chart.hero { grid-column: 1 / -1; }
.chart h3 { font-size: 15.5px; font-weight: 600; }
.chart .note { font-size: 13px; color: var(--soft); line-height: 1.45; margin-top: 2px; }
.plot { height: 220px; margin-top: 10px; position: relative; }
.hero .plot { height: 300px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 6px; list-style: none; padding: 0; margin: 10px 0 0 -7px; font-size: 13px; min-height: 30px; }
.legend button { font: inherit; color: inherit; background: none; border: 0; border-radius: 6px; padding: 4px 7px; cursor: pointer; display: flex; align-items: center; gap: 7px; text-align: left; }
.legend button:hover { background: var(--wash); }
.legend button[aria-pressed="false"] { opacity: 0.45; text-decoration: line-through; }
.legend .value { color: var(--soft); font-variant-numeric: tabular-nums; min-width: 4.5em; }
.swatch { width: 16px; height: 0; border-top: 3px solid; border-radius: 2px; flex: none; }
.swatch.dashed { border-top-style: dashed; width: 22px; } .swatch.dotted { border-top-style: dotted; width: 22px; }
.swatch.faint { border-top-width: 1.5px; opacity: 0.6; } .swatch.area { height: 10px; border-top-width: 10px; width: 10px; }
.swatch.c0 { border-color: var(--series-0); } .swatch.c1 { border-color: var(--series-1); } .swatch.c2 { border-color: var(--series-2); }
.swatch.c3 { border-color: var(--series-3); } .swatch.c4 { border-color: var(--series-4); } .swatch.c5 { border-color: var(--series-5); }
.pair { background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin-bottom: 16px; overflow: hidden; }
.prompt { padding: 14px 18px; background: var(--wash); border-bottom: 1px solid var(--line); font-size: 14px; }
.prompt .id { color: var(--soft); font-size: 12.5px; margin-bottom: 4px; overflow-wrap: anywhere; }
.sides { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); }
.side { padding: 14px 18px 18px; min-width: 0; } .side + .side { border-left: 1px solid var(--line); }
.side .head { display: flex; flex-wrap: wrap; gap: 4px 10px; align-items: center; font-size: 13px; color: var(--soft); margin-bottom: 8px; }
.side .head strong { color: var(--ink); font-weight: 600; }
.reason { font-size: 13px; color: var(--soft); margin-top: 8px; overflow-wrap: anywhere; }
pre { font: 13px/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 2; max-height: 420px; overflow: auto; direction: ltr; unicode-bidi: isolate; }
.prompt pre { max-height: 200px; }
.verdict { font-size: 12.5px; font-weight: 600; padding: 1px 8px; border-radius: 5px; white-space: nowrap; }
.verdict.correct { color: var(--good); background: var(--good-wash); } .verdict.wrong { color: var(--bad); background: var(--bad-wash); } .verdict.no_verdict { color: var(--none); background: var(--none-wash); }
.hidden-char { color: var(--hidden); background: var(--hidden-wash); border-radius: 3px; padding: 0 3px; font-size: 0.85em; unicode-bidi: isolate; }
details.row { border-top: 1px solid var(--line); } details.row:first-of-type { border-top: 0; }
details.row > summary { padding: 10px 18px; cursor: pointer; display: grid; grid-template-columns: 12px 84px 76px 86px minmax(0, 1fr); gap: 12px; font-size: 13.5px; align-items: baseline; list-style: none; font-variant-numeric: tabular-nums; }
details.row > summary::-webkit-details-marker { display: none; }
details.row > summary::before { content: "›"; color: var(--soft); font-size: 17px; line-height: 1; transition: transform 0.12s; }
details.row[open] > summary::before { transform: rotate(90deg); }
details.row > summary:hover { background: var(--wash); } details.row > summary .verdict { justify-self: start; }
details.row > summary .dim { color: var(--soft); white-space: nowrap; } details.row > summary .why { color: var(--soft); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
details.row[open] > summary .why { white-space: normal; overflow-wrap: anywhere; } details.row > pre { padding: 4px 18px 18px 42px; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 7px 18px; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
tr:first-child > th, tr:first-child > td { border-top: 0; }
.settings th { font-weight: 500; color: var(--soft); width: 40%; min-width: 150px; } .settings td { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 12.5px; }
.settings .section th { color: var(--ink); font-weight: 600; background: var(--wash); }
.metrics th, .metrics td { white-space: nowrap; text-align: right; padding: 5px 12px; } .metrics thead th { font-weight: 500; color: var(--soft); }
details.more { margin-top: 24px; } details.more > summary { cursor: pointer; color: var(--accent); font-size: 14.5px; padding: 6px 0; } details.more[open] > summary { margin-bottom: 12px; }
footer { margin-top: 72px; padding-top: 20px; border-top: 1px solid var(--line); font-size: 13px; color: var(--soft); }
noscript p { background: var(--none-wash); color: var(--none); padding: 10px 14px; border-radius: 8px; margin-bottom: 16px; }
.u-cursor-x { border-right: 1px solid var(--soft) !important; }
@media (max-width: 760px) {
  .page { padding: 0 16px 64px; } header { padding: 32px 0 20px; } h2 { margin-top: 48px; }
  .charts, .sides { grid-template-columns: minmax(0, 1fr); } .card.wide { flex-basis: 260px; }
  .side + .side { border-left: 0; border-top: 1px solid var(--line); }
  .hero .plot { height: 240px; } .chart { padding: 14px 12px 8px; }
  details.row > summary { grid-template-columns: 12px 84px 1fr auto; } details.row > summary .why { grid-column: 1 / -1; }
  th, td { padding: 7px 12px; } .settings th { width: 46%; min-width: 0; }
}
@media print { nav, .skip { display: none; } .chart, .pair, .card { break-inside: avoid; } pre { max-height: none; } }
`;
