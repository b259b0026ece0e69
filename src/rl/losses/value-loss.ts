import type { Loss } from '../../engine/types.js';
import { lossOf } from './term.js';

/**
 * The critic's loss on one token with value v, value v_old at the time of sampling and return G:
 *
 *   l = 1/2 max((v - G)^2, (clip(v, v_old - c, v_old + c) - G)^2)       without clip: 1/2 (v - G)^2
 *
 * dl/dv = v - G, and 0 where the clipped square is the larger. Reference: verl core_algos.py `compute_value_loss`,
 * OpenRLHF loss.py `ValueLoss`; both take half.
 *
 * @param valueClip c; null: off, and `oldValue` is not read.
 */
export function valueLossToken(
  v: number,
  oldValue: number,
  G: number,
  valueClip: number | null,
): { loss: number; dValue: number; clipped: boolean } {
  const plain = (v - G) ** 2;
  const cut = valueClip === null ? v : Math.min(oldValue + valueClip, Math.max(oldValue - valueClip, v));
  const clipped = (cut - G) ** 2 > plain;
  return clipped ? { loss: (cut - G) ** 2 / 2, dValue: 0, clipped } : { loss: plain / 2, dValue: v - G, clipped };
}

/**
 * Value loss of the critic: sum over tokens of weight * l ({@link valueLossToken}). Reads the vectors `weight`, `return`
 * and, with a clip, `oldValue`. Metrics over the tokens with a weight: value.loss, value.clip (share), value.mean.
 */
export function valueLoss(valueClip: number | null): Loss {
  const remote = valueClip === null ? undefined : { name: 'ppo_critic', config: { value_clip: valueClip } };
  return lossOf(
    'value',
    [
      {
        needs: { values: true },
        linear: false,
        add({ values_T, vector }, { dValues_T }, tally) {
          const weight_T = vector('weight');
          const return_T = vector('return');
          const old_T = valueClip === null ? values_T : vector('oldValue');
          let sum = 0;
          for (let t = 0; t < weight_T.length; t++) {
            const w = at(weight_T, t);
            if (w === 0) continue;
            const { loss, dValue, clipped } = valueLossToken(at(values_T, t), at(old_T, t), at(return_T, t), valueClip);
            sum += w * loss;
            dValues_T[t] = w * dValue;
            tally.mean('value.loss', loss, 1);
            tally.mean('value.clip', Number(clipped), 1);
            tally.mean('value.mean', at(values_T, t), 1);
          }
          return sum;
        },
      },
    ],
    remote,
  );
}

function at(values: ArrayLike<number>, index: number): number {
  return values[index] as number;
}
