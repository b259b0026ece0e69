import { z } from 'zod';
import type { OptimStep } from './types.js';

/** Options of AdamW and its learning-rate schedule, shared by all trainers. Every field has to be given. */
export const optimizerSchema = z
  .strictObject({
    lr: z.number().positive().describe('Peak learning rate.'),
    beta1: z.number().min(0).lt(1).describe('Decay of the first moment.'),
    beta2: z.number().min(0).lt(1).describe('Decay of the second moment.'),
    eps: z
      .number()
      .positive()
      .describe("Added to the root of the second moment (outside the root, as in Adam's paper)."),
    weightDecay: z.number().min(0).describe('Decoupled weight decay, multiplied by the learning rate.'),
    gradClipNorm: z
      .number()
      .positive()
      .nullable()
      .describe('Global L2 norm to clip the gradient to; null: no clipping.'),
    warmupUpdates: z.number().int().min(0).describe('Updates over which the rate rises linearly from 0.'),
    schedule: z
      .enum(['constant', 'linear', 'cosine'])
      .describe('Shape after the warm-up, over the planned length of the run.'),
    finalLrFraction: z
      .number()
      .min(0)
      .max(1)
      .describe('Rate at the planned end as a share of the peak (linear, cosine).'),
  })
  .describe('AdamW and its learning-rate schedule.');

export type OptimizerConfig = z.infer<typeof optimizerSchema>;

/**
 * Learning rate of one update.
 * @param update updates done before this one. @param progress share of the planned run already done, 0..1.
 */
export function learningRate(config: OptimizerConfig, update: number, progress: number): number {
  const warmup = config.warmupUpdates > 0 ? Math.min(1, (update + 1) / config.warmupUpdates) : 1;
  return config.lr * warmup * decay(config, Math.min(1, Math.max(0, progress)));
}

function decay({ schedule, finalLrFraction }: OptimizerConfig, progress: number): number {
  if (schedule === 'constant') return 1;
  const remaining = schedule === 'linear' ? 1 - progress : (1 + Math.cos(Math.PI * progress)) / 2;
  return finalLrFraction + (1 - finalLrFraction) * remaining;
}

/** The optimiser call of one update at learning rate `lr`. */
export function optimStepOf(config: OptimizerConfig, lr: number): OptimStep {
  const { beta1, beta2, eps, weightDecay, gradClipNorm } = config;
  return { lr, beta1, beta2, eps, weightDecay, gradClipNorm: gradClipNorm ?? Infinity };
}
