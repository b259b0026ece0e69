import { Graph, type GraphNode } from './graph.js';
import type { OpName } from './ops.js';
import type { Value } from './values.js';

/** Ops of the first half that the second half repeats instead of being handed the result: views and single passes. */
const REPEATED: ReadonlySet<OpName> = new Set(['Reshape', 'Slice', 'Mul', 'Sigmoid', 'SimplifiedLayerNormalization']);

/** Two graphs that together do what one did. */
export interface Split {
  first: Graph;
  second: Graph;
  /** What the first graph gives out and the second takes in, under the same names. */
  carried: Value[];
}

/** The part of `whole` that the given nodes make: their inputs and constants, the values they carry in, no outputs. */
function partOf(whole: Graph, nodes: readonly GraphNode[], carriedIn: readonly Value[], prefix: string): Graph {
  const part = new Graph(prefix);
  const used = new Set(nodes.flatMap((node) => node.inputs.map((value) => value.name)));
  part.inputs.push(...whole.inputs.filter(({ name }) => used.has(name)), ...carriedIn);
  part.constants.push(...whole.constants.filter(({ value }) => used.has(value.name)));
  part.nodes.push(...nodes);
  return part;
}

/**
 * Cuts a graph in two after its first `at` nodes, such as forward and backward. Values that the second half reads are
 * carried over, except those that one cheap pass makes from carried ones: these it computes again, which costs less
 * memory and no more time than writing and reading them.
 * Outputs go to the half that computes them.
 */
export function splitGraph(whole: Graph, at: number): Split {
  const maker = new Map(whole.nodes.slice(0, at).flatMap((node) => node.outputs.map((value) => [value.name, node])));
  const carried = new Map<string, Value>();
  const repeated = new Set<GraphNode>();
  const secondNodes: GraphNode[] = [];
  const need = (value: Value): void => {
    const node = maker.get(value.name);
    if (!node || repeated.has(node)) return;
    if (!REPEATED.has(node.op)) {
      carried.set(value.name, value);
      return;
    }
    repeated.add(node);
    node.inputs.forEach(need);
    secondNodes.push(node);
  };
  for (const node of whole.nodes.slice(at)) {
    node.inputs.forEach(need);
    secondNodes.push(node);
  }
  const first = partOf(whole, whole.nodes.slice(0, at), [], 'first');
  const second = partOf(whole, secondNodes, [...carried.values()], 'second');
  for (const output of whole.outputs) (maker.has(output.value.name) ? first : second).outputs.push(output);
  for (const value of carried.values()) first.output(value.name, value);
  return { first, second, carried: [...carried.values()] };
}
