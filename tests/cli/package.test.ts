import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ROOT } from './hone.js';

const Listing = z.array(z.object({ files: z.array(z.object({ path: z.string() })) }));
const Manifest = z.object({
  bin: z.record(z.string(), z.string()),
  exports: z.record(z.string(), z.union([z.string(), z.object({ types: z.string(), default: z.string() })])),
});

let files: string[] = [];
const manifest = Manifest.parse(JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')));

beforeAll(async () => {
  // Without scripts: the build is there already, and must not be replaced under the other tests.
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const { stdout } = await promisify(execFile)('npm', args, { cwd: ROOT, maxBuffer: 1 << 24 });
  files = Listing.parse(JSON.parse(stdout)).flatMap((entry) => entry.files.map((file) => file.path));
});

describe('the package', () => {
  it('holds the build, the documentation and the licence', () => {
    for (const file of ['dist/cli/main.js', 'dist/index.js', 'dist/index.d.ts', 'LICENSE', 'NOTICE', 'README.md'])
      expect(files).toContain(file);
  });

  it('holds every file of the repository that its documentation names', async () => {
    const pages = ['README.md', ...files.filter((file) => /^docs\/.*\.md$/.test(file))];
    const named = pages.flatMap((page) => {
      const text = readFileSync(path.join(ROOT, page), 'utf8');
      return text.match(/\bexamples\/[\w./-]*\w/g) ?? [];
    });
    expect(named).toContain('examples/tasks/days-between.ts');
    expect(named.filter((file) => !files.includes(file))).toEqual([]);
  });

  it('holds no tests, sources, data or run folders', () => {
    const roots = new Set(files.map((file) => file.split('/')[0]));
    expect([...roots].sort()).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'NOTICE',
      'README.md',
      'dist',
      'docs',
      'examples',
      'package.json',
    ]);
    expect(files.filter((file) => file.includes('.test.'))).toEqual([]);
  });

  it('names no path of the machine it was built on', () => {
    const texts = files.filter((file) => /\.(js|map|d\.ts)$/.test(file));
    const leaking = texts.filter((file) => readFileSync(path.join(ROOT, file), 'utf8').includes(ROOT));
    expect(leaking).toEqual([]);
  });

  it('exports files that exist, each importable', async () => {
    for (const target of Object.values(manifest.exports)) {
      const { types, default: module } = typeof target === 'string' ? { types: target, default: undefined } : target;
      expect(existsSync(path.join(ROOT, types)), types).toBe(true);
      if (module === undefined) continue;
      expect(files).toContain(module.replace(/^\.\//, ''));
      expect(typeof (await import(path.join(ROOT, module))), module).toBe('object');
    }
  });

  it('has a command that starts with a shebang', () => {
    for (const file of Object.values(manifest.bin))
      expect(readFileSync(path.join(ROOT, file), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });
});
