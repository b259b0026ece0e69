import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, TrainableModel } from '../../src/engine/index.js';
import { createLocalEngine } from '../../src/engine/local/index.js';
import { loadTokenizer, writeCharTokenizer } from '../../src/model/index.js';
import {
  AGREEMENT_ALPHABET,
  AGREEMENT_CONFIG,
  AGREEMENT_SLOTS,
  agreementCases,
  measureAgreement,
  updateOnce,
} from '../support/agreement.js';

/** `npm run verify -- agreement` runs the same cases with more prompts, in the worker. */
describe('sampler and trainer give the same logprobs', () => {
  const CASES = agreementCases(0.35);
  let folder: string;
  let engine: Engine;
  let model: TrainableModel;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hone-agreement-'));
    await writeCharTokenizer(folder, AGREEMENT_ALPHABET);
    const { vocabSize, eosIds } = await loadTokenizer(folder);
    engine = await createLocalEngine({ inline: true, threads: 1 });
    const config = { ...AGREEMENT_CONFIG, vocab_size: vocabSize, eos_token_id: [...eosIds] };
    model = await engine.openModel({
      source: { kind: 'random', config, seed: 7, initStd: 0.1, tokenizerPath: folder },
      samplingSlots: AGREEMENT_SLOTS,
    });
  });
  afterAll(async () => {
    await engine.close();
    await rm(folder, { recursive: true });
  });

  describe.each(['fresh', 'after an update'])('%s', (phase) => {
    beforeAll(async () => {
      if (phase !== 'fresh') await updateOnce(model);
    });

    it.each(CASES)('$name', async (test) => {
      const sampler = await model.liveSampler();
      const { max, sum, tokens, ends } = await measureAgreement(model, sampler, test);
      expect(tokens).toBeGreaterThan(50);
      expect(max).toBeLessThanOrEqual(1e-4);
      expect(sum / tokens).toBeLessThanOrEqual(1e-5);
      if (test.name === 'stop strings') expect(ends['stop']).toBeGreaterThan(0);
      await sampler.dispose();
    });
  });
});
