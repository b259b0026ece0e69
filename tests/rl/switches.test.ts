import { describe, expect, it } from 'vitest';
import { leaveOneOut, lengthAdaptiveLambda } from '../../src/rl/index.js';
import type { RolloutRow } from '../../src/runs/types.js';
import { derivativesOf, spiedRun, vectorOf, type Spied } from '../support/spied-training.js';

/** Every component of VAPO, DAPO and T1 by its `--set` option: what changes, and that nothing else does. */

const sum = (values: readonly number[]) => values.reduce((total, x) => total + x, 0);
const close = (a: number, b: number) => Math.abs(a - b) < 1e-6;
const first = (spied: Spied) => spied.policyPasses[0];
const texts = (rows: readonly RolloutRow[]) => rows.map((row) => `${row.problemId} ${row.sample} ${row.text}`);
const trained = (rows: readonly RolloutRow[]) => texts(rows.filter((row) => row.trained));

const byProblem = (rows: readonly RolloutRow[]) =>
  [...new Set(rows.map((row) => row.problemId))].map((id) => rows.filter((row) => row.problemId === id));

const PPO = { 'advantage.kind': 'gae', 'advantage.lambda': '0.9', 'critic.optimizer.lr': '0.03' };

describe('VAPO', () => {
  it('value pretraining: critic.pretrain.iterations trains the critic first, and the policy not at all', async () => {
    const frozen = { ...PPO, 'critic.freezePolicyIterations': '1' };
    const without = await spiedRun(frozen);
    const pretrained = await spiedRun({ ...frozen, 'critic.pretrain.iterations': '2' });
    expect(without.criticPasses).toHaveLength(1);
    expect(pretrained.criticPasses).toHaveLength(3);
    expect(pretrained.policyPasses).toHaveLength(0);
    expect(pretrained.policy).toEqual(without.policy);
    const rewardAtEveryToken = pretrained.criticPasses[0]!.data.every((_, i) => {
      const returns = vectorOf(pretrained.criticPasses[0], 'return')[i]!;
      return returns.every((G) => G === returns[0]);
    });
    expect(rewardAtEveryToken).toBe(true);
  });

  it("decoupled GAE: advantage.lambdaCritic changes the critic's targets alone, advantage.lambda the advantages", async () => {
    const [base, critic, policy] = [
      await spiedRun(PPO),
      await spiedRun({ ...PPO, 'advantage.lambdaCritic': '0.5' }),
      await spiedRun({ ...PPO, 'advantage.lambda': '0.5' }),
    ];
    expect(critic.policy).toEqual(base.policy);
    expect(vectorOf(critic.criticPasses[0], 'return')).not.toEqual(vectorOf(base.criticPasses[0], 'return'));
    expect(policy.critic).toEqual(base.critic);
    expect(vectorOf(first(policy), 'advantage')).not.toEqual(vectorOf(first(base), 'advantage'));
    const lastTokens = (spied: Spied) => vectorOf(first(spied), 'advantage').map((A_T) => A_T.at(-1));
    expect(lastTokens(policy)).toEqual(lastTokens(base));
  });

  it('length-adaptive GAE: advantage.lengthAdaptiveAlpha changes responses whose lambda it changes, and no others', async () => {
    const alpha = 1;
    const base = await spiedRun({ ...PPO, 'advantage.lambda': `${lengthAdaptiveLambda(2, alpha)}` });
    const adaptive = await spiedRun({ ...PPO, 'advantage.lengthAdaptiveAlpha': `${alpha}` });
    expect(adaptive.critic).toEqual(base.critic);
    const before = vectorOf(first(base), 'advantage');
    const changed = vectorOf(first(adaptive), 'advantage').map((A_T, s) => !A_T.every((A, t) => A === before[s]![t]));
    // A single token has no later one to weigh; at two tokens both lambdas are 1/2.
    expect(changed).toEqual(before.map((A_T) => A_T.length > 2));
    expect(changed).toContain(true);
  });

  it('clip-higher: loss.clipHigh changes tokens of positive advantage whose ratio is in (1.2, 1.28]', async () => {
    const sets = { epochs: '8', 'optimizer.lr': '0.02', 'loss.clipHigh': '0.2' };
    const [low, high] = [await spiedRun(sets), await spiedRun({ ...sets, 'loss.clipHigh': '0.28' })];
    // Up to the first pass in which the bound acts, both runs are one and the same.
    const differs = low.policyPasses.findIndex(
      (pass, i) => pass.result.lossSum !== high.policyPasses[i]?.result.lossSum,
    );
    expect(derivativesOf(first(high))).toEqual(derivativesOf(first(low)));
    const [a, b] = [low.policyPasses[differs], high.policyPasses[differs]];
    expect(vectorOf(b, 'oldLogprob')).toEqual(vectorOf(a, 'oldLogprob'));
    const [dLow, dHigh, A, w] = [derivativesOf(a), derivativesOf(b), vectorOf(a, 'advantage'), vectorOf(a, 'weight')];
    let changed = 0;
    dHigh.forEach((d_T, s) =>
      d_T.forEach((d, t) => {
        // With the wider bound the derivative is -w r A, which says the ratio.
        const ratio = d / (-w[s]![t]! * A[s]![t]!);
        const between = A[s]![t]! > 0 && ratio > 1.2 && ratio <= 1.28 + 1e-6;
        expect(d !== dLow[s]![t]!).toBe(between);
        changed += Number(between);
      }),
    );
    expect(changed).toBeGreaterThan(0);
  });

  it('token-level loss: aggregation changes weights by the length of the response over the mean length', async () => {
    const [tokens, sequences] = [
      await spiedRun({ aggregation: 'token-mean' }),
      await spiedRun({ aggregation: 'sequence-mean-token-mean' }),
    ];
    const lengths = tokens.rows.map((row) => row.tokens);
    const mean = sum(lengths) / lengths.length;
    const [wToken, wSequence] = [vectorOf(first(tokens), 'weight'), vectorOf(first(sequences), 'weight')];
    expect(vectorOf(first(tokens), 'advantage')).toEqual(vectorOf(first(sequences), 'advantage'));
    wToken.forEach((w_T, s) => expect(w_T[0]! / wSequence[s]![0]!).toBeCloseTo(w_T.length / mean, 5));
  });

  it('positive NLL: loss.positiveNll adds -mu over the number of right tokens to right answers, and nothing elsewhere', async () => {
    const mu = 0.1;
    const [off, on] = [
      await spiedRun({ 'loss.entropyBonus': '1e-12' }),
      await spiedRun({ 'loss.entropyBonus': '1e-12', 'loss.positiveNll': `${mu}` }),
    ];
    const right = on.rows.filter((row) => row.status === 'correct');
    expect(right.length).toBeGreaterThan(0);
    const tokens = sum(right.map((row) => row.tokens));
    const before = derivativesOf(first(off));
    derivativesOf(first(on)).forEach((d_T, s) => {
      const expected = on.rows[s]!.status === 'correct' ? -mu / tokens : 0;
      d_T.forEach((d, t) => expect(d - before[s]![t]!).toBeCloseTo(expected, 7));
    });
  });

  it('group sampling: groupSize trades attempts at a prompt for prompts', async () => {
    const [grouped, single] = [
      await spiedRun(PPO),
      await spiedRun({ ...PPO, groupSize: '1', promptsPerIteration: '36' }),
    ];
    expect(new Set(grouped.rows.map((row) => row.problemId)).size).toBe(6);
    expect(new Set(single.rows.map((row) => row.problemId)).size).toBe(36);
    expect(single.rows).toHaveLength(grouped.rows.length);
  });
});

