import { HoneError, RandomStream } from '../../core/index.js';
import {
  criticTensorShapes,
  llamaTensorShapes,
  mergeLoraInto,
  readCriticTensors,
  readTensors,
  VALUE_HEAD,
  writeSafetensors,
  type ModelConfig,
} from '../../model/index.js';
import type { AdapterSource } from '../types.js';
import { newAdapter, loadAdapter, type Adapter } from './adapter.js';
import type { Board } from './board.js';
import { sizeOf } from './graph/values.js';
import { loraA, loraB, type GraphModel } from './llama/weights.js';
import { loadOrt, tensorOf, type Tensor } from './session.js';

/** Standard deviation of random matrices when the source does not say (transformers' initializer_range). */
const INIT_STD = 0.02;

/** A set of float32 arrays, one for each tensor of a model. */
export type Arrays = Map<string, Float32Array>;

export function zerosLike(arrays: Arrays): Arrays {
  return new Map([...arrays].map(([name, data]) => [name, new Float32Array(data.length)]));
}

/** Norm gains and biases are vectors; everything else is a matrix. */
function isVector(shape: readonly number[]): boolean {
  return shape.length === 1;
}

/**
 * Standard normal draws for filling whole tensors: sfc32 (Chris Doty-Humphrey, PractRand) keyed by one Philox draw,
 * since a counter-based draw for each of 10^8 weights would take minutes.
 */
function normals(seed: number, name: string, count: number, std: number): Float32Array {
  const key = new RandomStream(seed, 'init', name).seed(0);
  let [a, b, c, counter] = [key | 0, Math.floor(key / 0x100000000) | 0, 0x9e3779b9 | 0, 1];
  const next = (): number => {
    const t = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    c |= 0;
    return ((t >>> 0) + 0.5) / 4294967296;
  };
  for (let i = 0; i < 16; i++) next();
  const out = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = std * Math.sqrt(-2 * Math.log(next()));
    const angle = 2 * Math.PI * next();
    out[i] = radius * Math.cos(angle);
    if (i + 1 < count) out[i + 1] = radius * Math.sin(angle);
  }
  return out;
}

function randomArrays(shapes: ReadonlyMap<string, readonly number[]>, seed: number, std: number): Arrays {
  return new Map(
    [...shapes].map(([name, shape]) => {
      const count = sizeOf(shape);
      if (!isVector(shape)) return [name, normals(seed, name, count, std)];
      return [name, new Float32Array(count).fill(name.endsWith('.bias') ? 0 : 1)];
    }),
  );
}

/**
 * The weights of one model: arrays that optimiser and graphs share, and ONNX Runtime tensors over the same memory. With
 * an adapter, the model's own tensors are frozen and may be shared by many models.
 */
export class Parameters implements GraphModel {
  readonly tensors: Record<string, Tensor> = {};
  /** Counts changes of the weights. */
  version = 0;
  readonly shapes: Map<string, number[]>;
  #underAdapters = false;

  private constructor(
    readonly config: ModelConfig,
    readonly arrays: Arrays,
    readonly adapter: Adapter | undefined,
  ) {
    const shapes = this.isCritic ? criticTensorShapes(config) : llamaTensorShapes(config);
    this.shapes = new Map([...shapes, ...(adapter?.shapes ?? [])]);
  }

  /** Whether the model has a value head, and then no LM head. */
  get isCritic(): boolean {
    return this.arrays.has(VALUE_HEAD);
  }

