import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from './hone.js';

const text = readFileSync(path.join(ROOT, 'docs/library.md'), 'utf8');
const blocks = [...text.matchAll(/## (.+?)\n[\s\S]*?```ts\n([\s\S]*?)```/g)].map(([, title, code]) => [title, code]);

/** Inside of the package, so that `hone/...` means the build. */
const folder = path.join(ROOT, `.cache/library-docs-${process.pid}`);
beforeAll(() => mkdirSync(folder, { recursive: true }));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('docs/library.md', () => {
  it('has its examples', () => {
    expect(blocks.map(([title]) => title)).toHaveLength(5);
  });

  it.each(blocks as [string, string][])('%s: runs', (title, code) => {
    const file = path.join(folder, `${title.replace(/\W+/g, '-')}.mts`);
    writeFileSync(file, code);
    const tsconfig = path.join(folder, 'tsconfig.json');
    writeFileSync(tsconfig, '{ "compilerOptions": { "module": "NodeNext", "moduleResolution": "NodeNext" } }');
    const args = [path.join(ROOT, 'node_modules/tsx/dist/cli.mjs'), '--tsconfig', tsconfig, file];
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });
});
