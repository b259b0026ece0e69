import type { Chart } from './charts.js';

export type Line = readonly [metric: string, label: string];
/** Which metrics a chart shows, and how. */
export interface Plan extends Omit<Chart, 'iterations' | 'series'> {
  lines: readonly Line[];
  smooth?: boolean;
  /** Divides every value by this metric of the same line. */
  per?: string;
  /** A line that is 0 throughout is left out. */
  positive?: boolean;
}

/** The charts of a report, in order. */
export const PLANS: readonly Plan[] = [
  {
    id: 'accuracy',
    title: 'Accuracy',
    note: 'Share of right answers: on the problems trained on, before any filtering, and on validation problems.',
    unit: 'percent',
    shows: [0, 1],
    smooth: true,
    lines: [
      ['accuracy', 'training problems'],
      ['val.accuracy', 'validation'],
    ],
  },
  {
    id: 'missing',
    title: 'Why reward is missing',
    note: 'Share of all attempts that earned none, by cause. What is left above is right.',
    unit: 'percent',
    stacked: true,
    shows: [0, 1],
    per: 'samples',
    lines: [
      ['missing.wrong', 'wrong answer'],
      ['missing.no_answer', 'no answer found'],
      ['missing.truncated', 'cut off at the limit'],
      ['missing.no_verdict.gold', 'no verdict: gold answer'],
      ['missing.no_verdict.grader', 'no verdict: grader'],
      ['missing.no_verdict.response', 'no verdict: response'],
    ],
  },
  {
    id: 'reward',
    title: 'Mean reward',
    note: 'After shaping, over all graded attempts.',
    unit: 'number',
    smooth: true,
    lines: [['reward.mean', 'reward']],
  },
  {
    id: 'reward-parts',
    title: 'Parts of the reward',
    note: 'Mean of each part over the graded attempts that have it.',
    unit: 'number',
    lines: [
      ['reward.environment', 'environment'],
      ['reward.exploration.length', 'length term'],
      ['reward.exploration.effort', 'effort'],
      ['reward.overlong', 'overlong'],
      ['reward.rrl', 'RRL'],
      ['reward.rra', 'RRA'],
    ],
  },
  {
    id: 'loss',
    title: 'Loss',
    note: 'Of the updates of one iteration; a policy-gradient loss need not fall.',
    unit: 'number',
    lines: [
      ['loss', 'training'],
      ['val.loss', 'validation'],
    ],
  },
  {
    id: 'length',
    title: 'Response length',
    note: 'Mean tokens of an answer, and of the right and the wrong ones apart.',
    unit: 'tokens',
    shows: [0],
    lines: [
      ['length.mean', 'all'],
      ['length.correct', 'right'],
      ['length.wrong', 'wrong'],
      ['length.truncated', 'cut off'],
    ],
  },
  {
    id: 'entropy',
    title: 'Entropy',
    note: 'Of the next-token distribution. A fall to zero means that exploring has ended.',
    unit: 'nats',
    shows: [0],
    lines: [
      ['entropy', 'exact'],
      ['entropy.estimate', 'estimate from samples'],
    ],
  },
  {
    id: 'groups',
    title: 'Groups without variance',
    note: 'Share of prompts whose attempts all scored the same, and so teach nothing.',
    unit: 'percent',
    shows: [0, 1],
    per: 'groups.total',
    lines: [
      ['groups.no_variance', 'all right or all wrong'],
      ['groups.all_right', 'all right'],
    ],
  },
  {
    id: 'keywords',
    title: 'Words of reflection',
    note: "Share of answers with at least one word of a class (STILL-3's lists).",
    unit: 'percent',
    shows: [0],
    positive: true,
    lines: [
      ['keywords.verification', 'verification'],
      ['keywords.reflection', 'reflection'],
      ['keywords.correction', 'correction'],
    ],
  },
  {
    id: 'clip',
    title: 'Clipped tokens',
    note: 'Share of trained tokens whose probability ratio left the trust region.',
    unit: 'percent',
    shows: [0],
    lines: [
      ['clip.low', 'below'],
      ['clip.high', 'above'],
    ],
  },
  {
    id: 'clip-prob',
    title: 'Probability of clipped tokens',
    note: 'Mean probability of the tokens whose ratio was cut.',
    unit: 'percent',
    shows: [0],
    lines: [
      ['clip.low_prob', 'below'],
      ['clip.high_prob', 'above'],
    ],
  },
  {
    id: 'kl',
    title: 'Distance of the policy',
    note: 'KL per token: to the reference, and to where the run started.',
    unit: 'nats',
    shows: [0],
    lines: [
      ['kl.reference', 'reference, in the loss'],
      ['kl.reward', 'reference, in the reward'],
      ['kl.start', 'start'],
    ],
  },
  {
    id: 'explained-variance',
    title: 'Explained variance of the critic',
    note: 'Share of the variance of returns that its values foretell, before it is updated on them. 1: all of it.',
    unit: 'number',
    shows: [0, 1],
    lines: [['critic.explained_variance', 'critic']],
  },
  {
    id: 'grad-norm',
    title: 'Gradient norm',
    note: 'Global L2 norm before clipping.',
    unit: 'number',
    shows: [0],
    lines: [['grad_norm', 'norm']],
  },
  {
    id: 'agreement',
    title: 'Sampler against trainer',
    note: '|Δ log p| of the same tokens under both. Logarithmic; below 1e-4 they agree.',
    unit: 'nats',
    logarithmic: true,
    lines: [
      ['agreement.max_abs', 'largest'],
      ['agreement.mean_abs', 'mean'],
    ],
  },
  {
    id: 'ratio',
    title: 'Largest probability ratio',
    note: 'New over old policy on one token; 1 when nothing has moved.',
    unit: 'number',
    lines: [['ratio.max', 'largest']],
  },
  {
    id: 'well-formed',
    title: 'Well-formed answers',
    note: 'Share of answers in the form that was asked for.',
    unit: 'percent',
    shows: [0, 1],
    lines: [['well_formed', 'well-formed']],
  },
  {
    id: 'lr',
    title: 'Learning rate',
    note: 'At the last update of the iteration.',
    unit: 'number',
    shows: [0],
    lines: [['lr', 'rate']],
  },
  {
    id: 'speed',
    title: 'Speed',
    note: 'Tokens sampled and trained a second.',
    unit: 'rate',
    shows: [0],
    lines: [
      ['timing.sample_tokens_per_s', 'sampling'],
      ['timing.train_tokens_per_s', 'training'],
    ],
  },
  {
    id: 'time',
    title: 'Time of an iteration',
    note: 'Where the seconds went.',
    unit: 'seconds',
    stacked: true,
    shows: [0],
    lines: [
      ['timing.sample_s', 'sampling'],
      ['timing.grade_s', 'grading'],
      ['timing.train_s', 'training'],
    ],
  },
  {
    id: 'time-training',
    title: 'Time of training',
    note: 'Seconds of an iteration that the models spent.',
    unit: 'seconds',
    stacked: true,
    shows: [0],
    lines: [
      ['timing.forward_s', 'forward'],
      ['timing.backward_s', 'backward'],
      ['timing.optimizer_s', 'optimizer'],
    ],
  },
];
