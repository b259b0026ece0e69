import { compareAnswers, gradeMaths } from '../../src/tasks/index.js';
import { attacks, ATTACKED_GOLDS } from '../graders/attacks.js';
import type { Check } from '../types.js';

/** What one attack may take; the work limit is a count, so this is generous for a busy machine. */
const MILLISECONDS = 300;
const GROWTH_MB = 300;

const check: Check = {
  name: 'graders-hostile',
  shows:
    'at least 200 attacks neither crash nor stall the maths grader, nor are graded correct; ordinary answers are graded after each',
  needs: [],
  run: (ctx) => {
    const all = attacks();
    let [slowest, slowestFamily, correct, cpu] = [0, '', 0, 0];
    const before = process.memoryUsage().rss;
    for (const { family, text } of all)
      for (const gold of ATTACKED_GOLDS) {
        const start = process.cpuUsage();
        const verdicts = [gradeMaths(gold, `\\boxed{${text}}`), gradeMaths(gold, text), compareAnswers(gold, text)];
        const took = process.cpuUsage(start);
        const milliseconds = (took.user + took.system) / 1000;
        cpu += milliseconds;
        if (milliseconds > MILLISECONDS) ctx.log(`${milliseconds.toFixed(0)} ms: ${family} against ${gold}`);
        if (milliseconds > slowest) [slowest, slowestFamily] = [milliseconds, `${family} against ${gold}`];
        const fooled = verdicts.filter((verdict) =>
          'status' in verdict ? verdict.status === 'correct' : verdict.equal === true,
        ).length;
        if (fooled > 0) ctx.log(`correct: ${JSON.stringify(text.slice(0, 80))} against ${gold}`);
        correct += fooled;
        if (compareAnswers('\\frac{1}{2}', '0.5').equal !== true)
          return Promise.resolve({ status: 'failed', detail: `after ${family} an ordinary answer is graded wrong` });
      }
    const growth = (process.memoryUsage().rss - before) / 1e6;
    // Three gradings are timed together.
    const passed = correct === 0 && slowest < 3 * MILLISECONDS && growth < GROWTH_MB && all.length >= 200;
    return Promise.resolve({
      status: passed ? 'passed' : 'failed',
      detail: `${all.length} attacks on ${ATTACKED_GOLDS.length} gold answers: ${correct} correct, slowest ${slowest.toFixed(0)} ms of processor time for three gradings (${slowestFamily})`,
      numbers: {
        attacks: all.length,
        correct,
        'slowest ms': Math.round(slowest),
        'memory growth MB': Math.round(growth),
        'all ms': Math.round(cpu),
      },
    });
  },
};
export default check;
