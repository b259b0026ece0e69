import { RandomStream } from '../../src/core/index.js';
import { gradeMaths } from '../../src/tasks/index.js';
import { CHANGING } from '../graders/changing.js';
import { goldsOf } from '../graders/golds.js';
import { KEEPING } from '../graders/keeping.js';
import type { Rewrite } from '../graders/rewrites.js';
import type { Check } from '../types.js';

const SETS = ['math500', 'olympiadbench_math_en', 'olymmath_en', 'omni_math2_600', 'aime24', 'amc23'];
const MOST_PER_CLASS = 150;

const check: Check = {
  name: 'graders-metamorphic',
  shows: `${KEEPING.length} classes of rewriting that keep the meaning are correct in 99 %, ${CHANGING.length} that change it wrong in 99.5 %`,
  needs: ['data'],
  run: (ctx) => {
    const golds = [
      ...new Set(
        SETS.flatMap((name) =>
          goldsOf(ctx.data as string, name).map(({ answer }) => answer.trim().replace(/^\$([^$]*)\$$/, '$1')),
        ),
      ),
    ];
    const numbers: Record<string, string> = {};
    const shares = [KEEPING, CHANGING].map((rewrites) => {
      const totals = { right: 0, graded: 0 };
      for (const rewrite of rewrites) {
        const { right, graded } = gradeClass(rewrite, golds, (line) => ctx.log(line));
        totals.right += right;
        totals.graded += graded;
        numbers[rewrite.name] = `${right}/${graded}`;
      }
      return totals;
    });
    const [kept, changed] = shares as [{ right: number; graded: number }, { right: number; graded: number }];
    const passed = kept.right >= 0.99 * kept.graded && changed.right >= 0.995 * changed.graded;
    return Promise.resolve({
      status: passed ? 'passed' : 'failed',
      detail: `${kept.right} of ${kept.graded} that keep the meaning correct, ${changed.right} of ${changed.graded} that change it wrong`,
      numbers,
    });
  },
};
export default check;

function gradeClass(
  rewrite: Rewrite,
  golds: readonly string[],
  log: (line: string) => void,
): { right: number; graded: number } {
  let [right, graded] = [0, 0];
  golds.forEach((gold, index) => {
    const rewritten =
      graded < MOST_PER_CLASS ? rewrite.apply(gold, new RandomStream(1, 'rewrite', rewrite.name, index)) : undefined;
    if (rewritten === undefined) return;
    const reply = rewritten.includes('\\boxed') ? rewritten : `\\boxed{${rewritten}}`;
    const { status, reason } = gradeMaths(gold, reply);
    graded++;
    if ((status === 'correct') === rewrite.keeps) right++;
    else log(`${rewrite.name}: ${JSON.stringify(gold)} -> ${JSON.stringify(rewritten)}: ${status} (${reason})`);
  });
  return { right, graded };
}
