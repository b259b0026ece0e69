import { z } from 'zod';
import { HoneError } from '../core/index.js';
import type { TrainingRun } from '../engine/training-run.js';
import type { RlConfig } from './config.js';

/** What an RL run has to remember between iterations besides the state all trainers share; in `TrainingState.extra`. */
const rlStateSchema = z.strictObject({
  /** Iterations of critic pretraining done; they are the first in the numbering of the run. */
  pretrained: z.number().int().min(0),
  /** The critic's pretraining is not over. */
  pretraining: z.boolean(),
  /** Where the critic's optimiser stands. */
  critic: z.strictObject({ updates: z.number().int().min(0), skippedInARow: z.number().int().min(0) }),
  /** What sampling remembers: carried groups, running statistics of rewards, the stage of a curriculum. */
  rollouts: z.json().optional(),
});
export type RlState = z.infer<typeof rlStateSchema>;

/** The state of a run that has not begun. */
export function freshState({ advantage, critic }: RlConfig): RlState {
  const pretraining = advantage.kind === 'gae' && critic.pretrain.iterations > 0;
  return { pretrained: 0, pretraining, critic: { updates: 0, skippedInARow: 0 } };
}

/**
 * The state of a run, part of what its checkpoints hold: changes to it are saved with the next one.
 * @throws HoneError('input') when a checkpoint holds something else.
 */
export function rlStateOf(training: TrainingRun, config: RlConfig): RlState {
  const { extra } = training.state;
  const parsed = extra === undefined ? undefined : rlStateSchema.safeParse(extra);
  if (parsed && !parsed.success)
    throw new HoneError(
      'input',
      `the checkpoint does not hold the state of an RL run: ${parsed.error.issues[0]?.path.join('.')}`,
      {
        where: `iteration ${training.iteration}`,
        hint: 'Resume it with the version that wrote it.',
      },
    );
  const state = parsed?.data ?? freshState(config);
  training.state.extra = state;
  return state;
}
