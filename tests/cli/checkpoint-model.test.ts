import { link, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { copySideFiles } from '../../src/cli/checkpoint-model.js';

it("replaces a run's config.json, which marks its model as complete, and never writes into it", async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'hone-side-'));
  const [from, to, old] = [path.join(root, 'from'), path.join(root, 'to'), path.join(root, 'old.json')];
  await mkdir(from);
  await mkdir(to);
  await writeFile(path.join(from, 'config.json'), '{"new":1}');
  await writeFile(old, '{"old":1}');
  await link(old, path.join(to, 'config.json'));
  await copySideFiles(from, to);
  expect(await readFile(path.join(to, 'config.json'), 'utf8')).toBe('{"new":1}');
  expect(await readFile(old, 'utf8')).toBe('{"old":1}');
  await rm(root, { recursive: true });
});
