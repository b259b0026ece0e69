import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { again } from '../../src/cli/quickstart.js';
import { emptyFolder, hone, onlyJson } from './hone.js';

const interval = z.tuple([z.number(), z.number()]);
const stage = z.object({ accuracy: z.number(), ci95: interval, avg4: z.number(), wellFormed: z.number() });
const result = z.object({
  seconds: z.number().positive(),
  problems: z.literal(20),
  arm: z.string(),
  sft: stage,
  rl: stage,
  gain: z.number(),
  gainCi95: interval,
  gainAvg4: z.number(),
});

const quick = (out: string, ...more: string[]) => ['quickstart', '--quick', '--seed', '1', '--out', out, ...more];

it('the command that goes on with a quickstart has every option that it was started with', () => {
  const given = { seed: 3, out: undefined, quick: true, arm: 'sft-only', armSeconds: 7, threads: 2 } as const;
  expect(again(given, 'my runs/a')).toBe(
    "hone quickstart --seed 3 --out 'my runs/a' --quick --arm sft-only --arm-seconds 7 --threads 2",
  );
  expect(again({ ...given, quick: false, arm: 'rl', threads: undefined }, 'a')).toBe(
    'hone quickstart --seed 3 --out a',
  );
});

describe('hone quickstart --quick', () => {
  it('goes through every stage, and goes on after Ctrl-C to the same end', async () => {
    const folder = await emptyFolder();
    const straight = await hone(quick(path.join(folder, 'a'), '--json'));
    expect(straight.stderr).not.toContain('error');
    expect(straight.stderr.match(/^sampling last-digit: \d+ to do$/gm)).toHaveLength(4);
    expect(result.parse(onlyJson(straight)).arm).toBe('rl');
    const report = await readFile(path.join(folder, 'a', 'report.html'), 'utf8');
    expect(report).toContain('</html>');

    const stopped = await hone(quick(path.join(folder, 'b')), {
      beside: async (child, printed) => {
        await printed('after the warm-start');
        child.kill('SIGINT');
      },
    });
    expect(stopped.code).toBe(130);
    expect(stopped.stderr).toContain(`hone quickstart --seed 1 --out ${path.join(folder, 'b')} --quick`);
    const resumed = await hone(quick(path.join(folder, 'b')));
    expect(resumed.code).toBe(0);
    expect(resumed.stdout).toContain('held-out problems');

    const difference = await hone(['runs', 'diff', path.join(folder, 'a'), path.join(folder, 'b'), '--json']);
    expect(difference.stdout).toContain('"differences":[]');
  });

  it('runs its control arms, and refuses the folder of another run', async () => {
    const folder = await emptyFolder();
    const out = path.join(folder, 'more');
    const more = await hone(quick(out, '--json', '--arm', 'sft-only', '--arm-seconds', '1'));
    expect(result.parse(onlyJson(more)).arm).toBe('sft-only');
    const other = await hone(['quickstart', '--quick', '--seed', '2', '--arm', 'sft-only', '--out', out]);
    expect(other.code).toBe(2);
    expect(other.stderr).toContain('another seed');
  });
});
