import { HoneError } from '../../core/index.js';
import { mergeMetrics } from '../metrics.js';
import type { Datum, ForwardBackwardResult, Loss, LossResult, ModelRole, ModelTime } from '../types.js';
import type { Opened } from './backend.js';
import { divideSequences } from './divide.js';
import { planMicroBatches, type MicroBatch } from './micro-batches.js';
import { REPLICA_PARAMETERS, together, type Lane, type Replicas } from './replicas.js';
import { emptyOutputs, type Coefficients, type Sequence, type TokenOutputs } from './training.js';

function sequencesOf(data: readonly Datum[]): Sequence[] {
  return data.map(({ input, target }, i) => {
    if (input.length === 0) throw new HoneError('usage', `datum ${i} is empty`);
    if (input.length !== target.length) {
      throw new HoneError('usage', `datum ${i} has ${input.length} input and ${target.length} target tokens`);
    }
    return { input, target };
  });
}

/** The derivatives a loss gave, complete and in shape. */
function coefficientsOf(loss: Loss, result: LossResult, sequences: readonly Sequence[], role: ModelRole): Coefficients {
  const complete = (rows: Float32Array[] | undefined, name: string): Float32Array[] => {
    const full = rows ?? sequences.map(({ input }) => new Float32Array(input.length));
    const wrong = full.length !== sequences.length || full.some((row, i) => row.length !== sequences[i]?.input.length);
    if (wrong) throw new HoneError('usage', `loss ${loss.name} returned ${name} of the wrong shape`);
    return full;
  };
  if (role === 'critic') return { dLogprobs: [], dValues: complete(result.dValues, 'dValues') };
  const dLogprobs = complete(result.dLogprobs, 'dLogprobs');
  return loss.needs.entropy ? { dLogprobs, dEntropy: complete(result.dEntropy, 'dEntropy') } : { dLogprobs };
}

/** @throws HoneError when a loss asks for what a model of this role does not put out */
export function checkNeeds({ name, needs }: Loss, role: ModelRole): void {
  if (role === 'policy' && needs.values)
    throw new HoneError('usage', `loss ${name} needs a critic; this model is a policy`);
  if (role === 'critic' && (!needs.values || needs.entropy))
    throw new HoneError('usage', `loss ${name} needs a policy; this model is a critic`, {
      hint: 'The loss of a critic reads values alone and says so: needs: { values: true }.',
    });
}

/** Rows of some of the sequences. */
function rowsOf<T>(rows: readonly T[], members: readonly number[]): T[] {
  return members.map((member) => rows[member] as T);
}

function coefficientsFor({ dLogprobs, dEntropy, dValues }: Coefficients, members: readonly number[]): Coefficients {
  return {
    dLogprobs: dLogprobs.length > 0 ? rowsOf(dLogprobs, members) : [],
    ...(dEntropy ? { dEntropy: rowsOf(dEntropy, members) } : {}),
    ...(dValues ? { dValues: rowsOf(dValues, members) } : {}),
  };
}

/** What one worker does of a pass over many sequences. */
interface Share {
  lane: Lane;
  batches: readonly MicroBatch[];
  /** All sequences of its batches, ascending. */
  members: readonly number[];
}

/** Puts the outputs of some of the sequences in their places. */
function placeOutputs(into: TokenOutputs, out: TokenOutputs, members: readonly number[]): void {
  const place = (to: Float32Array[] | undefined, from: Float32Array[] | undefined): void =>
    from?.forEach((row, i) => to?.[members[i] as number]?.set(row));
  place(into.logprobs, out.logprobs);
  place(into.entropy, out.entropy);
  place(into.values, out.values);
}

/** One call of `forwardBackward`. */
interface Work {
  data: readonly Datum[];
  sequences: readonly Sequence[];
  shares: readonly Share[];
  loss: Loss;
  temperature: number;
}

/** The forward and backward passes of one model: divided over its copies where that is faster, timed, the loss computed here. */
export class Passes {
  readonly spent: ModelTime = { forward: 0, backward: 0, optimizer: 0 };
  /** Adapters share the model's weights: it does not train any more. */
  isBase = false;

  constructor(
    private readonly lane: Lane,
    private readonly opened: Opened,
    private readonly role: ModelRole,
    private readonly replicas: Replicas | undefined,
  ) {}

  /** Counts the seconds of a call. */
  async timed<T>(what: keyof ModelTime, work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    const result = await work();
    this.spent[what] += (performance.now() - started) / 1000;
    return result;
  }

