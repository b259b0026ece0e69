import { describe, expect, it } from 'vitest';
import { assertCapable, getRecipe, listRecipes, resolveRecipe } from '../../src/recipes/index.js';
import { stageConfig, valueLossToken, type RlConfig } from '../../src/rl/index.js';
import { editDistance, nearest } from '../../src/core/index.js';
import { ReferenceEngine } from '../support/reference-engine.js';

const everyPreset = listRecipes().flatMap(({ name }) => [
  [name, 'paper'],
  [name, 'mini'],
]) as [string, string][];

describe('recipes', () => {
  it.each(everyPreset)('%s %s is a whole, valid configuration with a source for every value', (name, preset) => {
    const { values, method, config } = resolveRecipe(name, preset);
    expect(Object.keys(config).length).toBeGreaterThan(8);
    const stages = method === 'rl' ? (config.curriculum.stages ?? []) : [];
    for (const stage of stages) expect(() => stageConfig(config as RlConfig, stage, name)).not.toThrow();
    expect(values.every(({ source }) => source.length > 2)).toBe(true);
  });

  it('dapo holds the values of its paper', () => {
    const { config } = resolveRecipe('dapo', 'paper');
    expect(config).toMatchObject({
      ...{ promptsPerIteration: 512, groupSize: 16, updatesPerIteration: 16, aggregation: 'token-mean' },
      loss: { clipLow: 0.2, clipHigh: 0.28, dualClip: 10, entropyBonus: 0 },
      overlong: { soft: { enabled: true, maxTokens: 20480, cacheTokens: 4096, factor: 1 }, filter: false },
      rewards: { correct: 1, wrong: -1 },
      dynamicSampling: { enabled: true, promptsPerBatch: 1536, maxBatches: 10, onLimit: 'error' },
      optimizer: { lr: 1e-6, weightDecay: 0.1, gradClipNorm: 1 },
    });
    const dualClip = resolveRecipe('dapo', 'paper').values.find(({ path }) => path === 'loss.dualClip');
    expect(dualClip?.status).toBe('code');
  });

  it('grpo: mean of sequence means, standard deviation with ddof 1 and 1e-6', () => {
    expect(resolveRecipe('grpo', 'paper').config).toMatchObject({
      aggregation: 'sequence-mean-token-mean',
      advantage: { kind: 'group', std: 'sample', eps: 1e-6 },
      dynamicSampling: { enabled: false },
      overlong: { soft: { enabled: false }, filter: false },
    });
  });

  it.each(['ppo', 'orz', 'vapo', 'rlsp'])('%s: the critic is taught half of the squared error', (name) => {
    const { config } = resolveRecipe(name, 'paper') as { config: RlConfig };
    const { dValue, loss } = valueLossToken(3, 3, 1, config.critic.valueClip);
    expect(config.critic.lossCoefficient * loss).toBe((3 - 1) ** 2 / 2);
    expect(config.critic.lossCoefficient * dValue).toBe(3 - 1);
  });

  it('still3-1.5b has the loss of its framework, OpenRLHF, as rlsp has', () => {
    const [still, rlsp] = ['still3-1.5b', 'rlsp'].map((name) => resolveRecipe(name, 'paper').config as RlConfig);
    expect(still!.aggregation).toBe('sequence-mean-token-mean');
    expect(still).toMatchObject({ aggregation: rlsp!.aggregation, loss: rlsp!.loss });
  });

  it('lists what the paper preset assumes, and drops what the user sets', () => {
    const paths = (sets: Record<string, string>) =>
      resolveRecipe('grpo', 'paper', sets).assumed.map(({ path }) => path);
    expect(paths({})).toContain('iterations');
    expect(paths({ iterations: '5' })).not.toContain('iterations');
    expect(paths({})).not.toContain('groupSize');
  });

  it('applies settings, and lets dependent options follow', () => {
    const { config } = resolveRecipe('dapo', 'paper', {
      ...{ maxTokens: '100', 'optimizer.lr': '3e-4', topP: '0.9', 'overlong.filter': 'true', sequencesPerUpdate: '64' },
      ...{ aggregation: 'constant', 'loss.dualClip': 'null' },
    });
    expect(config).toMatchObject({
      ...{ maxTokens: 100, topP: 0.9, sequencesPerUpdate: 64, updatesPerIteration: null, aggregation: 'constant' },
      overlong: { soft: { maxTokens: 100, cacheTokens: 20 }, filter: true },
      loss: { dualClip: null },
      optimizer: { lr: 3e-4 },
    });
    const kept = resolveRecipe('dapo', 'paper', { maxTokens: '100', 'overlong.soft.cacheTokens': '50' });
    expect(kept.config).toMatchObject({ overlong: { soft: { cacheTokens: 50 } } });
  });

  it.each([
    [{ 'optimiser.lr': '1' }, 'optimiser.lr', /optimizer\.lr/],
    [{ clipHigh: '0.3' }, 'clipHigh', /loss\.clipHigh/],
    [{ gropSize: '8' }, 'gropSize', /groupSize/],
    [{ constructor: '8' }, 'constructor', /Did you mean/],
  ])('an unknown path is refused with the nearest: %o', (sets, where, hint) => {
    expect(() => resolveRecipe('dapo', 'mini', sets)).toThrow(
      expect.objectContaining({ kind: 'usage', where, hint: expect.stringMatching(hint) }),
    );
  });

  it.each([
    [{ groupSize: 'many' }, 'groupSize'],
    [{ groupSize: '-1' }, 'groupSize'],
    [{ groupSize: '2.5' }, 'groupSize'],
    [{ 'optimizer.schedule': 'sinus' }, 'optimizer.schedule'],
    [{ 'optimizer.beta1': '1' }, 'optimizer.beta1'],
    [{ 'overlong.filter': '1' }, 'overlong.filter'],
    [{ updatesPerIteration: '2', sequencesPerUpdate: '8' }, 'updatesPerIteration'],
    [{ 'overlong.soft.cacheTokens': '999999' }, 'overlong.soft.cacheTokens'],
    [{ topP: '0.9', temperature: '0.7', oldLogprobs: 'sampler' }, 'oldLogprobs'],
  ])('a value that does not fit names its option: %o', (sets, where) => {
    expect(() => resolveRecipe('dapo', 'mini', sets as Record<string, string>)).toThrow(
      expect.objectContaining({ kind: 'usage', where }),
    );
  });

  const refused: [sets: Record<string, string>, where: string, wayOut: RegExp, instead: Record<string, string>][] = [
    [{ 'loss.kind': 'policy-gradient' }, 'loss.kind', /updatesPerIteration=1/, { updatesPerIteration: '1' }],
    [
      { 'loss.kind': 'policy-gradient', updatesPerIteration: '1', epochs: '2' },
      'loss.kind',
      /epochs=1/,
      { epochs: '1' },
    ],
    [
      { 'loss.kind': 'policy-gradient', sequencesPerUpdate: '255' },
      ...(['loss.kind', /sequencesPerUpdate/, { sequencesPerUpdate: '256' }] as const),
    ],
    [
      { 'kl.placement': 'loss', 'kl.estimator': 'k1' },
      ...(['kl.estimator', /kl.placement=reward/, { 'kl.placement': 'reward' }] as const),
    ],
    [{ 'advantage.kind': 'reinforce++' }, 'advantage.whiten', /must be true/, { 'advantage.whiten': 'true' }],
    [{ 'advantage.kind': 'reinforce++-baseline' }, 'advantage.whiten', /must be true/, { 'advantage.whiten': 'true' }],
    [{ 'shaping.length': 'rrl' }, 'rewards.wrong', /must be -1/, { 'rewards.wrong': '-1' }],
    [{ 'shaping.length': 'rra' }, 'rewards.wrong', /shaping.length=none/, { 'rewards.wrong': '-1' }],
  ];
  it.each(refused)('options that would not do what they say are refused: %o', (sets, where, wayOut, instead) => {
    expect(() => resolveRecipe('grpo', 'mini', sets)).toThrow(
      expect.objectContaining({ kind: 'usage', where, message: expect.stringMatching(wayOut) }),
    );
    expect(() => resolveRecipe('grpo', 'mini', { ...sets, ...instead })).not.toThrow();
  });

  it('refuses unknown names, presets and engines that cannot', () => {
    expect(() => getRecipe('dap')).toThrow(expect.objectContaining({ hint: expect.stringContaining('dapo') }));
    expect(() => resolveRecipe('dapo', 'maxi')).toThrow(expect.objectContaining({ where: 'dapo' }));
    const { name, capabilities } = new ReferenceEngine();
    const recipe = getRecipe('dapo');
    expect(() => assertCapable(recipe, { name, capabilities })).not.toThrow();
    expect(() => assertCapable(recipe, { name, capabilities: { ...capabilities, customLosses: false } })).toThrow(
      /customLosses/,
    );
    const adapters = { ...capabilities, lora: true };
    expect(() => assertCapable(recipe, { name, capabilities: adapters }, ['lora'])).not.toThrow();
    expect(() => assertCapable(recipe, { name, capabilities: { ...adapters, lora: false } }, ['lora'])).toThrow(/lora/);
  });
});

describe('nearest', () => {
  it('counts edits', () => {
    expect(editDistance('kitten', 'sitting')).toBe(3);
    expect(editDistance('', 'abc')).toBe(3);
    expect(nearest('abd', ['xyz', 'abc'])).toBe('abc');
    expect(nearest('abd', [])).toBeUndefined();
  });
});
