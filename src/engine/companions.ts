import { join } from 'node:path';
import { HoneError } from '../core/index.js';
import { makeFolder } from '../formats/index.js';
import type { TrainableModel } from './types.js';

/** Models that a run holds besides the one it trains, by name: `critic`, `reference`, `anchor`. */
export type Companions = Readonly<Record<string, TrainableModel>>;

const PLAIN_NAME = /^[a-z][a-z0-9-]{0,39}$/;

/** @throws HoneError('usage') when the name cannot be a folder's within a checkpoint */
export function checkCompanionName(name: string): void {
  if (PLAIN_NAME.test(name)) return;
  throw new HoneError('usage', `${JSON.stringify(name)} is no name for a model of a run`, {
    where: 'companions',
    hint: 'Use lower-case letters, digits and dashes, such as critic.',
  });
}

/**
 * @param saved names that a checkpoint was written with
 * @throws HoneError('input') unless the checkpoint holds exactly the models that the run has
 */
export function checkCompanions(companions: Companions, saved: readonly string[], folder: string): void {
  const names = Object.keys(companions);
  const missing = names.find((name) => !saved.includes(name));
  const unasked = saved.find((name) => !names.includes(name));
  if (missing === undefined && unasked === undefined) return;
  const what = missing === undefined ? `a ${unasked}, which this run does not have` : `no ${missing}`;
  throw new HoneError('input', `the checkpoint holds ${what}`, {
    where: folder,
    hint: 'Resume it with the settings and the version that wrote it.',
  });
}

/** Writes the trained model into the folder and each companion into a folder of its own within. */
export async function saveModels(folder: string, model: TrainableModel, companions: Companions): Promise<void> {
  await model.save(folder);
  for (const [name, companion] of Object.entries(companions)) {
    await makeFolder(join(folder, name));
    await companion.save(join(folder, name));
  }
}

/** Reads what `saveModels` wrote. */
export async function loadModels(folder: string, model: TrainableModel, companions: Companions): Promise<void> {
  await model.load(folder);
  for (const [name, companion] of Object.entries(companions)) await companion.load(join(folder, name));
}
