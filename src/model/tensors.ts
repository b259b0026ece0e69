import { HoneError } from '../core/index.js';
import { openSafetensors, type SafetensorsFile } from './safetensors.js';

type Shapes = ReadonlyMap<string, readonly number[]>;

/**
 * Checks that a file holds every tensor of `shapes`, in its shape.
 * @throws HoneError('input') that names the first tensor that is missing or misshapen.
 */
export function checkShapes(file: SafetensorsFile, shapes: Shapes, where: string): void {
  const present = new Set(file.names());
  for (const [name, shape] of shapes) {
    if (!present.has(name))
      throw new HoneError('input', `weights lack tensor ${name}`, {
        where,
        hint: 'The weights do not belong to this config.json, or a shard is missing.',
      });
    const found = file.info(name).shape;
    if (found.join() !== shape.join())
      throw new HoneError(
        'input',
        `tensor ${name} is [${found.join(', ')}], but config.json asks for [${shape.join(', ')}]`,
        {
          where,
          hint: 'The weights do not belong to this config.json.',
        },
      );
  }
}

/**
 * Reads the tensors of `shapes` from a safetensors file or a folder of shards, as float32.
 * @throws HoneError('input') as `checkShapes`, and for a tensor that holds NaN or infinity.
 */
export async function readTensors(path: string, shapes: Shapes): Promise<Map<string, Float32Array>> {
  const file = await openSafetensors(path);
  checkShapes(file, shapes, path);
  const arrays = new Map<string, Float32Array>();
  for (const name of shapes.keys()) {
    const { data } = await file.read(name);
    if (!isFiniteThroughout(data))
      throw new HoneError('input', `tensor ${name} holds NaN or infinity`, {
        where: path,
        hint: 'The file is damaged, or training had diverged when it was written: use another copy or an earlier checkpoint.',
      });
    arrays.set(name, data);
  }
  return arrays;
}

function isFiniteThroughout(data: Float32Array): boolean {
  // 0 * x is 0 for every finite x, and NaN otherwise.
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += 0 * (data[i] as number);
  return sum === 0;
}
