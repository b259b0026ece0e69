import type { ModelConfig } from '../../model/index.js';
import { headGraph, headLogitsGraph, HEAD_IO as IO, type HeadGraphKey } from './llama/head-graph.js';
import { FINAL_NORM, headName } from './llama/weights.js';
import { bucketLength } from './micro-batches.js';
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

/** Bytes that a head session keeps after a run: a few blocks. */
function estimateBytes({ rows, vocabSize, entropy, backward }: HeadGraphKey): number {
  return 4 * rows * vocabSize * (2 + (backward ? 1 : 0) + (entropy ? 2 : 0));
}

/** Runs the LM head over chunks of rows, so that nothing of size [tokens, vocabulary] is ever held. */
export class Head {
  readonly #buffers = new Map<string, Omit<Chunk, 'graph'>>();

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

  /** Row counts of the chunks: full ones, then the left-over in a bucket. */
  #chunks(rows: readonly HeadRow[]): { size: number; rows: readonly HeadRow[] }[] {
    const most = Math.max(LEAST_ROWS, Math.floor(this.block / this.#config.vocabSize / LEAST_ROWS) * LEAST_ROWS);
    const chunks: { size: number; rows: readonly HeadRow[] }[] = [];
    for (let start = 0; start < rows.length; start += most) {
      const part = rows.slice(start, start + most);
      chunks.push({ size: Math.min(most, bucketLength(part.length)), rows: part });
    }
    return chunks;
  }

  async #chunk(key: HeadGraphKey): Promise<Chunk> {
    const name = `head ${JSON.stringify(key)}`;
    const graph = await this.sessions.get(name, estimateBytes(key), () =>
      CompiledGraph.compile(headGraph(key), this.options),
    );
    const known = this.#buffers.get(name);
    if (known) return { graph, ...known };
    const ort = await loadOrt();
    const column = (): Tensor => tensorOf(ort, 'float32', [key.rows, 1]);
    const hidden = (): Tensor => tensorOf(ort, 'float32', [key.rows, key.hiddenSize]);
    const buffers = {
      feeds: {
        [IO.hidden]: hidden(),
        [IO.targets]: tensorOf(ort, 'int64', [key.rows, 1]),
        [IO.inverseTemperature]: tensorOf(ort, 'float32', []),
        ...(key.backward ? { [IO.dLogprobs]: column() } : {}),
        ...(key.backward && key.entropy ? { [IO.dEntropy]: column() } : {}),
      },
      fetches: {
        [IO.logprobs]: column(),
        ...(key.entropy ? { [IO.entropy]: column() } : {}),
        ...(key.backward ? { [IO.dHidden]: hidden() } : {}),
        ...(key.weights ? { [IO.normed]: hidden() } : {}),
      },
    };
    this.#buffers.set(name, buffers);
    return { graph, ...buffers };
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
        ...this.#shape(chunk.size),
        entropy: outputs.entropy !== undefined,
        backward: backward !== undefined,
        weights: sums !== undefined,
      };
      const { graph, feeds, fetches } = await this.#chunk(key);
      const data = (name: string): Float32Array => (feeds[name] ?? fetches[name])?.data as Float32Array;
      const [x, targets] = [data(IO.hidden), feeds[IO.targets]?.data as BigInt64Array];
      data(IO.inverseTemperature)[0] = 1 / temperature;
      chunk.rows.forEach(({ n, member, t }, i) => {
        x.set(hidden.subarray(n * hiddenSize, (n + 1) * hiddenSize), i * hiddenSize);
        targets[i] = BigInt(sequences[member]?.target[t] as number);
      });
      if (backward) this.#feedCoefficients(chunk.rows, backward.coefficients, data(IO.dLogprobs), feeds[IO.dEntropy]);
      await graph.run(
        { ...feeds, ...this.#weights(), ...(sums ? { [IO.matrixSoFar]: sums.matrix, [IO.gainSoFar]: sums.gain } : {}) },
        { ...fetches, ...(sums ? { [IO.dMatrix]: sums.matrix, [IO.dGain]: sums.gain } : {}) },
      );
      const [logprobs, entropy, dx] = [data(IO.logprobs), fetches[IO.entropy]?.data, fetches[IO.dHidden]?.data];
      chunk.rows.forEach(({ n, member, t }, i) => {
        (outputs.logprobs[member] as Float32Array)[t] = logprobs[i] as number;
        if (outputs.entropy) (outputs.entropy[member] as Float32Array)[t] = (entropy as Float32Array)[i] as number;
        backward?.dHidden.set((dx as Float32Array).subarray(i * hiddenSize, (i + 1) * hiddenSize), n * hiddenSize);
      });
      if (sums) this.#addTargetRows(chunk.rows.length, feeds, data(IO.normed), sums.matrix);
    }
  }

  /** Gradients of matrix and norm, if they are trained. */
  #accumulators(gradients: Readonly<Record<string, Tensor>>): { matrix: Tensor; gain: Tensor } | undefined {
    const [matrix, gain] = [gradients[headName(this.#config)], gradients[FINAL_NORM]];
    return matrix && gain ? { matrix, gain } : undefined;
  }

  #shape(rows: number) {
    const { vocabSize, hiddenSize, rmsEps } = this.#config;
    return { rows, vocabSize, hiddenSize, rmsEps };
  }

  #weights(): Record<string, Tensor> {
    const { tensors } = this.parameters;
    return { [IO.matrix]: tensors[headName(this.#config)] as Tensor, [IO.gain]: tensors[FINAL_NORM] as Tensor };
  }

  /** Rows beyond the chunk's own keep a derivative of zero, and so add nothing to the matrix's gradient. */
  #feedCoefficients(
    rows: readonly HeadRow[],
    { dLogprobs, dEntropy }: Coefficients,
    dl: Float32Array,
    dH: Tensor | undefined,
  ): void {
    dl.fill(0);
    rows.forEach(({ member, t }, i) => (dl[i] = dLogprobs[member]?.[t] as number));
    if (!dH) return;
    const data = dH.data as Float32Array;
    data.fill(0);
    rows.forEach(({ member, t }, i) => (data[i] = dEntropy?.[member]?.[t] as number));
  }

  /** The one-hot part of the matrix's gradient: dW[target] += dl x. */
  #addTargetRows(count: number, feeds: Record<string, Tensor>, x: Float32Array, matrix: Tensor): void {
    const { hiddenSize } = this.#config;
    const dl = feeds[IO.dLogprobs]?.data as Float32Array;
    const targets = feeds[IO.targets]?.data as BigInt64Array;
    const gradient = matrix.data as Float32Array;
    for (let i = 0; i < count; i++) {
      const factor = dl[i] as number;
      const [from, to] = [i * hiddenSize, Number(targets[i]) * hiddenSize];
      for (let j = 0; j < hiddenSize; j++)
        gradient[to + j] = (gradient[to + j] as number) + factor * (x[from + j] as number);
    }
  }

  /** Logits at temperature 1 of the rows, [T, V] for each sequence. */
  async logits(rows: readonly HeadRow[], hidden: Float32Array, into: readonly Float32Array[]): Promise<void> {
    const ort = await loadOrt();
    const { vocabSize, hiddenSize } = this.#config;
    for (const chunk of this.#chunks(rows)) {
      const graph = await this.sessions.get(`logits ${chunk.size}`, 4 * chunk.size * vocabSize, () =>
        CompiledGraph.compile(headLogitsGraph(this.#shape(chunk.size)), this.options),
      );
      const x = tensorOf(ort, 'float32', [chunk.size, hiddenSize]);
      const logits = tensorOf(ort, 'float32', [chunk.size, vocabSize]);
      chunk.rows.forEach(({ n }, i) =>
        (x.data as Float32Array).set(hidden.subarray(n * hiddenSize, (n + 1) * hiddenSize), i * hiddenSize),
      );
      const inverseTemperature = tensorOf(ort, 'float32', [], Float32Array.of(1));
      await graph.run(
        { ...this.#weights(), [IO.hidden]: x, [IO.inverseTemperature]: inverseTemperature },
        { [IO.logits]: logits },
      );
      const data = logits.data as Float32Array;
      chunk.rows.forEach(({ member, t }, i) =>
        (into[member] as Float32Array).set(data.subarray(i * vocabSize, (i + 1) * vocabSize), t * vocabSize),
      );
    }
  }
}
