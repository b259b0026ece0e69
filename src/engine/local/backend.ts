import { HoneError } from '../../core/index.js';
import { loadTokenizer, toCriticConfig, toHfConfig } from '../../model/index.js';
import type {
  AdapterSource,
  ModelInfo,
  OpenModelOptions,
  OptimResult,
  OptimStep,
  Sample,
  SampleRequest,
} from '../types.js';
import { saveAdapter } from './adapter.js';
import { Board, sizesOf } from './board.js';
import { DEFAULT_CACHE_BYTES, positionBytes } from './kv-cache.js';
import type { Parameters } from './parameters.js';
import type { Prefix } from './prefixes.js';
import { copyOf, describe, optionsOfEach, type SharedModel } from './shared-model.js';
import { slotsOf } from './slots.js';
import { Sampling, type SamplingHooks, type SamplingStats } from './sampling.js';
import type { SessionOptions } from './session.js';
import { defaultTokensPerMicroBatch } from './micro-batches.js';
import { Training, type Coefficients, type Sequence, type TokenOutputs } from './training.js';
import type { Rest } from './wave-rows.js';
import { budgetFor, type TokenBudget } from './waves.js';
import { criticWeights, folderWeights, noCriticAdapter, randomWeights } from './weights.js';

export interface BackendOptions extends SessionOptions {
  /** Bound for the estimated memory of all training sessions of one model. */
  sessionBytes: number;
}

export interface Opened {
  handle: number;
  info: ModelInfo;
  version: number;
  budget: TokenBudget;
  /** Tokens whose keys and values fit the cache budget. */
  cachePositions: number;
}

export interface NamedTensor {
  name: string;
  shape: number[];
  data: Float32Array;
}

interface ModelEntry {
  kind: 'model';
  options: OpenModelOptions;
  training: Training;
  sampling: Sampling;
  /** Where its weights are shown to copies of it; in a copy, where they come from. */
  weights?: Board;
  /** Of a copy: where it shows its gradients. */
  gradients?: Board;
}

interface SamplerEntry {
  kind: 'sampler';
  sampling: Sampling;
  /** Weights version it was made at; a live sampler is refused once the weights have moved on. */
  version: number;
  /** Where its tokenizer lies, for stop strings. */
  options: OpenModelOptions;
  /** A snapshot owns its weights and graphs; a live sampler borrows the model's. */
  owned: boolean;
  /** Where its weights are shown to copies of it. */
  weights?: Board;
}

interface ContinuationEntry {
  kind: 'continuation';
  sampler: SamplerEntry;
  prefix: Prefix;
}

type Entry = ModelEntry | SamplerEntry | ContinuationEntry;

/**
 * The local engine's side of the fence: weights, graphs and everything that blocks. Runs in a worker thread, or in
 * the caller's own. Objects are known by number to the other side.
 */
export class Backend {
  readonly #entries = new Map<number, Entry>();
  #next = 1;

  constructor(private readonly options: BackendOptions) {}

