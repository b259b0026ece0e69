import { HoneError, nearest } from '../core/index.js';
import type { EngineCapabilities } from '../engine/types.js';
import { parseRlConfig, type RlConfig } from '../rl/index.js';
import type { Json } from '../runs/types.js';
import { parseSftConfig, type SftConfig } from '../sft/index.js';
import { dapo } from './dapo.js';
import { difficultyStaged } from './difficulty-staged.js';
import { drGrpo } from './dr-grpo.js';
import { fastcurl } from './fastcurl.js';
import { grpo } from './grpo.js';
import { orz } from './open-reasoner-zero.js';
import { ppo } from './ppo.js';
import { rlsp } from './rlsp.js';
import { sft } from './sft.js';
import { still3, still3Small } from './still-3.js';
import { t1 } from './t1.js';
import { vapo } from './vapo.js';
import type { PresetName, Recipe, RecipeValue, ValueStatus } from './types.js';

const RECIPES: readonly Recipe[] = [
  ...[grpo, drGrpo, dapo, ppo, orz, vapo],
  ...[rlsp, t1, still3, still3Small, fastcurl, difficultyStaged, sft],
];
const PRESETS: readonly PresetName[] = ['paper', 'mini'];

/** Setting one of these without the other sets the other to null. */
const EITHER_OR: Readonly<Record<Recipe['method'], readonly [string, string]>> = {
  rl: ['updatesPerIteration', 'sequencesPerUpdate'],
  sft: ['epochs', 'updates'],
};

/** One option of a resolved recipe. `set`: given by the user, or following an option that was. */
export interface ResolvedValue {
  path: string;
  value: Json;
  source: string;
  status: ValueStatus | 'set';
  /** Nothing reads it, for what another option says. */
  unread: boolean;
}

export type ResolvedRecipe = {
  recipe: Recipe;
  preset: PresetName;
  /** Every option with its source, in the recipe's order. */
  values: ResolvedValue[];
  /** Options that neither paper nor code states; the paper preset asks to accept them. */
  assumed: ResolvedValue[];
} & ({ method: 'rl'; config: RlConfig } | { method: 'sft'; config: SftConfig });

export function listRecipes(): readonly Recipe[] {
  return RECIPES;
}

/** @throws HoneError('usage') that suggests the nearest name. */
export function getRecipe(name: string): Recipe {
  const recipe = RECIPES.find((candidate) => candidate.name === name);
  if (recipe) return recipe;
  const names = RECIPES.map((candidate) => candidate.name);
  throw new HoneError('usage', `there is no recipe ${name}`, {
    hint: `Did you mean ${nearest(name, names)}? Recipes: ${names.join(', ')}.`,
  });
}

/**
 * The configuration of a recipe under a preset with the user's settings (`--set path=value`, values as text).
 * @throws HoneError('usage') for an unknown name, preset or path, and for a value that does not fit, naming the option.
 */
export function resolveRecipe(
  name: string,
  preset: string,
  sets: Readonly<Record<string, string>> = {},
): ResolvedRecipe {
  const recipe = getRecipe(name);
  const chosen = PRESETS.find((candidate) => candidate === preset);
  if (!chosen)
    throw new HoneError('usage', `there is no preset ${preset}`, {
      where: name,
      hint: `Presets: ${PRESETS.join(', ')}.`,
    });
  const base: Record<string, RecipeValue> = { ...recipe.values, ...recipe.presets[chosen] };
  const given = parseSets(base, sets);
  const read = Object.entries(base).map(([path, option]) => resolveValue(path, option, given, recipe));
  const values = read.map((value) => ({ ...value, unread: isUnread(base[value.path], read) }));
  const assumed = values.filter(({ status, unread }) => status === 'assumed' && !unread);
  const tree = treeOf(values);
  const common = { recipe, preset: chosen, values, assumed };
  return recipe.method === 'rl'
    ? { ...common, method: 'rl', config: parseRlConfig(tree) }
    : { ...common, method: 'sft', config: parseSftConfig(tree) };
}

function parseSets(
  base: Readonly<Record<string, RecipeValue>>,
  sets: Readonly<Record<string, string>>,
): Map<string, Json> {
  const given = new Map<string, Json>();
  for (const [path, text] of Object.entries(sets)) {
    const option = Object.hasOwn(base, path) ? base[path] : undefined;
    if (!option)
      throw new HoneError('usage', 'there is no such option', {
        where: path,
        hint: `Did you mean ${nearest(path, Object.keys(base))}? \`hone recipes show\` lists all options.`,
      });
    given.set(path, parseText(path, text, option.value));
  }
  return given;
}

/** Text as JSON where the option is not a text itself. */
function parseText(path: string, text: string, like: Json): Json {
  if (typeof like === 'string') return text;
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    const expected = like === null ? 'a number or null' : `a ${typeof like}`;
    throw new HoneError('usage', `expected ${expected}, not ${JSON.stringify(text)}`, {
      where: path,
      hint: 'See `hone recipes show <recipe>` for every option, its value and its source.',
      cause,
    });
  }
}

function resolveValue(
  path: string,
  { value, source, status, follows }: RecipeValue,
  given: ReadonlyMap<string, Json>,
  { method }: Recipe,
): Omit<ResolvedValue, 'unread'> {
  const own = given.get(path);
  if (own !== undefined) return { path, value: own, source: 'set by the user', status: 'set' };
  const followed = follows && given.get(follows.path);
  if (follows && typeof followed === 'number')
    return { path, value: Math.round(follows.ratio * followed), source: `follows ${follows.path}`, status: 'set' };
  const pair = EITHER_OR[method];
  const other = pair.includes(path) ? pair.find((candidate) => candidate !== path) : undefined;
  if (other !== undefined && given.has(other) && given.get(other) !== null)
    return { path, value: null, source: `${other} decides`, status: 'set' };
  return { path, value, source, status };
}

function isUnread(option: RecipeValue | undefined, values: readonly { path: string; value: Json }[]): boolean {
  const { unreadWhile } = option ?? {};
  if (unreadWhile === undefined) return false;
  return unreadWhile.values.includes(values.find(({ path }) => path === unreadWhile.path)?.value as Json);
}

/** Dotted paths as nested objects. */
function treeOf(values: readonly { path: string; value: Json }[]): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const { path, value } of values) {
    const parts = path.split('.');
    let node = root;
    for (const part of parts.slice(0, -1)) node = (node[part] ??= {}) as Record<string, unknown>;
    node[parts.at(-1) as string] = value;
  }
  return root;
}

/**
 * @param also what the run needs besides, such as `lora`
 * @throws HoneError('usage') when the engine lacks something the recipe cannot do without.
 */
export function assertCapable(
  recipe: Recipe,
  engine: { name: string; capabilities: EngineCapabilities },
  also: readonly (keyof EngineCapabilities)[] = [],
): void {
  const missing = [...recipe.needs, ...also].filter((need) => !engine.capabilities[need]);
  if (missing.length > 0)
    throw new HoneError(
      'usage',
      `recipe ${recipe.name} needs ${missing.join(', ')}, which engine ${engine.name} lacks`,
      {
        hint: 'Choose another engine with --engine, or another recipe.',
      },
    );
}
