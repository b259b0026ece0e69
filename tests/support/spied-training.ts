import type { Datum, LossResult, TrainableModel } from '../../src/engine/types.js';
import { resolveRecipe } from '../../src/recipes/index.js';
import type { RlConfig, TrainRlOptions } from '../../src/rl/index.js';
import type { RolloutRow } from '../../src/runs/types.js';
import { openEchoPolicy } from './echo-task.js';
import { openEchoCritic, trainEcho, weightsOf } from './echo-training.js';
import { MemoryRun } from './memory-run.js';

/** One forward and backward pass as a model was asked for it. */
export interface Pass {
  data: readonly Datum[];
  temperature: number | undefined;
  result: LossResult;
}

/** What a run with some `--set` options did, token by token. */
export interface Spied {
  config: RlConfig;
  rows: RolloutRow[];
  policyPasses: Pass[];
  criticPasses: Pass[];
  /** `copyFrom`, `lerpFrom 0.9`: what was done to the reference. */
  reference: string[];
  policy: number[];
  critic: number[];
}

const SMALL: Record<string, string> = {
  ...{ iterations: '1', promptsPerIteration: '6', groupSize: '6', updatesPerIteration: '1', maxTokens: '4' },
  ...{ oldLogprobs: 'sampler', aggregation: 'token-mean', 'validation.every': '0', temperature: '1' },
  ...{ 'dynamicSampling.enabled': 'false', 'overlong.soft.enabled': 'false', 'overlong.filter': 'false' },
  ...{ 'loss.dualClip': 'null', 'rewards.correct': '1', 'rewards.wrong': '0', 'kl.placement': 'off' },
  ...{ 'optimizer.lr': '0.03', 'optimizer.warmupUpdates': '0', 'advantage.std': 'none' },
};

/** Trains the echo task by a recipe with options as `--set` gives them, and writes down what the models were asked for. */
export async function spiedRun(
  sets: Record<string, string>,
  { recipe = 'dapo', ...options }: Partial<TrainRlOptions> & { recipe?: string } = {},
): Promise<Spied> {
  const { config } = resolveRecipe(recipe, 'mini', { ...SMALL, ...sets });
  const policy = await openEchoPolicy(1);
  const critic = await openEchoCritic(2);
  const reference = spyOnReference(policy);
  const [policyPasses, criticPasses] = [spyOn(policy), spyOn(critic)];
  const run = await MemoryRun.create(7);
  await trainEcho(config as RlConfig, { ...options, policy, critic, run });
  return {
    ...{ config: config as RlConfig, rows: [...run.rollouts.values()].flat(), policyPasses, criticPasses, reference },
    ...{ policy: await weightsOf(policy), critic: await weightsOf(critic) },
  };
}

function spyOn(model: TrainableModel): Pass[] {
  const passes: Pass[] = [];
  const original = model.forwardBackward.bind(model);
  model.forwardBackward = (data, loss, options) => {
    const fn: typeof loss.fn = (out, rows) => {
      const result = loss.fn(out, rows);
      passes.push({ data: rows, temperature: options?.temperature, result });
      return result;
    };
    return original(data, { ...loss, fn }, options);
  };
  return passes;
}

function spyOnReference(policy: TrainableModel): string[] {
  const calls: string[] = [];
  const original = policy.cloneFrozen.bind(policy);
  policy.cloneFrozen = async (options) => {
    const clone = await original(options);
    const [copy, lerp] = [clone.copyFrom.bind(clone), clone.lerpFrom.bind(clone)];
    clone.copyFrom = (other) => (calls.push('copyFrom'), copy(other));
    clone.lerpFrom = (other, keep) => {
      // The engine copies by an average that keeps nothing.
      if (keep !== 0) calls.push(`lerpFrom ${keep}`);
      return lerp(other, keep);
    };
    return clone;
  };
  return calls;
}

/** The values of one vector of a pass over the tokens that carry weight, by sequence. */
export function vectorOf(pass: Pass | undefined, name: string): number[][] {
  return (pass?.data ?? []).map(({ vectors }) => {
    const weight = vectors['weight'] ?? new Float32Array();
    return [...(vectors[name] ?? [])].filter((_, t) => weight[t] !== 0);
  });
}

/** The derivatives by logprob of a pass over the tokens that carry weight, by sequence. */
export function derivativesOf(pass: Pass | undefined): number[][] {
  return (pass?.data ?? []).map(({ vectors }, i) =>
    [...(pass?.result.dLogprobs?.[i] ?? [])].filter((_, t) => vectors['weight']?.[t] !== 0),
  );
}
