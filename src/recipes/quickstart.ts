import type { Json } from '../runs/index.js';
import type { RlConfig } from '../rl/index.js';
import type { SftConfig } from '../sft/index.js';
import { resolveRecipe } from './resolve.js';

/** What the warm-start should show before RL begins, as shares of sampled attempts on problems it has not seen. */
export type SkillBar = {
  /** Attempts worked out right. */
  results: number;
  /** Marks that fit what was worked out. */
  marks: number;
  wellFormed: number;
};

/** Everything `hone quickstart` does, as plain data. */
export type QuickstartPlan = {
  task: { name: 'last-digit'; options: Record<string, Json> };
  /** A Llama small enough to train in minutes; the vocabulary is the task's alphabet. */
  model: { hidden: number; layers: number; heads: number; kvHeads: number; mlp: number; maxContext: number };
  initStd: number;
  tokensPerMicroBatch: number;
  samplingSlots: number;
  demonstrations: number;
  sft: SftConfig;
  skills: SkillBar;
  /** Unseen training problems on which the skills are measured. */
  skillProblems: number;
  rl: RlConfig;
  evaluation: { problems: number; samples: number };
};

/**
 * Of ten demonstrations seven give up after the first wrong attempt; the rest go on for two to nine. So imitation
 * gives up early, while every skill that a longer search needs has been seen.
 */
const GIVE_UP = [70, 4, 4, 4, 4, 4, 4, 3, 3];

const SFT: Record<string, string> = {
  updates: '600',
  updatesPerIteration: '20',
  sequencesPerUpdate: '32',
  'evaluation.every': '5',
  'optimizer.lr': '0.002',
  'optimizer.schedule': 'cosine',
  'optimizer.finalLrFraction': '0.05',
  'optimizer.warmupUpdates': '50',
  'optimizer.weightDecay': '0.01',
  'checkpoint.every': '20',
  'checkpoint.keep': '1',
};

const RL: Record<string, string> = {
  iterations: '30',
  promptsPerIteration: '32',
  groupSize: '8',
  updatesPerIteration: '2',
  // Nine attempts and the end take 127 tokens; the punishment begins at 128.
  maxTokens: '140',
  'overlong.soft.cacheTokens': '12',
  'optimizer.lr': '0.0003',
  'optimizer.warmupUpdates': '5',
  'validation.every': '0',
  'checkpoint.every': '10',
  'checkpoint.keep': '1',
};

const config = <C>(name: string, sets: Record<string, string>): C => resolveRecipe(name, 'mini', sets).config as C;

/** The quickstart, tuned in experiments/LOG.md. `quick`: a pass through every stage that learns nothing. */
export function quickstartPlan(quick: boolean): QuickstartPlan {
  const sft = quick ? { ...SFT, updates: '20', updatesPerIteration: '10', 'evaluation.every': '2' } : SFT;
  const rl = quick ? { ...RL, iterations: '2', promptsPerIteration: '4' } : RL;
  return {
    task: { name: 'last-digit', options: { check: 'restate', giveUp: GIVE_UP } },
    model: { hidden: 128, layers: 3, heads: 4, kvHeads: 4, mlp: 384, maxContext: 256 },
    initStd: 0.1,
    tokensPerMicroBatch: 1024,
    samplingSlots: 128,
    demonstrations: quick ? 200 : 4000,
    sft: config<SftConfig>('sft', sft),
    skills: { results: 0.97, marks: 0.97, wellFormed: 0.97 },
    skillProblems: quick ? 20 : 200,
    rl: config<RlConfig>('dapo', rl),
    evaluation: { problems: quick ? 20 : 600, samples: 4 },
  };
}
