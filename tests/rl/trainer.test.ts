import { describe, expect, it } from 'vitest';
import type { Loss, TrainableModel } from '../../src/engine/types.js';
import { trainRl, type RlConfig } from '../../src/rl/index.js';
import { echoTask, gradeEcho, openEchoPolicy, rendering } from '../support/echo-task.js';
import { MemoryRun } from '../support/memory-run.js';
import type { ReferenceModel } from '../support/reference-engine.js';
import { rlConfig } from '../support/rl-config.js';

async function train(
  changes: Partial<RlConfig> = {},
  options: { policy?: TrainableModel; run?: MemoryRun; seed?: number; task?: ReturnType<typeof echoTask> } = {},
) {
  const policy = options.policy ?? (await openEchoPolicy(1));
  const run = options.run ?? (await MemoryRun.create(options.seed ?? 7));
  const task = options.task ?? echoTask();
  const result = await trainRl({ policy, task, render: rendering, run, config: rlConfig(changes) });
  return { policy, run, result };
}

async function weightsOf(policy: TrainableModel): Promise<number[]> {
  return [...(await policy.tensors('weights')).values()].flatMap(({ data }) => [...data]);
}

function maxRelativeDifference(a: readonly number[], b: readonly number[]): number {
  const scale = Math.max(...a.map(Math.abs));
  return Math.max(...a.map((x, i) => Math.abs(x - b[i]!))) / scale;
}

describe('trainRl', () => {
  it('learns the task', async () => {
    const { run } = await train({ iterations: 40 });
    const accuracy = (line: (typeof run.metrics)[number] | undefined) => Number(line?.accuracy);
    expect(accuracy(run.metrics[0])).toBeLessThan(0.3);
    expect(accuracy(run.metrics.at(-1))).toBeGreaterThan(0.8);
  });

  it('repeats bit for bit from one seed and differs from another', async () => {
    const [a, b, c] = [await train(), await train(), await train({}, { seed: 8 })];
    expect(a.run.comparable()).toEqual(b.run.comparable());
    expect(a.run.rollouts).toEqual(b.run.rollouts);
    expect(a.run.comparable()).not.toEqual(c.run.comparable());
  });

  it('writes the promised metrics', async () => {
    const { run } = await train();
    const promised = [
      ...['accuracy', 'reward.mean', 'missing.truncated', 'missing.no_answer', 'missing.wrong'],
      ...['missing.no_verdict.gold', 'missing.no_verdict.grader', 'missing.no_verdict.response'],
      ...['groups.no_variance', 'groups.total', 'groups.trained', 'length.mean', 'length.correct', 'length.wrong'],
      ...['well_formed', 'entropy.estimate', 'clip.low', 'clip.high', 'ratio.max', 'agreement.mean_abs'],
      ...['agreement.max_abs', 'loss', 'grad_norm', 'lr', 'updates', 'zero_gradient_updates', 'timing'],
    ];
    expect(Object.keys(run.metrics.at(-1) ?? {})).toEqual(expect.arrayContaining(promised));
    expect(Object.keys(run.metrics[0]?.timing ?? {}).sort()).toEqual([
      'grade_s',
      'idle_share',
      'iteration_s',
      'peak_memory_bytes',
      'sample_s',
      'sample_tokens_per_s',
      'train_s',
      'train_tokens_per_s',
    ]);
  });

  it('accounts for every sample: correct ones and reasons add up', async () => {
    const { run } = await train();
    for (const line of run.metrics) {
      const missing = Object.entries(line).filter(([name]) => name.startsWith('missing.'));
      const counted = missing.reduce((sum, [, count]) => sum + Number(count), 0);
      expect(counted + Number(line.accuracy) * Number(line.samples)).toBeCloseTo(Number(line.samples), 9);
    }
  });

  it('samples agree with the trainer, and ratios start at 1', async () => {
    const { run } = await train({ updatesPerIteration: 1 });
    for (const line of run.metrics) {
      expect(Number(line['agreement.max_abs'])).toBeLessThan(1e-6);
      expect(Number(line['ratio.max'])).toBeCloseTo(1, 5);
    }
  });

  it.each([1, 2, 3])('does not depend on micro-batches of %i sequences', async (sequencesPerMicroBatch) => {
    const whole = await train({
      iterations: 1,
      loss: { ...rlConfig().loss, dualClip: 3, entropyBonus: 0.01 },
    });
    const split = await train(
      { iterations: 1, loss: { ...rlConfig().loss, dualClip: 3, entropyBonus: 0.01 } },
      { policy: await openEchoPolicy(1, { sequencesPerMicroBatch }) },
    );
    expect(maxRelativeDifference(await weightsOf(whole.policy), await weightsOf(split.policy))).toBeLessThan(1e-6);
  });

  it.each(['sampler', 'trainer'] as const)('old logprobs of the %s give the same training', async (oldLogprobs) => {
    const a = await train({ updatesPerIteration: 3, epochs: 2 });
    const b = await train({ updatesPerIteration: 3, epochs: 2, oldLogprobs });
    expect(maxRelativeDifference(await weightsOf(a.policy), await weightsOf(b.policy))).toBeLessThan(1e-5);
    expect(b.run.metrics[0]?.loss).toBeCloseTo(Number(a.run.metrics[0]?.loss), 6);
  });

  it('trains at the sampling temperature', async () => {
    const { run } = await train({ temperature: 0.7, updatesPerIteration: 1 });
    expect(Number(run.metrics[0]?.['agreement.max_abs'])).toBeLessThan(1e-6);
    expect(Number(run.metrics[0]?.['ratio.max'])).toBeCloseTo(1, 5);
  });
});

