import { MINI_CRITIC, MINI_RL } from './mini.js';
import { ADAMW, CRITIC_ADAMW, HOUSEKEEPING, RL_OFF } from './off.js';
import { defineRecipe } from './types.js';
import { assumed, code, paper } from './values.js';

const PAPER = 'Open-Reasoner-Zero, arXiv 2503.24290';
const SCRIPT = 'Open-Reasoner-Zero playground/orz_7b_ppo.py';

/** Plain PPO with GAE at gamma = lambda = 1, a reward of 1 or 0, and no KL. */
export const orz = defineRecipe({
  name: 'orz',
  title: 'Open-Reasoner-Zero: PPO, gamma = lambda = 1, no KL, one policy update an iteration',
  system: 'Open-Reasoner-Zero (arXiv 2503.24290) and its code',
  method: 'rl',
  needs: ['customLosses', 'seeds', 'critic'],
  values: {
    ...RL_OFF,
    ...HOUSEKEEPING,
    ...ADAMW,
    ...CRITIC_ADAMW,
    iterations: assumed(1100, `${PAPER} section 3: the 32B run is annealed after 1,100; no length is given for others`),
    promptsPerIteration: paper(128, `${PAPER} section 3.1`),
    groupSize: paper(64, `${PAPER} section 3.1`),
    updatesPerIteration: paper(1, `${PAPER} section 3.1: strictly on-policy`),
    epochs: paper(1, `${PAPER} section 3.1`),
    temperature: paper(1, `${PAPER} section 3.1`),
    maxTokens: code(8000, `${SCRIPT}: generate_max_len`),
    'rewards.correct': paper(1, `${PAPER} section 2`),
    'rewards.wrong': paper(0, `${PAPER} section 2`),
    'rewards.truncated': code(0, 'playground/zero_setting_base.py: only replies that stop can earn the reward'),
    'advantage.kind': paper('gae', `${PAPER} section 2`),
    'advantage.gamma': paper(1, `${PAPER} section 3.1`),
    'advantage.lambda': paper(1, `${PAPER} section 3.1`),
    'advantage.lambdaCritic': paper(1, `${PAPER} section 3.1`),
    'advantage.lengthAdaptiveAlpha': paper(null, `${PAPER} section 2: not part of it`),
    'advantage.whiten': code(true, 'orz/ppo/trainer.py: mean and deviation over all tokens of the buffer'),
    'critic.init': paper('policy', `${PAPER} section 3.1: the same base model; our head starts at 0, theirs is random`),
    'critic.updatesPerIteration': paper(12, `${PAPER} section 3.1`),
    'critic.order': code('before', 'orz/ppo/trainer.py, colocated workers'),
    'critic.valueClip': code(0.2, `${SCRIPT}: value_clip`),
    'critic.lossCoefficient': paper(0.5, `${PAPER} section 2: half of the squared error`),
    'critic.pretrain.iterations': paper(0, `${PAPER}: not part of it`),
    'critic.freezePolicyIterations': paper(0, `${PAPER}: not part of it`),
    'critic.optimizer.lr': paper(5e-6, `${PAPER} section 3.1`),
    'critic.optimizer.beta2': paper(0.95, `${PAPER} section 3.1`),
    'critic.optimizer.weightDecay': paper(0, `${PAPER} section 3.1`),
    'critic.optimizer.gradClipNorm': code(1, SCRIPT),
    'critic.optimizer.warmupUpdates': paper(50, `${PAPER} section 3.1`),
    'critic.optimizer.schedule': paper('constant', `${PAPER} section 3.1`),
    'loss.kind': paper('clip', `${PAPER} section 2`),
    'loss.clipLow': paper(0.2, `${PAPER} section 3.1`),
    'loss.clipHigh': paper(0.2, `${PAPER} section 3.1`),
    aggregation: code('token-mean', 'orz/ppo/actors.py: masked mean over packed sequences, so over tokens'),
    oldLogprobs: code('trainer', 'orz/ppo/trainer.py'),
    'kl.placement': paper('off', `${PAPER} section 3.1`),
    'optimizer.lr': paper(1e-6, `${PAPER} section 3.1`),
    'optimizer.beta2': paper(0.95, `${PAPER} section 3.1`),
    'optimizer.weightDecay': paper(0, `${PAPER} section 3.1`),
    'optimizer.gradClipNorm': code(1, SCRIPT),
    'optimizer.warmupUpdates': paper(50, `${PAPER} section 3.1`),
    'optimizer.schedule': paper('constant', `${PAPER} section 3.1`),
  },
  presets: {
    paper: {},
    mini: {
      ...MINI_RL,
      ...MINI_CRITIC,
      updatesPerIteration: paper(1, `${PAPER} section 3.1: strictly on-policy`),
      'optimizer.warmupUpdates': assumed(2, 'short runs'),
      'critic.updatesPerIteration': assumed(4, 'more than the policy, as 12 to 1'),
      'critic.pretrain.iterations': assumed(1, 'a critic whose head is 0 says nothing in the few iterations there are'),
    },
  },
});
