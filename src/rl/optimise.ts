import { learningRate, optimStepOf, type OptimizerConfig } from '../engine/optimizer.js';
import type { TrainableModel } from '../engine/types.js';

/** Where the optimiser of one model stands. */
export interface UpdateState {
  /** Updates done since the start of the run; the schedule's clock. */
  updates: number;
  /** Updates skipped in a row up to now. */
  skippedInARow: number;
}

export interface OptimiseResult {
  lr: number;
  /** NaN when skipped for a loss that is not finite. */
  gradNorm: number;
  skipped: boolean;
}

/**
 * One step of the optimiser on the gradient the model holds, or none when the loss or the gradient is not finite.
 * @param progressOfRun share of the planned run that is done, for the schedule.
 */
export async function optimise(
  model: TrainableModel,
  optimizer: OptimizerConfig,
  lossSum: number,
  state: UpdateState,
  progressOfRun: number,
): Promise<OptimiseResult> {
  const lr = learningRate(optimizer, state.updates, progressOfRun);
  const finite = Number.isFinite(lossSum);
  if (!finite) await model.zeroGrad();
  const step = finite ? await model.optimStep(optimStepOf(optimizer, lr)) : { gradNorm: NaN, skipped: true };
  state.updates++;
  state.skippedInARow = step.skipped ? state.skippedInARow + 1 : 0;
  return { lr, ...step };
}
