import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLocalEngine, type LocalEngine } from '../../src/engine/local/index.js';
import { compareFamily, FAMILY_LIMITS } from '../../verify/fidelity/families.js';

/**
 * One checkpoint of each family against transformers. verify/peers/families.py makes them:
 *   python verify/peers/families.py tests/golden/model/families --seed 1 --only llama-biases qwen2 qwen3 smollm3
 */
const ROOT = join(import.meta.dirname, '../golden/model/families');

describe.each(['llama-biases', 'qwen2', 'qwen3', 'smollm3'])('%s', (name) => {
  let engine: LocalEngine;
  beforeAll(async () => {
    engine = await createLocalEngine({ inline: true, threads: 1 });
  });
  afterAll(() => engine.close());

  it('has the logits, gradients and greedy continuations of transformers', async () => {
    const found = await compareFamily(engine, join(ROOT, name));
    expect(found).toMatchObject({ unmatchedTensors: 0, greedyTokens: 256, greedyEqual: 256 });
    expect(found.logits).toBeLessThan(FAMILY_LIMITS.logits);
    expect(found.gradients).toBeLessThan(FAMILY_LIMITS.gradients);
  });
});
