import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { RandomStream } from '../../src/core/index.js';
import { mutateBytes, mutateJson, mutateText } from '../../verify/fuzz/mutate.js';
import { makeCorpus, runCase, TARGETS, type Outcome } from '../../verify/fuzz/targets.js';
import { scratch } from './helpers.js';

/** A part of what `npm run verify -- fuzz-files` runs 20,000 of, under limits of time and memory. */
const CASES = 200;
const SEED = 2;

let corpus: string;
let out: string;
beforeAll(async () => {
  corpus = join(await scratch(), 'corpus');
  out = join(await scratch(), 'out');
  await makeCorpus(corpus);
});

describe('damaged files', () => {
  it('the files are whole before they are damaged', async () => {
    for (const [i, target] of TARGETS.entries())
      await expect(target.load(corpus, `${out}-${i}`), target.name).resolves.toBeUndefined();
  });

  it('end with a HoneError or a load', async () => {
    const outcomes: Outcome[] = [];
    for (let number = 0; number < CASES; number++) outcomes.push(await runCase(SEED, number, corpus, out));
    expect(outcomes.filter(({ result }) => result === 'defect')).toEqual([]);
    const seen = (result: Outcome['result']) => outcomes.filter((outcome) => outcome.result === result).length;
    expect(seen('refused')).toBeGreaterThan(CASES / 4);
    expect(seen('loaded')).toBeGreaterThan(CASES / 20);
    expect(new Set(outcomes.map(({ target }) => target)).size).toBe(TARGETS.length);
  });

  it('are restored after each case', async () => {
    const file = join(corpus, 'model/config.json');
    const before = await readFile(file);
    for (let number = 0; number < 20; number++) await runCase(SEED, number, corpus, out);
    expect(await readFile(file)).toEqual(before);
  });
});

describe('mutations', () => {
  it('depend on their stream alone, and change what they are given', () => {
    const bytes = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyz');
    const json = JSON.stringify({ a: [1, { b: 'x' }], c: true });
    const runs = [0, 1].map(() =>
      Array.from({ length: 50 }, (_, i) => [
        Buffer.from(mutateBytes(bytes, new RandomStream(5, 'bytes', i))).toString('latin1'),
        mutateJson(json, new RandomStream(5, 'json', i)),
        mutateText('{{ a }} {% if b %}c{% endif %}', new RandomStream(5, 'text', i)),
      ]),
    );
    expect(runs[0]).toEqual(runs[1]);
    expect(new Set(runs[0]?.map(([changed]) => changed)).size).toBeGreaterThan(40);
    expect(new Set(runs[0]?.map(([, changed]) => changed)).size).toBeGreaterThan(25);
  });
});
