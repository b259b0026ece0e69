import { goldsOf } from '../graders/golds.js';
import { isGradedRight, printedBySympy, type SympyForm } from '../graders/sympy-forms.js';
import type { Check } from '../types.js';

const SETS = ['math500', 'olympiadbench_math_en', 'olymmath_en', 'omni_math2_600'];

const check: Check = {
  name: 'graders-sympy',
  shows:
    'gold answers as SymPy prints them in 13 other forms by 10 printers are correct in 99 %, other expressions wrong in 99.5 %',
  needs: ['data', 'python'],
  run: (ctx) => {
    const { sympy, rows } = printedBySympy(ctx.python as string, expressions(ctx.data as string));
    const numbers: Record<string, string> = { sympy, golds: String(new Set(rows.map(({ gold }) => gold)).size) };
    const [kept, changed] = [true, false].map((keeps) => {
      const asked = rows.filter((row) => row.keeps === keeps);
      const wrong = asked.filter((row) => !isGradedRight(row));
      for (const { gold, form, text } of wrong) ctx.log(`${form}: ${gold} -> ${text}`);
      return { right: asked.length - wrong.length, asked: asked.length };
    }) as [Share, Share];
    Object.assign(numbers, byForm(rows));
    const passed = rows.length > 1000 && kept.right >= 0.99 * kept.asked && changed.right >= 0.995 * changed.asked;
    return Promise.resolve({
      status: passed ? 'passed' : 'failed',
      detail: `SymPy ${sympy}: ${kept.right} of ${kept.asked} forms of the same value correct, ${changed.right} of ${changed.asked} other values wrong`,
      numbers,
    });
  },
};
export default check;

interface Share {
  right: number;
  asked: number;
}

/** Forms by what SymPy did, over its printers. */
function byForm(rows: readonly SympyForm[]): Record<string, string> {
  const counts = new Map<string, Share>();
  for (const row of rows) {
    const name = row.form.split(',')[0] as string;
    const share = counts.get(name) ?? { right: 0, asked: 0 };
    counts.set(name, { right: share.right + (isGradedRight(row) ? 1 : 0), asked: share.asked + 1 });
  }
  return Object.fromEntries([...counts].map(([name, { right, asked }]) => [name, `${right}/${asked}`]));
}

/** Gold answers that may be one expression, each once; SymPy decides. Whole numbers print in one way only. */
function expressions(folder: string): string[] {
  const golds = SETS.flatMap((name) => goldsOf(folder, name)).map(({ answer }) =>
    answer.trim().replace(/^\$|\$$/g, ''),
  );
  return [...new Set(golds)].filter(
    (gold) =>
      gold.length <= 80 &&
      !/^-?\d+$/.test(gold) &&
      !/[,;:=<>%]|\\(?:text|mbox|begin|in|cup|le|ge|pm)(?![a-zA-Z])|circ|_\d/.test(gold),
  );
}