describe('trainRl: stop and resume', () => {
  it.each([1, 2, 3, 5])('aborted in iteration %i and resumed equals the unbroken run', async (at) => {
    const straight = await train({ dynamicSampling: { ...rlConfig().dynamicSampling, enabled: true } });
    const run = await MemoryRun.create(7);
    const config = rlConfig({ dynamicSampling: { ...rlConfig().dynamicSampling, enabled: true } });
    const controller = new AbortController();
    const first = await openEchoPolicy(1);
    const aborting = echoTask((problem, response) => {
      if (run.metrics.length === at - 1) controller.abort();
      return gradeEcho(problem, response);
    });
    const broken = trainRl({
      policy: first,
      task: aborting,
      render: rendering,
      run,
      config,
      signal: controller.signal,
    });
    await expect(broken).rejects.toMatchObject({ kind: 'interrupted', hint: expect.stringContaining('hone resume') });
    expect(run.checkpoints.at(-1)?.state.iteration).toBe(at - 1);
    const second = await openEchoPolicy(99);
    await trainRl({
      ...{ policy: second, task: echoTask(), render: rendering, run, config },
      resumeFrom: await run.latestCheckpoint(),
    });
    expect(run.comparable()).toEqual(straight.run.comparable());
    expect([...run.rollouts]).toEqual([...straight.run.rollouts]);
    expect(await weightsOf(second)).toEqual(await weightsOf(straight.policy));
  });

  it.each([1, 2, 4, 6])('stopped while it validates iteration %i, redoes the validation alone', async (at) => {
    const config = rlConfig({ validation: { every: 1, problems: 10 }, checkpoint: { every: 3, keep: 9 } });
    const score = async (policy: TrainableModel) => (await weightsOf(policy)).reduce((a, b) => a + b, 0);
    const validate = async (policy: TrainableModel) => ({ score: await score(policy), metrics: { extra: 1 } });
    const straight = await MemoryRun.create(7);
    const common = { task: echoTask(), render: rendering, config };
    const whole = await openEchoPolicy(1);
    await trainRl({ ...common, policy: whole, run: straight, validate });

    const run = await MemoryRun.create(7);
    const controller = new AbortController();
    const stopping = async (policy: TrainableModel, iteration: number) => {
      if (iteration === at) controller.abort();
      controller.signal.throwIfAborted();
      return validate(policy);
    };
    const broken = trainRl({
      ...{ ...common, policy: await openEchoPolicy(1), run, validate: stopping, signal: controller.signal },
    });
    await expect(broken).rejects.toMatchObject({ kind: 'interrupted', hint: expect.stringContaining('hone resume') });
    const saved = await run.latestCheckpoint();
    expect(saved?.state.iteration).toBe(at);
    expect(run.metrics).toHaveLength(at - 1);

    // Stopped again at once: nothing is lost. Then to the end, and once more as after a crash before the next checkpoint.
    const again = trainRl({
      ...{ ...common, policy: await openEchoPolicy(99), run, validate: stopping, signal: controller.signal },
      resumeFrom: saved,
    });
    await expect(again).rejects.toMatchObject({ kind: 'interrupted' });
    expect(await run.latestCheckpoint()).toEqual(saved);
    for (const seed of [50, 51]) {
      let sampled = 0;
      const counted = echoTask((problem, response) => (sampled++, gradeEcho(problem, response)));
      const policy = await openEchoPolicy(seed);
      await trainRl({ ...common, task: counted, policy, run, validate, resumeFrom: saved });
      expect(sampled).toBe((6 - at) * config.promptsPerIteration * config.groupSize);
      expect(run.comparable()).toEqual(straight.comparable());
      expect([...run.rollouts]).toEqual([...straight.rollouts]);
      expect(await weightsOf(policy)).toEqual(await weightsOf(whole));
      expect((await run.bestCheckpoint())?.state.score).toBe((await straight.bestCheckpoint())?.state.score);
    }
  });

  it('killed after a checkpoint: later lines are cut and written again alike', async () => {
    const straight = await train();
    const checkpoint = straight.run.checkpoints.find(({ state }) => state.iteration === 4);
    const before = straight.run.comparable();
    const policy = await openEchoPolicy(5);
    await trainRl({
      ...{ policy, task: echoTask(), render: rendering, run: straight.run, config: rlConfig() },
      resumeFrom: checkpoint,
    });
    expect(straight.run.comparable()).toEqual(before);
    expect(await weightsOf(policy)).toEqual(await weightsOf(straight.policy));
  });

  it('refuses the state of another trainer', async () => {
    const { run, policy } = await train({ iterations: 2 });
    const resumeFrom = { folder: run.path, state: { iteration: 1, trainer: { other: 1 } } };
    const again = trainRl({ policy, task: echoTask(), render: rendering, run, config: rlConfig(), resumeFrom });
    await expect(again).rejects.toMatchObject({ kind: 'input' });
  });

  it('keeps the best checkpoint by validation', async () => {
    const scores = [0.1, 0.5, 0.3, 0.2];
    const run = await MemoryRun.create(7);
    const result = await trainRl({
      ...{ policy: await openEchoPolicy(1), task: echoTask(), render: rendering, run },
      config: rlConfig({ iterations: 4, validation: { every: 1, problems: 10 }, checkpoint: { every: 100, keep: 1 } }),
      validate: (_policy, iteration) =>
        Promise.resolve({ score: scores[iteration - 1]!, metrics: { extra: iteration } }),
    });
    expect((await run.bestCheckpoint())?.state.iteration).toBe(2);
    expect(run.checkpoints.map(({ state }) => state.iteration)).toEqual([1, 2, 4]);
    expect(result.bestScore).toBe(0.5);
    expect(run.metrics[2]).toMatchObject({ 'val.score': 0.3, 'val.extra': 3 });
  });

  it('ends on a measured condition', async () => {
    const run = await MemoryRun.create(7);
    const result = await trainRl({
      ...{ policy: await openEchoPolicy(1), task: echoTask(), render: rendering, run, config: rlConfig() },
      stopWhen: ({ iteration }) => iteration === 3,
    });
    expect(result.iterations).toBe(3);
    expect(run.checkpoints.at(-1)?.state.iteration).toBe(3);
  });
});

