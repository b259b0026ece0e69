import { describe, expect, it } from 'vitest';
import type { Datum, TrainableModel } from '../../src/engine/types.js';
import {
  EMPTY_MEMORY,
  memoryFromJson,
  memoryToJson,
  nextRollouts,
  trainRl,
  type RlConfig,
  type RolloutMemory,
} from '../../src/rl/index.js';
import type { RolloutContext } from '../../src/rl/rollouts.js';
import type { Task } from '../../src/tasks/index.js';
import { CHARS, echoTask, gradeEcho, openEchoPolicy, rendering } from '../support/echo-task.js';
import { openEchoCritic } from '../support/echo-training.js';
import { MemoryRun } from '../support/memory-run.js';
import { encodeChars } from '../support/reference-engine.js';
import { rlConfig } from '../support/rl-config.js';

interface Options {
  task?: Task;
  /** Stops once so many iterations are done, and goes on with another policy from the checkpoint. */
  breakAt?: number;
}

/** A turn ends at `>`; the environment says `a`, up to three times. */
function turnsTask(): Task {
  return {
    ...echoTask(),
    environment: {
      ...{ stop: ['>'], suggestedMaxTurns: 3 },
      reset: () => {
        let turns = 0;
        const step = () => Promise.resolve({ append: 'a', done: ++turns >= 3, reward: 0.125 });
        return Promise.resolve({ step });
      },
    },
  };
}
const turnRendering = { ...rendering, environment: (text: string) => encodeChars(CHARS, text) };

async function train(changes: Partial<RlConfig>, { task = echoTask(), breakAt }: Options = {}) {
  const run = await MemoryRun.create(7);
  const config = rlConfig({ iterations: 4, checkpoint: { every: 1, keep: 9 }, ...changes });
  const common = { render: turnRendering, run, config };
  let policy: TrainableModel = await openEchoPolicy(1);
  if (breakAt !== undefined) {
    await trainRl({ ...common, policy, task, stopWhen: ({ iteration }) => iteration === breakAt });
    policy = await openEchoPolicy(99);
  }
  await trainRl({ ...common, policy, task, resumeFrom: await run.latestCheckpoint() });
  const weights = [...(await policy.tensors('weights')).values()].flatMap(({ data }) => [...data]);
  return { run, weights };
}

const dynamic = { ...rlConfig().dynamicSampling, enabled: true, promptsPerBatch: 8, maxBatches: 0 };
const plans: [name: string, changes: Partial<RlConfig>, task?: Task][] = [
  ['sampling ahead (lag 1)', { pipeline: { lag: 1, importanceCap: null } }],
  ['carried groups', { promptsPerIteration: 2, dynamicSampling: { ...dynamic, excess: 'carry' } }],
  [
    'carried groups and lag 1',
    {
      promptsPerIteration: 2,
      pipeline: { lag: 1, importanceCap: null },
      dynamicSampling: { ...dynamic, excess: 'carry' },
    },
  ],
  ['running normalisation', { shaping: { ...rlConfig().shaping, normalize: 'running', clip: 2 } }],
  ['several turns', { environment: { maxTurns: 3, maxTokensPerTurn: 2 }, maxTokens: 5 }, turnsTask()],
  [
    'several turns and lag 1',
    {
      ...{ environment: { maxTurns: 3, maxTokensPerTurn: 2 }, maxTokens: 5 },
      pipeline: { lag: 1, importanceCap: null },
    },
    turnsTask(),
  ],
];

describe.each(plans)('%s', (_, changes, task) => {
  it.each([1, 2, 3])('stopped after iteration %i, goes on bit for bit', async (breakAt) => {
    const options = task ? { task } : {};
    const [whole, broken] = [await train(changes, options), await train(changes, { ...options, breakAt })];
    expect(broken.run.comparable()).toEqual(whole.run.comparable());
    expect([...broken.run.rollouts]).toEqual([...whole.run.rollouts]);
    expect(broken.weights).toEqual(whole.weights);
  });
});