describe('DAPO', () => {
  it('overlong filter: overlong.filter takes truncated responses out, and the others share their weight', async () => {
    const [off, on] = [await spiedRun({}), await spiedRun({ 'overlong.filter': 'true' })];
    const cut = off.rows.filter((row) => row.stopReason === 'length');
    expect(cut.length).toBeGreaterThan(0);
    expect(trained(on.rows)).toEqual(trained(off.rows).filter((text) => !texts(cut).includes(text)));
    const all = sum(off.rows.map((row) => row.tokens));
    const kept = all - sum(cut.map((row) => row.tokens));
    expect(vectorOf(first(on), 'weight')[0]![0]! / vectorOf(first(off), 'weight')[0]![0]!).toBeCloseTo(all / kept, 5);
    expect(on.rows.map((row) => row.advantage)).toEqual(off.rows.map((row) => row.advantage));
  });

  it('overlong filter: the constant of Dr. GRPO does not depend on it', async () => {
    const sets = { aggregation: 'constant', 'loss.entropyBonus': '1e-12', updatesPerIteration: '2' };
    const on = await spiedRun({ ...sets, 'overlong.filter': 'true' });
    expect(on.rows.some((row) => row.stopReason === 'length')).toBe(true);
    expect(on.policyPasses).toHaveLength(2);
    const weights = on.policyPasses.flatMap((pass) => vectorOf(pass, 'weight').flat());
    weights.forEach((w) => expect(w).toBeCloseTo(1 / (18 * on.config.maxTokens), 8));
  });

  it('soft overlong punishment: overlong.soft.enabled lowers rewards beyond L_max - L_cache, and no others', async () => {
    const soft = { 'overlong.soft.maxTokens': '4', 'overlong.soft.cacheTokens': '2' };
    const [off, on] = [await spiedRun(soft), await spiedRun({ ...soft, 'overlong.soft.enabled': 'true' })];
    on.rows.forEach((row, i) => {
      const punishment = row.tokens > 2 ? (2 - row.tokens) / 2 : 0;
      expect(row.reward).toBeCloseTo(off.rows[i]!.reward + punishment, 12);
    });
  });

  it('dynamic sampling: dynamicSampling.enabled keeps mixed groups and goes on to the next prompts', async () => {
    const [off, on] = [
      await spiedRun({}),
      await spiedRun({ 'dynamicSampling.enabled': 'true', 'dynamicSampling.maxBatches': '0' }),
    ];
    expect(texts(on.rows).slice(0, off.rows.length)).toEqual(texts(off.rows));
    expect(on.rows.length).toBeGreaterThan(off.rows.length);
    const groups = new Map<string, Set<string>>();
    for (const row of on.rows.filter(({ trained }) => trained))
      groups.set(row.problemId, (groups.get(row.problemId) ?? new Set()).add(row.status));
    expect([...groups.values()].map((statuses) => statuses.size)).toEqual([2, 2, 2, 2, 2, 2]);
  });

  it('dual clip: loss.dualClip bounds tokens of negative advantage whose ratio is above it', async () => {
    const sets = { epochs: '2', 'optimizer.lr': '0.2', aggregation: 'sequence-mean-token-sum' };
    const [off, on] = [await spiedRun(sets), await spiedRun({ ...sets, 'loss.dualClip': '1.05' })];
    const [a, b] = [off.policyPasses[1], on.policyPasses[1]];
    const [A, w, dOff, dOn] = [vectorOf(a, 'advantage'), vectorOf(a, 'weight'), derivativesOf(a), derivativesOf(b)];
    let changed = 0;
    dOff.forEach((d_T, s) =>
      d_T.forEach((d, t) => {
        const ratio = d / (-w[s]![t]! * A[s]![t]!);
        const beyond = A[s]![t]! < 0 && ratio > 1.05;
        expect(dOn[s]![t]).toBe(beyond ? 0 : d);
        changed += Number(beyond);
      }),
    );
    expect(changed).toBeGreaterThan(0);
  });
});

