import type { OptimStep } from '../types.js';

/** Global L2 norm over all arrays, summed in float64. */
export function globalNorm(arrays: Iterable<Float32Array>): number {
  let sum = 0;
  for (const data of arrays) {
    let part = 0;
    for (let i = 0; i < data.length; i++) part += (data[i] as number) * (data[i] as number);
    sum += part;
  }
  return Math.sqrt(sum);
}

/**
 * AdamW of one tensor in place (Loshchilov & Hutter 2019; arithmetic of torch.optim.AdamW, in float64 between loads
 * and stores): w <- w (1 - lr wd) - lr m_hat / (sqrt(v_hat) + eps).
 * @param gradScale multiplies the gradient first (clipping)
 * @param step number of this update, from 1
 */
export function adamw(
  weight: Float32Array,
  gradient: Float32Array,
  m: Float32Array,
  v: Float32Array,
  options: Omit<OptimStep, 'gradClipNorm'> & { gradScale: number; step: number },
): void {
  const { lr, beta1, beta2, eps, weightDecay, gradScale, step } = options;
  const keep = 1 - lr * weightDecay;
  const rate = lr / (1 - beta1 ** step);
  const rootScale = 1 / Math.sqrt(1 - beta2 ** step);
  const keep1 = 1 - beta1;
  const keep2 = 1 - beta2;
  const count = weight.length;
  for (let i = 0; i < count; i++) {
    const g = (gradient[i] as number) * gradScale;
    const first = beta1 * (m[i] as number) + keep1 * g;
    const second = beta2 * (v[i] as number) + keep2 * g * g;
    m[i] = first;
    v[i] = second;
    weight[i] = (weight[i] as number) * keep - (rate * first) / (Math.sqrt(second) * rootScale + eps);
  }
}

/** Factor that brings a gradient of this norm to at most `limit` (torch.nn.utils.clip_grad_norm_). */
export function clipScale(norm: number, limit: number): number {
  return Math.min(1, limit / (norm + 1e-6));
}
