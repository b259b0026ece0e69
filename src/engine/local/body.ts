import { Arena } from './arena.js';
import type { Sizes } from './graph/sizes.js';
import type { Shape } from './graph/values.js';
import { HeldPrefixes } from './held-prefixes.js';
import { LayerSessions } from './layer-sessions.js';
import { blocksFor } from './llama/attention.js';
import { IO, layerSizes, type BatchShape, type LayerForm } from './llama/layer-graph.js';
import { ropeTables } from './llama/rope.js';
import { EMBEDDING } from './llama/weights.js';
import type { Parameters } from './parameters.js';
import type { SessionCache } from './session-cache.js';
import { loadOrt, tensorOf, type CompiledGraph, type SessionOptions, type Tensor } from './session.js';

/** What a run of the layers takes: B rows padded to T tokens, of whole sequences or of what they have after held prefixes. */
export interface BodyBatch {
  T: number;
  B: number;
  /** Time-major, [T * B]. */
  ids: Int32Array;
  /** For each row the prefix it goes on from. */
  past?: { prefixes: HeldPrefixes; columns: readonly number[] };
}

/** A forward pass whose backward pass is still to come; good until the next one of its kind. */
export interface HeldBatch {
  run: Run;
  /** What the LM head reads, before the final norm: [T * B, H], time-major. */
  hidden: Float32Array;
  /** For the caller to fill with the derivative of the loss by `hidden`, [T * B, H]. */
  dHidden: Float32Array;
  /** What goes into each layer and out of the last, [T * B, H] each. */
  stream: Tensor[];
  /** Further activations of each layer, by name in the backward graph. */
  carried: Record<string, Tensor>[];
  /** Gradients on their way back, [T * B, H]: two to take turns, the first of them dHidden. */
  gradients: [Tensor, Tensor];
  /** Of a run of prefixes, by layer: where gradients of keys and values come back, by name in the backward graph. */
  returned: Record<string, Tensor>[];
}

/** Inputs of the graphs of a batch besides weights and what comes from other layers. */
interface Run {
  batch: BodyBatch;
  form: LayerForm;
  shape: BatchShape;
  sizes: Sizes;
  /** Positions, tables and numbers of queries and keys, the same in all layers. */
  common: Record<string, Tensor>;
  /** Keys and values before the first token in one layer after the other, then their gradients; none without a past. */
  past: Tensor[];
}

/** What a pass of a batch is to be, before it has memory. */
interface Setting extends Omit<Run, 'common' | 'past'> {
  /** Of what goes from layer to layer. */
  stream: Shape;
  /** Of keys and values before the first token. */
  pastShapes: Shape[];
}

const floats = (tensor: Tensor | undefined): Float32Array => tensor?.data as Float32Array;
const keysAndValues = ([keys, values]: readonly Tensor[]) => ({ keys: floats(keys), values: floats(values) });

/**
 * Runs the layers of the decoder, forward and backward, one graph run a layer: no graph holds more than one layer's
 * temporaries. Activations live in one arena that all batch shapes share, and those of prefixes in a second one, to be
 * held while what follows them is run.
 */
export class Body {
  readonly #arena = new Arena();
  readonly #prefixArena = new Arena();
  readonly #layers: LayerSessions;
  #rope: { rows: number; tables: Record<string, Tensor> } | undefined;

  constructor(
    private readonly parameters: Parameters,
    sessions: SessionCache,
    options: SessionOptions,
  ) {
    this.#layers = new LayerSessions(parameters, sessions, options);
  }

