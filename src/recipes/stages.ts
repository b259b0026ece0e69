import type { Stage } from '../rl/index.js';

const ALL: Stage['data'] = { promptLength: 'all', difficulty: null, passRate: null, level: null, pool: 2000 };

/** A stage of a curriculum: it begins with a new reference and optimiser, as runs chained one after another do. */
export function stage(
  name: string,
  iterations: number | null,
  { data = {}, set = {}, until = {}, reset = true }: StageParts = {},
): Stage {
  return {
    ...{ name, resetReference: reset, resetOptimizer: reset, set },
    until: { iterations, plateau: null, truncatedBelow: null, ...until },
    data: { ...ALL, ...data },
  };
}

interface StageParts {
  data?: Partial<Stage['data']>;
  /** Options of the stage by dotted path. */
  set?: Stage['set'];
  until?: Partial<Stage['until']>;
  reset?: boolean;
}