/** A policy whose loss turns to NaN from the n-th forwardBackward on. */
function poisoned(policy: ReferenceModel, from: number, until = Infinity): ReferenceModel {
  const original = policy.forwardBackward.bind(policy);
  let calls = 0;
  policy.forwardBackward = (data, loss, options) => {
    const bad = ++calls >= from && calls < until;
    const nan: Loss = { ...loss, fn: (out, rows) => ({ ...loss.fn(out, rows), lossSum: NaN }) };
    return original(data, bad ? nan : loss, options);
  };
  return policy;
}

describe('trainRl: trouble', () => {
  it('counts skipped updates and goes on', async () => {
    const { run } = await train({}, { policy: poisoned(await openEchoPolicy(1), 2, 4) });
    expect(run.metrics.map((line) => line.skipped_updates)).toEqual([1, 1, 0, 0, 0, 0]);
  });

  it('stops after too many skipped updates in a row, keeping finished work', async () => {
    const run = await MemoryRun.create(7);
    const failing = train({}, { policy: poisoned(await openEchoPolicy(1), 8), run });
    await expect(failing).rejects.toMatchObject({
      kind: 'numeric',
      where: expect.stringContaining('metrics.jsonl, iteration 5'),
      hint: expect.stringContaining('optimizer.lr'),
    });
    expect(run.checkpoints.at(-1)?.state.iteration).toBe(4);
    expect(run.metrics).toHaveLength(5);
  });

  it('no_verdict samples leave baseline and loss; a group of fewer than two goes', async () => {
    let calls = 0;
    const task = echoTask((problem, response) => {
      const place = calls++ % 6;
      const verdict = gradeEcho(problem, response);
      const lost = problem.id.endsWith('0') ? place > 0 : place === 0;
      return lost ? { ...verdict, status: 'no_verdict', cause: 'gold', score: 0 } : verdict;
    });
    const { run } = await train({ iterations: 1 }, { task });
    const rows = run.rollouts.get(1)!;
    const lost = rows.filter((row) => row.status === 'no_verdict');
    expect(run.metrics[0]?.['missing.no_verdict.gold']).toBe(lost.length);
    expect(lost.every((row) => !row.trained && row.advantage === 0 && row.reward === 0)).toBe(true);
    expect(rows.filter((row) => row.problemId === 'train-0').every((row) => !row.trained)).toBe(true);
    const others = rows.filter((row) => row.problemId !== 'train-0' && row.status !== 'no_verdict');
    expect(others.some((row) => row.trained)).toBe(true);
    expect(others.reduce((sum, row) => sum + row.advantage, 0)).toBeCloseTo(0, 9);
  });

  it('a grader that throws gives no verdict; one that always throws stops the run', async () => {
    let calls = 0;
    const flaky = echoTask((problem, response) => {
      if (calls++ % 5 === 0) throw new Error('the grader fell over');
      return gradeEcho(problem, response);
    });
    const { run } = await train({ iterations: 1 }, { task: flaky });
    expect(run.metrics[0]?.['missing.no_verdict.grader']).toBe(8);
    const broken = echoTask(() => {
      throw new Error('the grader fell over');
    });
    await expect(train({}, { task: broken })).rejects.toMatchObject({
      kind: 'input',
      message: expect.stringContaining('the grader fell over'),
    });
  });

  it('asks for trainer logprobs when the sampler has none', async () => {
    const policy = await openEchoPolicy(1);
    const open = policy.liveSampler.bind(policy);
    policy.liveSampler = async () => {
      const sampler = await open();
      const sampleBatch = sampler.sampleBatch.bind(sampler);
      sampler.sampleBatch = async (...args) =>
        (await sampleBatch(...args)).map((samples) =>
          samples.map((sample) => ({ ...sample, rawLogprobs: undefined, samplingLogprobs: undefined })),
        );
      return sampler;
    };
    await expect(train({}, { policy })).rejects.toMatchObject({ where: 'oldLogprobs' });
    const { run } = await train({ oldLogprobs: 'trainer' }, { policy });
    expect(run.metrics.at(-1)).not.toHaveProperty(['agreement.max_abs']);
    expect(run.metrics.at(-1)).toHaveProperty(['grad_norm']);
  });

  it('says which option does not fit the context', async () => {
    await expect(train({ maxTokens: 15 })).rejects.toMatchObject({
      where: 'maxTokens',
      hint: expect.stringMatching(/14/),
    });
  });
});

