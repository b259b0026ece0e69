import type { OptimStep } from '../../src/engine/types.js';

export interface Moments {
  m: Float64Array;
  v: Float64Array;
}

/** AdamW in place (Loshchilov and Hutter, arXiv 1711.05101, Algorithm 2); `step` counts from 1. `scale` is the clip factor. */
export function adamwTensor(
  weights: Float64Array,
  gradients: ArrayLike<number>,
  moments: Moments,
  options: OptimStep,
  step: number,
  scale: number,
  decays: boolean,
): void {
  const { lr, beta1, beta2, eps, weightDecay } = options;
  for (let i = 0; i < weights.length; i++) {
    const g = gradients[i]! * scale;
    moments.m[i] = beta1 * moments.m[i]! + (1 - beta1) * g;
    moments.v[i] = beta2 * moments.v[i]! + (1 - beta2) * g * g;
    const mHat = moments.m[i]! / (1 - beta1 ** step);
    const vHat = moments.v[i]! / (1 - beta2 ** step);
    const decay = decays ? weightDecay * weights[i]! : 0;
    weights[i]! -= lr * (mHat / (Math.sqrt(vHat) + eps) + decay);
  }
}

/** Factor that brings a gradient of norm `norm` down to `limit` (torch.nn.utils.clip_grad_norm_, whose 1e-6 it shares). */
export function clipScale(norm: number, limit: number): number {
  return Math.min(1, limit / (norm + 1e-6));
}
