import { describe, expect, it } from 'vitest';
import type { Channel } from '../../src/engine/local/channel.js';
import { LocalModel } from '../../src/engine/local/model.js';
import type { OptimStep } from '../../src/engine/types.js';

const STEP: OptimStep = { lr: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0, gradClipNorm: 1 };
const INFO = { architecture: 'llama', parameters: 1, trainedParameters: 1, vocabSize: 4, maxContext: 8 };

/** A channel that writes down which call on which model takes effect when; every call takes a turn of the loop. */
function recordingChannel(): { channel: Channel; calls: string[] } {
  const calls: string[] = [];
  const call = async (method: string, [handle]: readonly unknown[]): Promise<unknown> => {
    calls.push(`${method} ${String(handle)}`);
    await new Promise((resolve) => setImmediate(resolve));
    return method === 'lerp' ? 1 : { result: { gradNorm: 1, skipped: false }, version: 1 };
  };
  return { channel: { call: call as Channel['call'], close: async () => {} }, calls };
}

describe('calls on local models', () => {
  it('copy the weights that the other model had when the copy was asked for', async () => {
    const { channel, calls } = recordingChannel();
    const [anchor, policy] = [1, 2].map(
      (handle) =>
        new LocalModel(
          channel,
          { handle, info: INFO, version: 0, budget: { alone: 64, beside: 64 }, cachePositions: 1024 },
          'policy',
        ),
    );
    const busy = anchor?.zeroGrad();
    const copied = anchor?.copyFrom(policy as LocalModel);
    await Promise.all([busy, copied, policy?.optimStep(STEP)]);
    expect(calls).toEqual(['zeroGrad 1', 'lerp 1', 'optimStep 2']);
  });

  it('refuse what would make weights or logprobs of NaN, naming the option', async () => {
    const { channel, calls } = recordingChannel();
    const model = new LocalModel(
      channel,
      { handle: 1, info: INFO, version: 0, budget: { alone: 64, beside: 64 }, cachePositions: 1024 },
      'policy',
    );
    await expect(model.optimStep({ ...STEP, beta2: 1 })).rejects.toThrow('optimizer.beta2');
    await expect(model.forward([], { temperature: 0 })).rejects.toThrow('temperature');
    expect(calls).toEqual([]);
  });
});
