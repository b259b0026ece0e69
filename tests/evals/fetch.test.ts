import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Benchmark, fetchBenchmark, findBenchmark } from '../../src/evals/index.js';

const folder = (): string => mkdtempSync(join(tmpdir(), 'hone-fetch-'));
const aime = { ...(findBenchmark('aime24') as Benchmark), problems: 130 };

/** A hub with 130 rows of AIME; says what it was asked. */
function hub(change: { status?: number; rows?: number; row?: object; cut?: boolean } = {}) {
  const asked: { url: URL; token: string | null }[] = [];
  const answer = (url: URL): object => {
    if (url.pathname.startsWith('/api/')) return { cardData: { license: 'apache-2.0' } };
    const offset = Number(url.searchParams.get('offset'));
    const total = change.rows ?? 130;
    const count = Math.min(100, total - offset);
    const row = (i: number) => ({ id: 60 + i, problem: `Problem ${i}`, answer: 7, url: 'x', ...change.row });
    const rows = Array.from({ length: count }, (_, i) => ({
      row: row(offset + i),
      truncated_cells: change.cut ? ['problem'] : [],
    }));
    return { rows, num_rows_total: total };
  };
  const get = ((input: string | URL, init?: RequestInit) => {
    const url = new URL(input);
    asked.push({ url, token: new Headers(init?.headers).get('authorization') });
    return Promise.resolve(new Response(JSON.stringify(answer(url)), { status: change.status ?? 200 }));
  }) as typeof fetch;
  return { get, asked };
}

describe('fetchBenchmark', () => {
  it('writes the rows of every page, with the licence that the hub states', async () => {
    const { get, asked } = hub();
    const found = await fetchBenchmark(aime, folder(), { fetch: get, token: 'secret' });
    const rows = readFileSync(found.file, 'utf8').trim().split('\n');
    expect(found).toMatchObject({ rows: 130, licence: 'apache-2.0' });
    expect(JSON.parse(rows[129] as string)).toEqual({
      ...{ id: '189', problem: 'Problem 129', answer: '7', licence: 'apache-2.0' },
    });
    expect(asked.map(({ url }) => url.searchParams.get('offset'))).toEqual([null, '0', '100']);
    expect(asked.every(({ token }) => token === 'Bearer secret')).toBe(true);
  });

  it.each([
    ['gated data', { status: 401 }, { kind: 'resource', hint: expect.stringMatching(/HF_TOKEN/) }],
    ['a data set that has changed', { rows: 99 }, { kind: 'input', message: expect.stringMatching(/99 rows/) }],
    [
      'other names',
      { row: { answer: undefined } },
      { kind: 'input', message: expect.stringMatching(/no problem and/) },
    ],
    ['rows that are cut', { cut: true }, { kind: 'input', message: expect.stringMatching(/no whole rows/) }],
  ])('refuses %s', async (_, change, error) => {
    await expect(fetchBenchmark(aime, folder(), { fetch: hub(change).get })).rejects.toMatchObject(error);
  });

  it('names the source of what is not fetched', async () => {
    const minerva = findBenchmark('minerva') as Benchmark;
    await expect(fetchBenchmark(minerva, folder())).rejects.toMatchObject({ kind: 'usage' });
  });
});
