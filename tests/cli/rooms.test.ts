import { ESLint } from 'eslint';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const eslint = new ESLint({ cwd: root });

/** Rules that the text breaks when it stands in a file of that name. */
async function broken(file: string, text: string): Promise<string[]> {
  const [result] = await eslint.lintText(text, { filePath: path.join(root, file) });
  return (result?.messages ?? []).map((message) => message.ruleId ?? message.message);
}

describe('the rule that imports point downwards', () => {
  it.each([
    ['src/core/fixture.ts', '../tasks/index.js'],
    ['src/model/fixture.ts', '../engine/index.js'],
    ['src/tasks/fixture.ts', '../cli/text.js'],
    ['src/engine/fixture.ts', '../tasks/types.js'],
  ])('refuses %s importing %s', async (file, target) => {
    expect(await broken(file, `export * from '${target}';\n`)).toContain('no-restricted-syntax');
  });

  it.each([
    ['a dynamic import', "await import('../tasks/index.js');"],
    ['a re-export of names', "export { x } from '../tasks/index.js';"],
    ['a type named in place', "export type T = import('../tasks/index.js').Task;"],
    ['an import from a deeper folder', "import '../../tasks/index.js';"],
  ])('refuses %s', async (_, text) => {
    expect(await broken('src/core/fixture/fixture.ts', `${text}\n`)).toContain('no-restricted-syntax');
  });

  it.each([
    ['src/tasks/fixture.ts', '../core/index.js'],
    ['src/engine/local/fixture.ts', './model.js'],
    ['src/rl/fixture.ts', '../engine/types.js'],
    ['src/cli/fixture.ts', '../runs/index.js'],
  ])('lets %s import %s', async (file, target) => {
    expect(await broken(file, `export * from '${target}';\n`)).toEqual([]);
  });

  it('refuses any', async () => {
    expect(await broken('src/core/fixture.ts', 'export const x: any = 1;\n')).toContain(
      '@typescript-eslint/no-explicit-any',
    );
  });
});
