import type { ModelConfig } from '../../model/index.js';
import { addRow } from './add-rows.js';
import { Sizes, STAND_IN } from './graph/sizes.js';
import { headGraph, headLogitsGraph, HEAD_IO as IO, type HeadGraphKey } from './llama/head-graph.js';
import { FINAL_NORM, headName } from './llama/weights.js';
import type { Parameters } from './parameters.js';
import type { SessionCache } from './session-cache.js';
import { CompiledGraph, loadOrt, tensorOf, type SessionOptions, type Tensor } from './session.js';
import type { Coefficients, Sequence, TokenOutputs } from './training.js';

/** Numbers in one [rows, vocabulary] block: 64 MiB. A few such blocks are held at a time, however long the batch. */
const BLOCK = 2 ** 24;
const LEAST_ROWS = 32;

/** A position of a micro-batch: row `n` of the hidden states is token `t` of sequence `member`. */
export interface HeadRow {
  n: number;
  member: number;
  t: number;
}

/** Derivatives going in, and where those of the hidden states go, [N, H]; rows that are not visited are left alone. */
export interface HeadBackward {
  coefficients: Coefficients;
  dHidden: Float32Array;
  /** Gradients of what is trained so far, by name; those of the head are added to. */
  gradients: Readonly<Record<string, Tensor>>;
}

interface Chunk {
  graph: CompiledGraph;
  feeds: Record<string, Tensor>;
  fetches: Record<string, Tensor>;
}

/** Bytes that a head session keeps after a run over so many rows: a few blocks. */
function estimateBytes({ vocabSize, entropy, backward }: HeadGraphKey, rows: number): number {
  return 4 * rows * vocabSize * (2 + (backward ? 1 : 0) + (entropy ? 2 : 0));
}

const sizesOf = (rows: number): Sizes => new Sizes([[STAND_IN.rows, rows]]);

/** Runs the LM head over chunks of rows, so that nothing of size [tokens, vocabulary] is ever held. */
export class Head {
  readonly #buffers = new Map<string, Float32Array | BigInt64Array>();

  constructor(
    private readonly parameters: Parameters,
    private readonly sessions: SessionCache,
    private readonly options: SessionOptions,
    /** Numbers in one block; a block has no fewer than LEAST_ROWS rows. */
    private readonly block = BLOCK,
  ) {}

