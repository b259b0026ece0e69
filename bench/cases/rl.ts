import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import type * as local from '../../src/engine/local/index.js';
import { Peer, startPeer, type Reading } from '../engine/peer.js';
import { median } from '../measure.js';
import { GROUP, LEARNING_RATE, NEW_TOKENS, PROMPTS, prompts, RL_CASES, type RlCase } from '../rl/cases.js';
import { HoneLoop, type Iteration } from '../rl/hone.js';
import { takeTurns, type Contender } from '../turns.js';
import type { Bench, BenchOptions, BenchResult } from '../types.js';

const THREADS = availableParallelism();
const ROUNDS = 3;
/**
 * A reading is so many iterations in a row that it takes as long, as in training, where one follows the other: what has
 * waited for a slower contender's turn begins with cold caches and code that was thrown away.
 */
const LEAST_SECONDS = 10;
/** Responses in one of TRL's forward and backward passes. */
const TRL_MICRO_BATCH = 64;
/** The parts of an iteration; what they leave is idle. */
const PARTS = ['sample_s', 'grade_s', 'forward_s', 'backward_s', 'optimizer_s'];

/** The built engine: it computes in a thread of its own, as in every command, which sources cannot start. */
async function builtEngine(): Promise<local.LocalEngine> {
  const room = (await import(new URL('../../dist/engine/local/index.js', import.meta.url).href)) as typeof local;
  return room.createLocalEngine({ threads: THREADS });
}

const label = ({ model, ends }: RlCase): string =>
  `iteration ${model}, ${PROMPTS} x ${GROUP} x ${ends ? 'up to ' : ''}${NEW_TOKENS} tokens`;
const trlLabel = (rlCase: RlCase): string => `TRL ${label(rlCase)}`;

/** One case: hone's trainer and, where there is Python, TRL's, on the same weights and prompts. */
interface Pair {
  rlCase: RlCase;
  hone: HoneLoop;
  trl: Peer | undefined;
  /** hone's iterations and TRL's by readings, the warm-up first. */
  iterations: Iteration[][];
  theirs: Reading[][];
}

async function startTrl(python: string, { ends }: RlCase, folder: string): Promise<Peer> {
  const file = path.join(folder, 'prompts.json');
  await writeFile(file, JSON.stringify(prompts()));
  const numbers = {
    ...{ group: GROUP, 'new-tokens': NEW_TOKENS, 'micro-batch': TRL_MICRO_BATCH },
    ...{ lr: LEARNING_RATE, threads: THREADS },
  };
  const options = Object.entries({ model: folder, prompts: file, ...numbers });
  const script = path.resolve(import.meta.dirname, '../peers/trl_grpo.py');
  return Peer.start(python, [
    script,
    ...options.flatMap(([name, value]) => [`--${name}`, String(value)]),
    ...(ends ? ['--ends'] : []),
  ]);
}

/** Iterations a second of those that fill a reading. @param readings which get them */
async function rateOf<T extends { seconds: number }>(iterate: () => Promise<T>, readings: T[][]): Promise<number> {
  const found: T[] = [];
  let seconds = 0;
  while (seconds < LEAST_SECONDS) {
    const iteration = await iterate();
    found.push(iteration);
    seconds += iteration.seconds;
  }
  readings.push(found);
  return found.length / seconds;
}

function contendersOf({ rlCase, hone, trl, iterations, theirs }: Pair): Contender[] {
  const ours = { label: label(rlCase), rate: () => rateOf(() => hone.iteration(), iterations) };
  return trl ? [ours, { label: trlLabel(rlCase), rate: () => rateOf(() => trl.measure({}), theirs) }] : [ours];
}

const afterWarmUp = <T>(readings: readonly T[][]): T[] => readings.slice(1).flat();

/** Where the time of an iteration went: the median share of each part, the warm-up left out. */
function splitOf(readings: readonly Iteration[][]): string {
  const share = (part: (timing: Iteration['timing']) => number): string => {
    const shares = afterWarmUp(readings).map(({ timing }) => part(timing));
    return `${(100 * median(shares)).toFixed(1)} %`;
  };
  const parts = PARTS.map((name) => {
    const of = share((timing) => (timing[name] ?? NaN) / (timing['iteration_s'] ?? NaN));
    return `${name.replace(/_s$/, '')} ${of}`;
  });
  return [...parts, `idle ${share((timing) => timing['idle_share'] ?? NaN)}`].join(', ');
}

/** Medians over all but the warm-up. */
function inWords(readings: readonly Reading[][]): string {
  const of = (part: (iteration: Reading) => number): number => median(afterWarmUp(readings).map(part));
  return `${of(({ seconds }) => seconds).toFixed(2)} s an iteration, ${of(({ tokens }) => tokens).toFixed(0)} tokens sampled`;
}

function summary(pairs: readonly Pair[], rates: ReadonlyMap<string, number[]>): BenchResult {
  const ratios: Record<string, number> = {};
  const readings: Record<string, string> = {};
  for (const { rlCase, trl, iterations, theirs } of pairs) {
    readings[label(rlCase)] = inWords(iterations);
    readings[`${label(rlCase)}: split`] = splitOf(iterations);
    if (!trl) continue;
    readings[trlLabel(rlCase)] = inWords(theirs);
    const [ours = [], peers = []] = [rates.get(label(rlCase)), rates.get(trlLabel(rlCase))];
    ratios[`${label(rlCase)}: hone / TRL`] = median(ours.map((rate, round) => rate / (peers[round] as number)));
  }
  return { ratios, readings };
}

async function run(log: (line: string) => void, options: BenchOptions): Promise<BenchResult> {
  const engine = await builtEngine();
  const scratch = await mkdtemp(path.join(tmpdir(), 'hone-bench-'));
  const pairs: Pair[] = [];
  try {
    for (const rlCase of RL_CASES.filter((one) => options.only === undefined || label(one).includes(options.only))) {
      const folder = path.join(scratch, label(rlCase).replaceAll(/\W+/g, '-'));
      await mkdir(folder);
      const hone = new HoneLoop(engine, rlCase, folder);
      await hone.prepare();
      const trl = await startPeer('TRL', options.python, '--python', (python) => startTrl(python, rlCase, folder), log);
      pairs.push({ rlCase, hone, trl, iterations: [], theirs: [] });
    }
    const rates = await takeTurns(pairs.flatMap(contendersOf), options.rounds ?? ROUNDS, log);
    return summary(pairs, rates);
  } finally {
    for (const { hone, trl } of pairs) {
      trl?.close();
      await hone.close();
    }
    await engine.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

const bench: Bench = {
  name: 'rl',
  measures: "a whole iteration of GRPO (sampling, grading, update) of tiny Llamas against TRL's GRPOTrainer (--python)",
  run,
};
export default bench;
