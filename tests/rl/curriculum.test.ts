import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FIRST_STAGE, slope, stageAfter, stageAt, stageEnds, type StageEnd } from '../../src/rl/curriculum.js';
import { meanPromptLength, stageProblems, type StageData } from '../../src/rl/stage-data.js';
import { isOfLevel, readPassRates } from '../../src/tasks/difficulty.js';
import { arithmeticTask, type Problem, type ProblemSource } from '../../src/tasks/index.js';

const until = (changes: Partial<StageEnd>): StageEnd => ({
  ...{ iterations: null, plateau: null, truncatedBelow: null },
  ...changes,
});

describe('a stage ends', () => {
  it('after its number of iterations', () => {
    const stages = [{ until: until({ iterations: 2 }) }, { until: until({ iterations: 3 }) }, { until: until({}) }];
    const lines = Array.from({ length: 7 }, (_, i) => ({ iteration: i + 1 }));
    const stageOf = (done: number) => stageAfter(stages, lines.slice(0, done)).stage;
    expect([0, 1, 2, 3, 4, 5, 6, 7].map(stageOf)).toEqual([0, 0, 1, 1, 1, 2, 2, 2]);
  });

  it('when validation has stopped rising, and not before there are two windows of it', () => {
    const plateau = until({ plateau: { window: 2, slope: 0.01 } });
    const after = (scores: number[]) => stageEnds(plateau, { ...FIRST_STAGE, scores }, { iteration: 9 });
    expect(after([0.1, 0.1, 0.1])).toBeUndefined();
    expect(after([0.1, 0.2, 0.3, 0.4])).toBeUndefined();
    expect(after([0.1, 0.2, 0.2, 0.1])).toBe('plateau');
    expect(after([0.0, 0.9, 0.5, 0.5, 0.5, 0.5])).toBe('plateau');
  });

  it('when few responses are cut any more', () => {
    const rule = until({ truncatedBelow: 0.1 });
    const ends = (share: number) => stageEnds(rule, FIRST_STAGE, { iteration: 1, 'truncated.share': share });
    expect([0.5, 0.1, 0.09, 0].map(ends)).toEqual([undefined, undefined, 'truncatedBelow', 'truncatedBelow']);
  });

  it('at the first of its rules, and never when it is the last', () => {
    const both = until({ iterations: 10, truncatedBelow: 0.5 });
    const line = { iteration: 1, 'truncated.share': 0 };
    expect(stageAt([{ until: both }, { until: both }], FIRST_STAGE, line)).toEqual({
      ...{ stage: 1, iterations: 0, scores: [] },
    });
    expect(stageAt([{ until: both }], FIRST_STAGE, line).stage).toBe(0);
  });

  it('with scores of its own stage alone', () => {
    const stages = [{ until: until({ plateau: { window: 1, slope: 0.1 } }) }, { until: until({}) }];
    const lines = [0.1, 0.5, 0.5, 0.7].map((score, i) => ({ iteration: i + 1, 'val.score': score }));
    expect(stageAfter(stages, lines)).toEqual({ stage: 1, iterations: 1, scores: [0.7] });
  });

  it('at the same iteration however often the run was resumed', () => {
    const stages = [
      { until: until({ iterations: 2 }) },
      { until: until({ truncatedBelow: 0.3 }) },
      { until: until({}) },
    ];
    const line = fc.record({ 'truncated.share': fc.double({ min: 0, max: 1, noNaN: true }) });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), fc.nat(12), (values, cut) => {
        const lines = values.map((value, i) => ({ iteration: i + 1, ...value }));
        const resumed = lines
          .slice(cut)
          .reduce((state, next) => stageAt(stages, state, next), stageAfter(stages, lines.slice(0, cut)));
        expect(resumed).toEqual(stageAfter(stages, lines));
      }),
      { seed: 11, numRuns: 50 },
    );
  });
});

it('the slope is the rise of the moving average per score', () => {
  expect(slope([1, 1, 2, 2], 2)).toBe(0.5);
  expect(slope([9, 9, 3, 2, 1], 1)).toBe(-1);
  expect(slope([1, 2, 3], 2)).toBeUndefined();
});

const everything: StageData = { promptLength: 'all', difficulty: null, passRate: null, level: null, pool: 200 };

function listSource(problems: readonly Problem[]): ProblemSource {
  return { size: problems.length, at: (index) => problems[index % problems.length]! };
}

const finite = listSource(
  Array.from({ length: 9 }, (_, i) => ({ id: `p${i}`, prompt: 'x'.repeat(i + 1), difficulty: i })),
);
const idsOf = (source: ProblemSource) => Array.from({ length: source.size }, (_, i) => source.at(i).id);