  get #config(): ModelConfig {
    return this.parameters.config;
  }

  /** Full chunks, then what is left over. */
  #chunks(rows: readonly HeadRow[]): (readonly HeadRow[])[] {
    const most = Math.max(LEAST_ROWS, Math.floor(this.block / this.#config.vocabSize / LEAST_ROWS) * LEAST_ROWS);
    const chunks: (readonly HeadRow[])[] = [];
    for (let start = 0; start < rows.length; start += most) chunks.push(rows.slice(start, start + most));
    return chunks;
  }

  /** Memory for so many numbers, under one name for all chunks; it grows with the largest. */
  #buffer<A extends Float32Array | BigInt64Array>(name: string, length: number, make: (length: number) => A): A {
    const known = this.#buffers.get(name) as A | undefined;
    const buffer = known && known.length >= length ? known : make(length);
    this.#buffers.set(name, buffer);
    return buffer.subarray(0, length) as A;
  }

  async #chunk(key: HeadGraphKey, rows: number): Promise<Chunk> {
    const graph = await this.sessions.get(`head ${JSON.stringify(key)}`, estimateBytes(key, rows), () =>
      CompiledGraph.compile(headGraph(key), this.options),
    );
    const ort = await loadOrt();
    const floats = (name: string, width: number): Tensor =>
      tensorOf(
        ort,
        'float32',
        [rows, width],
        this.#buffer(name, rows * width, (length) => new Float32Array(length)),
      );
    const column = (name: string): [string, Tensor] => [name, floats(name, 1)];
    const hidden = (name: string): [string, Tensor] => [name, floats(name, key.hiddenSize)];
    const targets = this.#buffer(IO.targets, rows, (length) => new BigInt64Array(length));
    return {
      graph,
      feeds: {
        ...Object.fromEntries([hidden(IO.hidden)]),
        [IO.targets]: tensorOf(ort, 'int64', [rows, 1], targets),
        [IO.inverseTemperature]: tensorOf(ort, 'float32', []),
        ...Object.fromEntries(key.backward ? [column(IO.dLogprobs)] : []),
        ...Object.fromEntries(key.backward && key.entropy ? [column(IO.dEntropy)] : []),
      },
      fetches: Object.fromEntries([
        column(IO.logprobs),
        ...(key.entropy ? [column(IO.entropy)] : []),
        ...(key.backward ? [hidden(IO.dHidden)] : []),
        ...(key.weights ? [hidden(IO.normed)] : []),
      ]),
    };
  }

  /**
   * Logprobs and (where `outputs` has it) entropy of the rows, written to their places in `outputs`; with `backward`
   * also their derivatives.
   * @param hidden [N, H]
   */
  async run(
    rows: readonly HeadRow[],
    hidden: Float32Array,
    sequences: readonly Sequence[],
    temperature: number,
    outputs: TokenOutputs,
    backward?: HeadBackward,
  ): Promise<void> {
    const { hiddenSize } = this.#config;
    const sums = backward && this.#accumulators(backward.gradients);
    for (const chunk of this.#chunks(rows)) {
      const key = {
        ...this.#shape(),
        entropy: outputs.entropy !== undefined,
        backward: backward !== undefined,
        weights: sums !== undefined,
      };
      const { graph, feeds, fetches } = await this.#chunk(key, chunk.length);
      const data = (name: string): Float32Array => (feeds[name] ?? fetches[name])?.data as Float32Array;
      const [x, targets] = [data(IO.hidden), feeds[IO.targets]?.data as BigInt64Array];
      data(IO.inverseTemperature)[0] = 1 / temperature;
      chunk.forEach(({ n, member, t }, i) => {
        x.set(hidden.subarray(n * hiddenSize, (n + 1) * hiddenSize), i * hiddenSize);
        targets[i] = BigInt(sequences[member]?.target[t] as number);
      });
      if (backward) this.#feedCoefficients(chunk, backward.coefficients, data(IO.dLogprobs), feeds[IO.dEntropy]);
      await graph.run(
        { ...feeds, ...this.#weights(), ...(sums ? { [IO.matrixSoFar]: sums.matrix, [IO.gainSoFar]: sums.gain } : {}) },
        { ...fetches, ...(sums ? { [IO.dMatrix]: sums.matrix, [IO.dGain]: sums.gain } : {}) },
        sizesOf(chunk.length),
      );
      const [logprobs, entropy, dx] = [data(IO.logprobs), fetches[IO.entropy]?.data, fetches[IO.dHidden]?.data];
      chunk.forEach(({ n, member, t }, i) => {
        (outputs.logprobs[member] as Float32Array)[t] = logprobs[i] as number;
        if (outputs.entropy) (outputs.entropy[member] as Float32Array)[t] = (entropy as Float32Array)[i] as number;
        backward?.dHidden.set((dx as Float32Array).subarray(i * hiddenSize, (i + 1) * hiddenSize), n * hiddenSize);
      });
      if (sums) this.#addTargetRows(chunk.length, feeds, data(IO.normed), sums.matrix);
    }
  }

  /** Gradients of matrix and norm, if they are trained. */
  #accumulators(gradients: Readonly<Record<string, Tensor>>): { matrix: Tensor; gain: Tensor } | undefined {
    const [matrix, gain] = [gradients[headName(this.#config)], gradients[FINAL_NORM]];
    return matrix && gain ? { matrix, gain } : undefined;
  }

  #shape() {
    const { vocabSize, hiddenSize, rmsEps } = this.#config;
    return { vocabSize, hiddenSize, rmsEps };
  }

  #weights(): Record<string, Tensor> {
    const { tensors } = this.parameters;
    return { [IO.matrix]: tensors[headName(this.#config)] as Tensor, [IO.gain]: tensors[FINAL_NORM] as Tensor };
  }

  #feedCoefficients(
    rows: readonly HeadRow[],
    { dLogprobs, dEntropy }: Coefficients,
    dl: Float32Array,
    dH: Tensor | undefined,
  ): void {
    rows.forEach(({ member, t }, i) => (dl[i] = dLogprobs[member]?.[t] as number));
    if (!dH) return;
    const data = dH.data as Float32Array;
    rows.forEach(({ member, t }, i) => (data[i] = dEntropy?.[member]?.[t] as number));
  }

  /** The one-hot part of the matrix's gradient: dW[target] += dl x. */
  #addTargetRows(count: number, feeds: Record<string, Tensor>, x: Float32Array, matrix: Tensor): void {
    const { hiddenSize } = this.#config;
    const dl = feeds[IO.dLogprobs]?.data as Float32Array;
    const targets = feeds[IO.targets]?.data as BigInt64Array;
    const gradient = matrix.data as Float32Array;
    for (let i = 0; i < count; i++)
      addRow(gradient, Number(targets[i]) * hiddenSize, x, i * hiddenSize, hiddenSize, dl[i] as number);
  }

  /** Logits at temperature 1 of the rows, [T, V] for each sequence. */
  async logits(rows: readonly HeadRow[], hidden: Float32Array, into: readonly Float32Array[]): Promise<void> {
    const ort = await loadOrt();
    const { vocabSize, hiddenSize } = this.#config;
    for (const chunk of this.#chunks(rows)) {
      const graph = await this.sessions.get('logits', 4 * chunk.length * vocabSize, () =>
        CompiledGraph.compile(headLogitsGraph(this.#shape()), this.options),
      );
      const x = tensorOf(ort, 'float32', [chunk.length, hiddenSize]);
      const logits = tensorOf(ort, 'float32', [chunk.length, vocabSize]);
      chunk.forEach(({ n }, i) =>
        (x.data as Float32Array).set(hidden.subarray(n * hiddenSize, (n + 1) * hiddenSize), i * hiddenSize),
      );
      const inverseTemperature = tensorOf(ort, 'float32', [], Float32Array.of(1));
      await graph.run(
        { ...this.#weights(), [IO.hidden]: x, [IO.inverseTemperature]: inverseTemperature },
        { [IO.logits]: logits },
        sizesOf(chunk.length),
      );
      const data = logits.data as Float32Array;
      chunk.forEach(({ member, t }, i) =>
        (into[member] as Float32Array).set(data.subarray(i * vocabSize, (i + 1) * vocabSize), t * vocabSize),
      );
    }
  }
}
