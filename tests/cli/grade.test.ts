import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { emptyFolder, hone, onlyJson } from './hone.js';

async function withFile(name: string, ...rows: unknown[]): Promise<{ cwd: string }> {
  const cwd = await emptyFolder();
  writeFileSync(path.join(cwd, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return { cwd };
}

describe('hone data validate', () => {
  it('lists every row that cannot be used, and says so in its exit code and one line of JSON', async () => {
    const options = await withFile('data.jsonl', { answer: '5' }, { answer: '' }, { answer: null }, { answer: 7 });
    const finished = await hone(['data', 'validate', 'data.jsonl', '--json'], options);
    expect(finished.code).toBe(3);
    expect(onlyJson(finished)).toMatchObject({
      rows: 4,
      failures: [
        { where: 'data.jsonl:2', status: 'no_verdict', reason: 'the gold answer is empty' },
        { where: 'data.jsonl:3', status: 'no_verdict', reason: 'no text or number in the field "answer"' },
      ],
    });
  });

  it('names the fields that there are where the asked one is in no row', async () => {
    const options = await withFile('data.jsonl', { problem: 'p', solution: '5' });
    const { code, stderr } = await hone(['data', 'validate', 'data.jsonl'], options);
    expect(code).toBe(3);
    expect(stderr).toMatch(/no row has a field "answer"[^]*--field[^]*problem, solution/);
  });
});

describe('hone grade pairs', () => {
  it('prints a verdict a line, then agreement by kind', async () => {
    const options = await withFile(
      'pairs.jsonl',
      { id: 'a', gold: '1/2', pred: '0.5', kind: 'expr', expected: true },
      { id: 'b', gold: '1/2', pred: '0.4', kind: 'expr', expected: true },
    );
    const { code, stdout } = await hone(['grade', 'pairs', 'pairs.jsonl'], options);
    expect(code).toBe(0);
    const lines = stdout.split('\n');
    expect(lines.slice(0, 2).map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { id: 'a', status: 'correct', agrees: true },
      { id: 'b', status: 'wrong', agrees: false },
    ]);
    expect(stdout).toMatch(/expr +2 +1 of 2 +50\.0 %/);
  });

  it('refuses a file without rows', async () => {
    const options = await withFile('empty.jsonl');
    const { code, stderr } = await hone(['grade', 'pairs', 'empty.jsonl'], options);
    expect({ code, stderr }).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('empty.jsonl: has no rows') as string,
    });
  });
});
