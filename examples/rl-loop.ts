/**
 * GRPO from a task to a better model in one file, without hone's trainer: every step of the loop stands here.
 *
 *   npm install hone tsx && npx tsx node_modules/hone/examples/rl-loop.ts [iterations] [warm-start updates]
 *
 * A tiny Llama from random weights first imitates a few worked answers, then gets better at the task by trying: sample
 * groups of answers, grade them, turn rewards into advantages, follow the policy gradient.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RandomStream } from 'hone/core';
import type { Datum, OptimStep, Sampler, TrainableModel } from 'hone/engine';
import { createLocalEngine } from 'hone/engine/local';
import { evaluate, wilson } from 'hone/evals';
import { loadModelFolder, writeCharTokenizer } from 'hone/model';
import { groupAdvantages, ppoClip, renderingOf, tokenWeights, type Rendering } from 'hone/rl';
import { crossEntropy } from 'hone/sft';
import { correct, defineTask, renderDemonstration, wrong, type Problem, type Task } from 'hone/tasks';

const [iterations = 60, warmStart = 40] = process.argv.slice(2).map(Number);
const SEED = 0;
const PROMPTS = 32;
const GROUP = 8;
const MAX_TOKENS = 6;
const ADAM: OptimStep = { lr: 1e-3, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradClipNorm: 1 };

// The task: `4 1 3 1>` is answered by `1134`. Train and test prompts are kept apart by defineTask.
const sorted = (prompt: string): string => [...prompt.matchAll(/\d/g)].map(String).sort().join('');
const task: Task = defineTask({
  ...{ name: 'sort', description: 'sort four digits', format: 'raw', alphabet: '0123456789 >' },
  suggestedMaxTokens: MAX_TOKENS,
  generate: (random) => ({ prompt: `${Array.from({ length: 4 }, () => random.nextInt(0, 9)).join(' ')}>` }),
  demonstrate: (problem) => ({ problem, response: sorted(problem.prompt) }),
  grade: async ({ prompt }, { text }) =>
    text === sorted(prompt) ? correct(text, 'sorted') : wrong('not sorted', { extracted: text }),
});
const train = task.problems('train', SEED);

/** A folder with a tokenizer of single characters and the shape of a Llama of 0.2 million parameters. */
async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hone-rl-loop-'));
  await writeCharTokenizer(folder, task.alphabet ?? '');
  const shape = { hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 192 };
  const rest = { max_position_embeddings: 32, rms_norm_eps: 1e-6, tie_word_embeddings: true, eos_token_id: 1 };
  const config = { model_type: 'llama', vocab_size: 2 + (task.alphabet ?? '').length, ...shape, ...rest };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  return folder;
}

/** A training sequence: every position predicts the next token, the response alone has weight. */
function datum(prompt: Int32Array, response: Int32Array, vectors: Record<string, (t: number) => number>): Datum {
  const tokens = Int32Array.from([...prompt, ...response]);
  const placed = (of: (t: number) => number) =>
    Float32Array.from({ length: tokens.length - 1 }, (_, at) =>
      at < prompt.length - 1 ? 0 : of(at - prompt.length + 1),
    );
  const named = Object.entries(vectors).map(([name, of]) => [name, placed(of)] as const);
  return { input: tokens.slice(0, -1), target: tokens.slice(1), vectors: Object.fromEntries(named) };
}

/** Supervised updates on worked answers: enough to be right now and then. */
async function imitate(model: TrainableModel, folder: Awaited<ReturnType<typeof loadModelFolder>>): Promise<void> {
  for (let update = 0; update < warmStart; update++) {
    const data = Array.from({ length: PROMPTS }, (_, i) => {
      const problem = train.at(update * PROMPTS + i);
      const shown = task.demonstrate?.(problem, 'plain', new RandomStream(SEED, 'demonstration', update, i));
      if (!shown) throw new Error('the task has no demonstrations');
      const { tokens, promptLength } = renderDemonstration(task, shown, folder);
      const response = tokens.slice(promptLength);
      const weight = 1 / (PROMPTS * response.length);
      return datum(tokens.slice(0, promptLength), response, { weight: () => weight });
    });
    await model.forwardBackward(data, crossEntropy);
    await model.optimStep(ADAM);
  }
}

