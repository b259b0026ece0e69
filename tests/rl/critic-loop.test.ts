import { describe, expect, it } from 'vitest';
import { echoTask, gradeEcho, openEchoPolicy } from '../support/echo-task.js';
import { maxRelativeDifference, openEchoCritic, trainEcho, weightsOf, withOptions } from '../support/echo-training.js';
import { MemoryRun } from '../support/memory-run.js';

const ppo = withOptions({
  ...{ iterations: 4, groupSize: 4 },
  advantage: { kind: 'gae', lambda: 0.9, whiten: true },
  critic: { updatesPerIteration: 2, valueClip: 0.5 },
});

describe('an RL run with a critic', () => {
  it('learns the task with PPO', async () => {
    const config = withOptions({ ...ppo, iterations: 40, loss: { ...ppo.loss, clipHigh: 0.2 } });
    const { run } = await trainEcho(config);
    expect(Number(run.metrics[0]?.accuracy)).toBeLessThan(0.3);
    expect(Number(run.metrics.at(-1)?.accuracy)).toBeGreaterThan(0.8);
  });

  it('says what the critic did', async () => {
    const { run } = await trainEcho(ppo);
    expect(run.metrics.at(-1)).toMatchObject({
      'critic.updates': 2,
      'critic.skipped': 0,
      'critic.explained_variance': expect.any(Number) as number,
      'critic.loss': expect.any(Number) as number,
      'critic.grad_norm': expect.any(Number) as number,
    });
  });

  it.each([1, 2, 5, 7, 16, 36])('makes %i updates of the critic where it is asked for as many', async (updates) => {
    const critic = { ...ppo.critic, updatesPerIteration: updates };
    const { run } = await trainEcho(withOptions({ ...ppo, iterations: 1, promptsPerIteration: 9, critic }));
    expect(run.metrics[0]).toMatchObject({ samples: 36, 'critic.updates': updates });
  });

  it('is refused without one', async () => {
    const policy = await openEchoPolicy(1);
    await expect(trainEcho(ppo, { policy, critic: policy })).rejects.toMatchObject({ where: 'advantage.kind' });
  });

  it('leaves the policy as it is while it is frozen, and trains the critic', async () => {
    const start = await weightsOf(await openEchoPolicy(1));
    const critic = await openEchoCritic(2);
    const before = await weightsOf(critic);
    const { policy, run } = await trainEcho(
      withOptions({ ...ppo, iterations: 2, critic: { ...ppo.critic, freezePolicyIterations: 2 } }),
      { critic },
    );
    expect(await weightsOf(policy)).toEqual(start);
    expect(await weightsOf(critic)).not.toEqual(before);
    expect(run.metrics.map((line) => line.updates)).toEqual([0, 0]);
  });

  it('may update the critic after the policy: the values are those from before either way', async () => {
    const [before, after] = [
      await trainEcho(withOptions({ ...ppo, critic: { ...ppo.critic, order: 'before' } })),
      await trainEcho(withOptions({ ...ppo, critic: { ...ppo.critic, order: 'after' } })),
    ];
    expect(await weightsOf(after.policy)).toEqual(await weightsOf(before.policy));
    expect(await weightsOf(after.critic!)).toEqual(await weightsOf(before.critic!));
  });
});

