import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { trainRl, type Rendering } from '../../src/rl/index.js';
import { createRun, diffRuns, openRun, type Run } from '../../src/runs/index.js';
import { echoTask, openEchoPolicy, rendering } from '../support/echo-task.js';
import { rlConfig } from '../support/rl-config.js';

const config = rlConfig({ iterations: 7, checkpoint: { every: 2, keep: 2 } });

async function newRun(name: string): Promise<Run> {
  const root = await mkdtemp(join(tmpdir(), 'hone-rl-'));
  const manifest = { name, kind: 'rl', recipe: 'test', seed: 11, config: {}, dataHashes: {} };
  return createRun({ root, manifest, policy: config.checkpoint, rolloutShare: 1 });
}

async function straightRun(): Promise<string> {
  const run = await newRun('straight');
  await trainRl({ policy: await openEchoPolicy(1), task: echoTask(), render: rendering, run, config });
  await run.close();
  return run.path;
}

/** Renders until the process would have died. */
function dyingAfter(prompts: number): Rendering {
  let rendered = 0;
  return {
    ...rendering,
    prompt: (problem) => {
      if (rendered++ >= prompts) throw new Error('the power went off');
      return rendering.prompt(problem);
    },
  };
}

describe('trainRl on a run folder', () => {
  it.each([6 * 2, 6 * 3 + 2, 6 * 6 + 5])(
    'killed after %i prompts and resumed, the run is that of one sitting',
    async (prompts) => {
      const run = await newRun('killed');
      const dying = trainRl({
        ...{ policy: await openEchoPolicy(1), task: echoTask(), run, config },
        render: dyingAfter(prompts),
      });
      await expect(dying).rejects.toThrow('the power went off');
      await run.close();

      const reopened = await openRun(run.path);
      const resumeFrom = await reopened.latestCheckpoint();
      expect(resumeFrom?.state.iteration).toBe(Math.floor(prompts / 6 / 2) * 2);
      const policy = await openEchoPolicy(77);
      const result = await trainRl({ policy, task: echoTask(), render: rendering, run: reopened, config, resumeFrom });
      await reopened.close();
      expect(result.iterations).toBe(7);
      expect(await diffRuns(await straightRun(), run.path)).toEqual([]);
    },
  );
});
