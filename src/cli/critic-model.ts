import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { RandomStream } from '../core/index.js';
import type { Engine, ModelSource, TrainableModel } from '../engine/index.js';
import type { ResolvedModel } from './model-source.js';
import type { TrainSettings } from './train-settings.js';

/**
 * The critic of a run, where its advantages need one: the policy's body, or a random one of its shape, under a value head
 * of zero. It is trained in full, also beside a policy with an adapter.
 */
export async function openCritic(
  engine: Engine,
  settings: TrainSettings,
  model: ResolvedModel,
  seed: number,
): Promise<TrainableModel | undefined> {
  if (settings.method !== 'rl' || settings.training.advantage.kind !== 'gae') return undefined;
  const { tokensPerMicroBatch } = settings;
  return engine.openModel({
    role: 'critic',
    source: settings.training.critic.init === 'policy' ? model.source : await randomBody(model, seed),
    ...(tokensPerMicroBatch === null ? {} : { tokensPerMicroBatch }),
  });
}

const jsonObject = z.record(z.string(), z.unknown());

async function randomBody({ source, folder }: ResolvedModel, seed: number): Promise<ModelSource> {
  const random = {
    kind: 'random',
    seed: new RandomStream(seed, 'critic').seed(0),
    tokenizerPath: folder.path,
  } as const;
  if (source.kind === 'random') return { ...source, ...random };
  const config = jsonObject.parse(JSON.parse(await readFile(path.join(folder.path, 'config.json'), 'utf8')));
  return { ...random, config };
}