interface Attempt {
  prompt: Int32Array;
  tokens: Int32Array;
  /** log p of each token when it was sampled. */
  logprobs: Float32Array;
  reward: number;
}

/** Groups of attempts at the prompts of an iteration, graded: reward 1 for a right answer. */
async function rollouts(sampler: Sampler, render: Rendering, iteration: number): Promise<Attempt[][]> {
  const seeds = new RandomStream(SEED, 'rollout', iteration);
  const problems = Array.from({ length: PROMPTS }, (_, p) => train.at((warmStart + iteration) * PROMPTS + p));
  const requests = problems.map((problem, p) => ({
    promptTokens: render.prompt(problem),
    params: { n: GROUP, maxTokens: MAX_TOKENS, temperature: 1, seed: seeds.seed(p) },
  }));
  const samples_PG = await sampler.sampleBatch(requests);
  const grade = async (problem: Problem, sample: (typeof samples_PG)[number][number]): Promise<Attempt> => {
    const { tokens, stopReason, rawLogprobs } = sample;
    const { score } = await task.grade(problem, render.response(tokens, stopReason));
    return { prompt: render.prompt(problem), tokens, logprobs: rawLogprobs ?? new Float32Array(), reward: score };
  };
  return Promise.all(
    problems.map((problem, p) => Promise.all((samples_PG[p] ?? []).map((sample) => grade(problem, sample)))),
  );
}

/**
 * One GRPO update: A_i = (R_i - mean R) / (std R + eps) within a group, the clipped surrogate, each response a mean over
 * its tokens and the batch a mean over its responses.
 */
async function update(model: TrainableModel, groups: readonly Attempt[][]): Promise<void> {
  const attempts = groups.flat();
  const weights = tokenWeights(
    'sequence-mean-token-mean',
    attempts.map(({ tokens }) => tokens.length),
    1,
  );
  const advantages = groups.flatMap((group) => [
    ...groupAdvantages(
      group.map(({ reward }) => reward),
      { std: 'sample', eps: 1e-6 },
    ),
  ]);
  const data = attempts.map(({ prompt, tokens, logprobs }, i) =>
    datum(prompt, tokens, {
      weight: () => weights[i] ?? 0,
      advantage: () => advantages[i] ?? 0,
      oldLogprob: (t) => logprobs[t] ?? 0,
    }),
  );
  await model.forwardBackward(data, ppoClip(0.2));
  await model.optimStep(ADAM);
}

const path = await makeFolder();
const engine = await createLocalEngine();
try {
  const folder = await loadModelFolder(path);
  const source = { kind: 'random', config: folder.config, seed: SEED, initStd: 0.05, tokenizerPath: path } as const;
  const model = await engine.openModel({ source, samplingSlots: PROMPTS * GROUP });
  const render = renderingOf(task, folder);
  const heldOut = async (when: string): Promise<void> => {
    const asked = { split: 'test', n: 200, k: 1, temperature: 0, maxTokens: MAX_TOKENS, seed: SEED } as const;
    const { counts, n } = await evaluate({ sampler: await model.liveSampler(), task, model: folder, ...asked });
    const [low, high] = wilson(counts.correct, n).map((share) => (100 * share).toFixed(1));
    console.log(`${when}: ${counts.correct} of ${n} held-out problems, 95 % interval ${low} to ${high} %`);
  };
  await imitate(model, folder);
  await heldOut('after imitation');
  for (let iteration = 0; iteration < iterations; iteration++) {
    const groups = await rollouts(await model.liveSampler(), render, iteration);
    const rewards = groups.flat().map(({ reward }) => reward);
    await update(model, groups);
    const right = rewards.reduce((sum, reward) => sum + reward, 0) / rewards.length;
    if ((iteration + 1) % 10 === 0)
      console.log(`iteration ${iteration + 1}: ${(100 * right).toFixed(0)} % of samples right`);
  }
  await heldOut('after RL');
} finally {
  await engine.close();
  await rm(path, { recursive: true, force: true });
}
