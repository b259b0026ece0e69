export * as siftPrompts from './sift.js';
export { AGAIN_PROMPT } from './think-twice.js';

/**
 * Fills `{slot}`s by literal replacement, each template slot once and in one pass: braces of LaTeX in a question, or a
 * slot's name in it, stay what they are.
 * @throws RangeError when a slot is not in the template.
 */
export function fillSlots(template: string, values: Readonly<Record<string, string>>): string {
  const names = Object.keys(values);
  for (const name of names) if (!template.includes(`{${name}}`)) throw new RangeError(`no slot {${name}}`);
  const pattern = new RegExp(names.map((name) => `\\{${name.replace(/[^\w ]/g, '\\$&')}\\}`).join('|'), 'g');
  return template.replace(pattern, (slot) => values[slot.slice(1, -1)] ?? slot);
}
