import type { Sample, SampleOptions, SampleParams, Sampler, SampleRequest } from '../../src/engine/index.js';
import { createChatTemplate, type ModelFolder, type Tokenizer } from '../../src/model/index.js';

/** A tokenizer in which every character is a token; 0 ends a reply. */
export const characterTokenizer: Tokenizer = {
  vocabSize: 0x10000 + 1,
  bosId: undefined,
  eosIds: [0],
  padId: undefined,
  encode: (text) => Int32Array.from(text, (character) => character.charCodeAt(0) + 1),
  shield: (contents) => ({ contents, encode: (text) => characterTokenizer.encode(text) }),
  decode: (tokens) =>
    Array.from(tokens)
      .filter((id) => id > 0)
      .map((id) => String.fromCharCode(id - 1))
      .join(''),
  tokenBytes: (id) => Buffer.from(String.fromCharCode(id - 1), 'utf8'),
};

const TURN = '[assistant]';

/** A model folder whose template writes `[role]content` for every turn. `thinks`: it opens the thoughts itself. */
export function textFolder(thinks = false): ModelFolder {
  const source = `{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}${TURN}${thinks ? '<think>\n' : ''}{% endif %}`;
  return {
    path: 'memory',
    config: {},
    tokenizer: characterTokenizer,
    chatTemplate: createChatTemplate(
      source,
      { bos: undefined, eos: undefined, pad: undefined, unk: undefined },
      'memory',
    ),
  };
}

/** Full text of the assistant's turn for a conversation that ends with its opening. */
export type Speaker = (prompt: string, seed: number, attempt: number) => string;

/** A sampler that writes what `speak` says, character by character, from wherever the prompt has got to. */
export class TextSampler implements Sampler {
  readonly weightsVersion = 0;
  readonly maxContext: number;
  /** Requests of each call of sampleBatch. */
  readonly batches: number[] = [];
  readonly #speak: Speaker;

  constructor(speak: Speaker, maxContext = 100_000) {
    this.#speak = speak;
    this.maxContext = maxContext;
  }

  async sample(promptTokens: Int32Array, params: SampleParams, options?: SampleOptions): Promise<Sample[]> {
    return (await this.sampleBatch([{ promptTokens, params }], options))[0] ?? [];
  }

  async sampleBatch(requests: readonly SampleRequest[], options: SampleOptions = {}): Promise<Sample[][]> {
    this.batches.push(requests.length);
    await Promise.resolve();
    const samples = requests.map((request) =>
      Array.from({ length: request.params.n }, (_, attempt) => this.#one(request, attempt, options.signal?.aborted)),
    );
    for (const [r, group] of samples.entries())
      for (const [s, { tokens }] of group.entries()) for (const token of tokens) options.onToken?.(r, s, token);
    return samples;
  }

  continueFrom(): Promise<never> {
    return Promise.reject(new Error('this sampler keeps no cache'));
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }

  #one({ promptTokens, params }: SampleRequest, attempt: number, aborted = false): Sample {
    const text = characterTokenizer.decode(promptTokens);
    const opening = text.lastIndexOf(TURN) + TURN.length;
    const partial = text.slice(opening);
    const full = this.#speak(text.slice(0, opening), params.seed, attempt);
    const rest = full.startsWith(partial) ? full.slice(partial.length) : full;
    return { ...written(rest, params, aborted), weightsVersion: 0 };
  }
}

function written(rest: string, params: SampleParams, aborted: boolean): Omit<Sample, 'weightsVersion'> {
  let end = rest.length;
  let stopReason: Sample['stopReason'] = aborted ? 'aborted' : 'eos';
  for (const stop of params.stop ?? []) {
    const at = rest.indexOf(stop);
    if (at >= 0 && at + stop.length <= end) [end, stopReason] = [at + stop.length, 'stop'];
  }
  const ids = [...characterTokenizer.encode(rest.slice(0, end)), ...(stopReason === 'eos' ? [0] : [])];
  const tokens = Int32Array.from(ids.slice(0, params.maxTokens));
  if (ids.length > params.maxTokens) stopReason = 'length';
  const logprobs = new Float32Array(tokens.length).fill(-0.5);
  return { tokens, rawLogprobs: logprobs, samplingLogprobs: logprobs, stopReason };
}
