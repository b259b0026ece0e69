/**
 * The interface to compute. Semantics follow the Tinker API, so that one trainer drives every engine.
 * Everything is asynchronous; calls on one model take effect in call order, awaited or not.
 */

/** One training sequence. All arrays have equal length T; the caller has shifted target against input. */
export interface Datum {
  /** Tokens the model reads, [T]. */
  input: Int32Array;
  /** Tokens it should predict: target[t] follows input[t], [T]. */
  target: Int32Array;
  /** Per-token numbers a loss reads, each [T]: `weight` (0 on prompt, tool and padding), `advantage`, `oldLogprob`, ... */
  vectors: Record<string, Float32Array>;
}

/** What a forward pass yields, one array per datum, each [T]. */
export interface Outputs {
  /** log p(target[t] | input[..t]) under the model's softmax at the training temperature, in nats. A critic: no arrays. */
  logprobs: Float32Array[];
  /** Entropy of the full next-token distribution at each position, in nats. Present when the loss needs it. */
  entropy?: Float32Array[];
  /** Critic only: value of the state before target[t], read where input[t] has been read. */
  values?: Float32Array[];
}

/** How a metric combines over calls and micro-batches. */
export type Metric = { sum: number; count: number } | { max: number };

export interface LossResult {
  /** The loss, a sum over tokens: 1/N is already folded into weights and advantages. */
  lossSum: number;
  /** d lossSum / d logprobs, shaped as outputs.logprobs. */
  dLogprobs?: Float32Array[];
  /** d lossSum / d entropy, shaped as outputs.entropy. */
  dEntropy?: Float32Array[];
  /** d lossSum / d values, shaped as outputs.values. */
  dValues?: Float32Array[];
  metrics: Record<string, Metric>;
}

/** A loss is a pure function from a forward pass to per-token derivatives; the engine does the rest of the chain rule. */
export interface Loss {
  name: string;
  needs: { entropy?: boolean; values?: boolean };
  /**
   * The derivatives do not depend on the outputs (cross-entropy, REINFORCE with fixed advantages). An engine may then
   * ask `fn` for them with all-zero outputs, before the forward pass, and save one pass.
   */
  linear?: boolean;
  /** The server's own loss with the same meaning, for remote engines. */
  remote?: { name: string; config: Record<string, number> };
  /** Called with whole sequences, and with as few of them at a time as the engine likes: one sum per token, no means. */
  fn(out: Outputs, data: readonly Datum[]): LossResult;
}

/** AdamW of one update. Every field is required: an optimiser has no silent defaults. */
export interface OptimStep {
  lr: number;
  beta1: number;
  beta2: number;
  eps: number;
  /** Decoupled (multiplied by lr), applied to matrices and embeddings, not to norm gains. */
  weightDecay: number;
  /** Global L2 norm to clip to; Infinity: no clipping. */
  gradClipNorm: number;
}

export interface OptimResult {
  /** Global L2 norm before clipping. */
  gradNorm: number;
  /** True when the gradient was not finite: weights and moments are untouched and the gradient is cleared. */
  skipped: boolean;
}

export interface ForwardBackwardResult {
  outputs: Outputs;
  lossSum: number;
  metrics: Record<string, Metric>;
}

export interface SampleParams {
  /** Attempts for this prompt; the prompt is prefilled once. */
  n: number;
  maxTokens: number;
  /** 0: greedy. */
  temperature: number;
  topP?: number;
  topK?: number;
  minP?: number;
  /** Stop strings. `[]` disables EOS as well; undefined keeps EOS alone; strings given: EOS and these. */
  stop?: readonly string[];
  /** Attempt i, token t uses draw t of RandomStream(seed, 'sample', i). */
  seed: number;
}

export type StopReason = 'eos' | 'stop' | 'length' | 'aborted';

export interface Sample {
  /** Includes the stop token, and every token through the one that completes a stop string. */
  tokens: Int32Array;
  /** Under the model's softmax at temperature 1, [tokens]. */
  rawLogprobs?: Float32Array;
  /** Under the distribution the token was drawn from (after temperature and filters), [tokens]. 0 when greedy. */
  samplingLogprobs?: Float32Array;
  stopReason: StopReason;
  weightsVersion: number;
}

