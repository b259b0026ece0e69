import { loadTokenizer, writeCharTokenizer } from '../../src/model/index.js';
import {
  AGREEMENT_ALPHABET,
  AGREEMENT_CONFIG,
  AGREEMENT_SLOTS,
  agreementCases,
  measureAgreement,
  updateOnce,
} from '../../tests/support/agreement.js';
import { localEngine } from '../local-engine.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const MAX_LIMIT = 1e-4;
const MEAN_LIMIT = 1e-5;

async function run(ctx: CheckContext): Promise<CheckResult> {
  await writeCharTokenizer(ctx.scratch, AGREEMENT_ALPHABET);
  const { vocabSize, eosIds } = await loadTokenizer(ctx.scratch);
  const config = { ...AGREEMENT_CONFIG, vocab_size: vocabSize, eos_token_id: [...eosIds] };
  const engine = await localEngine();
  const model = await engine.openModel({
    source: { kind: 'random', config, seed: 7, initStd: 0.1, tokenizerPath: ctx.scratch },
    samplingSlots: AGREEMENT_SLOTS,
  });
  const total = { max: 0, sum: 0, tokens: 0, stopped: 0 };
  for (const phase of ['fresh', 'after an update'] as const) {
    if (phase !== 'fresh') await updateOnce(model);
    const sampler = await model.liveSampler();
    for (const test of agreementCases()) {
      const { max, sum, tokens, ends } = await measureAgreement(model, sampler, test);
      ctx.log(`${phase}, ${test.name}: max ${max.toExponential(2)} over ${tokens} tokens, ${JSON.stringify(ends)}`);
      total.max = max <= total.max ? total.max : max;
      total.sum += sum;
      total.tokens += tokens;
      total.stopped += ends['stop'] ?? 0;
    }
    await sampler.dispose();
  }
  await engine.close();
  const mean = total.sum / total.tokens;
  const holds = total.max <= MAX_LIMIT && mean <= MEAN_LIMIT && total.stopped > 0;
  return {
    status: holds ? 'passed' : 'failed',
    detail: `${agreementCases()
      .map(({ name }) => name)
      .join('; ')}; each before and after an update`,
    numbers: {
      max: total.max.toExponential(2),
      mean: mean.toExponential(2),
      tokens: total.tokens,
      stoppedByString: total.stopped,
    },
  };
}

const check: Check = {
  name: 'agreement',
  shows: '5: sampler and trainer give the same logprobs: max <= 1e-4, mean <= 1e-5',
  needs: [],
  run,
};
export default check;
