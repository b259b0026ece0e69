/**
 * Python's str.strip for chat templates. @huggingface/jinja ignores the characters that `strip`, `lstrip` and `rstrip`
 * are given and trims JavaScript's white space, which has U+FEFF and lacks U+001C to U+001F and U+0085; Qwen3's
 * template calls `lstrip('\n')` on replies that may begin with spaces.
 */
import type { Template } from '@huggingface/jinja';

/** What str.isspace holds for (docs.python.org/3/library/stdtypes.html#str.isspace). */
const PYTHON_SPACES = new Set(
  '\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000',
);

type Sides = 'strip' | 'lstrip' | 'rstrip';

/** `text` without the characters of `characters` (default: white space) at its ends, as Python takes them off. */
export function pythonStrip(sides: Sides, text: string, characters?: string | null): string {
  const taken = typeof characters === 'string' ? new Set(characters) : PYTHON_SPACES;
  const points = [...text];
  let [start, end] = [0, points.length];
  if (sides !== 'rstrip') while (start < end && taken.has(points[start] as string)) start++;
  if (sides !== 'lstrip') while (end > start && taken.has(points[end - 1] as string)) end--;
  return points.slice(start, end).join('');
}

/** Variables under names that no template can write, which `callPythonStrip` puts in place of the methods. */
export const STRIP_FUNCTIONS: readonly (readonly [string, (...values: unknown[]) => string])[] = (
  ['strip', 'lstrip', 'rstrip'] as const
).map((sides) => [
  functionName(sides),
  (text, characters) => {
    if (typeof text !== 'string') throw new Error(`${sides}: not a string`);
    if (characters !== undefined && characters !== null && typeof characters !== 'string')
      throw new Error(`${sides}: the characters must be a string`);
    return pythonStrip(sides, text, characters);
  },
]);

function functionName(sides: Sides): string {
  return `python.${sides}`;
}

interface Node {
  type: string;
  [part: string]: unknown;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

/** Rewrites, in a parsed template, `x.strip(...)` and its like, and the filter `x | trim`, to the functions above. */
export function callPythonStrip(program: Template['parsed']): void {
  const waiting: unknown[] = [program];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (isNode(value)) rewrite(value);
    if (value instanceof Map) waiting.push(...value.keys(), ...value.values());
    else if (typeof value === 'object' && value !== null) waiting.push(...Object.values(value));
  }
}

function rewrite(node: Node): void {
  const { callee, filter, operand, args } = node;
  if (node.type === 'CallExpression' && isNode(callee) && callee.type === 'MemberExpression' && !callee['computed']) {
    const sides = nameOf(callee['property']);
    if (sides === 'strip' || sides === 'lstrip' || sides === 'rstrip')
      becomeCall(node, sides, [callee['object'], ...(args as unknown[])]);
  }
  if (node.type === 'FilterExpression' && nameOf(filter) === 'trim') becomeCall(node, 'strip', [operand]);
}

function nameOf(node: unknown): unknown {
  return isNode(node) && node.type === 'Identifier' ? node['value'] : undefined;
}

function becomeCall(node: Node, sides: Sides, args: unknown[]): void {
  Object.assign(node, { type: 'CallExpression', callee: { type: 'Identifier', value: functionName(sides) }, args });
}
