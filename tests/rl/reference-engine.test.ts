import { engineContract } from '../support/engine-contract.js';
import { EOS, ReferenceEngine, tokenBytes } from '../support/reference-engine.js';

const chars = 'abcdefgh+=é';

for (const sequencesPerMicroBatch of [undefined, 2]) {
  const engine = new ReferenceEngine({ sequencesPerMicroBatch });
  const config = { chars, hidden: 6, lags: 3, maxContext: 32 };
  const open = (role: 'policy' | 'critic', seed: number) =>
    engine.openModel({ source: { kind: 'random', config, seed }, role });
  engineContract(`reference, micro-batches of ${sequencesPerMicroBatch ?? 'any'} sequences`, () =>
    Promise.resolve({
      engine,
      openPolicy: (seed) => open('policy', seed),
      openCritic: (seed) => open('critic', seed),
      eosIds: [EOS],
      tokenText: (id) => Buffer.from(tokenBytes(chars, id)).toString('utf8'),
    }),
  );
}
