/** One response as credit assignment sees it. All arrays have the response's T tokens, tool tokens included. */
export interface Trajectory {
  /** r_t: the reward received after token t. One on a tool token counts for the model's token before it. */
  rewards_T: ArrayLike<number>;
  /** 1 on tokens the model wrote, 0 on tool tokens: those are no time steps and get advantage and return 0. */
  mask_T: ArrayLike<number>;
  /** gamma: discount per token the model wrote. */
  gamma: number;
  /** V(s) after the last token of a truncated response. Leave it out for 0: an episode ends where its tokens end. */
  bootstrapValue?: number;
}

export interface GaeInput extends Trajectory {
  /** V(s_t): the critic's value before token t. */
  values_T: ArrayLike<number>;
  lambda: number;
}

export interface DecoupledGaeInput extends Trajectory {
  values_T: ArrayLike<number>;
  lambdaPolicy: number;
  lambdaCritic: number;
}

export interface GaeResult {
  advantages_T: Float64Array;
  /** What the critic is regressed on: A_t + V(s_t). */
  returns_T: Float64Array;
}

/**
 * Generalised advantage estimation (arXiv 1506.02438 Eq. 16; with the mask as in verl core_algos.py
 * `compute_gae_advantage_return`: value and advantage are carried over tool tokens unchanged).
 *
 *   delta_t = r_t + gamma V(s_{t+1}) - V(s_t)
 *   A_t     = delta_t + gamma lambda A_{t+1},    return_t = A_t + V(s_t)
 */
export function gae(input: GaeInput): GaeResult {
  const { rewards_T, values_T, mask_T, gamma, lambda } = input;
  const T = mask_T.length;
  const advantages_T = new Float64Array(T);
  const returns_T = new Float64Array(T);
  let nextValue = input.bootstrapValue ?? 0;
  let nextAdvantage = 0;
  let toolReward = 0;
  for (let t = T - 1; t >= 0; t--) {
    const r = at(rewards_T, t) + toolReward;
    toolReward = at(mask_T, t) === 0 ? r : 0;
    if (at(mask_T, t) === 0) continue;
    const V = at(values_T, t);
    const delta = r + gamma * nextValue - V;
    advantages_T[t] = nextAdvantage = delta + gamma * lambda * nextAdvantage;
    returns_T[t] = nextAdvantage + V;
    nextValue = V;
  }
  return { advantages_T, returns_T };
}

/**
 * Decoupled GAE (VAPO, arXiv 2504.05118 section 4.1; VC-PPO, arXiv 2503.01491): advantages from a pass with lambda_policy,
 * returns from a pass of its own with lambda_critic. Reference: NeMo-RL advantage_estimator.py `GeneralizedAdvantageEstimator`.
 */
export function decoupledGae(input: DecoupledGaeInput): GaeResult {
  const { advantages_T } = gae({ ...input, lambda: input.lambdaPolicy });
  const { returns_T } = gae({ ...input, lambda: input.lambdaCritic });
  return { advantages_T, returns_T };
}

/**
 * lambda_policy = 1 - 1 / (alpha l), clamped to [0, 1] (VAPO, arXiv 2504.05118 Eq. 5; the paper leaves l <= 1 / alpha open,
 * where the formula is negative; NeMo-RL `_resolve_lambda_policy` clamps too).
 *
 * @param length l: tokens the model wrote ({@link lengthOfMask}), not the padded length.
 */
export function lengthAdaptiveLambda(length: number, alpha: number): number {
  return Math.min(1, Math.max(0, 1 - 1 / (alpha * length)));
}

/**
 * Monte-Carlo returns G_t = r_t + gamma G_{t+1}, [T] -> [T], 0 on tool tokens: what GAE's return is at lambda = 1, and its
 * advantage where the critic is 0 besides.
 */
export function monteCarloReturns(input: Trajectory): Float64Array {
  const { rewards_T, mask_T, gamma } = input;
  const returns_T = new Float64Array(mask_T.length);
  let G = input.bootstrapValue ?? 0;
  let toolReward = 0;
  for (let t = mask_T.length - 1; t >= 0; t--) {
    const r = at(rewards_T, t) + toolReward;
    toolReward = at(mask_T, t) === 0 ? r : 0;
    if (at(mask_T, t) !== 0) returns_T[t] = G = r + gamma * G;
  }
  return returns_T;
}

function at(values: ArrayLike<number>, index: number): number {
  return values[index] as number;
}