describe('T1', () => {
  const T1 = { 'advantage.kind': 'leave-one-out', 'loss.kind': 'policy-gradient' };

  it('over-sampling: groupSize K adds attempts and leaves the first ones as they are', async () => {
    const [few, many] = [await spiedRun({ ...T1, groupSize: '4' }), await spiedRun({ ...T1, groupSize: '8' })];
    expect(texts(many.rows.filter((row) => row.sample < 4))).toEqual(texts(few.rows));
    expect(many.rows).toHaveLength(2 * few.rows.length);
  });

  it('temperature: the trainer divides by it as well, unless trainingTemperature says otherwise', async () => {
    const [plain, hot, apart] = [
      await spiedRun(T1),
      await spiedRun({ ...T1, temperature: '1.2' }),
      await spiedRun({ ...T1, temperature: '1.2', trainingTemperature: '1' }),
    ];
    expect([plain, hot, apart].map((spied) => first(spied)?.temperature)).toEqual([1, 1.2, 1]);
    expect(texts(apart.rows)).toEqual(texts(hot.rows));
    expect(texts(hot.rows)).not.toEqual(texts(plain.rows));
  });

  it('penalties: shaping.penalties.enabled sets the reward of cut responses to the value, and of no others', async () => {
    const sets = { ...T1, 'shaping.penalties.garbage': 'false', 'shaping.penalties.repetition.ngram': '9' };
    const [off, on] = [await spiedRun(sets), await spiedRun({ ...sets, 'shaping.penalties.enabled': 'true' })];
    expect(on.rows.some((row) => row.stopReason === 'length')).toBe(true);
    on.rows.forEach((row, i) => expect(row.reward).toBe(row.stopReason === 'length' ? -1 : off.rows[i]!.reward));
  });

  const KL = { ...T1, iterations: '2', 'kl.placement': 'reward', 'kl.estimator': 'k1', 'kl.coefficient': '0.5' };

  it('KL normalisation: kl.perResponse takes the KL of a response relative to the others in its group', async () => {
    const [plain, normalised] = [await spiedRun(KL), await spiedRun({ ...KL, 'kl.perResponse': 'true' })];
    expect(texts(normalised.rows)).toEqual(texts(plain.rows));
    // What the KL adds to an advantage, A - LOO(R): -LOO(beta k) plain, and -LOO(LOO(beta k)) = G/(G-1) of it normalised.
    const added = ({ rows }: Spied) =>
      rows.map(({ advantage, iteration, problemId }, i) => {
        const group = rows.filter((row) => row.iteration === iteration && row.problemId === problemId);
        return advantage - leaveOneOut(group.map((row) => row.reward))[group.indexOf(rows[i]!)]!;
      });
    const [a, b] = [added(plain), added(normalised)];
    expect(a.some((x) => Math.abs(x) > 1e-3)).toBe(true);
    b.forEach((x, i) => expect(x).toBeCloseTo((6 / 5) * a[i]!, 9));
  });

  it('entropy bonus: loss.entropyBonus adds -alpha weight to the entropy of every token, and to no logprob', async () => {
    const [off, on] = [await spiedRun(T1), await spiedRun({ ...T1, 'loss.entropyBonus': '0.01' })];
    const weights = vectorOf(first(on), 'weight');
    weights.forEach((w_T, s) => {
      const dEntropy = [...first(on)!.result.dEntropy![s]!].filter((d) => d !== 0);
      expect(dEntropy).toHaveLength(w_T.length);
      dEntropy.forEach((d, t) => expect(close(d, -0.01 * w_T[t]!)).toBe(true));
    });
    const credited = (spied: Spied) => derivativesOf(first(spied)).filter((d_T) => d_T.some((d) => d !== 0));
    expect(credited(on)).toEqual(credited(off));
  });

  it('dynamic anchor: kl.reference.kind moves the reference by kl.reference.keep every kl.reference.every iterations', async () => {
    const sets = {
      ...KL,
      iterations: '4',
      'kl.placement': 'loss',
      'kl.estimator': 'k3',
      'kl.reference.every': '2',
      'kl.reference.keep': '0.7',
    };
    const [fixed, replaced, averaged] = [
      await spiedRun({ ...sets, 'kl.reference.kind': 'fixed' }),
      await spiedRun({ ...sets, 'kl.reference.kind': 'replaced' }),
      await spiedRun({ ...sets, 'kl.reference.kind': 'averaged' }),
    ];
    expect(fixed.reference).toEqual([]);
    expect(replaced.reference).toEqual(['copyFrom', 'copyFrom']);
    expect(averaged.reference).toEqual(['lerpFrom 0.7', 'lerpFrom 0.7']);
    for (const moved of [replaced, averaged]) {
      const references = (spied: Spied) => spied.policyPasses.map((pass) => vectorOf(pass, 'refLogprob'));
      const same = references(moved).map((ref, i) => JSON.stringify(ref) === JSON.stringify(references(fixed)[i]));
      expect(same).toEqual([true, true, false, false]);
    }
  });
});

