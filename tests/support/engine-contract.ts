import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, TrainableModel } from '../../src/engine/types.js';
import { CRITIC_CLAUSES } from './contract-critic-clauses.js';
import { MODEL_CLAUSES } from './contract-model-clauses.js';
import { SAMPLER_CLAUSES } from './contract-sampler-clauses.js';
import { TRAINING_CLAUSES } from './contract-training-clauses.js';

/** An engine to be held to the contract, with models small enough to enumerate the vocabulary (up to about 50). */
export interface ContractSubject {
  engine: Engine;
  /** A policy with random weights of `seed`; the same seed gives the same weights. */
  openPolicy(seed: number): Promise<TrainableModel>;
  /** A critic likewise, whose value head is not zero; absent when the engine has none. */
  openCritic?(seed: number): Promise<TrainableModel>;
  /** Tokens that end a reply. */
  eosIds: readonly number[];
  /** What a token stands for in text; '' for special tokens. */
  tokenText(id: number): string;
}

/** What the interface promises, as one check: opens its own models and throws when the promise is broken. */
export type Clause = (subject: ContractSubject) => Promise<void>;

const CLAUSES: Readonly<Record<string, Clause>> = {
  ...TRAINING_CLAUSES,
  ...SAMPLER_CLAUSES,
  ...MODEL_CLAUSES,
  ...CRITIC_CLAUSES,
};

/**
 * Registers one test for every promise of src/engine/types.ts.
 * @param declaredSkips clauses the engine cannot hold, each with the reason.
 */
export function engineContract(
  name: string,
  makeSubject: () => Promise<ContractSubject>,
  declaredSkips: Readonly<Record<string, string>> = {},
): void {
  describe(`engine contract: ${name}`, () => {
    let subject: ContractSubject;
    beforeAll(async () => {
      subject = await makeSubject();
    });
    afterAll(() => subject.engine.close());

    it('declares only skips of clauses there are, with a reason', () => {
      for (const [clause, reason] of Object.entries(declaredSkips)) {
        expect(Object.keys(CLAUSES)).toContain(clause);
        expect(reason.length).toBeGreaterThan(10);
      }
    });

    for (const [clause, check] of Object.entries(CLAUSES))
      if (!Object.hasOwn(declaredSkips, clause)) it(clause, () => check(subject));
  });
}
