import type { EngineCapabilities } from '../engine/types.js';
import { trainingTemperature, type RlConfig } from './config.js';
import { stageConfig } from './stages.js';

/**
 * What an engine has to be able to do for a configuration, in any stage of its curriculum, besides what its recipe needs in
 * any case.
 * @throws HoneError('usage') for a stage whose options do not fit.
 */
export function engineNeeds(config: RlConfig): (keyof EngineCapabilities)[] {
  const stages = config.curriculum.stages?.map((stage, i) => stageConfig(config, stage, `curriculum.stages.${i}`));
  return [...new Set((stages ?? [config]).flatMap(needsOf))];
}

function needsOf(config: RlConfig): (keyof EngineCapabilities)[] {
  const { advantage, loss, kl, minP } = config;
  const needs: [keyof EngineCapabilities, boolean][] = [
    ['critic', advantage.kind === 'gae'],
    ['exactEntropy', loss.entropyBonus !== 0],
    ['weightAveraging', kl.placement !== 'off' && kl.reference.kind === 'averaged'],
    ['trainingTemperature', trainingTemperature(config) !== 1],
    ['minP', minP !== null],
  ];
  return needs.flatMap(([need, wanted]) => (wanted ? [need] : []));
}
