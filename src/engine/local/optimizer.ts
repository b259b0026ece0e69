import { join } from 'node:path';
import { readTensors, writeSafetensors } from '../../model/index.js';
import type { OptimResult, OptimStep } from '../types.js';
import { adamw, clipScale, globalNorm } from './adamw.js';
import { zerosLike, type Arrays, type Parameters } from './parameters.js';

const OPTIMIZER_FILE = 'optimizer.safetensors';

/** AdamW over what training changes: first and second moments, from the first update on. */
export class Optimizer {
  #moments: { m: Arrays; v: Arrays; step: number } | undefined;

  constructor(private readonly parameters: Parameters) {}

  /** One update; a gradient that is not finite changes nothing. The gradients are the caller's to clear. */
  step(gradients: Arrays, options: OptimStep): OptimResult {
    const gradNorm = globalNorm(gradients.values());
    if (!Number.isFinite(gradNorm)) return { gradNorm, skipped: true };
    this.parameters.assertOwn();
    const trained = this.parameters.trained();
    const state = (this.#moments ??= { m: zerosLike(trained), v: zerosLike(trained), step: 0 });
    state.step++;
    const gradScale = clipScale(gradNorm, options.gradClipNorm);
    for (const [name, weight] of trained) {
      const [gradient, m, v] = [gradients, state.m, state.v].map((map) => map.get(name) as Float32Array);
      const weightDecay = this.parameters.decays(name) ? options.weightDecay : 0;
      adamw(weight, gradient as Float32Array, m as Float32Array, v as Float32Array, {
        ...options,
        weightDecay,
        gradScale,
        step: state.step,
      });
    }
    this.parameters.version++;
    return { gradNorm, skipped: false };
  }

  /** As before the first update. */
  reset(): void {
    this.#moments = undefined;
  }

  async save(folder: string): Promise<void> {
    const state = this.#moments;
    const shapeOf = (name: string): number[] => this.parameters.shapes.get(name) ?? [];
    const rows = (prefix: string, arrays: Arrays) =>
      [...arrays].map(([name, data]) => [`${prefix}.${name}`, { shape: shapeOf(name), data }] as const);
    await writeSafetensors(join(folder, OPTIMIZER_FILE), [
      ['step', { shape: [1], data: Float32Array.of(state?.step ?? 0) }],
      ...(state ? [...rows('m', state.m), ...rows('v', state.v)] : []),
    ]);
  }

  /** Reads what `save` wrote. @returns a function that puts it in force */
  async read(folder: string): Promise<() => void> {
    const file = join(folder, OPTIMIZER_FILE);
    const step = (await readTensors(file, new Map([['step', [1]]]))).get('step')?.[0] ?? 0;
    const moments = async (prefix: string): Promise<Arrays> => {
      const names = [...this.parameters.trained().keys()];
      const shapes = names.map((name) => [`${prefix}.${name}`, this.parameters.shapes.get(name) ?? []] as const);
      const read = await readTensors(file, new Map(shapes));
      return new Map([...read].map(([name, data]) => [name.slice(prefix.length + 1), data]));
    };
    const state = step > 0 ? { m: await moments('m'), v: await moments('v'), step } : undefined;
    return () => (this.#moments = state);
  }
}