export interface SampleRequest {
  promptTokens: Int32Array;
  params: SampleParams;
}

export interface SampleOptions {
  signal?: AbortSignal;
  /** Called as sequences finish, for progress: how many have, of how many, and the tokens generated so far. */
  onProgress?: (done: number, total: number, tokens: number) => void;
  /**
   * Called with every token as it is drawn: those of one sample in order, and all of them before the call resolves.
   * `request` and `sample` are its place in the result.
   */
  onToken?: (request: number, sample: number, token: number) => void;
  /**
   * Keep what was computed for these prompts and replies, as far as memory allows, for a `continueFrom` that begins
   * like one of them. An engine without such a cache ignores it.
   */
  keepCache?: boolean;
}

/**
 * A beginning that a sampler has read: a prompt with its reply so far, a system prompt, a set of examples. The prompts
 * given to it are what follows, and may be empty; results equal those of the sampler on the whole, up to rounding.
 */
export interface Continuation {
  readonly prefix: Int32Array;
  sample(moreTokens: Int32Array, params: SampleParams, options?: SampleOptions): Promise<Sample[]>;
  sampleBatch(requests: readonly SampleRequest[], options?: SampleOptions): Promise<Sample[][]>;
  /** Gives its memory back. The sampler that made it disposes of it as well. */
  dispose(): Promise<void>;
}

export interface Sampler {
  readonly weightsVersion: number;
  readonly maxContext: number;
  /** One prompt. Equals `sampleBatch([{promptTokens, params}])[0]`. */
  sample(promptTokens: Int32Array, params: SampleParams, options?: SampleOptions): Promise<Sample[]>;
  /** Many prompts with continuous batching; result[i] are the n samples of request i. */
  sampleBatch(requests: readonly SampleRequest[], options?: SampleOptions): Promise<Sample[][]>;
  /**
   * Reads a prefix, from where earlier continuations and calls with `keepCache` have come, and holds it until disposed.
   * It ends with its sampler, and with the next update where that is a live one.
   */
  continueFrom(prefix: Int32Array): Promise<Continuation>;
  dispose(): Promise<void>;
}

export type ModelRole = 'policy' | 'critic';

/** Seconds of wall-clock that a model has spent since it was opened, as its caller sees them. */
export interface ModelTime {
  forward: number;
  backward: number;
  optimizer: number;
}

/**
 * A model that can be trained. A critic is one with a value head in place of the LM head: temperatures mean nothing to
 * it, its losses read values alone, and it refuses to sample. Disposing it disposes its live samplers; snapshots live on their own. */
export interface TrainableModel {
  readonly role: ModelRole;
  readonly info: ModelInfo;
  /** Counts weight changes since opening: +1 for every applied optimStep, copyFrom, lerpFrom and load. */
  readonly weightsVersion: number;
  /** undefined: the engine does not tell. */
  readonly spent?: Readonly<ModelTime>;
  forward(data: readonly Datum[], options?: { entropy?: boolean; temperature?: number }): Promise<Outputs>;
  /** Accumulates gradients; always returns the per-token outputs. `temperature` divides the logits (default 1). */
  forwardBackward(
    data: readonly Datum[],
    loss: Loss,
    options?: { temperature?: number },
  ): Promise<ForwardBackwardResult>;
  optimStep(step: OptimStep): Promise<OptimResult>;
  zeroGrad(): Promise<void>;
  /** Forgets the optimiser's moments and its count of steps, as at the first update; weights and gradient stay. */
  resetOptimizer(): Promise<void>;
  /** Immutable sampler over a copy of the weights. */
  snapshot(): Promise<Sampler>;
  /** Sampler over the weights themselves; using it after the next update throws. No copy. */
  liveSampler(): Promise<Sampler>;
  /**
   * A model with the same weights at this moment, to serve as reference or anchor. Under an adapter it shares the base
   * and copies the adapter; with `merged` the adapter is folded into weights of its own, as an average needs.
   */
  cloneFrozen(options?: { merged?: boolean }): Promise<TrainableModel>;
  /** A model that trains an adapter on these weights, which are shared and may not change from then on. */
  withAdapter(source: AdapterSource): Promise<TrainableModel>;
  copyFrom(other: TrainableModel): Promise<void>;
  /**
   * this <- keep * this + (1 - keep) * other, on merged weights where other has an adapter. A model with an adapter can
   * only copy (keep = 0) from one on the same base.
   */
  lerpFrom(other: TrainableModel, keep: number): Promise<void>;
  /**
   * Writes what training changes and optimiser state into an existing folder (files `weights.safetensors`,
   * `optimizer.safetensors`), fsynced.
   */
  save(folder: string): Promise<void>;
  load(folder: string): Promise<void>;
  /**
   * Writes a Hugging Face folder (config.json, model.safetensors), an adapter folded in; tokenizer files are the model
   * room's business.
   */
  export(folder: string): Promise<void>;
  /** Writes the adapter as a PEFT folder (adapter_config.json, adapter_model.safetensors). */
  exportAdapter(folder: string): Promise<void>;
  /** Parameter and gradient tensors by Hugging Face name, for checks and merging; copies. */
  tensors(what: 'weights' | 'gradients'): Promise<Map<string, { shape: number[]; data: Float32Array }>>;
  dispose(): Promise<void>;
}

