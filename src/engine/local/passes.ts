import { HoneError } from '../../core/index.js';
import { mergeMetrics } from '../metrics.js';
import type { Datum, ForwardBackwardResult, Loss, ModelRole, ModelTime } from '../types.js';
import type { Opened } from './backend.js';
import { divideSequences } from './divide.js';
import { REPLICA_PARAMETERS, together, type Lane, type Replicas } from './replicas.js';
import { coefficientsFor, coefficientsOf, placeOutputs, rowsOf } from './token-rows.js';
import { emptyOutputs, type Sequence, type TokenOutputs } from './training.js';
import { passOver, type WavePass } from './wave-pass.js';
import { planWaves, type Wave } from './waves.js';

function sequencesOf(data: readonly Datum[]): Sequence[] {
  return data.map(({ input, target }, i) => {
    if (input.length === 0) throw new HoneError('usage', `datum ${i} is empty`);
    if (input.length !== target.length) {
      throw new HoneError('usage', `datum ${i} has ${input.length} input and ${target.length} target tokens`);
    }
    return { input, target };
  });
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

/** What one worker does of a pass over many sequences. */
interface Share {
  lane: Lane;
  waves: readonly Wave[];
  /** All sequences of its waves, ascending. */
  members: readonly number[];
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
    const { budget, info } = this.opened;
    const whole = info.parameters > REPLICA_PARAMETERS.training || (train && this.isBase);
    const replicas = whole ? undefined : this.replicas;
    const divided = replicas && divideSequences(sequences, budget, replicas.size);
    if (!divided)
      return [{ lane: this.lane, waves: planWaves(sequences, budget), members: sequences.map((_, i) => i) }];
    const lanes = await (train ? replicas.toTrain(version) : replicas.upToDate(version));
    return divided.map((waves, i) => {
      const members = waves.flatMap(({ batches }) => batches.flatMap((batch) => batch.members)).sort((a, b) => a - b);
      return { lane: lanes[i] as Lane, waves, members };
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

  async #anyLoss(work: Work): Promise<ForwardBackwardResult> {
    const outputs = this.#empty(work.sequences, work.loss);
    const passes = await together(
      work.shares.map(async ({ lane, waves }) => {
        const found: WavePass[] = [];
        for (const wave of waves) found.push(await passOver(lane, wave, { ...work, role: this.role, outputs }));
        return found;
      }),
    );
    const all = passes.flat();
    const sum = (part: (pass: WavePass) => number): number => all.reduce((total, pass) => total + part(pass), 0);
    this.spent.forward += sum(({ forward }) => forward) / work.shares.length;
    this.spent.backward += sum(({ backward }) => backward) / work.shares.length;
    const metrics = mergeMetrics(all.flatMap(({ results }) => results.map((result) => result.metrics)));
    const lossSum = all.flatMap(({ results }) => results).reduce((total, result) => total + result.lossSum, 0);
    return { outputs, lossSum, metrics };
  }
}