describe('the problems of a stage', () => {
  let folder: string;
  beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'hone-stage-'))));
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const file = async (rows: object[]) => {
    const path = join(folder, 'rates.jsonl');
    await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return path;
  };

  it('are split at the mean prompt length in characters, without loss or overlap', async () => {
    const short = await stageProblems(finite, { ...everything, promptLength: 'short' }, 1, 'here');
    const long = await stageProblems(finite, { ...everything, promptLength: 'long' }, 1, 'here');
    expect(meanPromptLength(finite, 1)).toBe(5);
    expect(idsOf(short)).toEqual(['p0', 'p1', 'p2', 'p3', 'p4']);
    expect(idsOf(long)).toEqual(['p5', 'p6', 'p7', 'p8']);
    expect(await stageProblems(finite, everything, 1, 'here')).toBe(finite);
  });

  it('are all of them in both parts where prompts have one length', async () => {
    const alike = { ...finite, at: (index: number) => ({ ...finite.at(index), prompt: 'same' }) };
    for (const promptLength of ['short', 'long'] as const)
      expect(await stageProblems(alike, { ...everything, promptLength }, 1, 'here')).toBe(alike);
  });

  it('of an endless task are found as they come, in any order of asking', async () => {
    const source = arithmeticTask({ depth: 2 }).problems('train', 3);
    const threshold = meanPromptLength(source, 200);
    const long = await stageProblems(source, { ...everything, promptLength: 'long' }, 3, 'here');
    const again = await stageProblems(source, { ...everything, promptLength: 'long' }, 3, 'here');
    expect(long.size).toBe(Infinity);
    const forward = Array.from({ length: 40 }, (_, i) => long.at(i));
    expect(Array.from({ length: 40 }, (_, i) => again.at(39 - i)).reverse()).toEqual(forward);
    for (const { prompt } of forward) expect(prompt.length).toBeGreaterThan(threshold);
    const easy = await stageProblems(source, { ...everything, difficulty: { min: null, max: 2 } }, 3, 'here');
    for (let i = 0; i < 40; i++) expect(easy.at(i).difficulty).toBeLessThanOrEqual(2);
  });

  it('by measured pass rate lie between the bounds; what was not measured is left out', async () => {
    const rates = [0, 0.25, 0.5, 1].map((passRate, i) => ({ id: `p${i}`, model: 'tiny', k: 4, passRate }));
    const passRate = { file: await file([...rates, { ...rates[1], model: 'big' }]), model: 'tiny', above: 0, below: 1 };
    expect(idsOf(await stageProblems(finite, { ...everything, passRate }, 1, 'here'))).toEqual(['p1', 'p2']);
  });

  it('by level follow the rules of difficulty-staged RL', async () => {
    const models = { small: 's', medium: 'm', large: 'l', strongest: 'r' };
    const rows = (id: string, [s, m, l, r]: number[]) =>
      Object.entries({ s, m, l, r }).map(([model, passRate]) => ({ id, model, k: 2, passRate }));
    const path = await file([
      ...rows('p0', [0.5, 0.5, 1, 1]),
      ...rows('p1', [0, 1, 1, 1]),
      ...rows('p2', [0, 0, 0.5, 1]),
      ...rows('p3', [1, 1, 1, 1]),
      ...rows('p4', [0.5, 0, 0, 0]),
    ]);
    const idsAt = async (level: 1 | 2 | 3, solvedShare: number) => {
      const rule = { file: path, level, models, solvedShare };
      return idsOf(await stageProblems(finite, { ...everything, level: rule }, 1, 'here'));
    };
    expect(await idsAt(1, 0)).toEqual(['p0']);
    expect(await idsAt(2, 0)).toEqual(['p0', 'p1']);
    expect(await idsAt(3, 0)).toEqual(['p2']);
    expect(await idsAt(3, 1)).toEqual(['p0', 'p1', 'p2', 'p3']);
  });

  it('that nobody can find are an error that names the stage', async () => {
    const none = { ...everything, difficulty: { min: 99, max: null } };
    await expect(stageProblems(finite, none, 1, 'curriculum.stages.0')).rejects.toMatchObject({
      ...{ kind: 'input', where: 'curriculum.stages.0' },
    });
    const endless = await stageProblems(arithmeticTask().problems('train', 1), none, 1, 'curriculum.stages.0');
    expect(() => endless.at(0)).toThrow(/10000 problems/);
  });

  it('two rates of one problem and model are an error at the line', async () => {
    const row = { id: 'p0', model: 'tiny', k: 4, passRate: 0.5 };
    const path = await file([row, row]);
    await expect(readPassRates(path)).rejects.toMatchObject({ kind: 'input', where: `${path}:2` });
  });
});

it('a level that needs a rate nobody measured says so', () => {
  const models = { small: 's', medium: 'm', large: 'l', strongest: null };
  const how = { drawn: 0, solvedShare: 0 };
  expect(isOfLevel(1, new Map([['s', 0.5]]), models, how)).toBe(true);
  expect(isOfLevel(2, new Map([['s', 0.5]]), models, how)).toBeUndefined();
  expect(isOfLevel(3, new Map([['s', 0.5]]), models, how)).toBeUndefined();
});