describe('sampling ahead', () => {
  const lag1 = { pipeline: { lag: 1, importanceCap: null } } as const;

  it('trains on what the weights of one iteration before sampled', async () => {
    const [now, ahead] = [await train({}), await train(lag1)];
    expect(now.run.metrics.map((line) => line['groups.age'])).toEqual([0, 0, 0, 0]);
    expect(ahead.run.metrics.map((line) => line['groups.age'])).toEqual([0, 1, 1, 1]);
    // The first two iterations sample with the same weights: the first trains alike, the second on older rollouts.
    expect(ahead.run.rollouts.get(1)).toEqual(now.run.rollouts.get(1));
    expect(ahead.run.rollouts.get(3)).not.toEqual(now.run.rollouts.get(3));
  });

  it('samples the same as without a lag when the weights stand still', async () => {
    const still = { rewards: { ...rlConfig().rewards, wrong: 1 } };
    const [now, ahead] = [await train(still), await train({ ...still, ...lag1 })];
    const texts = ({ run }: typeof now) =>
      [...run.rollouts.values()].flat().map(({ text, problemId }) => [text, problemId]);
    expect(texts(ahead)).toEqual(texts(now));
  });

  it('has ratios away from 1 when it trains on older rollouts', async () => {
    const { run } = await train({ ...lag1, updatesPerIteration: 1, optimizer: { ...rlConfig().optimizer, lr: 0.2 } });
    const off = run.metrics.map((line) => Math.abs(Number(line['ratio.max']) - 1));
    expect(off[0]).toBeLessThan(1e-5);
    expect(off[1]).toBeGreaterThan(1e-3);
  });
});

describe('groups beyond the number', () => {
  const changes = { promptsPerIteration: 2 };

  it('are carried to the next iteration and trained there, once', async () => {
    const { run } = await train({ ...changes, dynamicSampling: { ...dynamic, excess: 'carry' } });
    const left = run.metrics.map((line) => Number(line['groups.left'] ?? 0));
    const carried = run.metrics.map((line) => Number(line['groups.carried'] ?? 0));
    expect(left[0]).toBeGreaterThan(0);
    expect(carried.slice(1).reduce((a, b) => a + b)).toBeGreaterThan(0);
    expect(carried[1]).toBe(Math.min(2, left[0]!));
    for (const line of run.metrics) expect(line['groups.trained']).toBe(2);
  });

  it('cost samples that a run which throws them away takes anew', async () => {
    const samples = async (excess: 'discard' | 'carry') => {
      const { run } = await train({ ...changes, dynamicSampling: { ...dynamic, excess } });
      return run.metrics.reduce((sum, line) => sum + Number(line.samples), 0);
    };
    expect(await samples('carry')).toBeLessThan(await samples('discard'));
  });
});

it('dynamic sampling by reward keeps groups that differ in reward alone', async () => {
  const shaped = { ...rlConfig().shaping, length: 'rrl' } as const;
  const allWrong = echoTask((problem, response) => ({ ...gradeEcho(problem, response), status: 'wrong', score: 0 }));
  const config = (metric: 'accuracy' | 'reward') => ({
    ...{ iterations: 1, shaping: shaped, dynamicSampling: { ...dynamic, metric, maxBatches: 2 } },
    rewards: { ...rlConfig().rewards, wrong: -1 },
  });
  const byReward = await train(config('reward'), { task: allWrong });
  expect(byReward.run.metrics[0]!['groups.trained']).toBe(6);
  const byAccuracy = await train(config('accuracy'), { task: allWrong });
  expect(byAccuracy.run.metrics[0]).toMatchObject({ 'groups.trained': 0, cannot_learn: 'all-wrong' });
});

/** The returns of each run of tokens that carry weight. */
function returnsByTurn({ vectors }: Datum): number[][] {
  const [weight, returns] = [vectors['weight']!, vectors['return']!];
  const turns: number[][] = [];
  weight.forEach((w, t) => {
    if (w === 0) return;
    if (t === 0 || weight[t - 1] === 0) turns.push([]);
    turns.at(-1)!.push(returns[t]!);
  });
  return turns;
}

