import { defineRecipe } from './types.js';

const S1 = 's1, arXiv 2501.19393, appendix D';
const S1_SCRIPT = 's1 repository, train/sft_multinode.sh';
const LAPTOP = 'sized for a laptop CPU and a model of about a million parameters';

/** Supervised fine-tuning on demonstrations or chats; the paper preset is s1's, a well-documented reasoning SFT. */
export const sft = defineRecipe({
  name: 'sft',
  title: 'Supervised fine-tuning: cross-entropy on the responses, token-mean over each update',
  system: 's1 (arXiv 2501.19393) for the paper preset',
  method: 'sft',
  needs: [],
  values: {
    epochs: { value: 5, source: S1, status: 'paper' },
    updates: { value: null, source: 'epochs decides', status: 'paper' },
    updatesPerIteration: { value: 1, source: 'one line of metrics an update', status: 'assumed' },
    sequencesPerUpdate: { value: 16, source: S1, status: 'paper' },
    maxTokens: { value: 32768, source: `${S1_SCRIPT}: block_size`, status: 'code' },
    overlong: { value: 'truncate', source: 'not stated: no example of s1 exceeds the limit', status: 'assumed' },
    heldOut: { value: 0, source: 'not stated', status: 'assumed' },
    'evaluation.every': {
      value: 0,
      source: `${S1_SCRIPT} evaluates every 50 steps, on what is not stated: off`,
      status: 'assumed',
    },
    'optimizer.lr': { value: 1e-5, source: S1, status: 'paper' },
    'optimizer.beta1': { value: 0.9, source: `${S1_SCRIPT}: adam_beta1`, status: 'code' },
    'optimizer.beta2': { value: 0.95, source: `${S1_SCRIPT}: adam_beta2`, status: 'code' },
    'optimizer.eps': { value: 1e-8, source: 'PyTorch AdamW', status: 'code' },
    'optimizer.weightDecay': { value: 1e-4, source: S1, status: 'paper' },
    'optimizer.gradClipNorm': { value: 1, source: 'transformers TrainingArguments.max_grad_norm', status: 'code' },
    'optimizer.warmupUpdates': { value: 16, source: `${S1}: 5 % of 315 updates, rounded up`, status: 'paper' },
    'optimizer.schedule': { value: 'cosine', source: S1, status: 'paper' },
    'optimizer.finalLrFraction': { value: 0, source: `${S1}: decayed to 0`, status: 'paper' },
    maxSkippedUpdates: { value: 5, source: 'a safeguard of ours', status: 'assumed' },
    'checkpoint.every': { value: 50, source: 'our cadence', status: 'assumed' },
    'checkpoint.keep': { value: 2, source: 'our retention', status: 'assumed' },
  },
  presets: {
    paper: {},
    mini: {
      epochs: { value: null, source: 'updates decides', status: 'assumed' },
      updates: { value: 400, source: LAPTOP, status: 'assumed' },
      updatesPerIteration: { value: 20, source: LAPTOP, status: 'assumed' },
      sequencesPerUpdate: { value: 64, source: LAPTOP, status: 'assumed' },
      maxTokens: { value: 256, source: LAPTOP, status: 'assumed' },
      'evaluation.every': { value: 5, source: LAPTOP, status: 'assumed' },
      'optimizer.lr': { value: 2e-3, source: LAPTOP, status: 'assumed' },
      'optimizer.beta2': { value: 0.99, source: 'short runs: a shorter memory', status: 'assumed' },
      'optimizer.weightDecay': { value: 0, source: 'short runs', status: 'assumed' },
      'optimizer.warmupUpdates': { value: 20, source: LAPTOP, status: 'assumed' },
      'checkpoint.every': { value: 5, source: LAPTOP, status: 'assumed' },
    },
  },
});