describe('trainRl: dynamic sampling', () => {
  const dynamic = {
    ...rlConfig().dynamicSampling,
    enabled: true,
    promptsPerBatch: 4,
    maxBatches: 0,
    onLimit: 'train',
  } as const;

  it('refills until there are enough mixed groups, throws the excess away and counts all', async () => {
    const { run } = await train({ dynamicSampling: dynamic, updatesPerIteration: 1 });
    for (const line of run.metrics) {
      expect(line['groups.trained']).toBe(6);
      expect(line['groups.total']).toBe(4 * Number(line['groups.batches']));
      expect(line['groups.total']).toBeGreaterThanOrEqual(6 + Number(line['groups.no_variance']));
      expect(line.samples).toBe(6 * Number(line['groups.total']));
    }
    expect(run.metrics.some((line) => Number(line['groups.batches']) > 2)).toBe(true);
    const problems = [...run.rollouts.values()].flat().map((row) => row.problemId);
    expect(new Set(problems).size).toBe(problems.length / 6);
  });

  it('at the limit: an error with the accuracy, or training on what there is', async () => {
    const allWrong = echoTask((problem, response) => ({ ...gradeEcho(problem, response), status: 'wrong', score: 0 }));
    const limited = { ...dynamic, maxBatches: 2 };
    const failing = train({ dynamicSampling: { ...limited, onLimit: 'error' } }, { task: allWrong });
    await expect(failing).rejects.toMatchObject({
      where: 'dynamicSampling.maxBatches',
      message: expect.stringContaining('accuracy 0.0 %'),
    });
    const { run } = await train({ dynamicSampling: limited, iterations: 2 }, { task: allWrong });
    expect(run.metrics[0]).toMatchObject({ updates: 0, 'groups.trained': 0, 'groups.no_variance': 8 });
  });
});

