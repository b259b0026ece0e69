import { MINI_RL } from './mini.js';
import { ADAMW, HOUSEKEEPING, RL_OFF } from './off.js';
import { defineRecipe } from './types.js';
import { absent, assumed, code, paper } from './values.js';

const PAPER = 'Dr. GRPO, arXiv 2503.20783';
const SCRIPT = 'sail-sg/understand-r1-zero examples';

/** GRPO without its two biases: no standard deviation, and a constant in place of response lengths. */
export const drGrpo = defineRecipe({
  name: 'dr-grpo',
  title: 'Dr. GRPO: mean-only advantages, token sums over a constant',
  system: 'Dr. GRPO (arXiv 2503.20783) and its code',
  method: 'rl',
  needs: ['customLosses', 'seeds'],
  values: {
    ...RL_OFF,
    ...HOUSEKEEPING,
    ...ADAMW,
    iterations: assumed(400, 'not stated; Figure 6 and 27 hours for 7B'),
    promptsPerIteration: code(128, SCRIPT),
    groupSize: code(8, SCRIPT),
    updatesPerIteration: code(8, `${SCRIPT}: train_batch_size 128 of 1,024 responses`),
    epochs: code(1, SCRIPT),
    temperature: code(1, SCRIPT),
    maxTokens: code(3000, `${SCRIPT}: generate_max_length, the constant M as well`),
    'rewards.correct': paper(1, `${PAPER} section 3`),
    'rewards.wrong': paper(0, `${PAPER} section 3`),
    'rewards.truncated': code(0, 'train_zero_math.py: finish reason length'),
    'advantage.kind': paper('group', `${PAPER} section 3.2`),
    'advantage.std': paper('none', `${PAPER} section 3.2`),
    'advantage.eps': absent(0),
    'loss.kind': paper('clip', `${PAPER} section 3.2`),
    'loss.clipLow': code(0.2, SCRIPT),
    'loss.clipHigh': code(0.2, SCRIPT),
    aggregation: paper('constant', `${PAPER} Listing 1`),
    oldLogprobs: code('trainer', 'sail-sg/oat oat/algorithms/ppo.py'),
    'kl.placement': paper('off', `${PAPER} section 3`),
    'optimizer.lr': code(1e-6, SCRIPT),
    'optimizer.weightDecay': assumed(0, 'not stated'),
    'optimizer.warmupUpdates': assumed(0, 'a constant rate; no warm-up is mentioned'),
    'optimizer.schedule': code('constant', SCRIPT),
  },
  presets: { paper: {}, mini: MINI_RL },
});
