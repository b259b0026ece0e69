import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import type * as local from '../../src/engine/local/index.js';
import type { ModelName } from '../engine/cases.js';
import { Peer, startPeer } from '../engine/peer.js';
import { median } from '../measure.js';
import { GROUP, LEARNING_RATE, NEW_TOKENS, PROMPTS, prompts, RL_MODELS, TOKENS } from '../rl/cases.js';
import { HoneLoop, type Iteration } from '../rl/hone.js';
import { takeTurns, type Contender } from '../turns.js';
import type { Bench, BenchOptions, BenchResult } from '../types.js';

const THREADS = availableParallelism();
const ROUNDS = 2;
/** Responses in one of TRL's forward and backward passes. */
const TRL_MICRO_BATCH = 64;
/** The parts of an iteration; what they leave is idle. */
const PARTS = ['sample_s', 'grade_s', 'forward_s', 'backward_s', 'optimizer_s'];

/** The built engine: it computes in a thread of its own, as in every command, which sources cannot start. */
async function builtEngine(): Promise<local.LocalEngine> {
  const room = (await import(new URL('../../dist/engine/local/index.js', import.meta.url).href)) as typeof local;
  return room.createLocalEngine({ threads: THREADS });
}

const label = (name: ModelName): string => `iteration ${name}, ${PROMPTS} x ${GROUP} x ${NEW_TOKENS} tokens`;
const trlLabel = (name: ModelName): string => `TRL ${label(name)}`;

/** One model size: hone's trainer and, where there is Python, TRL's, on the same weights and prompts. */
interface Pair {
  name: ModelName;
  hone: HoneLoop;
  trl: Peer | undefined;
  /** hone's iterations, the warm-up first. */
  iterations: Iteration[];
}

async function startTrl(python: string, folder: string): Promise<Peer> {
  const file = path.join(folder, 'prompts.json');
  await writeFile(file, JSON.stringify(prompts()));
  const numbers = {
    ...{ group: GROUP, 'new-tokens': NEW_TOKENS, 'micro-batch': TRL_MICRO_BATCH },
    ...{ lr: LEARNING_RATE, threads: THREADS },
  };
  const options = Object.entries({ model: folder, prompts: file, ...numbers });
  const script = path.resolve(import.meta.dirname, '../peers/trl_grpo.py');
  return Peer.start(python, [script, ...options.flatMap(([name, value]) => [`--${name}`, String(value)])]);
}

function contendersOf({ name, hone, trl, iterations }: Pair): Contender[] {
  const rate = async (): Promise<number> => {
    const iteration = await hone.iteration();
    iterations.push(iteration);
    return TOKENS / iteration.seconds;
  };
  return [{ label: label(name), rate }, ...(trl ? [{ label: trlLabel(name), rate: () => trl.rate({}) }] : [])];
}

/** Where the time of an iteration went: the median share of each part, the warm-up left out. */
function splitOf(iterations: readonly Iteration[]): string {
  const share = (part: (timing: Iteration['timing']) => number): string => {
    const shares = iterations.slice(1).map(({ timing }) => part(timing));
    return `${(100 * median(shares)).toFixed(1)} %`;
  };
  const parts = PARTS.map((name) => {
    const of = share((timing) => (timing[name] ?? NaN) / (timing['iteration_s'] ?? NaN));
    return `${name.replace(/_s$/, '')} ${of}`;
  });
  return [...parts, `idle ${share((timing) => timing['idle_share'] ?? NaN)}`].join(', ');
}

function summary(pairs: readonly Pair[], rates: ReadonlyMap<string, number[]>): BenchResult {
  const ratios: Record<string, number> = {};
  const readings: Record<string, string> = {};
  const seconds = (list: readonly number[]): string => `${(TOKENS / median(list)).toFixed(2)} s an iteration`;
  for (const { name, iterations } of pairs) {
    const [ours = [], theirs] = [rates.get(label(name)), rates.get(trlLabel(name))];
    readings[label(name)] = seconds(ours);
    readings[`${label(name)}: split`] = splitOf(iterations);
    if (!theirs) continue;
    readings[trlLabel(name)] = seconds(theirs);
    ratios[`${label(name)}: hone / TRL`] = median(ours.map((rate, round) => rate / (theirs[round] as number)));
  }
  return { ratios, readings };
}

async function run(log: (line: string) => void, options: BenchOptions): Promise<BenchResult> {
  const engine = await builtEngine();
  const scratch = await mkdtemp(path.join(tmpdir(), 'hone-bench-'));
  const pairs: Pair[] = [];
  try {
    for (const name of RL_MODELS.filter((name) => options.only === undefined || label(name).includes(options.only))) {
      const folder = path.join(scratch, name);
      await mkdir(folder);
      const hone = new HoneLoop(engine, name, folder);
      await hone.prepare();
      const trl = await startPeer('TRL', options.python, '--python', (python) => startTrl(python, folder), log);
      pairs.push({ name, hone, trl, iterations: [] });
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
