import type { Datum, Loss, LossResult, ModelRole } from '../types.js';
import type { Lane } from './replicas.js';
import { coefficientsOf, placeOutputs, rowsOf } from './token-rows.js';
import { emptyOutputs, type Coefficients, type Sequence, type TokenOutputs } from './training.js';
import { WaveRows } from './wave-rows.js';
import type { Wave } from './waves.js';

/** What came of a wave, and the seconds that its passes took, with the way there and back. */
export interface WavePass {
  results: LossResult[];
  forward: number;
  backward: number;
}

/** The pass that the wave is part of. */
interface Whole {
  data: readonly Datum[];
  sequences: readonly Sequence[];
  loss: Loss;
  temperature: number;
  role: ModelRole;
  /** Written to. */
  outputs: TokenOutputs;
}

/**
 * The forward and backward pass of one wave with a loss that is computed here: micro-batch by micro-batch the forward
 * pass there, `loss.fn` here, the backward pass there; the prefixes around them. A backward pass is not waited for
 * before the next forward pass is asked for.
 */
export async function passOver(
  { channel, handle }: Lane,
  wave: Wave,
  { data, sequences, loss, temperature, role, outputs }: Whole,
): Promise<WavePass> {
  const entropy = loss.needs.entropy ?? false;
  const pass: WavePass = { results: [], forward: 0, backward: 0 };
  const backwards: Promise<number>[] = [];
  /** Calls are answered in the order they are made, so backward passes asked for before have ended with this one. */
  const timed = async <T>(call: Promise<T>): Promise<T> => {
    const [started, before] = [performance.now(), pass.backward];
    const result = await call;
    for (const seconds of await Promise.all(backwards.splice(0))) pass.backward += seconds;
    pass.forward += (performance.now() - started) / 1000 - (pass.backward - before);
    return result;
  };
  const rows = new WaveRows(wave, sequences);
  try {
    const ofPrefixes =
      wave.prefixes.length > 0
        ? await timed(channel.call('holdPrefixes', [handle, rows.prefixes(), entropy, temperature]))
        : undefined;
    let sums: Coefficients | undefined;
    for (const { members } of wave.batches) {
      const rests = channel.call('hold', [handle, rows.rests(members), entropy, temperature]);
      const part = rowsOf(sequences, members);
      const out = emptyOutputs(part, { entropy, critic: role === 'critic' });
      const places = [...members.keys()];
      rows.placeRests(out, await timed(rests), members, places);
      if (ofPrefixes) rows.placePrefixes(out, ofPrefixes, members, places);
      const result = loss.fn(out, rowsOf(data, members));
      const coefficients = coefficientsOf(loss, result, part, role);
      const ofRests = rows.restCoefficients(coefficients, members, places);
      backwards.push(channel.call('backwardHeld', [handle, ofRests]));
      sums ??= rows.noPrefixCoefficients(coefficients);
      rows.addPrefixCoefficients(sums, coefficients, members, places);
      placeOutputs(outputs, out, members);
      pass.results.push(result);
    }
    if (ofPrefixes && sums) backwards.push(channel.call('backwardPrefixes', [handle, sums]));
  } finally {
    // A failure above leaves none of them unheard.
    await Promise.allSettled(backwards);
  }
  for (const seconds of await Promise.all(backwards)) pass.backward += seconds;
  return pass;
}
