import { join } from 'node:path';
import type { Engine, ModelSource } from '../../src/engine/types.js';
import { RandomStream } from '../../src/core/index.js';
import { VALUE_BIAS, VALUE_HEAD, writeSafetensors } from '../../src/model/index.js';

/** Writes a critic whose value head is drawn by the source's seed: one fresh from the engine says 0 everywhere. */
export async function writeRandomCritic(
  engine: Engine,
  folder: string,
  source: Extract<ModelSource, { kind: 'random' }>,
): Promise<void> {
  const critic = await engine.openModel({ source, role: 'critic' });
  await critic.export(folder);
  const tensors = await critic.tensors('weights');
  for (const name of [VALUE_HEAD, VALUE_BIAS]) {
    const random = new RandomStream(source.seed, 'value head', name);
    tensors.get(name)!.data.forEach((_, i, data) => (data[i] = 0.3 * random.nextNormal()));
  }
  await writeSafetensors(join(folder, 'model.safetensors'), [...tensors]);
  await critic.dispose();
}
