import { z } from 'zod';
import type { CodeLimits } from './types.js';

/** The costliest reference solution of HumanEval and MBPP (mbpp-123) takes between 30 and 100 million turns. */
export const DEFAULT_CODE_LIMITS: CodeLimits = {
  work: 100_000_000,
  cpuSeconds: 20,
  wallSeconds: 60,
  outputBytes: 1_000_000,
};

export const codeLimitsSchema = z
  .strictObject({
    work: z.int().min(1000),
    cpuSeconds: z.number().positive(),
    wallSeconds: z.number().positive(),
    outputBytes: z.int().min(100),
  })
  .partial();

/** The default limits, with those of a request in their place. */
export const limitsOf = (given: Partial<CodeLimits> = {}): CodeLimits => ({ ...DEFAULT_CODE_LIMITS, ...given });
