export * from './types.js';
export {
  lastDigitOptions,
  lastDigitSkills,
  lastDigitTask,
  type LastDigitOptions,
  type LastDigitSkills,
} from './last-digit.js';
export { renderDemonstration, renderPrompt, responseText, type RenderModel } from './render.js';
