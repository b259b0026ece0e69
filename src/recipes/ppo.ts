import { MINI_CRITIC, MINI_RL } from './mini.js';
import { ADAMW, CRITIC_ADAMW, HOUSEKEEPING, RL_OFF } from './off.js';
import { defineRecipe } from './types.js';
import { assumed, paper } from './values.js';

const PAPER = 'VAPO, arXiv 2504.05118, section 5.1: vanilla PPO';

/** PPO as VAPO measures itself against: one response a prompt, one lambda, no pretraining of the critic. */
export const ppo = defineRecipe({
  name: 'ppo',
  title: 'PPO with a critic and GAE, one response a prompt',
  system: 'PPO (arXiv 1707.06347) as the baseline of VAPO (arXiv 2504.05118) has it',
  method: 'rl',
  needs: ['customLosses', 'seeds', 'critic'],
  values: {
    ...RL_OFF,
    ...HOUSEKEEPING,
    ...ADAMW,
    ...CRITIC_ADAMW,
    iterations: assumed(312, 'as many updates as VAPO'),
    promptsPerIteration: paper(8192, PAPER),
    groupSize: paper(1, PAPER),
    updatesPerIteration: paper(16, `${PAPER}: mini-batches of 512`),
    epochs: assumed(1, 'not stated'),
    temperature: assumed(1, 'not stated'),
    maxTokens: assumed(20480, 'not stated; as DAPO'),
    'rewards.correct': paper(1, 'VAPO section 3.3: a binary signal'),
    'rewards.wrong': assumed(0, 'VAPO section 3.3'),
    'advantage.kind': paper('gae', PAPER),
    'advantage.gamma': paper(1, PAPER),
    'advantage.lambda': paper(0.95, PAPER),
    'advantage.lambdaCritic': paper(0.95, PAPER),
    'advantage.lengthAdaptiveAlpha': paper(null, PAPER),
    'advantage.whiten': assumed(false, 'not stated'),
    'critic.init': assumed('policy', "in place of a reward model: the policy's body, head 0"),
    'critic.updatesPerIteration': assumed(16, 'as the policy'),
    'critic.order': assumed('after', 'not stated'),
    'critic.valueClip': assumed(0.2, 'PPO2; not stated'),
    'critic.lossCoefficient': assumed(1, 'half of the squared error'),
    'critic.pretrain.iterations': paper(0, PAPER),
    'critic.freezePolicyIterations': assumed(0, 'not stated'),
    'critic.optimizer.lr': paper(2e-6, PAPER),
    'loss.kind': paper('clip', 'VAPO Eq. 6'),
    'loss.clipLow': paper(0.2, PAPER),
    'loss.clipHigh': paper(0.2, PAPER),
    aggregation: paper('sequence-mean-token-mean', 'VAPO Eq. 6'),
    oldLogprobs: assumed('trainer', 'as in verl'),
    'kl.placement': assumed('off', 'not mentioned'),
    'optimizer.lr': paper(1e-6, PAPER),
    'optimizer.weightDecay': assumed(0, 'not stated'),
    'optimizer.warmupUpdates': assumed(320, 'a warm-up without its length; as DAPO'),
    'optimizer.schedule': paper('constant', PAPER),
  },
  presets: {
    paper: {},
    mini: {
      ...MINI_RL,
      ...MINI_CRITIC,
      promptsPerIteration: assumed(256, 'as many responses as the recipes with groups of 8'),
      groupSize: paper(1, PAPER),
    },
  },
});
