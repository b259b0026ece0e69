import type { MathNode, NodeOf } from './ast.js';

/** `x = value`. */
interface NamedValue {
  name: string;
  value: MathNode;
}

function namedValue(node: MathNode): NamedValue | undefined {
  if (node.kind !== 'relation' || node.items.length !== 2 || node.signs[0] !== '=') return undefined;
  const [name, value] = node.items as [MathNode, MathNode];
  return name.kind === 'symbol' ? { name: name.name, value } : undefined;
}

/** Values of the names of one solution, in the order in which they are written. */
const tupleOf = (values: readonly NamedValue[]): MathNode => ({
  kind: 'tuple',
  open: '(',
  close: ')',
  items: values.map(({ value }) => value),
});

/**
 * p = 5, q = 2; p = 7, q = 2 as the list (5, 2), (7, 2): several solutions that each name all unknowns, told apart by
 * semicolons, or, where commas and "and" are all there is, by the names coming again in the same order.
 * @returns undefined for any other list.
 */
export function solutionsOf(list: NodeOf<'list'>): MathNode | undefined {
  const rounds = list.separator === ';' ? list.items.map(valuesIn) : roundsOf(list.items);
  if (rounds === undefined || rounds.some((values) => values === undefined || values.length < 2)) return undefined;
  return { ...list, separator: ',', items: (rounds as NamedValue[][]).map(tupleOf) };
}

function valuesIn(node: MathNode): NamedValue[] | undefined {
  return node.kind === 'list' ? allNamed(node.items) : undefined;
}

function roundsOf(items: readonly MathNode[]): NamedValue[][] | undefined {
  const values = allNamed(items);
  const width = values?.findIndex(({ name }, at) => at > 0 && name === values[0]?.name) ?? -1;
  if (!values || width < 2 || values.length % width !== 0) return undefined;
  if (values.some(({ name }, at) => name !== values[at % width]?.name)) return undefined;
  return Array.from({ length: values.length / width }, (_, at) => values.slice(at * width, (at + 1) * width));
}

function allNamed(items: readonly MathNode[]): NamedValue[] | undefined {
  const values = items.map(namedValue);
  return values.every((value) => value !== undefined) ? values : undefined;
}
