import { describe, expect, it } from 'vitest';
import { engineNeeds, planStages, stageConfig, trainRl, type RlConfig, type Stage } from '../../src/rl/index.js';
import { echoTask, openEchoPolicy, rendering } from '../support/echo-task.js';
import { MemoryRun } from '../support/memory-run.js';
import { rlConfig } from '../support/rl-config.js';

function stage(name: string, changes: Partial<Stage> = {}): Stage {
  return {
    name,
    until: { iterations: null, plateau: null, truncatedBelow: null },
    ...{ resetReference: false, resetOptimizer: false, set: {} },
    data: { promptLength: 'all', difficulty: null, passRate: null, level: null, pool: 50 },
    ...changes,
  };
}

const ends = (iterations: number) => ({ iterations, plateau: null, truncatedBelow: null });
const stages = [
  stage('short', { until: ends(2), set: { maxTokens: 2, 'optimizer.lr': 0.01 } }),
  stage('long', { until: ends(2), set: { promptsPerIteration: 3 } }),
  stage('rest'),
];
const config = (changes: Partial<RlConfig> = {}) => rlConfig({ curriculum: { stages }, ...changes });

async function train(breakAt?: number) {
  const run = await MemoryRun.create(7);
  const common = { task: echoTask(), render: rendering, run, config: config({ checkpoint: { every: 1, keep: 9 } }) };
  if (breakAt !== undefined)
    await trainRl({ ...common, policy: await openEchoPolicy(1), stopWhen: ({ iteration }) => iteration === breakAt });
  const policy = await openEchoPolicy(breakAt === undefined ? 1 : 99);
  await trainRl({ ...common, policy, resumeFrom: await run.latestCheckpoint() });
  return run;
}

describe('a run in stages', () => {
  it('changes its options and its batch with the stage', async () => {
    const run = await train();
    const columns = run.metrics.map((line) => [line.stage, line.lr, line['groups.total']]);
    expect(columns).toEqual([
      [1, 0.01, 6],
      [1, 0.01, 6],
      [2, 0.03, 3],
      [2, 0.03, 3],
      [3, 0.03, 6],
      [3, 0.03, 6],
    ]);
    const longest = (iteration: number) => Math.max(...run.rollouts.get(iteration)!.map(({ tokens }) => tokens));
    expect([1, 2].map(longest)).toEqual([2, 2]);
    expect(longest(3)).toBeGreaterThan(2);
  });

  it.each([1, 2, 3, 4])('stopped after iteration %i, goes on in its stage bit for bit', async (breakAt) => {
    const [whole, broken] = [await train(), await train(breakAt)];
    expect(broken.comparable()).toEqual(whole.comparable());
    expect([...broken.rollouts]).toEqual([...whole.rollouts]);
  });
});

/** A curriculum whose second stage has longer responses, over 4 iterations. */
async function lengthens(changes: Partial<RlConfig>, breakAt?: number) {
  const curriculum = { stages: [stage('short', { until: ends(2), set: { maxTokens: 1 } }), stage('long')] };
  const run = await MemoryRun.create(7);
  const config = rlConfig({ iterations: 4, curriculum, checkpoint: { every: 1, keep: 9 }, ...changes });
  const common = { task: echoTask(), render: rendering, run, config };
  if (breakAt !== undefined)
    await trainRl({ ...common, policy: await openEchoPolicy(1), stopWhen: ({ iteration }) => iteration === breakAt });
  const policy = await openEchoPolicy(breakAt === undefined ? 1 : 99);
  await trainRl({ ...common, policy, resumeFrom: await run.latestCheckpoint() });
  return run;
}

describe.each<[string, Partial<RlConfig>]>([
  ['sampled ahead', { pipeline: { lag: 1, importanceCap: null } }],
  [
    'carried over',
    {
      promptsPerIteration: 1,
      dynamicSampling: {
        ...{ enabled: true, metric: 'accuracy', promptsPerBatch: 12, maxBatches: 0, excess: 'carry' },
        onLimit: 'train',
      },
    },
  ],
])('what the stage before has %s', (_, changes) => {
  it('is not trained on: the first iteration of a stage has its options', async () => {
    const { metrics, rollouts } = await lengthens(changes);
    const longest = (iteration: number) => Math.max(...rollouts.get(iteration)!.map(({ tokens }) => tokens));
    expect([1, 2].map(longest)).toEqual([1, 1]);
    expect(longest(3)).toBeGreaterThan(1);
    expect(metrics[2]!['groups.age']).toBe(0);
  });

  it.each([1, 2, 3])('stopped after iteration %i, goes on bit for bit', async (breakAt) => {
    const [whole, broken] = [await lengthens(changes), await lengthens(changes, breakAt)];
    expect(broken.comparable()).toEqual(whole.comparable());
    expect([...broken.rollouts]).toEqual([...whole.rollouts]);
  });
});

