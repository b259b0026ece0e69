import type * as Onnx from 'onnxruntime-node';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { HoneError, messageOf } from '../../core/index.js';
import { encodeModel, NO_COPY_OUTPUT } from './graph/encode.js';
import type { Graph } from './graph/graph.js';
import { NO_SIZES, type Sizes } from './graph/sizes.js';
import { sizeOf, type DType, type Shape } from './graph/values.js';

export type Ort = typeof Onnx;
export type { Tensor };

let loaded: Ort | undefined;

/** onnxruntime-node, loaded on first use. @throws HoneError when it is not installed or cannot load here. */
export async function loadOrt(): Promise<Ort> {
  if (loaded) return loaded;
  try {
    const module = (await import('onnxruntime-node')) as Ort & { default?: Ort };
    loaded = module.default ?? module;
    return loaded;
  } catch (cause) {
    throw new HoneError(
      'resource',
      `the local engine needs onnxruntime-node, which did not load: ${messageOf(cause)}`,
      {
        hint: 'install it with: ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node@1.30.0',
        cause,
      },
    );
  }
}

export interface SessionOptions {
  threads: number;
  /**
   * How outputs reach their preallocated tensors. `in-place` leans on one behaviour of onnxruntime-node 1.30: the
   * native code writes preallocated outputs in place and then copies every one of them once more into a new JS
   * tensor; a first output of a type the binding cannot convert makes it throw after computing and before copying.
   * `plain` is the documented call, with the copy. Both give equal results (tests/engine/session.test.ts).
   */
  outputs: 'in-place' | 'plain';
}

/** What the binding throws in place of converting the first output; anything else is a real failure. */
const NOT_CONVERTED = 'Non tensor type is temporarily not supported.';

const ARRAYS = { float32: Float32Array, int32: Int32Array, int64: BigInt64Array } as const;
export type ArrayOf = { float32: Float32Array; int32: Int32Array; int64: BigInt64Array };

/** A tensor over an array (no copy), or of zeros. */
export function tensorOf<D extends keyof ArrayOf>(ort: Ort, dtype: D, shape: Shape, data?: ArrayOf[D]): Tensor {
  const array = data ?? new ARRAYS[dtype](sizeOf(shape));
  return new ort.Tensor(dtype as DType & keyof ArrayOf, array as Float32Array, shape.slice());
}

/** A graph made ready to run. Not for concurrent use: `run` blocks the calling thread until the result is there. */
export class CompiledGraph {
  readonly #inputs: readonly string[];
  readonly #outputs: ReadonlySet<string>;
  /** Which of the sources of `pick` had each input: it is looked for there first. */
  readonly #sources: number[] = [];

  private constructor(
    private readonly ort: Ort,
    private readonly session: InferenceSession,
    private readonly options: SessionOptions,
    private readonly sizeInputs: ReadonlyMap<string, readonly number[]>,
  ) {
    this.#inputs = session.inputNames.filter((name) => !sizeInputs.has(name));
    this.#outputs = new Set(session.outputNames);
  }

  /** What it reads of these, of which no two have the same name. Without what says the sizes of a run. */
  pick(...sources: readonly Readonly<Record<string, Tensor>>[]): Record<string, Tensor> {
    const picked: Record<string, Tensor> = {};
    this.#inputs.forEach((name, i) => {
      let tensor = sources[this.#sources[i] ?? 0]?.[name];
      if (!tensor) {
        this.#sources[i] = sources.findIndex((source) => source[name]);
        tensor = sources[this.#sources[i]]?.[name];
      }
      if (tensor) picked[name] = tensor;
    });
    return picked;
  }

  /** Whether it has an output of this name. */
  gives(name: string): boolean {
    return this.#outputs.has(name);
  }

  static async compile(graph: Graph, options: SessionOptions): Promise<CompiledGraph> {
    const ort = await loadOrt();
    const session = await ort.InferenceSession.create(encodeModel(graph, options.outputs === 'in-place'), {
      intraOpNumThreads: options.threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      // A plan of the whole run's memory is one more block of it beside what the first run took.
      enableMemPattern: false,
      // Failures come back as exceptions; ONNX Runtime need not print them as well.
      logSeverityLevel: 4,
      // Several sessions live side by side: their threads spin while a graph runs, and not between runs.
      extra: { session: { intra_op: { allow_spinning: '1' }, force_spinning_stop: '1' } },
    });
    return new CompiledGraph(ort, session, options, graph.sizeInputs);
  }

  /**
   * Computes every output into the tensors given. A tensor may be both fed and fetched.
   * @param feeds what says the sizes is put with them
   * @param sizes what this run chooses
   */
  async run(feeds: Record<string, Tensor>, fetches: Record<string, Tensor>, sizes: Sizes = NO_SIZES): Promise<void> {
    for (const [name, list] of this.sizeInputs) feeds[name] = sizes.tensor(this.ort, list);
    if (this.options.outputs === 'plain') {
      await this.session.run(feeds, fetches);
      return;
    }
    try {
      await this.session.run(feeds, { [NO_COPY_OUTPUT]: null, ...fetches });
    } catch (error) {
      if (messageOf(error) !== NOT_CONVERTED) throw error;
      return;
    }
    throw new Error('onnxruntime-node converted a sequence output: this version needs the plain output mode');
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}
