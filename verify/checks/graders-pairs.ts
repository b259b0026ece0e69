import { execFileSync } from 'node:child_process';
import { z } from 'zod';
import { compareAnswers } from '../../src/tasks/index.js';
import { goldsOf } from '../graders/golds.js';
import type { Check } from '../types.js';

const check: Check = {
  name: 'graders-pairs',
  shows:
    'of all pairs of differently written MATH-500 gold answers, those graded equal are proved equal by SymPy, and no others are',
  needs: ['data', 'python'],
  run: (ctx) => {
    const golds = [...new Set(goldsOf(ctx.data as string, 'math500').map(({ answer }) => answer))];
    const found: { gold: string; given: string; by: string }[] = [];
    for (const gold of golds)
      for (const given of golds) {
        if (gold === given) continue;
        const { equal, by } = compareAnswers(gold, given);
        if (equal) found.push({ gold, given, by });
      }
    const proofs = prove(
      ctx.python as string,
      found.map(({ gold, given }) => [gold, given]),
    );
    found.forEach(({ gold, given, by }, index) =>
      ctx.log(`${JSON.stringify(gold)} = ${JSON.stringify(given)} (${by}): ${proofs[index]}`),
    );
    const unproved = proofs.filter((proof) => proof !== 'equal' && proof !== 'same text').length;
    return Promise.resolve({
      status: unproved === 0 ? 'passed' : 'failed',
      detail: `${found.length} of ${golds.length * (golds.length - 1)} ordered pairs are graded equal, ${unproved} of them without a proof`,
      numbers: { golds: golds.length, equal: found.length, unproved },
    });
  },
};
export default check;

/** For each pair `equal`, `same text` or what SymPy made of it. */
function prove(python: string, pairs: readonly (readonly [string, string])[] | string[][]): string[] {
  const output = execFileSync(python, ['verify/peers/sympy_equal.py'], {
    input: JSON.stringify(pairs),
    encoding: 'utf8',
    maxBuffer: 1e8,
  });
  return z.array(z.string()).parse(JSON.parse(output));
}
