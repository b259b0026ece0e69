import { EpochOrder } from '../core/epoch-order.js';
import { HoneError } from '../core/index.js';
import type { MetricsLine } from '../runs/types.js';
import type { ProblemSource } from '../tasks/types.js';
import { parseRlConfig, type RlConfig, type Stage } from './config.js';
import { counted, FIRST_STAGE, stageAfter, stageAt, stageEnds, type StageState } from './curriculum.js';
import { stageProblems } from './stage-data.js';

/** What an iteration is run with. */
export interface Stretch {
  /** The options of the run with those of the stage in their place. */
  config: RlConfig;
  problems: ProblemSource;
  order: EpochOrder;
  /** undefined: the run has no stages. */
  stage: Stage | undefined;
}

/** Options that are those of the whole run. */
const OF_THE_RUN = [
  ...['iterations', 'curriculum', 'validation', 'checkpoint', 'control', 'advantage.kind'],
  ...['critic.init', 'critic.pretrain', 'critic.freezePolicyIterations', 'kl.placement', 'kl.reference', 'monitors'],
];

/**
 * The stages of a run, checked and with their problems; one without a curriculum. Every order walks on from the same
 * cursor, so that no position has to be remembered for each stage.
 * @throws HoneError('usage' | 'input') that names the stage, for options that do not fit, rules that cannot come true,
 *   or problems that nobody can find.
 */
export async function planStages(config: RlConfig, problems: ProblemSource, seed: number): Promise<Stretch[]> {
  const { stages } = config.curriculum;
  if (stages === null)
    return [{ config, problems, order: new EpochOrder(problems.size, seed, 'problems'), stage: undefined }];
  const planned: Stretch[] = [];
  for (const [i, stage] of stages.entries()) {
    const where = `curriculum.stages.${i}`;
    checkRules(stage, config, where);
    const own = await stageProblems(problems, stage.data, seed, `${where}.data`);
    const order = new EpochOrder(own.size, seed, `problems-${i}`);
    planned.push({ config: stageConfig(config, stage, where), problems: own, order, stage });
  }
  return planned;
}

function checkRules({ until: { plateau } }: Stage, { validation }: RlConfig, where: string): void {
  if (plateau === null || validation.every > 0) return;
  throw new HoneError('usage', 'a plateau is seen in validations, and the run has none', {
    where: `${where}.until.plateau`,
    hint: 'Set validation.every, or end the stage by iterations or truncatedBelow.',
  });
}

/** The options of a stage; its `maxTokens` is at most the run's. @throws HoneError('usage') for a path that is no option, or one of the whole run. */
export function stageConfig(config: RlConfig, { set }: Pick<Stage, 'set'>, where: string): RlConfig {
  const changed = structuredClone(config) as object;
  for (const [path, value] of Object.entries(set)) {
    const fixed = ofTheRun(path);
    if (fixed !== undefined)
      throw new HoneError('usage', `${fixed} is an option of the whole run`, { where: `${where}.set` });
    setAt(changed, path, value, where);
  }
  const { maxTokens } = changed as RlConfig;
  return parseRlConfig({ ...changed, maxTokens: Math.min(maxTokens, config.maxTokens) });
}

/** The option of the whole run that a path is, lies in or holds; undefined: none. */
function ofTheRun(path: string): string | undefined {
  if (OF_THE_RUN.some((fixed) => path === fixed || path.startsWith(`${fixed}.`))) return path;
  return OF_THE_RUN.find((fixed) => fixed.startsWith(`${path}.`));
}

function setAt(target: object, path: string, value: unknown, where: string): void {
  const keys = path.split('.');
  const last = keys.pop() as string;
  let at: unknown = target;
  for (const key of keys) at = isObject(at) && Object.hasOwn(at, key) ? Reflect.get(at, key) : undefined;
  if (!isObject(at) || !Object.hasOwn(at, last))
    throw new HoneError('usage', `there is no option ${path}`, {
      where: `${where}.set`,
      hint: 'See `hone recipes show <recipe>` for every option.',
    });
  Reflect.set(at, last, value);
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** Where a run stands in its stages. */
export class Course {
  readonly #stretches: readonly Stretch[];
  #state: StageState = FIRST_STAGE;

  /** @param lines metrics of the iterations done so far; those of a critic's pretraining belong to no stage. */
  constructor(stretches: readonly Stretch[], lines: readonly MetricsLine[]) {
    this.#stretches = stretches;
    this.#state = stageAfter(
      this.#stages,
      lines.filter((line) => line['critic.pretraining'] === undefined),
    );
  }

  get #stages(): readonly Stage[] {
    return this.#stretches.flatMap(({ stage }) => stage ?? []);
  }

  /** What the next iteration is run with. */
  get now(): Stretch {
    return this.#stretches[this.#state.stage] as Stretch;
  }

  /** Whether the next iteration is the first of a stage that follows another. */
  get begins(): boolean {
    return this.#state.stage > 0 && this.#state.iterations === 0;
  }

  /** Numbers of the stage for the metrics of an iteration in it. */
  get metrics(): Record<string, number> {
    return this.now.stage ? { stage: this.#state.stage + 1 } : {};
  }

  /**
   * An iteration is done, validated where it was due.
   * @returns what to tell when a stage ends with it.
   */
  pass(line: MetricsLine): string | undefined {
    const before = this.#state;
    const stages = this.#stages;
    if (stages.length === 0) return undefined;
    this.#state = stageAt(stages, before, line);
    if (this.#state.stage === before.stage) return undefined;
    const seen = counted(before, line);
    const [ended, next] = [stages[before.stage] as Stage, stages[this.#state.stage] as Stage];
    return `stage ${ended.name} ends after iteration ${line.iteration} (${stageEnds(ended.until, seen, line)}); ${next.name} begins`;
  }
}
