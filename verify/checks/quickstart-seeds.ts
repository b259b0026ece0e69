import { z } from 'zod';
import { jsonLine, mustRun } from '../hone.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const SEEDS = [1, 2, 3, 4, 5];
const Interval = z.tuple([z.number(), z.number()]);
const Stage = z.object({
  accuracy: z.number(),
  ci95: Interval,
  avg4: z.number(),
  avg4ci95: Interval,
  wellFormed: z.number(),
});
/** What `hone quickstart --json` ends with. For a control arm, `rl` is the model after that arm. */
const Result = z.object({
  seconds: z.number(),
  problems: z.number(),
  sft: Stage,
  rl: Stage,
  gain: z.number(),
  gainAvg4: z.number(),
  timing: z.object({ armSeconds: z.number() }),
});
type Arms = Record<'rl' | 'shuffled' | 'sft-only', z.infer<typeof Result>>;

async function runArm(
  ctx: CheckContext,
  seed: number,
  arm: keyof Arms,
  more: readonly string[] = [],
): Promise<z.infer<typeof Result>> {
  const args = ['quickstart', '--json', '--seed', String(seed), '--arm', arm, '--out', `${arm}-${seed}`, ...more];
  const result = Result.parse(jsonLine(await mustRun(args, { cwd: ctx.scratch })));
  const points = (value: number): string => (100 * value).toFixed(1);
  ctx.log(
    `seed ${seed} ${arm}: greedy ${points(result.sft.accuracy)} -> ${points(result.rl.accuracy)}, ` +
      `avg@4 ${points(result.sft.avg4)} -> ${points(result.rl.avg4)}, ${result.seconds.toFixed(0)} s`,
  );
  return result;
}

/** What is wrong with one seed, by the claims of docs/verification.md; gains in points. */
function faults(seed: number, { rl, shuffled, 'sft-only': more }: Arms): string[] {
  const faults: string[] = [];
  const demand = (holds: boolean, what: string): void => void (holds || faults.push(`seed ${seed}: ${what}`));
  demand(rl.problems >= 500, `${rl.problems} held-out problems`);
  demand(rl.seconds <= 360, `${rl.seconds.toFixed(0)} s`);
  demand(rl.sft.wellFormed >= 0.95, `${rl.sft.wellFormed} well-formed after SFT`);
  demand(rl.gain >= 12 && rl.gainAvg4 >= 12, `gains ${rl.gain.toFixed(1)} / ${rl.gainAvg4.toFixed(1)}`);
  for (const [name, arm] of [['gain', 'gain'] as const, ['gainAvg4', 'gainAvg4'] as const]) {
    demand(shuffled[arm] <= 3, `shuffled rewards: ${name} ${shuffled[arm].toFixed(1)}`);
    demand(more[arm] < rl[arm] / 2, `more SFT: ${name} ${more[arm].toFixed(1)} against ${rl[arm].toFixed(1)}`);
  }
  return faults;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

async function run(ctx: CheckContext): Promise<CheckResult> {
  const all: Arms[] = [];
  const wrong: string[] = [];
  for (const seed of SEEDS) {
    const rl = await runArm(ctx, seed, 'rl');
    const shuffled = await runArm(ctx, seed, 'shuffled');
    // The other arm spends the time that RL took on more imitation.
    const seconds = String(Math.max(1, rl.timing.armSeconds));
    const arms: Arms = { rl, shuffled, 'sft-only': await runArm(ctx, seed, 'sft-only', ['--arm-seconds', seconds]) };
    all.push(arms);
    wrong.push(...faults(seed, arms));
  }
  const gains = all.map(({ rl }) => rl.gain);
  const gainsAvg4 = all.map(({ rl }) => rl.gainAvg4);
  const below = [...gains, ...gainsAvg4].filter((gain) => gain < 20).length;
  if (mean(gains) < 20 || mean(gainsAvg4) < 20) wrong.push('the mean gain is below 20 points');
  const numbers = {
    greedyGains: gains.map((gain) => gain.toFixed(1)).join(' '),
    avg4Gains: gainsAvg4.map((gain) => gain.toFixed(1)).join(' '),
    below20: below,
    shuffledGains: all.map(({ shuffled }) => shuffled.gain.toFixed(1)).join(' '),
    moreSftGains: all.map((arms) => arms['sft-only'].gain.toFixed(1)).join(' '),
    slowestSeconds: Math.max(...all.map(({ rl }) => rl.seconds)).toFixed(0),
  };
  if (wrong.length > 0) return { status: 'failed', detail: wrong.join('; '), numbers };
  return { status: 'passed', detail: 'RL gains what is claimed on every seed, and the control arms do not', numbers };
}

const check: Check = {
  name: 'quickstart-seeds',
  shows: 'the quickstart gains >= 20 points by RL (no seed < 12) within 6 minutes; both control arms stay far below',
  needs: [],
  run,
};
export default check;