/** Modules that an adapter can update, by their names in every layer. */
export const LORA_TARGETS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;

/** Where an adapter comes from. */
export type AdapterSource =
  | {
      kind: 'random';
      rank: number;
      /** The update of a weight is alpha / rank times B A. */
      alpha: number;
      /** Default: all of LORA_TARGETS. */
      targets?: readonly string[];
      seed: number;
    }
  /** A PEFT folder. */
  | { kind: 'folder'; path: string };

export interface ModelInfo {
  architecture: string;
  parameters: number;
  /** Parameters that training changes: all, or the adapter's. */
  trainedParameters: number;
  vocabSize: number;
  maxContext: number;
}

/** Where a model comes from. */
export type ModelSource =
  | { kind: 'folder'; path: string }
  | {
      kind: 'random';
      /** As a Hugging Face config.json has it. */
      config: Record<string, unknown>;
      seed: number;
      /** Standard deviation of the random matrices; default 0.02. */
      initStd?: number;
      /** Folder with the tokenizer, for stop strings. */
      tokenizerPath?: string;
    };

export interface OpenModelOptions {
  source: ModelSource;
  /**
   * Default: policy. A critic takes its body from a policy's folder or config and starts with a head of zero, so that
   * every value is 0 until it is trained; from the folder of a critic, or of a reward model of one score, it takes the
   * head as well.
   */
  role?: ModelRole;
  /** Train this adapter and leave the weights as they are (LoRA). Default: train the weights. */
  adapter?: AdapterSource;
  /** Longest sequence (prompt and response) the model will see; bounds the KV cache. Default: the config's. */
  maxContext?: number;
  /** Upper bound for tokens (rows x padded length) in one forward/backward graph run. Default: what fits the model. */
  tokensPerMicroBatch?: number;
  /** Sequences decoded at once, at most. Default of the local engine: 64, or what suits copies of a small model (docs/engine.md). */
  samplingSlots?: number;
  /**
   * Bound for the sampler's keys and values in bytes: running sequences, shared prefixes and continuations. Fewer
   * sequences run at once where they would not fit; one that cannot fit alone is refused. Default of the local
   * engine: 1 GiB. A token takes 8 x layers x key-value heads x head size bytes.
   */
  cacheBytes?: number;
  /** Read the common beginning of a call's prompts once. Default true; logprobs then differ by rounding alone. */
  sharePrefixes?: boolean;
}

export interface EngineCapabilities {
  fullFineTuning: boolean;
  lora: boolean;
  critic: boolean;
  customLosses: boolean;
  exactEntropy: boolean;
  weightAveraging: boolean;
  trainingTemperature: boolean;
  samplerLogprobs: readonly ('raw' | 'sampling')[];
  minP: boolean;
  seeds: boolean;
  deterministic: boolean;
}

export interface Engine {
  readonly name: string;
  readonly capabilities: EngineCapabilities;
  openModel(options: OpenModelOptions): Promise<TrainableModel>;
  close(): Promise<void>;
}
