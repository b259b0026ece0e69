export { diffRecipes, type RecipeDifference } from './diff.js';
export { quickstartPlan, type QuickstartPlan, type SkillBar } from './quickstart.js';
export {
  assertCapable,
  getRecipe,
  listRecipes,
  resolveRecipe,
  type ResolvedRecipe,
  type ResolvedValue,
} from './resolve.js';
export {
  defineRecipe,
  type Method,
  type PresetName,
  type Recipe,
  type RecipeOf,
  type RecipeValue,
  type RecipeValues,
  type ValueStatus,
} from './types.js';
