import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { formatJsonl, iterateJsonl, readJsonl } from '../../src/formats/index.js';

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hone-jsonl-'));
  file = join(folder, 'rows.jsonl');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const schema = z.object({ question: z.string(), answer: z.string() });
const good = '{"question":"1+1","answer":"2"}';
const read = async (content: string | Buffer, options = {}) => {
  await writeFile(file, content);
  return readJsonl(file, schema, options);
};

test('a byte order mark, CRLF, blank lines and a missing last newline are fine', async () => {
  const rows = await read(`\ufeff${good}\r\n\r\n   \n${good}\n\n${good}`);
  expect(rows).toEqual(Array(3).fill({ question: '1+1', answer: '2' }));
});

test('rows come with their line number, blank lines counted', async () => {
  await writeFile(file, `${good}\n\n${good}\n`);
  const lines: number[] = [];
  for await (const { line } of iterateJsonl(file, schema)) lines.push(line);
  expect(lines).toEqual([1, 3]);
  const told: number[] = [];
  await readJsonl(file, schema, { onRow: (_row, line) => told.push(line) });
  expect(told).toEqual([1, 3]);
});

test.each([
  ['a field is missing', '{"question":"1+1"}', /field "answer" is missing \(the row has: question\)/],
  ['a field has the wrong type', '{"question":"1+1","answer":2}', /field "answer" - .*expected string/],
  ['the row is no object', '[1]', /the row: .*expected object/],
  ['the JSON is cut', '{"question":', /invalid JSON/],
  ['the bytes are no UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), /not valid UTF-8/],
])('%s: the error names file and line, and the way out', async (_name, line, message) => {
  const content = Buffer.concat([Buffer.from(`${good}\n\n`), Buffer.from(line), Buffer.from(`\n${good}\n`)]);
  const error: unknown = await read(content).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ kind: 'input', where: `${file}:3`, hint: expect.stringMatching(/./) });
  expect(error).toHaveProperty('message', expect.stringMatching(message));
});

test('a hostile row cannot put control characters into the error', async () => {
  const error: unknown = await read('{"\\u001b[2Jevil\\u202e":1}').catch((thrown: unknown) => thrown);
  expect(String(error)).toMatch(/evil/);
  expect(String(error)).not.toMatch(/[\u001b\u202e\n]/);
});

test('an endless line is refused without being read to its end', async () => {
  await expect(read(`${good}\n"${'x'.repeat(5000)}"`, { maxLineBytes: 1000 })).rejects.toMatchObject({
    where: `${file}:2`,
    message: expect.stringMatching(/longer than 1000 bytes/),
  });
  expect(await read(good, { maxLineBytes: good.length })).toHaveLength(1);
});

test('a missing file and a folder are input errors that name the path', async () => {
  const missing = join(folder, 'nowhere.jsonl');
  await expect(readJsonl(missing, schema)).rejects.toMatchObject({ kind: 'input', where: missing });
  await expect(readJsonl(folder, schema)).rejects.toMatchObject({ kind: 'input', where: folder });
});

test('what is written is read back, whatever the text, also across read boundaries', async () => {
  const value = fc.record({
    question: fc.string({ unit: 'binary', maxLength: 400 }),
    answer: fc.string({ unit: 'grapheme' }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(value, { maxLength: 20 }), async (rows) => {
      await rm(file, { force: true });
      const padding = { question: 'x'.repeat(262_144 - 40), answer: '' };
      await writeFile(file, formatJsonl([padding, ...rows]));
      expect(await readJsonl(file, schema)).toEqual([padding, ...rows]);
    }),
    { seed: 11, numRuns: 40 },
  );
});

test('rows that JSON cannot hold are refused', () => {
  expect(() => formatJsonl([{ a: 1 }, { a: { b: [NaN] } }])).toThrow(
    expect.objectContaining({ kind: 'numeric', where: 'a.b[0]' }),
  );
});
