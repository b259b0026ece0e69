import type { ModelConfig } from '../../../model/index.js';

/**
 * Angular frequency of each pair of channels, [headDim / 2], in radians a position.
 * llama3 scaling: wavelengths beyond originalMaxContext / lowFreqFactor are stretched by `factor`, those below
 * originalMaxContext / highFreqFactor are kept, and those between are interpolated (transformers'
 * modeling_rope_utils.py, `_compute_llama3_parameters`).
 */
export function ropeFrequencies(config: ModelConfig): Float64Array {
  const half = config.headDim / 2;
  const base = Float64Array.from({ length: half }, (_, i) => config.ropeTheta ** (-i / half));
  const scaling = config.ropeScaling;
  if (!scaling) return base;
  const { factor, lowFreqFactor, highFreqFactor, originalMaxContext } = scaling;
  return base.map((frequency) => {
    const turns = (originalMaxContext * frequency) / (2 * Math.PI);
    if (turns < lowFreqFactor) return frequency / factor;
    if (turns > highFreqFactor) return frequency;
    const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  });
}

/** cos and sin of position x frequency, each [rows, headDim / 2]. */
export function ropeTables(config: ModelConfig, rows: number): { cos: Float32Array; sin: Float32Array } {
  // float32 like the reference implementations: frequencies are rounded before they are multiplied by the position.
  const frequencies = Float32Array.from(ropeFrequencies(config));
  const half = frequencies.length;
  const angle = (i: number): number => Math.fround(Math.floor(i / half) * (frequencies[i % half] as number));
  return {
    cos: Float32Array.from({ length: rows * half }, (_, i) => Math.cos(angle(i))),
    sin: Float32Array.from({ length: rows * half }, (_, i) => Math.sin(angle(i))),
  };
}