describe('the stages of a configuration', () => {
  const problems = echoTask().problems('train', 1);
  const plan = (of: Stage[], changes: Partial<RlConfig> = {}) =>
    planStages(config({ curriculum: { stages: of }, ...changes }), problems, 1);

  it('have needs of an engine as the run has', () => {
    const later = stage('later', { set: { 'loss.entropyBonus': 0.01, minP: 0.1 } });
    expect(engineNeeds(config())).toEqual([]);
    expect(engineNeeds(config({ curriculum: { stages: [stage('first'), later, later] } }))).toEqual([
      ...['exactEntropy', 'minP'],
    ]);
    const loss = { ...config().loss, entropyBonus: 0.1 };
    expect(engineNeeds(config({ loss }))).toEqual(['exactEntropy']);
  });

  it('set options by dotted path, and refuse those that are none or of the whole run', () => {
    const set = (values: Stage['set']) => stageConfig(config(), { set: values }, 'curriculum.stages.0');
    expect(set({ 'loss.entropyBonus': 0.5 }).loss).toMatchObject({ entropyBonus: 0.5, clipLow: 0.2 });
    expect(() => set({ 'loss.entropy': 1 })).toThrow(
      expect.objectContaining({ where: 'curriculum.stages.0.set' }) as Error,
    );
    expect(() => set({ 'loss.__proto__.x': 1 })).toThrow(/no option/);
    expect(() => set({ iterations: 9 })).toThrow(/whole run/);
    expect(() => set({ 'checkpoint.every': 9 })).toThrow(/whole run/);
    expect(() => set({ 'monitors.startKl': true })).toThrow(/whole run/);
    expect(() => set({ 'critic.freezePolicyIterations': 2 })).toThrow(/whole run/);
    expect(() => set({ advantage: { ...config().advantage, kind: 'gae' } })).toThrow(/advantage\.kind.*whole run/);
    expect(() => set({ 'optimizer.lr': -1 })).toThrow(expect.objectContaining({ where: 'optimizer.lr' }) as Error);
  });

  it('cannot shorten responses so far that a soft punishment, which follows the length of the run, never acts', () => {
    const overlong = { soft: { enabled: true, maxTokens: 8, cacheTokens: 4, factor: 1 }, filter: false };
    const run = config({ maxTokens: 8, overlong });
    const set = (values: Stage['set']) => stageConfig(run, { set: values }, 'curriculum.stages.0');
    expect(set({ maxTokens: 5 }).maxTokens).toBe(5);
    expect(() => set({ maxTokens: 4 })).toThrow(expect.objectContaining({ where: 'overlong.soft.maxTokens' }) as Error);
    expect(set({ maxTokens: 4, 'overlong.soft.maxTokens': 4, 'overlong.soft.cacheTokens': 1 }).maxTokens).toBe(4);
  });

  it('need validations to see a plateau', async () => {
    const flat = stage('flat', { until: { iterations: null, plateau: { window: 2, slope: 0 }, truncatedBelow: null } });
    await expect(plan([flat])).rejects.toMatchObject({ where: 'curriculum.stages.0.until.plateau' });
    await expect(plan([flat], { validation: { every: 1, problems: 5 } })).resolves.toHaveLength(1);
  });

  it('have problems of their own, found before anything is trained', async () => {
    const hard = { ...stage('x').data, difficulty: { min: 1, max: null } };
    const [only] = await plan([stage('all')]);
    expect(only!.problems).toBe(problems);
    const source = { size: 4, at: (i: number) => ({ ...problems.at(i % 4), difficulty: i % 4 }) };
    const own = await planStages(config({ curriculum: { stages: [stage('hard', { data: hard })] } }), source, 1);
    expect(own[0]!.problems.size).toBe(3);
    const none = { ...hard, difficulty: { min: 9, max: null } };
    await expect(
      planStages(config({ curriculum: { stages: [stage('none', { data: none })] } }), source, 1),
    ).rejects.toMatchObject({ kind: 'input', where: 'curriculum.stages.0.data' });
  });
});
