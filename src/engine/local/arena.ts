import { sizeOf, type Shape } from './graph/values.js';
import { loadOrt, tensorOf, type Tensor } from './session.js';

/** Tensors begin at multiples of 64 bytes, which vector instructions like. */
const ALIGN = 16;

const padded = (shape: Shape): number => Math.ceil(sizeOf(shape) / ALIGN) * ALIGN;

/** One block of memory that one graph run after the other uses: what is carved is good until the next carving. */
export class Arena {
  #data = new Float32Array(0);

  get bytes(): number {
    return this.#data.byteLength;
  }

  /** Float32 tensors of these shapes side by side; what they hold is undefined. */
  async carve(shapes: readonly Shape[]): Promise<Tensor[]> {
    const ort = await loadOrt();
    const floats = shapes.reduce((sum, shape) => sum + padded(shape), 0);
    if (floats > this.#data.length) {
      // Let go of the old block first, so that both need not be held at once.
      this.#data = new Float32Array(0);
      this.#data = new Float32Array(floats);
    }
    let start = 0;
    return shapes.map((shape) => {
      const tensor = tensorOf(ort, 'float32', shape, this.#data.subarray(start, start + sizeOf(shape)));
      start += padded(shape);
      return tensor;
    });
  }

  release(): void {
    this.#data = new Float32Array(0);
  }
}