describe('several turns', () => {
  const changes = { environment: { maxTurns: 3, maxTokensPerTurn: 2 }, maxTokens: 5, iterations: 1 };

  it('count in turns and in tokens of the model alone, and pay the rewards of the environment', async () => {
    const { run } = await train(changes, { task: turnsTask() });
    const [line] = run.metrics;
    expect(Number(line!['turns.mean'])).toBeGreaterThan(1);
    expect(Number(line!['length.mean'])).toBeLessThanOrEqual(5);
    expect(Number(line!['reward.environment'])).toBeGreaterThan(0);
    expect(run.rollouts.get(1)!.some(({ components }) => components?.environment === 0.375)).toBe(true);
  });

  const paid: [string, Partial<RlConfig>][] = [
    ['at once', {}],
    ['sampled ahead', { iterations: 2, pipeline: { lag: 1, importanceCap: null } }],
  ];
  it.each(paid)('are paid where they end: returns are of what comes from a token on (%s)', async (_, more) => {
    const critic = await openEchoCritic(2);
    const passes: (readonly Datum[])[] = [];
    const original = critic.forwardBackward.bind(critic);
    critic.forwardBackward = (data, loss, options) => (passes.push(data), original(data, loss, options));
    const advantage = { ...rlConfig().advantage, kind: 'gae' as const };
    const run = await MemoryRun.create(7);
    const config = rlConfig({ ...changes, advantage, ...more });
    const common = { policy: await openEchoPolicy(1), critic, task: turnsTask(), render: turnRendering };
    await trainRl({ ...common, run, config, stopWhen: ({ iteration }) => iteration === 1 });
    await trainRl({ ...common, run, config, resumeFrom: await run.latestCheckpoint() });
    const rows = [...run.rollouts.values()].flat();
    const turns = passes.flat().map(returnsByTurn);
    expect(turns).toHaveLength(rows.length);
    expect(new Set(turns.map(({ length }) => length))).toEqual(new Set([1, 2, 3]));
    const expected = rows.map(({ reward }, i) => turns[i]!.map((G_T, turn) => G_T.map(() => reward - 0.125 * turn)));
    expect(turns).toEqual(expected);
  });

  it('agree with the trainer on every token of the model', async () => {
    const { run } = await train({ ...changes, updatesPerIteration: 1 }, { task: turnsTask() });
    expect(Number(run.metrics[0]!['agreement.max_abs'])).toBeLessThan(1e-6);
    expect(Number(run.metrics[0]!['ratio.max'])).toBeCloseTo(1, 5);
  });

  it('an environment that fails gives no verdict, and its attempt leaves the group', async () => {
    let calls = 0;
    const step = () =>
      ++calls % 5 === 0 ? Promise.reject(new Error('no tool')) : Promise.resolve({ append: 'a', done: true });
    const environment = { ...turnsTask().environment!, reset: () => Promise.resolve({ step }) };
    const { run } = await train(changes, { task: { ...turnsTask(), environment } });
    expect(Number(run.metrics[0]!['missing.no_verdict.grader'])).toBeGreaterThan(0);
    const failed = run.rollouts.get(1)!.filter(({ status }) => status === 'no_verdict');
    for (const { trained, reason } of failed)
      expect([trained, reason]).toEqual([false, expect.stringContaining('no tool')]);
  });
});

describe('the memory of rollouts', () => {
  async function remembered(): Promise<RolloutMemory> {
    const policy = await openEchoPolicy(1);
    const config = rlConfig({
      ...{ promptsPerIteration: 2, maxTokens: 5, environment: { maxTurns: 3, maxTokensPerTurn: 2 } },
      pipeline: { lag: 1, importanceCap: null },
      dynamicSampling: { ...dynamic, excess: 'carry' },
    });
    const task = turnsTask();
    const context: RolloutContext = {
      ...{ task, problems: task.problems('train', 1), order: { at: (i: number) => i }, render: turnRendering, config },
      ...{ seed: 3, maxContext: 16, gradeConcurrency: 2 },
      progress: { phase() {}, update() {}, note() {}, end() {} },
    };
    return (await nextRollouts(context, await policy.liveSampler(), { iteration: 1, isLast: false }, EMPTY_MEMORY))
      .memory;
  }

  it('comes back from JSON as it was, groups shared as they were', async () => {
    const memory = await remembered();
    const timing = { sampleSeconds: 0, gradeSeconds: 0, sampledTokens: 0 };
    const back = memoryFromJson(JSON.parse(JSON.stringify(memoryToJson(memory))), 'here');
    expect(back).toEqual({ ...memory, pending: { ...memory.pending, timing } });
    const { pending } = back;
    for (const { attempts } of pending!.kept)
      for (const attempt of attempts)
        expect([...pending!.sampled, ...pending!.carried].some((group) => group.attempts.includes(attempt))).toBe(true);
  });

  it('that is damaged is refused, with its folder', async () => {
    const json = memoryToJson(await remembered()) as { pool: object[] };
    expect(() => memoryFromJson({ ...json, pool: [] }, 'run/checkpoints/3')).toThrow(
      expect.objectContaining({ kind: 'input', where: 'run/checkpoints/3' }) as Error,
    );
    expect(() => memoryFromJson({}, 'run')).toThrow(/does not hold the rollouts/);
  });
});

