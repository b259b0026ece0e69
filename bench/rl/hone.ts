import path from 'node:path';
import type { LocalEngine, LocalModel } from '../../src/engine/local/index.js';
import { loadTokenizer, writeCharTokenizer } from '../../src/model/index.js';
import { resolveRecipe } from '../../src/recipes/index.js';
import { renderingOf, trainRl, type RlConfig } from '../../src/rl/index.js';
import { createRun, type Run } from '../../src/runs/index.js';
import { defineTask, type Task } from '../../src/tasks/index.js';
import { MODELS } from '../engine/cases.js';
import { ALPHABET, GROUP, LEARNING_RATE, NEW_TOKENS, PROMPTS, prompts, reward, type RlCase } from './cases.js';

type Timing = Readonly<Record<string, number>>;

/** One iteration: its wall-clock as the caller sees it, and what the trainer says it was spent on. */
export interface Iteration {
  seconds: number;
  /** Of the responses. */
  tokens: number;
  timing: Timing;
}

const MANY_ITERATIONS = 1_000_000;

function task(ends: boolean): Task {
  const texts = prompts();
  return defineTask({
    ...{ name: 'letters', description: 'letters of the first half of the alphabet', format: 'raw', alphabet: ALPHABET },
    ...{ ...(ends ? {} : { stop: [] }), suggestedMaxTokens: NEW_TOKENS },
    problems: (split) => ({
      size: texts.length,
      at: (index) => ({ id: `${split}-${index}`, prompt: texts[index % texts.length] as string }),
    }),
    grade: (_, { text }) => Promise.resolve({ status: 'correct', score: reward(text), reason: 'share of letters' }),
  });
}

function config(): RlConfig {
  const recipe = resolveRecipe('grpo', 'mini', {
    ...{ iterations: `${MANY_ITERATIONS}`, promptsPerIteration: `${PROMPTS}`, groupSize: `${GROUP}` },
    ...{ updatesPerIteration: '1', maxTokens: `${NEW_TOKENS}`, oldLogprobs: 'trainer' },
    ...{ 'optimizer.lr': `${LEARNING_RATE}`, 'optimizer.weightDecay': '0.01', 'optimizer.warmupUpdates': '0' },
    ...{ 'validation.every': '0', 'checkpoint.every': `${MANY_ITERATIONS}` },
  });
  if (recipe.method !== 'rl') throw new TypeError('grpo is no RL recipe');
  return recipe.config;
}

/** hone's trainer on one model, held after every iteration until the next is asked for. */
export class HoneLoop {
  #ended: ((iteration: Iteration) => void) | undefined;
  #failed: ((error: unknown) => void) | undefined;
  #go: (() => void) | undefined;
  #started = 0;
  #training: Promise<unknown> | undefined;
  #model: Promise<LocalModel> | undefined;
  readonly #stop = new AbortController();

  constructor(
    private readonly engine: LocalEngine,
    private readonly rlCase: RlCase,
    /** For the model that a peer reads, and the run. */
    readonly folder: string,
  ) {}

  /** Writes the model with its tokenizer to `folder`. */
  async prepare(): Promise<void> {
    await writeCharTokenizer(this.folder, ALPHABET);
    await (await this.#policy()).export(this.folder);
  }

  #policy(): Promise<LocalModel> {
    const source = {
      kind: 'random',
      config: MODELS[this.rlCase.model].config,
      seed: 1,
      tokenizerPath: this.folder,
    } as const;
    return (this.#model ??= this.engine.openModel({ source }));
  }

  iteration(): Promise<Iteration> {
    return new Promise((resolve, reject) => {
      this.#ended = resolve;
      this.#failed = reject;
      this.#started = performance.now();
      this.#go?.();
      this.#training ??= this.#train().catch((error: unknown) => this.#failed?.(error));
    });
  }

  async #train(): Promise<void> {
    const policy = await this.#policy();
    const letters = task(this.rlCase.ends);
    const options = config();
    const run = await createRun({
      path: path.join(this.folder, 'run'),
      manifest: { name: 'run', kind: 'rl', recipe: 'grpo', seed: 0, config: {}, dataHashes: {} },
      policy: options.checkpoint,
      rolloutShare: 1,
    });
    const render = renderingOf(letters, { tokenizer: await loadTokenizer(this.folder) });
    this.#holdAfterIterations(run);
    try {
      await trainRl({ policy, task: letters, render, run, config: options, signal: this.#stop.signal });
    } finally {
      await run.close();
    }
  }

  /** An iteration ends when its metrics are written. */
  #holdAfterIterations(run: Run): void {
    const append = run.appendMetrics.bind(run);
    run.appendMetrics = async (line) => {
      await append(line);
      const held = new Promise<void>((resolve) => (this.#go = resolve));
      const tokens = Number(line['samples']) * Number(line['length.mean']);
      this.#ended?.({ seconds: (performance.now() - this.#started) / 1000, tokens, timing: line.timing ?? {} });
      await held;
    };
  }

  /** Lets go of a trainer that is held; it ends as an interrupted one does. */
  async close(): Promise<void> {
    this.#failed = () => undefined;
    this.#stop.abort();
    this.#go?.();
    await this.#training;
  }
}