  /** Who does what of a pass: this model's worker all of it, or copies their shares side by side where that is faster. */
  async #shares(sequences: readonly Sequence[], version: number, train: boolean): Promise<Share[]> {
    const lengths = sequences.map(({ input }) => input.length);
    const { tokensPerMicroBatch, info } = this.opened;
    const whole = info.parameters > REPLICA_PARAMETERS.training || (train && this.isBase);
    const replicas = whole ? undefined : this.replicas;
    const divided = replicas && divideSequences(lengths, tokensPerMicroBatch, replicas.size);
    if (!divided) {
      const batches = planMicroBatches(lengths, tokensPerMicroBatch);
      return [{ lane: this.lane, batches, members: sequences.map((_, i) => i) }];
    }
    const lanes = await (train ? replicas.toTrain(version) : replicas.upToDate(version));
    return divided.map((batches, i) => {
      const members = batches.flatMap((batch) => batch.members).sort((a, b) => a - b);
      return { lane: lanes[i] as Lane, batches, members };
    });
  }

  /** @param version of the weights, also below */
  async forward(
    data: readonly Datum[],
    version: number,
    { entropy, temperature }: { entropy: boolean; temperature: number },
  ): Promise<TokenOutputs> {
    const sequences = sequencesOf(data);
    const outputs = emptyOutputs(sequences, { entropy, critic: this.role === 'critic' });
    const shares = await this.#shares(sequences, version, false);
    const work = shares.map(async ({ lane: { channel, handle }, members }) => {
      const part = rowsOf(sequences, members);
      placeOutputs(outputs, await channel.call('forward', [handle, part, entropy, temperature]), members);
    });
    await this.timed('forward', () => together(work));
    return outputs;
  }

  #empty(sequences: readonly Sequence[], { needs }: Loss): TokenOutputs {
    return emptyOutputs(sequences, { entropy: needs.entropy ?? false, critic: this.role === 'critic' });
  }

  async forwardBackward(
    data: readonly Datum[],
    version: number,
    loss: Loss,
    temperature: number,
  ): Promise<ForwardBackwardResult> {
    const sequences = sequencesOf(data);
    const shares = await this.#shares(sequences, version, true);
    const work = { data, sequences, shares, loss, temperature };
    return loss.linear ? this.#linearLoss(work) : this.#anyLoss(work);
  }

  /** Derivatives that do not depend on the outputs come first, so that the engine does all batches in one go. */
  async #linearLoss({ data, sequences, shares, loss, temperature }: Work): Promise<ForwardBackwardResult> {
    const outputs = this.#empty(sequences, loss);
    const coefficients = coefficientsOf(loss, loss.fn(outputs, data), sequences, this.role);
    const work = shares.map(async ({ lane: { channel, handle }, members }) => {
      const part = [rowsOf(sequences, members), coefficientsFor(coefficients, members)] as const;
      const { forwardSeconds = 0, ...out } = await channel.call('backward', [handle, ...part, temperature]);
      placeOutputs(outputs, out, members);
      return forwardSeconds;
    });
    const forward = await this.timed('backward', () => together(work));
    const forwardSeconds = forward.reduce((sum, seconds) => sum + seconds, 0) / shares.length;
    this.spent.forward += forwardSeconds;
    this.spent.backward -= forwardSeconds;
    const { lossSum, metrics } = loss.fn(outputs, data);
    return { outputs, lossSum, metrics };
  }

  /** Micro-batch by micro-batch: the forward pass there, `loss.fn` here, the backward pass there. */
  async #anyLoss({ data, sequences, shares, loss, temperature }: Work): Promise<ForwardBackwardResult> {
    const entropy = loss.needs.entropy ?? false;
    const outputs = this.#empty(sequences, loss);
    const spent = { forward: 0, backward: 0 };
    const oneBatch = async ({ channel, handle }: Lane, { T, B, members }: MicroBatch): Promise<LossResult> => {
      const part = rowsOf(sequences, members);
      const started = performance.now();
      const out = await channel.call('hold', [handle, part, { T, B }, entropy, temperature]);
      const held = performance.now();
      const result = loss.fn(out, rowsOf(data, members));
      const coefficients = coefficientsOf(loss, result, part, this.role);
      const computed = performance.now();
      await channel.call('backwardHeld', [handle, coefficients]);
      spent.forward += (held - started) / 1000;
      spent.backward += (performance.now() - computed) / 1000;
      placeOutputs(outputs, out, members);
      return result;
    };
    const work = shares.map(async ({ lane, batches }) => {
      const results: LossResult[] = [];
      for (const batch of batches) results.push(await oneBatch(lane, batch));
      return results;
    });
    const results = (await together(work)).flat();
    this.spent.forward += spent.forward / shares.length;
    this.spent.backward += spent.backward / shares.length;
    const lossSum = results.reduce((sum, result) => sum + result.lossSum, 0);
    return { outputs, lossSum, metrics: mergeMetrics(results.map(({ metrics }) => metrics)) };
  }
}
