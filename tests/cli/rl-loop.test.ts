import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ROOT } from './hone.js';

it('examples/rl-loop.ts runs on the built package', () => {
  const folder = path.join(ROOT, `.cache/rl-loop-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const tsconfig = path.join(folder, 'tsconfig.json');
  writeFileSync(tsconfig, '{ "compilerOptions": { "module": "NodeNext", "moduleResolution": "NodeNext" } }');
  const args = [path.join(ROOT, 'node_modules/tsx/dist/cli.mjs'), '--tsconfig', tsconfig, 'examples/rl-loop.ts'];
  const { status, stdout } = spawnSync(process.execPath, [...args, '10', '2'], { cwd: ROOT, encoding: 'utf8' });
  expect(stdout).toMatch(/after imitation: \d+ of 200 [^]*iteration 10: [^]*after RL: \d+ of 200 /);
  expect(status).toBe(0);
});
