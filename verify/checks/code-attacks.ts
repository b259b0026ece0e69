import { embeddedRunner, testProgram } from '../../src/tasks/index.js';
import { ATTACKED_SUITE, codeAttacks, HONEST } from '../code/attacks.js';
import type { Check } from '../types.js';

/** Short, so that the check is: what is shown is that a limit holds, whatever it is. */
const LIMITS = { work: 3_000_000, cpuSeconds: 4, wallSeconds: 30 };

const check: Check = {
  name: 'code-attacks',
  shows:
    'at least 40 attempts to cheat the code grader or to leave its sandbox are wrong or without a verdict; an honest program is graded correct after each',
  needs: [],
  run: async (ctx) => {
    const containment = await embeddedRunner().containment();
    const all = codeAttacks();
    const count: Record<string, number> = {};
    let [passed, broken, slowest] = [0, 0, 0];
    for (const { family, name, code } of all) {
      const start = performance.now();
      const report = await testProgram(code, ATTACKED_SUITE, { limits: LIMITS });
      const seconds = (performance.now() - start) / 1000;
      slowest = Math.max(slowest, seconds);
      count[report.status] = (count[report.status] ?? 0) + 1;
      ctx.log(`${family}, ${name}: ${report.status} (${report.reason.slice(0, 100)}) in ${seconds.toFixed(1)} s`);
      if (report.status === 'passed') passed++;
      const next = await testProgram(HONEST, ATTACKED_SUITE, { limits: LIMITS });
      if (next.status !== 'passed') {
        broken++;
        ctx.log(`after ${name} an honest program is ${next.status}: ${next.reason}`);
      }
    }
    await embeddedRunner().close();
    const counts = Object.entries(count).map(([status, n]) => `${n} ${status}`);
    return {
      status: passed === 0 && broken === 0 && all.length >= 40 ? 'passed' : 'failed',
      detail: `${all.length} attempts: ${counts.join(', ')}; ${broken} honest programs misjudged after them; slowest ${slowest.toFixed(1)} s (contains ${containment.level}: ${containment.why})`,
      numbers: { attempts: all.length, ...count, 'honest misjudged': broken },
    };
  },
};
export default check;
