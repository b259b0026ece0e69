import { RandomStream } from '../../src/core/index.js';
import { averageAtK, passAtK } from '../../src/evals/index.js';
import type { Check, CheckResult } from '../types.js';

const TRIALS = 2000;

/** Share of simulated evaluations whose 95 % interval holds the true rate; every sample is an independent draw. */
function coverage(problems: number, k: number, p: number): number {
  let held = 0;
  for (let trial = 0; trial < TRIALS; trial++) {
    const random = new RandomStream(1, 'coverage', problems, k, Math.round(p * 100), trial);
    const shares = Array.from({ length: problems }, () => {
      let right = 0;
      for (let sample = 0; sample < k; sample++) right += Number(random.next() < p);
      return right / k;
    });
    const [low, high] = averageAtK(shares, k).ci95;
    held += Number(low <= p && p <= high);
  }
  return held / TRIALS;
}

/** Unit anchors of published implementations: (n, c, k) -> pass@k. */
const ANCHORS: readonly (readonly [number, number, number, number])[] = [
  [4, 2, 1, 0.5],
  [4, 2, 2, 5 / 6],
  [4, 2, 3, 1],
  [10, 1, 5, 0.5],
];

async function run(): Promise<CheckResult> {
  const numbers: Record<string, string> = {};
  const wrong = ANCHORS.filter(([n, c, k, value]) => Math.abs(passAtK(n, c, k) - value) > 1e-12).map(
    ([n, c, k]) => `pass@${k} of ${c}/${n}`,
  );
  for (const problems of [30, 500])
    for (const k of [1, 16])
      for (const p of [0.03, 0.5, 0.97]) {
        const share = coverage(problems, k, p);
        numbers[`Q=${problems} k=${k} p=${p}`] = share.toFixed(3);
        // Two standard errors of the simulation are 1 point; the band is the claim's own.
        if (share < 0.93 || share > 0.97) wrong.push(`coverage ${share.toFixed(3)} at Q=${problems}, k=${k}, p=${p}`);
      }
  return {
    status: wrong.length === 0 ? 'passed' : 'failed',
    detail: wrong.length === 0 ? `95 % intervals cover 93-97 % over ${TRIALS} simulations each` : wrong.join('; '),
    numbers,
  };
}

const check: Check = {
  name: 'eval-statistics',
  shows: 'pass@k equals published values; 95 % intervals of avg@k cover 93-97 % at Q in {30, 500}, k in {1, 16}',
  needs: [],
  run,
};
export default check;