  get #count(): number {
    return this.parameters.config.layers;
  }

  get #kvWidth(): number {
    const { kvHeads, headDim } = this.parameters.config;
    return kvHeads * headDim;
  }

  /** Rows of the embedding, one for each token. */
  #embed(ids: Int32Array, into: Tensor): void {
    const H = this.parameters.config.hiddenSize;
    const table = this.parameters.arrays.get(EMBEDDING) as Float32Array;
    const rows = floats(into);
    ids.forEach((id, n) => rows.set(table.subarray(id * H, (id + 1) * H), n * H));
  }

  #setUp(batch: BodyBatch, shared: boolean): Setting {
    const { T, B, past } = batch;
    const { longest, equal } = past?.prefixes.pastOf(past.columns) ?? { longest: 0, equal: true };
    const shape = { T, B, past: longest };
    const form = { blocks: blocksFor(T), past: longest > 0, ragged: !equal, shared };
    const sizes = layerSizes(this.parameters.config, shape, form);
    const kvShape = [longest, B, this.#kvWidth];
    return {
      ...{ batch, form, shape, sizes },
      stream: [T * B, this.parameters.config.hiddenSize],
      pastShapes: longest > 0 ? [kvShape, kvShape] : [],
    };
  }

  async #run({ batch, form, shape, sizes }: Setting, past: Tensor[]): Promise<Run> {
    const ort = await loadOrt();
    const { T, B } = shape;
    const { heads, kvHeads } = this.parameters.config;
    const group = heads / kvHeads;
    const starts = batch.past?.columns.map((column) => batch.past?.prefixes.lengths[column] as number);
    const positions = BigInt64Array.from({ length: T * B }, (_, n) =>
      BigInt(Math.floor(n / B) + (starts?.[n % B] ?? 0)),
    );
    const queries = Float32Array.from({ length: T * group }, (_, i) => shape.past + Math.floor(i / group));
    const keys =
      form.ragged && batch.past
        ? batch.past.prefixes.keyNumbers(batch.past.columns, shape)
        : Float32Array.from({ length: shape.past + T }, (_, i) => i);
    const common = {
      ...(await this.#ropeFor(Math.max(shape.past + T, B))),
      [IO.positions]: tensorOf(ort, 'int64', [T, B], positions),
      [IO.queryNumbers]: tensorOf(ort, 'float32', [T * group, 1], queries),
      [IO.keyNumbers]: tensorOf(ort, 'float32', [shape.past + T, keys.length / (shape.past + T)], keys),
    };
    return { batch, form, shape, sizes, common, past };
  }

  /** Tables of at least so many rows: of a power of two, so that few are made. */
  async #ropeFor(least: number): Promise<Record<string, Tensor>> {
    if (this.#rope && this.#rope.rows >= least) return this.#rope.tables;
    const ort = await loadOrt();
    const { config } = this.parameters;
    const rows = 2 ** Math.ceil(Math.log2(least));
    const { cos, sin } = ropeTables(config, rows);
    const table = (data: Float32Array): Tensor => tensorOf(ort, 'float32', [rows, config.headDim / 2], data);
    const tables = { [IO.cos]: table(cos), [IO.sin]: table(sin) };
    this.#rope = { rows, tables };
    return tables;
  }

  /** What a layer's graph reads of these, of the run's inputs and of the weights. */
  #feeds(graph: CompiledGraph, layer: number, run: Run, ...more: Readonly<Record<string, Tensor>>[]) {
    const [keys, values] = run.past;
    const past: Record<string, Tensor> = keys && values ? { [IO.pastKeys]: keys, [IO.pastValues]: values } : {};
    return graph.pick(...more, past, run.common, this.#layers.tensorsOf(layer, this.parameters.tensors));
  }

  async #forwardLayer(
    pass: 'forward' | 'hold',
    layer: number,
    run: Run,
    [x, y]: readonly [Tensor, Tensor],
    further: Readonly<Record<string, Tensor>>,
  ): Promise<void> {
    const { batch, form, shape, past } = run;
    const graph = await this.#layers.get(form, shape, layer, pass);
    if (batch.past && past.length > 0) batch.past.prefixes.copyTo(keysAndValues(past), layer, batch.past.columns);
    await graph.run(this.#feeds(graph, layer, run, { [IO.x]: x }), { ...further, [IO.y]: y }, run.sizes);
  }

  /** @returns what the LM head reads, before the final norm, [T * B, H] */
  async forward(batch: BodyBatch): Promise<Float32Array> {
    const setting = this.#setUp(batch, false);
    const { stream, pastShapes } = setting;
    const [x, y, ...past] = (await this.#arena.carve([stream, stream, ...pastShapes])) as [Tensor, Tensor];
    return this.#throughLayers(await this.#run(setting, past), [x, y], () => ({}));
  }

  /** As `forward`, and keeps the keys and values of prefixes of these lengths. */
  async forwardPrefixes(
    batch: BodyBatch,
    lengths: readonly number[],
  ): Promise<{ hidden: Float32Array; prefixes: HeldPrefixes }> {
    const setting = this.#setUp(batch, true);
    const { form, shape, sizes, stream } = setting;
    const given = Array.from({ length: this.#count }, (_, layer) => {
      const { keys, values } = this.#layers.outputsOf(form, layer, false).given ?? noKeys();
      return [keys, values] as const;
    });
    const [x, y, ...tensors] = (await this.#prefixArena.carve([
      stream,
      stream,
      ...given.flat().map((value) => sizes.shape(value.shape)),
    ])) as [Tensor, Tensor];
    const of = (layer: number): Tensor[] => tensors.slice(2 * layer, 2 * layer + 2);
    const hidden = await this.#throughLayers(await this.#run(setting, []), [x, y], (layer) =>
      Object.fromEntries(of(layer).map((tensor, i) => [given[layer]?.[i]?.name, tensor])),
    );
    const layers = given.map((_, layer) => keysAndValues(of(layer)));
    return { hidden, prefixes: new HeldPrefixes(lengths, shape.B, this.#kvWidth, layers) };
  }

  async #throughLayers(
    run: Run,
    turns: readonly [Tensor, Tensor],
    further: (layer: number) => Record<string, Tensor>,
  ): Promise<Float32Array> {
    let [x, y] = turns;
    this.#embed(run.batch.ids, x);
    for (let layer = 0; layer < this.#count; layer++) {
      await this.#forwardLayer('forward', layer, run, [x, y], further(layer));
      [x, y] = [y, x];
    }
    return floats(x);
  }

  /** As `forward`, and keeps what `backward` needs. */
  hold(batch: BodyBatch): Promise<HeldBatch> {
    return this.#hold(this.#setUp(batch, false), this.#arena);
  }

  /** As `hold`, and keeps the keys and values of prefixes of these lengths, and gathers their gradients. */
  async holdPrefixes(
    batch: BodyBatch,
    lengths: readonly number[],
  ): Promise<{ held: HeldBatch; prefixes: HeldPrefixes }> {
    const setting = this.#setUp(batch, true);
    const held = await this.#hold(setting, this.#prefixArena);
    const layers = held.carried.map((carried, layer) => {
      const { keys, values } = this.#layers.outputsOf(setting.form, layer, true).given ?? noKeys();
      return keysAndValues([carried[keys.name] as Tensor, carried[values.name] as Tensor]);
    });
    const gradients = held.returned.map((of) => keysAndValues([of[IO.dKeys] as Tensor, of[IO.dValues] as Tensor]));
    for (const { keys, values } of gradients) for (const sums of [keys, values]) sums.fill(0);
    return { held, prefixes: new HeldPrefixes(lengths, batch.B, this.#kvWidth, layers, gradients) };
  }

  async #hold(setting: Setting, arena: Arena): Promise<HeldBatch> {
    const { batch, form, sizes, pastShapes } = setting;
    const outputs = Array.from({ length: this.#count }, (_, layer) => this.#layers.outputsOf(form, layer, true));
    const shapes = outputs.flatMap(({ carried, given }) => [
      ...carried.map((value) => sizes.shape(value.shape)),
      ...(given ? [given.keys, given.values] : []).map((value) => sizes.shape(value.shape)),
    ]);
    const streams = new Array<Shape>(this.#count + 3).fill(setting.stream);
    const tensors = await arena.carve([...streams, ...pastShapes, ...shapes]);
    const stream = tensors.splice(0, this.#count + 1);
    const gradients = tensors.splice(0, 2) as [Tensor, Tensor];
    const run = await this.#run(setting, tensors.splice(0, pastShapes.length));
    const [carried, returned]: Record<string, Tensor>[][] = [[], []];
    for (const output of outputs) {
      carried?.push(Object.fromEntries(output.carried.map(({ name }) => [name, tensors.shift() as Tensor])));
      const names = output.given ? [IO.dKeys, IO.dValues] : [];
      returned?.push(Object.fromEntries(names.map((name) => [name, tensors.shift() as Tensor])));
    }
    this.#embed(batch.ids, stream[0] as Tensor);
    for (let layer = 0; layer < this.#count; layer++) {
      const turn = [stream[layer] as Tensor, stream[layer + 1] as Tensor] as const;
      await this.#forwardLayer('hold', layer, run, turn, carried?.[layer] ?? {});
    }
    const [hidden, dHidden] = [floats(stream[this.#count]), floats(gradients[0])];
    return { run, hidden, dHidden, stream, carried: carried ?? [], gradients, returned: returned ?? [] };
  }

  /**
   * Adds the gradients of the layers' weights to `accumulators`, and those of keys and values of the past to the
   * prefixes.
   * @returns the gradient of the embedded tokens, [T * B, H]
   */
  async backward(held: HeldBatch, accumulators: Readonly<Record<string, Tensor>>): Promise<Float32Array> {
    const { run, stream, carried, returned } = held;
    const { batch, form, shape, past } = run;
    let [dy, dx] = held.gradients;
    for (let layer = this.#count - 1; layer >= 0; layer--) {
      const graph = await this.#layers.get(form, shape, layer, 'backward');
      const ends = { [IO.x]: stream[layer] as Tensor, [IO.dy]: dy };
      const { feeds: sums, fetches } = this.#layers.accumulatorsOf(layer, accumulators);
      const feeds = this.#feeds(graph, layer, run, ends, carried[layer] ?? {}, returned[layer] ?? {}, sums);
      const [dKeys, dValues] = past;
      const ofPast: Record<string, Tensor> =
        dKeys && dValues ? { [IO.dPastKeys]: dKeys, [IO.dPastValues]: dValues } : {};
      await graph.run(feeds, { ...fetches, ...ofPast, [IO.dx]: dx }, run.sizes);
      if (batch.past && past.length > 0) batch.past.prefixes.add(keysAndValues(past), layer, batch.past.columns);
      [dy, dx] = [dx, dy];
    }
    return floats(dy);
  }

  release(): void {
    this.#arena.release();
    this.#prefixArena.release();
    this.#layers.clear();
    this.#rope = undefined;
  }
}

function noKeys(): never {
  throw new Error('a graph of prefixes gives out no keys');
}
