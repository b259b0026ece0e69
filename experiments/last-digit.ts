import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RandomStream } from '../src/core/index.js';
import type { TrainableModel } from '../src/engine/index.js';
import { createLocalEngine } from '../src/engine/local/index.js';
import { evaluate, type EvalResult } from '../src/evals/index.js';
import { loadModelFolder, writeCharTokenizer } from '../src/model/index.js';
import { resolveRecipe } from '../src/recipes/index.js';
import { renderingOf, trainRl, type RlConfig } from '../src/rl/index.js';
import { createRun, type MetricsLine } from '../src/runs/index.js';
import { promptResponseExample, trainSft, type SftConfig } from '../src/sft/index.js';
import { lastDigitSkills, lastDigitTask, renderDemonstration } from '../src/tasks/index.js';
import { writeFile } from 'node:fs/promises';

/**
 * The experiment behind the quickstart: warm-start and RL on the last-digit puzzle with every knob on the command line.
 *
 *   npx tsx experiments/last-digit.ts seed=2 hidden=128 'giveUp=[70,4,4,4,4,4,4,3,3]' check=restate
 *
 * Prints accuracy and skills by attempt after the warm-start and after RL. experiments/LOG.md keeps what came of it.
 */
const given = Object.fromEntries(process.argv.slice(2).map((text) => text.split('=', 2) as [string, string]));
const number = (name: string, fallback: number): number => Number(given[name] ?? fallback);

const seed = number('seed', 1);
const [hidden, layers, heads] = [number('hidden', 128), number('layers', 3), number('heads', 4)];
const task = lastDigitTask({
  giveUp: JSON.parse(given['giveUp'] ?? '[70,4,4,4,4,4,4,3,3]') as number | number[],
  check: given['check'] === 'mark' ? 'mark' : 'restate',
});
const maxTokens = number('maxTokens', task.suggestedMaxTokens + 13);

const folder = await mkdtemp(join(tmpdir(), 'hone-last-digit-'));
await writeCharTokenizer(folder, task.alphabet as string);
const config = {
  ...{
    model_type: 'llama',
    vocab_size: (task.alphabet as string).length + 2,
    eos_token_id: 1,
    tie_word_embeddings: true,
  },
  ...{ hidden_size: hidden, num_hidden_layers: layers, num_attention_heads: heads, num_key_value_heads: heads },
  ...{ intermediate_size: 3 * hidden, rms_norm_eps: 1e-5, rope_theta: number('theta', 10000) },
  ...{ max_position_embeddings: 256, hidden_act: 'silu' },
};
await writeFile(join(folder, 'config.json'), JSON.stringify(config));
const model = await loadModelFolder(folder);
const engine = await createLocalEngine({ inline: true });
const policy = await engine.openModel({
  source: { kind: 'random', config, seed, initStd: number('std', 0.1), tokenizerPath: folder },
  samplingSlots: 128,
});

/** Errors of the marks by attempt: reached/missed, hits not claimed, misses claimed. */
function skills(result: EvalResult): string {
  const counts = result.rows.map((row) => {
    const [digits, target] = row.prompt.slice(0, -1).split('>') as [string, string];
    const data = { digits: digits.split(' ').map(Number), target: Number(target), operators: '+-*' };
    const notation = { results: 'stated', check: given['check'] === 'mark' ? 'mark' : 'restate' };
    return lastDigitSkills({ id: row.problemId, prompt: row.prompt, data: { ...data, ...notation } }, row.text);
  });
  const sum = (name: 'tries' | 'rightResults' | 'rightMarks'): number => counts.reduce((all, c) => all + c[name], 0);
  const share = (value: number): string => (100 * value).toFixed(1);
  return (
    `results ${share(sum('rightResults') / sum('tries'))} %, marks ${share(sum('rightMarks') / sum('tries'))} %, ` +
    `well-formed ${share(result.wellFormed ?? 0)} %, ${(sum('tries') / counts.length).toFixed(2)} tries`
  );
}

async function report(name: string, trained: TrainableModel): Promise<[greedy: number, sampled: number]> {
  const sampler = await trained.liveSampler();
  const common = { sampler, task, model, split: 'test' as const, n: 500, maxTokens, seed: 777 };
  const greedy = await evaluate({ ...common, k: 1, temperature: 0 });
  const sampled = await evaluate({ ...common, k: 4, temperature: 1 });
  await sampler.dispose();
  const percent = ({ accuracy }: EvalResult): string => `${(100 * accuracy).toFixed(1)} %`;
  console.log(`${name}: greedy ${percent(greedy)}, avg@4 ${percent(sampled)}; sampled ${skills(sampled)}`);
  return [greedy.accuracy, sampled.accuracy];
}

const show = (line: MetricsLine): boolean => {
  if (line.iteration % 10 === 0) console.log(JSON.stringify(line));
  return false;
};

const problems = task.problems('train', seed);
const size = number('demos', 4000);
const data = {
  size,
  at: (index: number) => {
    const random = new RandomStream(seed, 'demonstration', index);
    const demonstration = task.demonstrate?.(problems.at(index), 'search', random);
    if (!demonstration) throw new Error('no demonstrations');
    const { tokens, promptLength } = renderDemonstration(task, demonstration, model);
    return promptResponseExample(tokens, promptLength);
  },
};
const sft = resolveRecipe('sft', 'mini', {
  updates: given['updates'] ?? '600',
  sequencesPerUpdate: given['batch'] ?? '32',
  'evaluation.every': '0',
  'optimizer.lr': given['sftLr'] ?? '0.002',
  'optimizer.schedule': given['schedule'] ?? 'cosine',
  'optimizer.finalLrFraction': '0.05',
  'optimizer.warmupUpdates': '50',
  'optimizer.weightDecay': '0.01',
}).config as SftConfig;
await trainSft({ model: policy, data, config: sft, seed, stopWhen: show });
const before = await report('after the warm-start', policy);

const rl = resolveRecipe('dapo', 'mini', {
  iterations: given['iterations'] ?? '30',
  promptsPerIteration: given['prompts'] ?? '32',
  groupSize: given['group'] ?? '8',
  updatesPerIteration: given['updatesPerIteration'] ?? '2',
  maxTokens: String(maxTokens),
  'overlong.soft.cacheTokens': '12',
  'optimizer.lr': given['lr'] ?? '0.0003',
  'validation.every': '0',
  'control.shuffledReward': given['shuffled'] ?? 'false',
}).config as RlConfig;
const manifest = { name: 'last-digit', kind: 'rl', recipe: 'dapo', seed, config: {}, dataHashes: {} };
const run = await createRun({ path: join(folder, 'run'), manifest, policy: { every: 1000, keep: 1 }, rolloutShare: 1 });
await trainRl({ policy, task, render: renderingOf(task, model), run, config: rl, stopWhen: show });
const after = await report('after RL', policy);
console.log(
  `gain in points: greedy ${(100 * (after[0] - before[0])).toFixed(1)}, avg@4 ${(100 * (after[1] - before[1])).toFixed(1)}`,
);
await run.close();
await engine.close();
