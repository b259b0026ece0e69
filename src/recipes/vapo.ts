import { MINI_CRITIC, MINI_RL } from './mini.js';
import { ADAMW, CRITIC_ADAMW, HOUSEKEEPING, RL_OFF } from './off.js';
import { defineRecipe } from './types.js';
import { assumed, paper } from './values.js';

const PAPER = 'VAPO, arXiv 2504.05118';
const AS_DAPO = `not stated; the comparison is with DAPO's settings (${PAPER} section 5.2)`;

/** PPO with a critic that was trained first, decoupled and length-adaptive GAE, and DAPO's loss. There is no public code. */
export const vapo = defineRecipe({
  name: 'vapo',
  title: 'VAPO: PPO with a pretrained critic, decoupled and length-adaptive GAE, positive-example loss',
  system: 'VAPO (arXiv 2504.05118); no public code',
  method: 'rl',
  needs: ['customLosses', 'seeds', 'critic'],
  values: {
    ...RL_OFF,
    ...HOUSEKEEPING,
    ...ADAMW,
    ...CRITIC_ADAMW,
    iterations: paper(312, `${PAPER} section 5.2: 5,000 updates at 16 an iteration`),
    promptsPerIteration: paper(512, `${PAPER} section 5.1: group sampling`),
    groupSize: paper(16, `${PAPER} section 5.1: group sampling`),
    updatesPerIteration: paper(16, `${PAPER} section 5.1: 8,192 responses in mini-batches of 512`),
    epochs: paper(1, `${PAPER} section 5.1: 16 updates a rollout`),
    temperature: assumed(1, AS_DAPO),
    maxTokens: assumed(20480, AS_DAPO),
    'rewards.correct': paper(1, `${PAPER} section 3.3: a binary signal`),
    'rewards.wrong': assumed(0, `${PAPER} section 3.3 describes 0 and 1; VC-PPO and DAPO have -1 and 1`),
    'advantage.kind': paper('gae', `${PAPER} section 4.1`),
    'advantage.gamma': paper(1, `${PAPER} section 5.1`),
    'advantage.lambda': {
      ...paper(0.95, `${PAPER} section 5.1: vanilla PPO`),
      source: 'lengthAdaptiveAlpha decides; 0.95 is that of vanilla PPO',
    },
    'advantage.lambdaCritic': paper(1, `${PAPER} section 4.1: decoupled GAE`),
    'advantage.lengthAdaptiveAlpha': paper(0.05, `${PAPER} section 4.2, Eq. 4 and 5`),
    'advantage.whiten': assumed(false, 'not stated; whitening would change the weight of short against long responses'),
    'critic.init': assumed('policy', `in place of the reward model of ${PAPER} section 5.1: the policy's body, head 0`),
    'critic.updatesPerIteration': assumed(16, 'as the policy'),
    'critic.order': assumed('after', 'not stated'),
    'critic.valueClip': assumed(null, 'not stated'),
    'critic.lossCoefficient': assumed(1, 'not stated; half of the squared error, as in ORZ'),
    'critic.pretrain.iterations': assumed(4, `${PAPER} section 5.1: 50 steps, read as updates at 16 an iteration`),
    'critic.pretrain.stopAtExplainedVariance': assumed(null, 'section 4.1: until it is satisfactory, without a number'),
    'critic.freezePolicyIterations': assumed(0, 'the pretraining is a phase of its own'),
    'critic.optimizer.lr': paper(2e-6, `${PAPER} section 5.1`),
    'loss.kind': paper('clip', `${PAPER} Eq. 7 and 8`),
    'loss.clipLow': paper(0.2, `${PAPER} section 4.3`),
    'loss.clipHigh': paper(0.28, `${PAPER} section 4.3`),
    'loss.positiveNll': paper(0.1, `${PAPER} section 4.3, Eq. 9 and 10`),
    aggregation: paper('token-mean', `${PAPER} section 4.2, Eq. 8`),
    oldLogprobs: assumed('trainer', 'as in DAPO and verl'),
    'kl.placement': assumed('off', 'not mentioned'),
    'optimizer.lr': paper(1e-6, `${PAPER} section 5.1`),
    'optimizer.weightDecay': assumed(0.1, 'as DAPO'),
    'optimizer.warmupUpdates': assumed(
      320,
      `${PAPER} section 5.1 has a warm-up without its length; DAPO: 20 iterations`,
    ),
    'optimizer.schedule': paper('constant', `${PAPER} section 5.1`),
  },
  presets: {
    paper: {},
    mini: {
      ...MINI_RL,
      ...MINI_CRITIC,
      'advantage.lengthAdaptiveAlpha': assumed(1, 'alpha of 0.05 is made for thousands of tokens; 1 gives 0.98 at 50'),
      'critic.pretrain.iterations': assumed(3, 'explained variance stops rising'),
    },
  },
});
