import { createHash } from 'node:crypto';
import { llamaTensorShapes } from './config.js';
import { loadModelConfig } from './folder.js';
import { openSafetensors } from './safetensors.js';

/**
 * SHA-256 over names and float32 values of a model's tensors, lower-case hexadecimal: equal for equal weights, however
 * they are cut into files, and whether stored as float32 or in fewer bits. One tensor is in memory at a time.
 * @throws HoneError('input') when the folder is no model or is damaged.
 */
export async function weightsHash(folder: string): Promise<string> {
  const weights = await openSafetensors(folder);
  const hash = createHash('sha256');
  for (const [name, shape] of [...llamaTensorShapes(await loadModelConfig(folder))].sort(([a], [b]) =>
    a < b ? -1 : 1,
  )) {
    const { data } = await weights.read(name);
    hash.update(`${name}[${shape.join(',')}]\n`).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}
