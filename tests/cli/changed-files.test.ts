import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { changedFiles } from '../../src/cli/train.js';
import { sha256File } from '../../src/formats/index.js';

it('tells which data of a run has changed since it was started', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'hone-changed-'));
  const [same, edited, gone] = ['same.jsonl', 'edited.jsonl', 'gone.jsonl'].map((name) => path.join(folder, name));
  const hashes: Record<string, string> = {};
  for (const file of [same, edited, gone] as string[]) {
    await writeFile(file, '{"a":1}');
    hashes[file] = await sha256File(file);
  }
  await writeFile(edited as string, '{"a":2}');
  await rm(gone as string);
  expect(await changedFiles(hashes)).toEqual([edited, gone]);
  await rm(folder, { recursive: true });
});