describe('all', () => {
  it('control.zeroAdvantage: no advantage, the same rewards and rollouts', async () => {
    const [off, on] = [await spiedRun({}), await spiedRun({ 'control.zeroAdvantage': 'true' })];
    expect(texts(on.rows)).toEqual(texts(off.rows));
    expect(on.rows.map((row) => row.reward)).toEqual(off.rows.map((row) => row.reward));
    expect(on.rows.every((row) => row.advantage === 0)).toBe(true);
    expect(on.policyPasses).toHaveLength(0);
  });

  describe('control.shuffledReward: no verdict is learned from, only the rewards as they were dealt out', () => {
    const SHUFFLED = { 'control.shuffledReward': 'true' };

    it('the same rollouts, verdicts and sum of rewards', async () => {
      const [off, on] = [await spiedRun({}), await spiedRun(SHUFFLED)];
      expect(texts(on.rows)).toEqual(texts(off.rows));
      expect(on.rows.map((row) => row.status)).toEqual(off.rows.map((row) => row.status));
      expect(sum(on.rows.map((row) => row.reward))).toBe(sum(off.rows.map((row) => row.reward)));
      expect(on.rows.some((row) => (row.reward === 1) !== (row.status === 'correct'))).toBe(true);
    });

    it('loss.positiveNll imitates what was rewarded as right', async () => {
      const on = await spiedRun({ ...SHUFFLED, 'loss.positiveNll': '0.1', 'loss.entropyBonus': '1e-12' });
      const imitated = vectorOf(first(on), 'nllWeight').map((w_T) => w_T.some((w) => w !== 0));
      expect(imitated).toEqual(on.rows.map((row) => row.reward === 1));
    });

    it.each(['accuracy', 'reward'])('dynamicSampling.metric=%s keeps prompts whose rewards differ', async (metric) => {
      const dynamic = { 'dynamicSampling.enabled': 'true', 'dynamicSampling.metric': metric };
      const on = await spiedRun({
        ...SHUFFLED,
        ...dynamic,
        promptsPerIteration: '12',
        'dynamicSampling.maxBatches': '1',
      });
      const groups = byProblem(on.rows);
      const kept = groups.map((rows) => rows.some((row) => row.trained));
      expect(kept).toEqual(groups.map((rows) => new Set(rows.map((row) => row.reward)).size > 1));
      expect(new Set(kept).size).toBe(2);
      const alike = groups.filter((rows) => new Set(rows.map((row) => row.status)).size === 1);
      expect(alike.some((rows) => rows.some((row) => row.trained))).toBe(true);
    });

    it('shaping.length=rs takes the longest of those that were rewarded as right', async () => {
      const on = await spiedRun({ ...SHUFFLED, 'shaping.length': 'rs' });
      const pairs = byProblem(on.rows.filter((row) => row.trained)).map((rows) => rows.map((row) => row.reward).sort());
      expect(pairs.length).toBeGreaterThan(1);
      expect(pairs.every((rewards) => rewards.join() === '0,1')).toBe(true);
    });
  });

  it('advantage.whiten: mean 0 and deviation 1 over the tokens, in the same order', async () => {
    const [off, on] = [await spiedRun(PPO), await spiedRun({ ...PPO, 'advantage.whiten': 'true' })];
    const [raw, white] = [vectorOf(first(off), 'advantage').flat(), vectorOf(first(on), 'advantage').flat()];
    expect(sum(white) / white.length).toBeCloseTo(0, 5);
    expect(sum(white.map((x) => x * x)) / (white.length - 1)).toBeCloseTo(1, 5);
    const mean = sum(raw) / raw.length;
    const sd = Math.sqrt(sum(raw.map((x) => (x - mean) ** 2)) / (raw.length - 1));
    white.forEach((x, i) => expect(x).toBeCloseTo((raw[i]! - mean) / sd, 4));
  });
});