describe('critic pretraining', () => {
  const config = withOptions({
    ...ppo,
    iterations: 2,
    critic: { ...ppo.critic, pretrain: { iterations: 6, stopAtExplainedVariance: null } },
  });

  it('moves the critic and not the policy, and explains more of new returns', async () => {
    const start = await weightsOf(await openEchoPolicy(1));
    const atEnd: number[][] = [];
    const critic = await openEchoCritic(2);
    const fresh = await weightsOf(critic);
    const policy = await openEchoPolicy(1);
    const { run } = await trainEcho(config, {
      ...{ policy, critic },
      progress: {
        phase: (name) => void (name === 'RL' && void weightsOf(policy).then((weights) => atEnd.push(weights))),
        update: () => undefined,
        note: () => undefined,
        end: () => undefined,
      },
    });
    expect(atEnd).toEqual([start]);
    expect(await weightsOf(critic)).not.toEqual(fresh);
    expect(run.metrics.map((line) => line['critic.pretraining'] ?? 0)).toEqual([1, 1, 1, 1, 1, 1, 0, 0]);
    expect(run.metrics.slice(0, 6).every((line) => line.updates === 0)).toBe(true);
    const explained = run.metrics.flatMap((line) => line['critic.explained_variance'] ?? []).map(Number);
    expect(explained.at(-1)).toBeGreaterThan(explained[0]!);
  });

  it('learns from all groups, also where dynamic sampling will filter them', async () => {
    const sampling = { enabled: true, promptsPerBatch: 12, maxBatches: 0, excess: 'carry' } as const;
    const { run } = await trainEcho(
      withOptions({ ...config, iterations: 1, dynamicSampling: sampling, pipeline: { lag: 1 } }),
    );
    const pretrained = run.metrics.filter((line) => line['critic.pretraining'] === 1);
    const plain = await trainEcho(withOptions({ ...config, iterations: 1 }));
    expect(pretrained.map(({ timing: _, ...line }) => line)).toEqual(
      plain.run.metrics.slice(0, pretrained.length).map(({ timing: _, ...line }) => line),
    );
    expect(pretrained.map((line) => line['groups.total'])).toEqual([6, 6, 6, 6, 6, 6]);
    expect(pretrained.some((line) => Number(line['groups.no_variance']) > 0)).toBe(true);
    expect(Number(run.metrics.at(-1)!['groups.total'])).toBeGreaterThanOrEqual(12);
  });

  it('takes truncated responses to go on with critic.bootstrapTruncated', async () => {
    const targets = async (bootstrapTruncated: boolean) => {
      const spied: Float32Array[] = [];
      const critic = await openEchoCritic(2);
      const original = critic.forwardBackward.bind(critic);
      critic.forwardBackward = (data, loss, options) => {
        spied.push(...data.map(({ vectors }) => vectors['return']!.filter((_, t) => vectors['weight']![t] !== 0)));
        return original(data, loss, options);
      };
      const pretrain = { iterations: 2, stopAtExplainedVariance: null };
      const options = { ...config.critic, bootstrapTruncated, pretrain, freezePolicyIterations: 1 };
      const { run } = await trainEcho(withOptions({ ...config, iterations: 1, critic: options }), { critic });
      const rows = run.rollouts.get(2)!;
      return rows.map((row, i) => ({ row, G: spied[rows.length + i]!.at(-1)! }));
    };
    const [ends, goesOn] = [await targets(false), await targets(true)];
    expect(ends.every(({ row, G }) => G === row.reward)).toBe(true);
    const isCut = goesOn.map(({ row }) => row.stopReason === 'length');
    expect(new Set(isCut).size).toBe(2);
    expect(goesOn.map(({ row, G }) => G !== row.reward)).toEqual(isCut);
  });

  it('ends early once the critic explains enough', async () => {
    const enough = { ...config.critic, pretrain: { iterations: 30, stopAtExplainedVariance: 0.01 } };
    const { run, result } = await trainEcho(withOptions({ ...config, critic: enough }));
    const pretrained = run.metrics.filter((line) => line['critic.pretraining'] === 1);
    expect(pretrained.length).toBeLessThan(30);
    expect(Number(pretrained.at(-1)?.['critic.explained_variance'])).toBeGreaterThanOrEqual(0.01);
    expect(pretrained.slice(0, -1).some((line) => Number(line['critic.explained_variance']) >= 0.01)).toBe(false);
    expect(result.iterations).toBe(pretrained.length + 2);
  });

  it('a critic that is wrong by NaN stops the run and names its rate', async () => {
    const critic = await openEchoCritic(2);
    const original = critic.forwardBackward.bind(critic);
    critic.forwardBackward = (data, loss, options) =>
      original(data, { ...loss, fn: (out, rows) => ({ ...loss.fn(out, rows), lossSum: NaN }) }, options);
    await expect(trainEcho(config, { critic })).rejects.toMatchObject({
      kind: 'numeric',
      hint: expect.stringContaining('critic.optimizer.lr') as string,
    });
  });
});