describe('trainRl: options of the objective', () => {
  it('shuffled rewards: the same rewards, no longer with their answers', async () => {
    const plain = await train({ iterations: 1 });
    const shuffled = await train({ iterations: 1, control: { ...rlConfig().control, shuffledReward: true } });
    const rewards = (run: MemoryRun) => run.rollouts.get(1)!.map((row) => row.reward);
    expect(rewards(shuffled.run)).not.toEqual(rewards(plain.run));
    expect(rewards(shuffled.run).sort()).toEqual(rewards(plain.run).sort());
    expect(shuffled.run.metrics[0]?.accuracy).toBe(plain.run.metrics[0]?.accuracy);
  });

  it('the shuffled control does not learn', async () => {
    const { run } = await train({ iterations: 40, control: { ...rlConfig().control, shuffledReward: true } });
    const last = run.metrics.slice(-5).reduce((sum, line) => sum + Number(line.accuracy), 0) / 5;
    expect(last).toBeLessThan(0.35);
  });

  it('overlong filtering leaves truncated samples out of the loss and in the baseline', async () => {
    const overlong = { ...rlConfig().overlong, filter: true };
    const { run } = await train({ iterations: 1, overlong });
    const rows = run.rollouts.get(1)!;
    const truncated = rows.filter((row) => row.stopReason === 'length');
    expect(truncated.length).toBeGreaterThan(0);
    expect(truncated.every((row) => !row.trained)).toBe(true);
    expect(truncated.some((row) => row.advantage !== 0)).toBe(true);
  });

  it('soft overlong punishment lowers the reward of long responses', async () => {
    const overlong = { soft: { enabled: true, maxTokens: 4, cacheTokens: 2, factor: 1 }, filter: false };
    const { run } = await train({ iterations: 1, overlong });
    for (const row of run.rollouts.get(1)!)
      expect(row.reward).toBeCloseTo(row.score - Math.max(0, (row.tokens - 2) / 2), 12);
  });

  it('counts updates whose gradient is zero', async () => {
    const allWrong = echoTask((problem, response) => ({ ...gradeEcho(problem, response), status: 'wrong', score: 0 }));
    const { run } = await train({ iterations: 1 }, { task: allWrong });
    expect(run.metrics[0]).toMatchObject({ updates: 2, zero_gradient_updates: 2, grad_norm: 0 });
  });
});