describe('the KL to the starting policy', () => {
  const on = { monitors: { startKl: true }, optimizer: { ...rlConfig().optimizer, lr: 0.1 } };

  it('is 0 at the start, grows, and goes on bit for bit after a stop', async () => {
    const [whole, broken] = [await train(on), await train(on, { breakAt: 2 })];
    const kl = whole.run.metrics.map((line) => Number(line['kl.start']));
    expect(kl[0]).toBeLessThan(1e-9);
    expect(kl[3]).toBeGreaterThan(1e-4);
    expect(broken.run.comparable()).toEqual(whole.run.comparable());
  });

  it('changes nothing else', async () => {
    const [measured, plain] = [await train(on), await train({ ...on, monitors: { startKl: false } })];
    expect(measured.weights).toEqual(plain.weights);
    expect(plain.run.metrics[0]).not.toHaveProperty('kl.start');
  });

  const onLag: [string, Partial<RlConfig>][] = [
    ['sampler', { oldLogprobs: 'sampler' }],
    ['trainer', { oldLogprobs: 'trainer' }],
    ['reward', { oldLogprobs: 'trainer', kl: { ...rlConfig().kl, placement: 'reward' } }],
  ];
  it.each(onLag)('is that of the weights before the updates, whatever weights sampled (lag 1, %s)', async (_, more) => {
    const ahead = { ...on, ...more, pipeline: { lag: 1, importanceCap: null } } as const;
    const [measured, plain] = [await train(ahead), await train({ ...ahead, monitors: { startKl: false } })];
    expect(measured.weights).toEqual(plain.weights);
    const kl = measured.run.metrics.map((line) => Number(line['kl.start']));
    expect(kl[0]).toBeLessThan(1e-9);
    // The start sampled the second iteration too, and is no longer the policy.
    expect(kl[1]).toBeGreaterThan(1e-4);
  });

  it('is measured where the sampler reports nothing of the trained distribution', async () => {
    const { run } = await train({ ...on, temperature: 1.3, minP: 0.05, oldLogprobs: 'trainer' });
    expect(Number(run.metrics[0]!['kl.start'])).toBeLessThan(1e-9);
    expect(Number(run.metrics[3]!['kl.start'])).toBeGreaterThan(1e-4);
  });
});

it('a run with fewer turns than its task suggests says so', async () => {
  const notes: string[] = [];
  const progress = { phase() {}, update() {}, end() {}, note: (line: string) => void notes.push(line) };
  const common = { policy: await openEchoPolicy(1), task: turnsTask(), render: turnRendering, progress };
  await trainRl({ ...common, run: await MemoryRun.create(7), config: rlConfig({ iterations: 1 }) });
  expect(notes).toEqual([expect.stringMatching(/environment\.maxTurns is 1, and task echo suggests 3/)]);
});

it('learns in its second turn what only the tool can tell it', async () => {
  const grade = (...[, { segments = [] }]: Parameters<Task['grade']>) => {
    const [told, last] = ['tool', 'model'].map((source) => segments.findLast((part) => part.source === source)?.text);
    const isRight = told !== undefined && segments.at(-1)?.source === 'model' && last?.[0] === told;
    return Promise.resolve({
      ...{ status: isRight ? ('correct' as const) : ('wrong' as const), score: Number(isRight), reason: '' },
      ...(last === undefined ? {} : { extracted: last }),
    });
  };
  const reset: NonNullable<Task['environment']>['reset'] = (_, random) => {
    let turns = 0;
    const append = random.pick([...'abcd']);
    return Promise.resolve({ step: () => Promise.resolve({ append, done: ++turns >= 2 }) });
  };
  const task = { ...echoTask(), grade, environment: { stop: ['>'], suggestedMaxTurns: 2, reset } };
  const changes = { iterations: 44, maxTokens: 6, environment: { maxTurns: 2, maxTokensPerTurn: 4 } };
  const { run } = await train({ ...changes, checkpoint: { every: 44, keep: 1 } }, { task });
  const mean = (lines: typeof run.metrics) =>
    lines.reduce((sum, line) => sum + Number(line.accuracy), 0) / lines.length;
  expect(mean(run.metrics.slice(0, 4))).toBeLessThan(0.2);
  expect(mean(run.metrics.slice(-4))).toBeGreaterThan(0.4);
});