const anchored = (kind: 'fixed' | 'replaced' | 'averaged') =>
  withOptions({
    ...ppo,
    iterations: 5,
    critic: { ...ppo.critic, pretrain: { iterations: 2, stopAtExplainedVariance: null } },
    kl: { placement: 'loss', reference: { kind, every: 2, keep: 0.7 } },
  });

describe.each(['fixed', 'replaced', 'averaged'] as const)('critic and a reference that is %s', (kind) => {
  it.each([0, 1, 2, 4, 6])('stopped after %i iterations and resumed, is bit for bit the unbroken run', async (at) => {
    const config = { ...anchored(kind), checkpoint: { every: 100, keep: 9 } };
    const straight = await trainEcho(config);
    const run = await MemoryRun.create(7);
    const controller = new AbortController();
    const task = echoTask((problem, response) => {
      if (run.metrics.length === at) controller.abort();
      return gradeEcho(problem, response);
    });
    await expect(trainEcho(config, { run, task, signal: controller.signal })).rejects.toMatchObject({
      kind: 'interrupted',
    });
    const resumeFrom = await run.latestCheckpoint();
    expect(resumeFrom?.state.iteration).toBe(at);
    const others = { policy: await openEchoPolicy(50), critic: await openEchoCritic(51) };
    const { policy, critic } = await trainEcho(config, { ...others, run, resumeFrom });
    expect(run.comparable()).toEqual(straight.run.comparable());
    expect(await weightsOf(policy)).toEqual(await weightsOf(straight.policy));
    expect(await weightsOf(critic!)).toEqual(await weightsOf(straight.critic!));
  });
});

describe('a KL to a reference', () => {
  const plain = withOptions({ iterations: 3, updatesPerIteration: 1, aggregation: 'token-mean' });

  it('with beta 0, or as its very own reference at the first update, changes nothing', async () => {
    const without = await weightsOf((await trainEcho(plain)).policy);
    const off = await trainEcho(withOptions({ ...plain, kl: { placement: 'loss', coefficient: 0 } }));
    expect(await weightsOf(off.policy)).toEqual(without);
    const once = { ...plain, iterations: 1 };
    const kl = await trainEcho(withOptions({ ...once, kl: { placement: 'loss', estimator: 'k3', coefficient: 5 } }));
    expect(
      maxRelativeDifference(await weightsOf((await trainEcho(once)).policy), await weightsOf(kl.policy)),
    ).toBeLessThan(1e-5);
  });

  it.each(['loss', 'reward'] as const)('in the %s keeps the policy nearer', async (placement) => {
    const distance = async (coefficient: number) => {
      const kl = { placement, estimator: 'k2', coefficient } as const;
      const changes = { iterations: 12, groupSize: 8, kl, advantage: { kind: 'leave-one-out' } } as const;
      const { run } = await trainEcho(withOptions({ ...plain, ...changes }));
      const line = run.metrics.at(-1);
      return placement === 'loss' ? Number(line?.['kl.reference']) : Number(line?.['kl.reward']) / coefficient;
    };
    expect(await distance(3)).toBeLessThan(await distance(1e-9));
  });

  it('follows its schedule', async () => {
    const kl = { placement: 'loss', coefficient: 0.4, schedule: 'cosine', finalCoefficient: 0 } as const;
    const { run } = await trainEcho(withOptions({ ...plain, iterations: 4, kl }));
    const expected = [0, 1, 2, 3].map((i) => (0.4 * (1 + Math.cos((Math.PI * i) / 4))) / 2);
    run.metrics.forEach((line, i) => expect(line['kl.coefficient']).toBeCloseTo(expected[i]!, 12));
  });

  it('needs what there is: no reference without a KL', async () => {
    const policy = await openEchoPolicy(1);
    policy.cloneFrozen = () => Promise.reject(new Error('not asked for'));
    await expect(trainEcho(plain, { policy })).resolves.toBeDefined();
  });
});
