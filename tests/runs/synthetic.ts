import { RandomStream } from '../../src/core/index.js';
import { createRun, type Json, type RolloutRow } from '../../src/runs/index.js';

/** Text that would run, hide, reorder or break out, if a page let it. */
export const HOSTILE =
  '</pre></script><script>window.pwned = 1</script><img src=x onerror="window.pwned = 2"> ' +
  '\u202Egnirts desrever\u202C \u200Bzero\u200Dwidth\u0000 \u001b[31mred\u001b[0m &amp; "quotes" \ud800 <!-- ';

const ITERATIONS = 60;

/** A finished RL run with all metrics, rollouts of repeated problems, and hostile text wherever text can stand. */
export async function makeSyntheticRun(path: string): Promise<void> {
  const run = await createRun({
    path,
    manifest: {
      name: `arithmetic ${HOSTILE}`,
      kind: 'rl',
      recipe: 'dapo',
      seed: 7,
      config: {
        model: 'tiny-random',
        task: { name: 'arithmetic', difficulty: { operations: 4, digits: 2 } },
        iterations: ITERATIONS,
        sampling: { temperature: 1, maxTokens: 256, stop: [HOSTILE] },
        optimizer: { lr: 0.0003, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, gradClipNorm: 1 },
        [HOSTILE]: HOSTILE,
        apiKey: 'never-to-be-seen',
      },
      dataHashes: { 'data/train.jsonl': 'a'.repeat(64) },
    },
    policy: { every: 20, keep: 2 },
    rolloutShare: 1,
  });
  for (let iteration = 1; iteration <= ITERATIONS; iteration++) {
    await run.appendMetrics(metricsOf(iteration));
    await run.writeRollouts(iteration, rolloutsOf(iteration));
  }
  await run.writeResult('result.json', RESULT);
  await run.close();
}

const RESULT: Json = {
  problems: 500,
  gain: 31.4,
  sft: {
    greedy: { accuracy: 0.412, ci95: [0.369, 0.456], n: 500 },
    'avg@4': { accuracy: 0.381, ci95: [0.35, 0.412], n: 500 },
  },
  rl: {
    greedy: { accuracy: 0.726, ci95: [0.685, 0.763], n: 500 },
    'avg@4': { accuracy: 0.702, ci95: [0.671, 0.731], n: 500 },
  },
};

function metricsOf(iteration: number) {
  const noise = new RandomStream(7, 'metrics', iteration);
  const jitter = (scale: number): number => scale * noise.nextNormal();
  const progress = 1 / (1 + Math.exp(-(iteration - 25) / 9));
  const accuracy = Math.min(1, Math.max(0, 0.36 + 0.4 * progress + jitter(0.04)));
  const wrong = 1 - accuracy;
  return {
    iteration,
    accuracy,
    samples: 256,
    'reward.mean': accuracy - 0.05 + jitter(0.02),
    'missing.truncated': Math.round(256 * wrong * 0.2 * (1 + progress)),
    'missing.no_answer': Math.round(256 * wrong * 0.25 * (1 - progress)),
    'missing.wrong': Math.round(256 * wrong * (0.55 + 0.05 * progress)),
    'missing.no_verdict.gold': 0,
    'missing.no_verdict.grader': iteration === 30 ? 12 : 0,
    'missing.no_verdict.response': 0,
    'groups.total': 32,
    'groups.no_variance': Math.round(6 + 12 * progress),
    'length.mean': 80 + 60 * progress + jitter(3),
    'length.correct': 74 + 58 * progress + jitter(3),
    'length.wrong': 92 + 80 * progress + jitter(6),
    'entropy.estimate': 0.9 - 0.5 * progress + Math.abs(jitter(0.02)),
    'clip.low': 0.002 + Math.abs(jitter(0.001)),
    'clip.high': 0.006 + Math.abs(jitter(0.002)),
    'ratio.max': 1.2 + Math.abs(jitter(0.3)),
    'agreement.mean_abs': 2e-7 * (1 + Math.abs(jitter(0.2))),
    'agreement.max_abs': 6e-6 * (1 + Math.abs(jitter(0.5))),
    loss: jitter(0.02),
    grad_norm: 0.4 + Math.abs(jitter(0.2)),
    lr: 3e-4 * Math.min(1, iteration / 10),
    updates: 2,
    well_formed: 0.97 + 0.02 * progress,
    ...(iteration % 10 === 0 ? { 'val.accuracy': 0.35 + 0.38 * progress } : {}),
    timing: {
      sample_s: 1.9 + Math.abs(jitter(0.3)),
      grade_s: 0.05,
      train_s: 2.6 + Math.abs(jitter(0.2)),
      sample_tokens_per_s: 9200 + jitter(400),
      train_tokens_per_s: 6100 + jitter(300),
    },
  };
}

function rolloutsOf(iteration: number): RolloutRow[] {
  const late = iteration > ITERATIONS / 2;
  return Array.from({ length: 16 }, (_, i): RolloutRow => {
    const [problem, sample] = [Math.floor(i / 4), i % 4];
    const status = sample === 3 && problem === 1 ? 'no_verdict' : late || sample === 1 ? 'correct' : 'wrong';
    return {
      iteration,
      problemId: `train/${problem}`,
      prompt: `Compute ((4 + ${problem}) * 3) - 7. Work step by step and end with "Answer:".`,
      sample,
      text:
        problem === 0
          ? HOSTILE
          : late
            ? `4 + ${problem} = ${4 + problem}\n${4 + problem} * 3 = ${(4 + problem) * 3}\n${(4 + problem) * 3} - 7 = ${(4 + problem) * 3 - 7}\nCheck: ${(4 + problem) * 3 - 7} + 7 = ${(4 + problem) * 3}. Yes.\nAnswer: ${(4 + problem) * 3 - 7}`
            : `4 + ${problem} = ${4 + problem}\nAnswer: ${4 + problem}`,
      stopReason: 'eos',
      tokens: late ? 58 : 17,
      status,
      score: status === 'correct' ? 1 : 0,
      reason:
        problem === 0
          ? HOSTILE
          : status === 'correct'
            ? 'equal to the gold answer'
            : `expected ${(4 + problem) * 3 - 7}`,
      reward: status === 'correct' ? 1 : -0.25,
      advantage: 0.5,
      trained: true,
    };
  });
}