  #add(entry: Entry): number {
    this.#entries.set(this.#next, entry);
    return this.#next++;
  }

  #model(handle: number): ModelEntry {
    const entry = this.#entries.get(handle);
    if (entry?.kind !== 'model') throw new HoneError('usage', 'this model has been disposed of');
    return entry;
  }

  async open(options: OpenModelOptions): Promise<Opened> {
    const { source, role } = options;
    if (role === 'critic') return this.#opened(options, await criticWeights(options));
    const base = source.kind === 'random' ? await randomWeights(source) : await folderWeights(source.path);
    return this.#opened(options, options.adapter ? await base.withAdapter(options.adapter) : base);
  }

  #opened(options: OpenModelOptions, parameters: Parameters, copies = 1): Opened {
    const { config } = parameters;
    const { maxContext = config.maxContext } = options;
    if (!(Number.isSafeInteger(maxContext) && maxContext >= 1 && maxContext <= config.maxContext))
      throw new HoneError(
        'usage',
        `must be a whole number from 1 to the model's ${config.maxContext}, not ${maxContext}`,
        {
          where: 'maxContext',
        },
      );
    const tokensPerMicroBatch = options.tokensPerMicroBatch ?? defaultTokensPerMicroBatch(config);
    const budget = budgetFor(config, tokensPerMicroBatch);
    const training = new Training(parameters, { ...this.options, budget });
    const sampling = this.#sampling(parameters, options, copies);
    const handle = this.#add({ kind: 'model', options, training, sampling });
    const info: ModelInfo = {
      architecture: config.architecture,
      parameters: countOf(parameters.arrays),
      trainedParameters: countOf(parameters.trained()),
      vocabSize: config.vocabSize,
      maxContext,
    };
    const cachePositions = Math.floor((options.cacheBytes ?? DEFAULT_CACHE_BYTES) / positionBytes(config));
    return { handle, info, version: parameters.version, budget, cachePositions };
  }

  /** @param copies of the model that sample side by side, this one among them */
  #sampling(parameters: Parameters, options: OpenModelOptions, copies = 1): Sampling {
    const bytes = { weights: 4 * countOf(parameters.arrays), position: positionBytes(parameters.config) };
    return new Sampling(
      parameters,
      { eosIds: parameters.config.eosIds },
      {
        ...this.options,
        slots: slotsOf(options.samplingSlots, bytes, copies),
        cacheBytes: options.cacheBytes ?? DEFAULT_CACHE_BYTES,
        sharePrefixes: options.sharePrefixes ?? true,
        maxContext: options.maxContext ?? parameters.config.maxContext,
      },
    );
  }

  forward(handle: number, sequences: Sequence[], entropy: boolean, temperature: number): Promise<TokenOutputs> {
    return this.#model(handle).training.forward(sequences, entropy, temperature);
  }

  logits(handle: number, sequences: Int32Array[]): Promise<Float32Array[]> {
    return this.#model(handle).training.logits(sequences);
  }

  backward(
    handle: number,
    sequences: Sequence[],
    coefficients: Coefficients,
    temperature: number,
  ): Promise<TokenOutputs> {
    return this.#model(handle).training.backward(sequences, coefficients, temperature);
  }

  /** The forward pass of prefixes, kept for batches that go on from them and for `backwardPrefixes`. */
  holdPrefixes(handle: number, prefixes: Sequence[], entropy: boolean, temperature: number): Promise<TokenOutputs> {
    return this.#model(handle).training.holdPrefixes(prefixes, entropy, temperature);
  }

  backwardPrefixes(handle: number, coefficients: Coefficients): Promise<number> {
    return this.#model(handle).training.backwardPrefixes(coefficients);
  }

  /** The forward pass of one micro-batch, kept for `backwardHeld`. */
  hold(handle: number, sequences: Rest[], entropy: boolean, temperature: number): Promise<TokenOutputs> {
    return this.#model(handle).training.hold(sequences, entropy, temperature);
  }

  backwardHeld(handle: number, coefficients: Coefficients): Promise<number> {
    return this.#model(handle).training.backwardHeld(coefficients);
  }

  async optimStep(handle: number, step: OptimStep): Promise<{ result: OptimResult; version: number }> {
    const { training, sampling } = this.#model(handle);
    const result = training.optimStep(step);
    sampling.dropOutdated();
    return { result, version: training.parameters.version };
  }

  async zeroGrad(handle: number): Promise<void> {
    this.#model(handle).training.zeroGrad();
  }

  async resetOptimizer(handle: number): Promise<void> {
    this.#model(handle).training.resetOptimizer();
  }

  /** The model, where it can sample. @throws HoneError for a critic, which has no distribution over tokens */
  #policy(handle: number): ModelEntry {
    const entry = this.#model(handle);
    if (!entry.training.parameters.isCritic) return entry;
    throw new HoneError('usage', 'a critic cannot sample', { hint: 'Take the sampler of a policy.' });
  }

  async snapshot(handle: number): Promise<Pick<Opened, 'handle' | 'version'>> {
    const { training, options } = this.#policy(handle);
    const parameters = await training.parameters.copy();
    parameters.version = training.parameters.version;
    const sampling = this.#sampling(parameters, options);
    const { version } = parameters;
    return { handle: this.#add({ kind: 'sampler', sampling, version, options, owned: true }), version };
  }

  async liveSampler(handle: number): Promise<Pick<Opened, 'handle' | 'version'>> {
    const { training, sampling, options } = this.#policy(handle);
    const { version } = training.parameters;
    return { handle: this.#add({ kind: 'sampler', sampling, version, options, owned: false }), version };
  }

  async clone(handle: number, merged: boolean): Promise<Opened> {
    const { training, options } = this.#model(handle);
    const { parameters } = training;
    return this.#opened(options, await (merged ? parameters.mergedCopy() : parameters.copy()));
  }

  async withAdapter(handle: number, source: AdapterSource): Promise<Opened> {
    const { training, options } = this.#model(handle);
    if (training.parameters.isCritic) throw noCriticAdapter();
    return this.#opened(options, await training.parameters.withAdapter(source));
  }

  /** Weights of `handle` <- keep * own + (1 - keep) * other's. @returns the new version. */
  async lerp(handle: number, other: number, keep: number): Promise<number> {
    const { parameters } = this.#model(handle).training;
    parameters.lerpFrom(this.#model(other).training.parameters, keep);
    return parameters.version;
  }

  /** @throws HoneError for what has no weights to share */
  #shown(handle: number): { entry: ModelEntry | SamplerEntry; parameters: Parameters } {
    const entry = this.#entries.get(handle);
    if (entry?.kind === 'sampler') return { entry, parameters: entry.sampling.parameters };
    return { entry: this.#model(handle), parameters: this.#model(handle).training.parameters };
  }

  /** Weights of a model or snapshot for copies in other threads. */
  async share(handle: number): Promise<SharedModel> {
    const { entry, parameters } = this.#shown(handle);
    await this.showWeights(handle);
    return describe(parameters, entry.weights as Board, entry.options);
  }

  async showWeights(handle: number): Promise<void> {
    const { entry, parameters } = this.#shown(handle);
    entry.weights ??= Board.for(parameters.arrays);
    entry.weights.write(parameters.arrays);
  }

  /** One of `size` copies of a model, which divide its memory for caches and micro-batches between them. */
  async replica(shared: SharedModel, size: number): Promise<{ handle: number; gradients: SharedArrayBuffer }> {
    const { parameters, weights } = await copyOf(shared);
    const { handle } = this.#opened(optionsOfEach(shared, size), parameters, size);
    const gradients = Board.for(parameters.trained());
    Object.assign(this.#model(handle), { weights, gradients });
    return { handle, gradients: gradients.memory };
  }

  /** Brings a copy up to the weights shown. */
  async takeWeights(handle: number, version: number): Promise<void> {
    const { training, sampling, weights } = this.#model(handle);
    if (!weights) throw new Error('takeWeights() of a model that is no copy');
    training.parameters.take(weights, version);
    sampling.dropOutdated();
  }

  /** Shows a copy's gradients to its model, and starts them anew. */
  async showGradients(handle: number): Promise<void> {
    const { training, gradients } = this.#model(handle);
    gradients?.write(training.gradients());
    training.zeroGrad();
  }

  /** Adds the gradients that copies show, in this order. */
  async addGradients(handle: number, shown: SharedArrayBuffer[]): Promise<void> {
    const { training } = this.#model(handle);
    const sizes = sizesOf(training.parameters.trained());
    await training.addGradients(shown.map((memory) => new Board(memory, sizes)));
  }

  async save(handle: number, folder: string): Promise<void> {
    await this.#model(handle).training.save(folder);
  }

  async load(handle: number, folder: string): Promise<number> {
    const { training } = this.#model(handle);
    await training.load(folder);
    return training.parameters.version;
  }

  async writeWeights(handle: number, file: string): Promise<Record<string, unknown>> {
    const { parameters } = this.#model(handle).training;
    await parameters.write(file, parameters.merged());
    return parameters.isCritic ? toCriticConfig(parameters.config) : toHfConfig(parameters.config);
  }

  async writeAdapter(handle: number, folder: string): Promise<void> {
    const { adapter, arrays } = this.#model(handle).training.parameters;
    if (!adapter)
      throw new HoneError('usage', 'this model has no adapter', { hint: 'Use export(folder) for its weights.' });
    await saveAdapter(folder, adapter, arrays);
  }

  async tensors(handle: number, what: 'weights' | 'gradients'): Promise<NamedTensor[]> {
    const { training } = this.#model(handle);
    const { shapes, arrays } = training.parameters;
    return [...(what === 'weights' ? arrays : training.gradients())].map(([name, data]) => ({
      name,
      shape: shapes.get(name) ?? [],
      data: data.slice(),
    }));
  }

  /** A sampler or a continuation of one. @throws HoneError when it is gone, or its weights are */
  #samplerOf(handle: number): { sampler: SamplerEntry; base?: Prefix } {
    const entry = this.#entries.get(handle);
    if (!entry || entry.kind === 'model')
      throw new HoneError('usage', 'this sampler has been disposed of, or its model has', {
        hint: 'Take a new one with liveSampler() or snapshot().',
      });
    const found = entry.kind === 'sampler' ? { sampler: entry } : { sampler: entry.sampler, base: entry.prefix };
    const { sampling, version } = found.sampler;
    if (sampling.parameters.version === version) return found;
    throw new HoneError('usage', `a live sampler of weights version ${version} is used after an update`, {
      hint: 'Take a new liveSampler() after each update, or a snapshot() that keeps its weights.',
    });
  }

  async sample(handle: number, requests: SampleRequest[], keep: boolean, hooks: SamplingHooks): Promise<Sample[][]> {
    const { sampler, base } = this.#samplerOf(handle);
    if (requests.some(({ params }) => params.stop?.length)) await this.#needTokenBytes(sampler);
    const whole = base
      ? requests.map((request) => ({ ...request, promptTokens: joined(base.tokens, request.promptTokens) }))
      : requests;
    return sampler.sampling.sample(whole, hooks, { base, keep });
  }

  /** @returns the handle of a continuation */
  async continueFrom(handle: number, prefix: Int32Array): Promise<number> {
    const { sampler } = this.#samplerOf(handle);
    return this.#add({ kind: 'continuation', sampler, prefix: await sampler.sampling.hold(prefix) });
  }

  async samplingStats(handle: number): Promise<SamplingStats> {
    return this.#samplerOf(handle).sampler.sampling.stats;
  }

  async #needTokenBytes({ sampling, options }: SamplerEntry): Promise<void> {
    const { source } = options;
    const path = source.kind === 'folder' ? source.path : source.tokenizerPath;
    if (sampling.vocabulary.tokenBytes || !path) return;
    const tokenizer = await loadTokenizer(path);
    sampling.vocabulary.tokenBytes = (id) => tokenizer.tokenBytes(id);
  }

  async dispose(handle: number): Promise<void> {
    const entry = this.#entries.get(handle);
    if (!entry) return;
    this.#entries.delete(handle);
    if (entry.kind === 'continuation') return entry.sampler.sampling.release(entry.prefix);
    await this.#disposeWhere((other) => other.kind === 'continuation' && other.sampler === entry);
    if (entry.kind === 'sampler') {
      if (entry.owned) await entry.sampling.dispose();
      return;
    }
    await this.#disposeWhere((other) => other.kind === 'sampler' && other.sampling === entry.sampling);
    await entry.training.dispose();
    await entry.sampling.dispose();
  }

  async #disposeWhere(which: (entry: Entry) => boolean): Promise<void> {
    for (const [handle, entry] of [...this.#entries]) if (which(entry)) await this.dispose(handle);
  }

  disposeAll(): Promise<void> {
    return this.#disposeWhere(() => true);
  }
}

function joined(a: Int32Array, b: Int32Array): Int32Array {
  const all = new Int32Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

function countOf(arrays: ReadonlyMap<string, Float32Array>): number {
  return [...arrays.values()].reduce((sum, { length }) => sum + length, 0);
}
