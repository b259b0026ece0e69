import type { EngineCapabilities } from '../engine/types.js';
import type { RlConfig } from '../rl/index.js';
import type { Json } from '../runs/types.js';
import type { SftConfig } from '../sft/index.js';

/**
 * How well a value is known. `paper`: stated in the paper. `code`: only in the authors' or the reference code.
 * `assumed`: in neither; our choice.
 */
export type ValueStatus = 'paper' | 'code' | 'assumed';

/** One option of a recipe, with where it comes from. */
export interface RecipeValue<T = Json> {
  value: T;
  /** Section, table, file or reason. */
  source: string;
  status: ValueStatus;
  /** When the option at `path` is set by the user and this one is not, this one becomes round(ratio * that). */
  follows?: { path: string; ratio: number };
  /** Nothing reads the option while the one at `path` has one of `values`: then it is no assumption of the recipe. */
  unreadWhile?: { path: string; values: readonly Json[] };
}

/** Dotted paths of the leaves of a configuration. */
export type Paths<T> = {
  [K in keyof T & string]: NonNullable<T[K]> extends Record<string, unknown> ? `${K}.${Paths<NonNullable<T[K]>>}` : K;
}[keyof T & string];

/** Type of the option at a dotted path. */
export type At<T, P extends string> = P extends `${infer K}.${infer Rest}`
  ? K extends keyof T
    ? At<NonNullable<T[K]>, Rest>
    : never
  : P extends keyof T
    ? T[P]
    : never;

/** A value with its source for every option: one left out does not compile. */
export type RecipeValues<T> = { [P in Paths<T>]: RecipeValue<At<T, P>> };

export interface ConfigOfMethod {
  rl: RlConfig;
  sft: SftConfig;
}
export type Method = keyof ConfigOfMethod;
export type PresetName = 'paper' | 'mini';

/** A published system as a configuration. `presets` override `values`, path by path. */
export interface RecipeOf<M extends Method> {
  name: string;
  title: string;
  /** What it follows, with where to read it. */
  system: string;
  method: M;
  values: RecipeValues<ConfigOfMethod[M]>;
  /** `paper`: as published. `mini`: minutes on a laptop CPU. */
  presets: Record<PresetName, Partial<RecipeValues<ConfigOfMethod[M]>>>;
  /** Engine capabilities without which it cannot run. */
  needs: readonly (keyof EngineCapabilities)[];
}

export type Recipe = { [M in Method]: RecipeOf<M> }[Method];

/** Checks a recipe's types and returns it. */
export function defineRecipe<M extends Method>(recipe: RecipeOf<M>): RecipeOf<M> {
  return recipe;
}
