import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { RandomStream } from '../../src/core/index.js';
import type { Datum, Loss } from '../../src/engine/index.js';
import type { LocalModel } from '../../src/engine/local/index.js';
import { openSafetensors } from '../../src/model/index.js';
import { clippedSurrogate } from '../../src/rl/index.js';
import { crossEntropy, relativeNorm, TINY_SHAPES, tinyConfig, tinyData, writeDatums } from '../fidelity/tiny.js';
import { localEngine } from '../local-engine.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const LIMITS = { logits: 1e-4, gradient: 1e-4, change: 1e-3 } as const;
type Worst = Record<keyof typeof LIMITS, number>;

/** One SFT and one GRPO update, with hone's own losses, and what the peer calls them. */
const LOSSES: readonly { loss: Loss; peer: string[] }[] = [
  { loss: crossEntropy, peer: ['--loss', 'cross_entropy'] },
  {
    loss: clippedSurrogate({ clipLow: 0.2, clipHigh: 0.28, dualClip: null, entropyBonus: 0 }),
    peer: ['--loss', 'ppo_clip', '--clip-low', '0.2', '--clip-high', '0.28'],
  },
];
const STEPS = 3;
const STEP = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.1, gradClipNorm: 1 } as const;

/** Plain PyTorch on the same folder and datums: outputs, first gradients, weights after the updates. */
async function peer(ctx: CheckContext, folder: string, datums: string, loss: string[]): Promise<string> {
  const out = path.join(folder, `peer-${loss[1]}`);
  const script = path.resolve(import.meta.dirname, '../peers/reference_llama.py');
  const options = ['--lr', '1e-3', '--steps', String(STEPS), '--weight-decay', '0.1', '--clip-grad-norm', '1'];
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', HF_HUB_OFFLINE: '1' };
  const args = [script, folder, datums, '--out', out, ...loss, ...options];
  await promisify(execFile)(ctx.python as string, args, { env });
  return out;
}

/** Largest difference of any tensor that `measure` finds between the peer's file and ours. */
async function worstTensor(
  file: string,
  ours: ReadonlyMap<string, { data: Float32Array }>,
  measure: (ours: Float32Array, theirs: Float32Array, name: string) => number,
): Promise<number> {
  const theirs = await openSafetensors(file);
  if (theirs.names().sort().join() !== [...ours.keys()].sort().join()) return Infinity;
  let worst = 0;
  for (const [name, { data }] of ours) worst = Math.max(worst, measure(data, (await theirs.read(name)).data, name));
  return worst;
}

async function logitsDifference(model: LocalModel, data: readonly Datum[], file: string): Promise<number> {
  const logits = await model.logits(data.map(({ input }) => input));
  const theirs = await openSafetensors(file);
  let worst = 0;
  for (const [i, row] of logits.entries()) {
    const { data: expected } = await theirs.read(`logits.${i}`);
    worst = row.reduce((most, value, j) => Math.max(most, Math.abs(value - (expected[j] as number))), worst);
  }
  return worst;
}

/** One model through one loss: logits, gradients of the first update, weight change after three. */
async function compare(model: LocalModel, data: Datum[], loss: Loss, peerFolder: string): Promise<Worst> {
  const logits = await logitsDifference(model, data, path.join(peerFolder, 'outputs.safetensors'));
  const start = await model.tensors('weights');
  let gradient = 0;
  for (let step = 0; step < STEPS; step++) {
    await model.forwardBackward(data, loss);
    if (step === 0)
      gradient = await worstTensor(
        path.join(peerFolder, 'gradients.safetensors'),
        await model.tensors('gradients'),
        relativeNorm,
      );
    await model.optimStep(STEP);
  }
  const change = (end: Float32Array, name: string): Float32Array =>
    end.map((value, i) => value - (start.get(name)?.data[i] as number));
  const weights = path.join(peerFolder, 'weights.safetensors');
  const changed = await worstTensor(weights, await model.tensors('weights'), (ours, theirs, name) =>
    relativeNorm(change(ours, name), change(theirs, name)),
  );
  return { logits, gradient, change: changed };
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  // Fresh models at every run; the seed is printed, so that a failure can be repeated.
  const seed = Date.now() % 2 ** 31;
  ctx.log(`seed ${seed}`);
  const engine = await localEngine({ threads: 1 });
  const worst: Worst = { logits: 0, gradient: 0, change: 0 };
  let updates = 0;
  for (const [i, shape] of TINY_SHAPES.entries()) {
    const folder = path.join(ctx.scratch, String(i));
    const weightSeed = new RandomStream(seed, 'weights').seed(i);
    const source = { kind: 'random' as const, config: tinyConfig(shape), seed: weightSeed, initStd: 0.1 };
    const random = await engine.openModel({ source });
    await random.export(folder);
    const data = tinyData(seed, shape.name);
    const datums = await writeDatums(folder, data);
    for (const { loss, peer: options } of LOSSES) {
      const model = await engine.openModel({ source: { kind: 'folder', path: folder } });
      const found = await compare(model, data, loss, await peer(ctx, folder, datums, options));
      ctx.log(`${shape.name}, ${options[1]}: ${JSON.stringify(found)}`);
      for (const key of Object.keys(worst) as (keyof Worst)[]) worst[key] = Math.max(worst[key], found[key]);
      updates += STEPS;
      await model.dispose();
    }
  }
  await engine.close();
  const holds = (Object.keys(LIMITS) as (keyof Worst)[]).every((key) => worst[key] <= LIMITS[key]);
  const shown = Object.fromEntries(Object.entries(worst).map(([key, value]) => [key, value.toExponential(2)]));
  return {
    status: holds ? 'passed' : 'failed',
    detail: `${TINY_SHAPES.length} fresh random Llamas against plain PyTorch, SFT and GRPO`,
    numbers: { models: TINY_SHAPES.length, updates, seed, ...shown },
  };
}

const check: Check = {
  name: 'fidelity-tiny',
  shows:
    '4: tiny random Llamas against PyTorch: logits <= 1e-4, gradients of an SFT and a GRPO update <= 1e-4, weight change after 3 AdamW updates <= 1e-3',
  needs: ['python'],
  run,
};
export default check;
