import { describe, expect, it } from 'vitest';
import { listSource, promptResponseExample, trainSft, type SftConfig, type SftSource } from '../../src/sft/index.js';
import { CHARS, openEchoPolicy } from '../support/echo-task.js';
import { MemoryRun } from '../support/memory-run.js';
import { EOS, encodeChars, type ReferenceModel } from '../support/reference-engine.js';

export function sftConfig(changes: Partial<SftConfig> = {}): SftConfig {
  return {
    epochs: null,
    updates: 12,
    updatesPerIteration: 2,
    sequencesPerUpdate: 4,
    maxTokens: 8,
    overlong: 'error',
    heldOut: 0,
    evaluation: { every: 0 },
    optimizer: {
      ...{ lr: 0.05, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradClipNorm: null },
      ...{ warmupUpdates: 2, schedule: 'cosine', finalLrFraction: 0.1 },
    },
    maxSkippedUpdates: 2,
    checkpoint: { every: 2, keep: 2 },
    ...changes,
  };
}

function example(text: string) {
  const prompt = encodeChars(CHARS, text.slice(0, 2));
  const tokens = Int32Array.from([...prompt, ...encodeChars(CHARS, text.slice(2)), EOS]);
  return promptResponseExample(tokens, prompt.length);
}

const echoes = listSource(['a>a', 'b>b', 'c>c', 'd>d', 'a>aa', 'b>bb', 'c>cc', 'd>dd'].map(example));
const endless: SftSource = { size: Infinity, at: (index) => echoes.at(index % 8) };

async function train(changes: Partial<SftConfig> = {}, data: SftSource = echoes, model?: ReferenceModel) {
  const run = await MemoryRun.create(3);
  const policy = model ?? (await openEchoPolicy(1));
  const result = await trainSft({ model: policy, data, config: sftConfig(changes), run });
  return { run, policy, result };
}

async function weightsOf(policy: ReferenceModel): Promise<number[]> {
  return [...(await policy.tensors('weights')).values()].flatMap(({ data }) => [...data]);
}