  static async #over(config: ModelConfig, arrays: Arrays, adapter?: Adapter): Promise<Parameters> {
    const parameters = new Parameters(config, arrays, adapter);
    const ort = await loadOrt();
    for (const [name, shape] of parameters.shapes) {
      parameters.tensors[name] = tensorOf(ort, 'float32', shape, arrays.get(name));
    }
    return parameters;
  }

  /** Normal matrices of standard deviation `std`, gains of one, biases of zero. */
  static random(config: ModelConfig, seed: number, std = INIT_STD): Promise<Parameters> {
    return Parameters.#over(config, randomArrays(llamaTensorShapes(config), seed, std));
  }

  /** As `random` with the same draws for the body, and a value head of zero: until it is trained every value is 0. */
  static randomCritic(config: ModelConfig, seed: number, std = INIT_STD): Promise<Parameters> {
    const arrays = randomArrays(criticTensorShapes(config), seed, std);
    arrays.get(VALUE_HEAD)?.fill(0);
    return Parameters.#over(config, arrays);
  }

  /** The body from a policy's, a critic's or a reward model's weights; without a head in them it is zero. */
  static async loadCritic(config: ModelConfig, path: string, head: boolean): Promise<Parameters> {
    return Parameters.#over(config, await readCriticTensors(path, config, head));
  }

  /** From a safetensors file or a folder of shards. @throws HoneError when a tensor is missing or misshapen. */
  static async load(config: ModelConfig, path: string): Promise<Parameters> {
    return Parameters.#over(config, await readTensors(path, llamaTensorShapes(config)));
  }

  /** Over arrays of the model's names and sizes. */
  static of(config: ModelConfig, arrays: Arrays, adapter: Adapter | undefined): Promise<Parameters> {
    return Parameters.#over(config, arrays, adapter);
  }

  /** A model with an adapter to train, over the same weights; these may not change from now on. */
  async withAdapter(source: AdapterSource): Promise<Parameters> {
    if (this.adapter) {
      throw new HoneError('usage', 'this model has an adapter already', {
        hint: 'Give further adapters to the model beneath it, or fold this one in with cloneFrozen({ merged: true }).',
      });
    }
    const { adapter, arrays } =
      source.kind === 'random'
        ? newAdapter(this.config, this.shapes, source)
        : await loadAdapter(this.shapes, source.path);
    this.#underAdapters = true;
    return Parameters.#over(this.config, new Map([...this.arrays, ...arrays]), adapter);
  }

  /** alpha / rank of the adapter; 0 without one. */
  get adapterScale(): number {
    return this.adapter?.scale ?? 0;
  }

  /** The arrays that training changes: the adapter's, or all. */
  trained(): Arrays {
    if (!this.adapter) return this.arrays;
    return new Map([...this.adapter.shapes.keys()].map((name) => [name, this.arrays.get(name) as Float32Array]));
  }

  /** @throws HoneError when the weights are the base of adapters: a change would reach into other models. */
  assertOwn(): void {
    if (!this.#underAdapters) return;
    throw new HoneError('usage', 'the weights of this model are shared with adapters on it and cannot change', {
      hint: 'Change a cloneFrozen() of it, or the adapters.',
    });
  }

  /** What training changes is copied, the rest shared. */
  copy(): Promise<Parameters> {
    const copies = [...this.trained()].map(([name, data]) => [name, data.slice()] as const);
    return Parameters.#over(this.config, new Map([...this.arrays, ...copies]), this.adapter);
  }

  /** The model's own tensors with the adapter folded in; those it does not touch are the arrays themselves. */
  merged(): Arrays {
    const { adapter } = this;
    if (!adapter) return this.arrays;
    const merged: Arrays = new Map([...this.arrays].filter(([name]) => !adapter.shapes.has(name)));
    for (const module of adapter.modules) {
      const array = (name: string): Float32Array => this.arrays.get(name) as Float32Array;
      const weight = `${module}.weight`;
      const values = array(weight).slice();
      mergeLoraInto(values, { a: array(loraA(module)), b: array(loraB(module)) }, adapter.rank, adapter.scale);
      merged.set(weight, values);
    }
    return merged;
  }

  /** A model without adapter whose weights are the merged ones, all its own. */
  mergedCopy(): Promise<Parameters> {
    const own = [...this.merged()].map(([name, data]) => {
      return [name, data === this.arrays.get(name) ? data.slice() : data] as const;
    });
    return Parameters.#over(this.config, new Map(own));
  }

  get count(): number {
    return [...this.arrays.values()].reduce((sum, data) => sum + data.length, 0);
  }

  /** Decoupled weight decay is for matrices and embeddings only. */
  decays(name: string): boolean {
    return !isVector(this.shapes.get(name) ?? []);
  }

  /**
   * this <- keep * this + (1 - keep) * other, on merged weights where other has an adapter.
   * @throws HoneError for models of different shapes, and for an average within an adapter, which has no exact form
   */
  lerpFrom(other: Parameters, keep: number): void {
    this.assertOwn();
    if (this.adapter) this.#copyAdapter(other, keep);
    else this.#average(other.merged(), keep);
    this.version++;
  }

  #copyAdapter(other: Parameters, keep: number): void {
    const base = [...llamaTensorShapes(this.config).keys()];
    const same =
      keep === 0 &&
      this.adapter?.scale === other.adapter?.scale &&
      base.every((name) => this.arrays.get(name) === other.arrays.get(name)) &&
      [...this.trained()].every(([name, { length }]) => other.arrays.get(name)?.length === length);
    if (!same) {
      throw new HoneError('usage', 'an adapter can only be copied whole, from one of its shape on the same weights', {
        hint: 'For an average take cloneFrozen({ merged: true }) and average into that.',
      });
    }
    for (const [name, mine] of this.trained()) mine.set(other.arrays.get(name) as Float32Array);
  }

  #average(theirs: Arrays, keep: number): void {
    for (const [name, mine] of this.arrays) {
      const other = theirs.get(name);
      if (other?.length !== mine.length) throw new HoneError('usage', `models of different shapes: ${name}`);
      if (keep === 0) mine.set(other);
      else
        for (let i = 0; i < mine.length; i++) mine[i] = keep * (mine[i] as number) + (1 - keep) * (other[i] as number);
    }
  }

  /** Weights that are another model's at this version, which go back to it and are nobody's own here. */
  take(weights: Board, version: number): void {
    weights.read(this.arrays);
    this.version = version;
  }

  set(arrays: Arrays): void {
    this.assertOwn();
    for (const [name, data] of arrays) this.arrays.get(name)?.set(data);
    this.version++;
  }

  /** Writes arrays of this model as safetensors: `trained()` for a checkpoint, `merged()` for export. */
  async write(file: string, arrays: Arrays): Promise<void> {
    await writeSafetensors(
      file,
      [...arrays].map(([name, data]) => [name, { shape: this.shapes.get(name) ?? [], data }] as const),
    );
  }
}
