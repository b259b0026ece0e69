import { mapChildren, type MathNode } from './ast.js';
import { keyOf } from './normal.js';

/** The tree with every occurrence of one part replaced. */
export function substitute(node: MathNode, part: MathNode, by: MathNode): MathNode {
  if (keyOf(node) === keyOf(part)) return by;
  return mapChildren(node, (child) => substitute(child, part, by));
}