describe('trainSft', () => {
  it('learns the examples, from a list and from an endless source', async () => {
    for (const data of [echoes, endless]) {
      const { run } = await train({ updates: 80 }, data);
      expect(Number(run.metrics[0]?.nll)).toBeGreaterThan(1.2);
      expect(Number(run.metrics.at(-1)?.nll)).toBeLessThan(0.5);
    }
  });

  it('is the token-mean over the update, whatever the micro-batch', async () => {
    const whole = await train();
    const split = await train({}, echoes, await openEchoPolicy(1, { sequencesPerMicroBatch: 1 }));
    const [a, b] = [await weightsOf(whole.policy), await weightsOf(split.policy)];
    expect(Math.max(...a.map((x, i) => Math.abs(x - b[i]!)))).toBeLessThan(1e-7);
    for (const line of whole.run.metrics.slice(0, 1)) expect(line.loss).toBeCloseTo(Number(line.nll), 1);
  });

  it('visits every example once an epoch, in another order each time', async () => {
    const visits: number[] = [];
    const watched: SftSource = { size: 8, at: (index) => (visits.push(index), echoes.at(index)) };
    const { result } = await train({ epochs: 2, updates: null, sequencesPerUpdate: 3 }, watched);
    const order = visits.slice(8);
    expect(result.updates).toBe(6);
    expect([...order.slice(0, 8)].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect([...order.slice(8)].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(order.slice(0, 8)).not.toEqual(order.slice(8));
  });

  it('resumes bit for bit', async () => {
    const straight = await train();
    const controller = new AbortController();
    const run = await MemoryRun.create(3);
    const broken = trainSft({
      ...{ model: await openEchoPolicy(1), data: echoes, config: sftConfig(), run, signal: controller.signal },
      stopWhen: ({ iteration }) => {
        if (iteration === 3) controller.abort();
        return false;
      },
    });
    await expect(broken).rejects.toMatchObject({ kind: 'interrupted' });
    const model = await openEchoPolicy(50);
    const resumeFrom = await run.latestCheckpoint();
    expect(resumeFrom?.state.iteration).toBe(3);
    await trainSft({ model, data: echoes, config: sftConfig(), run, resumeFrom });
    expect(run.comparable()).toEqual(straight.run.comparable());
    expect(await weightsOf(model)).toEqual(await weightsOf(straight.policy));
  });

  it('stopped while it evaluates, redoes the evaluation alone', async () => {
    const changes = { heldOut: 2, evaluation: { every: 2 }, checkpoint: { every: 100, keep: 9 } };
    const straight = await train(changes);
    const controller = new AbortController();
    const run = await MemoryRun.create(3);
    const model = await openEchoPolicy(1);
    const forward = model.forward.bind(model);
    model.forward = (data) => {
      if (run.metrics.length === 3) controller.abort();
      return controller.signal.aborted ? Promise.reject(new Error('stopped')) : forward(data);
    };
    const config = sftConfig(changes);
    const broken = trainSft({ model, data: echoes, config, run, signal: controller.signal });
    await expect(broken).rejects.toMatchObject({ kind: 'interrupted' });
    const resumeFrom = await run.latestCheckpoint();
    expect(resumeFrom?.state.iteration).toBe(4);
    const resumed = await openEchoPolicy(50);
    const visits: number[] = [];
    const watched: SftSource = { size: 8, at: (index) => (visits.push(index), echoes.at(index)) };
    await trainSft({ model: resumed, data: watched, config, run, resumeFrom });
    // All once to see what fits, two evaluations of 2, and 4 updates of 4.
    expect(visits).toHaveLength(8 + 2 * 2 + 4 * 4);
    expect(run.comparable()).toEqual(straight.run.comparable());
    expect(await weightsOf(resumed)).toEqual(await weightsOf(straight.policy));
  });

  it('sets held-out examples apart and ranks checkpoints by their loss', async () => {
    const seen = new Set<number>();
    const watched: SftSource = { size: 8, at: (index) => (seen.add(index), echoes.at(index)) };
    const { run, result } = await train({ heldOut: 2, evaluation: { every: 2 }, updates: 24 }, watched);
    const losses = run.metrics.map((line) => line['val.loss']).filter((loss) => loss !== undefined);
    expect(losses).toHaveLength(6);
    expect(Number(losses.at(-1))).toBeLessThan(Number(losses[0]));
    expect(result.bestScore).toBeCloseTo(-Math.min(...losses.map(Number)), 12);
    await expect(train({ heldOut: 8 })).rejects.toMatchObject({ where: 'heldOut' });
    await expect(train({ heldOut: 2 }, endless)).rejects.toMatchObject({ where: 'heldOut' });
  });

  it('ends on a measured skill', async () => {
    const model = await openEchoPolicy(1);
    const stopWhen = (metrics: { [key: string]: unknown }) => Number(metrics.nll) < 1;
    const result = await trainSft({ model, data: echoes, config: sftConfig({ updates: 200 }), seed: 1, stopWhen });
    expect(Number(result.lastMetrics?.nll)).toBeLessThan(1);
    expect(result.updates).toBeLessThan(200);
  });

  it('over-long examples: cut, left out or refused, and counted', async () => {
    const rows = listSource([...['a>a', 'b>bbbbbb'].map(example), { ...example('c>cccccc'), where: 'chat.jsonl:3' }]);
    const limits = { maxTokens: 5, updates: 3, sequencesPerUpdate: 3, updatesPerIteration: 1 };
    const cut = await train({ ...limits, overlong: 'truncate' }, rows);
    expect(cut.run.metrics.map((line) => line['rows.truncated'])).toEqual([2, 2, 2]);
    const left = await train({ ...limits, overlong: 'drop' }, rows);
    expect(left.run.metrics[0]).toMatchObject({ 'rows.truncated': 0, 'rows.dropped': 2 });
    const only = listSource([rows.at(2)]);
    await expect(train(limits, only)).rejects.toMatchObject({ where: 'chat.jsonl:3' });
    await expect(train({ ...limits, overlong: 'drop' }, only)).rejects.toMatchObject({ where: 'maxTokens' });
    await expect(
      train({ ...limits, overlong: 'drop' }, { size: Infinity, at: () => rows.at(2) }),
    ).rejects.toMatchObject({
      where: 'maxTokens',
    });
  });

  it('stops when numbers blow up, naming the line and the way out', async () => {
    const failing = train({ optimizer: { ...sftConfig().optimizer, lr: 1e300, gradClipNorm: null } });
    await expect(failing).rejects.toMatchObject({ kind: 'numeric', hint: expect.stringContaining('optimizer.lr') });
  });

  it('names the option that is wrong', async () => {
    await expect(train({ epochs: 1 })).rejects.toMatchObject({ where: 'epochs' });
    await expect(train({ maxTokens: 99 })).rejects.toMatchObject({ where: 'maxTokens' });
    await expect(train({ epochs: 1, updates: null }, endless)).rejects.toMatchObject({ where: 'epochs' });
    await expect(train({ optimizer: { ...sftConfig().optimizer, beta1: 2 } })).rejects.toMatchObject({
      where: 'optimizer.beta1',
    });
  });
});
