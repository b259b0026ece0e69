import { MINI_CRITIC, MINI_RL } from './mini.js';
import { ADAMW, CRITIC_ADAMW, HOUSEKEEPING, RL_OFF } from './off.js';
import { defineRecipe } from './types.js';
import { assumed, code, paper } from './values.js';

const SCRIPT = 'GuanghaoYe/Emergence-of-Thinking train_ppo_llama_ray_8B_rm_multi.sh';
const SERVER = 'GuanghaoYe/Emergence-of-Thinking openrlhf/cli/orm_server_efficient.py';
const FRAMEWORK = 'OpenRLHF, of which the code is a fork';

/**
 * PPO with an exploration reward beside the verifier's. Follows the public code: the paper's text was not at hand, and the
 * way from its symbols to these numbers is inferred. Warm-start on demonstrations of search first (`hone train sft`).
 */
export const rlsp = defineRecipe({
  name: 'rlsp',
  title: 'RLSP: PPO with an exploration reward (length and effort) beside correctness',
  system: 'RLSP (arXiv 2502.06773) as in its public code',
  method: 'rl',
  needs: ['customLosses', 'seeds', 'critic'],
  values: {
    ...RL_OFF,
    ...HOUSEKEEPING,
    ...ADAMW,
    ...CRITIC_ADAMW,
    iterations: assumed(500, 'the script bounds it by 200 passes alone'),
    promptsPerIteration: code(512, `${SCRIPT}: rollout_batch_size`),
    groupSize: code(1, `${SCRIPT}: n_samples_per_prompt`),
    updatesPerIteration: code(4, `${SCRIPT}: train_batch_size 128`),
    epochs: code(1, `${SCRIPT}: max_epochs`),
    temperature: code(0.7, SCRIPT),
    maxTokens: code(4096, `${SCRIPT}: generate_max_len`),
    'rewards.correct': code(1, SERVER),
    'rewards.wrong': code(0, SERVER),
    'rewards.noAnswer': code(-0.5, `${SERVER}: no box`),
    'shaping.exploration.enabled': paper(true, 'RLSP, abstract: an exploration reward independent of correctness'),
    'shaping.exploration.lengthScale': code(
      1000,
      `${SERVER}: length_penalty; L is characters over 4 there, tokens here`,
    ),
    'shaping.exploration.weight': code(0.8, SERVER),
    'shaping.exploration.effortWeight': code(
      0.2,
      `${SERVER}: the grade of an LLM judge; a count of reflection keywords here`,
    ),
    'shaping.normalize': code('running', SCRIPT),
    'shaping.clip': code(10, `${FRAMEWORK}: reward_clip_range`),
    'advantage.kind': paper('gae', 'RLSP, abstract: PPO'),
    'advantage.gamma': code(1, FRAMEWORK),
    'advantage.lambda': code(0.95, FRAMEWORK),
    'advantage.lambdaCritic': code(0.95, FRAMEWORK),
    'advantage.whiten': code(true, `${FRAMEWORK}: advantages are normalised`),
    'critic.init': assumed('policy', "the policy's body, head 0"),
    'critic.updatesPerIteration': code(4, `${SCRIPT}: train_batch_size 128`),
    'critic.order': assumed('before', 'not known'),
    'critic.valueClip': code(0.2, FRAMEWORK),
    'critic.lossCoefficient': code(1, `${FRAMEWORK}: half of the squared error`),
    'critic.pretrain.iterations': code(0, SCRIPT),
    'critic.freezePolicyIterations': code(4, `${SCRIPT}: freezing_actor_steps`),
    'critic.optimizer.lr': code(2e-6, SCRIPT),
    'loss.kind': code('clip', FRAMEWORK),
    'loss.clipLow': code(0.2, FRAMEWORK),
    'loss.clipHigh': code(0.2, FRAMEWORK),
    aggregation: code('sequence-mean-token-mean', `${FRAMEWORK}: masked mean of each response`),
    oldLogprobs: code('trainer', FRAMEWORK),
    'kl.placement': code('reward', FRAMEWORK),
    'kl.estimator': code('k1', FRAMEWORK),
    'kl.coefficient': code(0.05, `${SCRIPT}: init_kl_coef`),
    'kl.schedule': code('constant', FRAMEWORK),
    'kl.perResponse': code(false, FRAMEWORK),
    'kl.reference.kind': code('fixed', FRAMEWORK),
    'optimizer.lr': code(2e-7, SCRIPT),
    'optimizer.weightDecay': assumed(0, 'not known'),
    'optimizer.warmupUpdates': assumed(0, 'not known'),
  },
  presets: {
    paper: {},
    mini: {
      ...MINI_RL,
      ...MINI_CRITIC,
      iterations: assumed(20, 'responses lengthen until they are cut off, and take until here to shorten again'),
      promptsPerIteration: assumed(256, 'as many responses as the recipes with groups of 8'),
      groupSize: code(1, SCRIPT),
      'shaping.exploration.lengthScale': assumed(10, 'responses of tens of tokens: about -0.25 at 40'),
      'kl.coefficient': assumed(0.01, 'a short run at a high rate has to move'),
      'critic.freezePolicyIterations': assumed(2, 'short runs'),
    },
  },
});
