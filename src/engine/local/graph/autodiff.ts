import { GRADIENTS } from './gradients.js';
import type { Graph, GraphNode } from './graph.js';
import type { Value } from './values.js';

/** Values whose gradient is needed: those that depend on one of the parameters. */
function dependents(nodes: readonly GraphNode[], parameters: readonly Value[]): Set<string> {
  const needed = new Set(parameters.map((value) => value.name));
  for (const node of nodes) {
    if (node.inputs.some((value) => needed.has(value.name))) for (const out of node.outputs) needed.add(out.name);
  }
  return needed;
}

/**
 * Reverse-mode differentiation: extends the graph by the gradients of sum_i <seed_i, y_i> with respect to the
 * parameters. A parameter that y does not depend on is missing from the result.
 *
 * @param seeds pairs of an output y and the gradient flowing into it, of y's shape
 * @returns gradient by parameter name, of the parameter's shape
 */
export function addGradients(
  graph: Graph,
  seeds: readonly (readonly [y: Value, dy: Value])[],
  parameters: readonly Value[],
): Map<string, Value> {
  const forward = graph.nodes.slice();
  const needed = dependents(forward, parameters);
  const gradients = new Map<string, Value>();
  const accumulate = (value: Value, gradient: Value): void => {
    const soFar = gradients.get(value.name);
    gradients.set(value.name, soFar ? graph.add(soFar, gradient) : gradient);
  };
  for (const [y, dy] of seeds) accumulate(y, dy);
  for (const node of forward.reverse()) {
    const y = node.outputs[0] as Value;
    const dy = gradients.get(y.name);
    if (!dy || !needed.has(y.name)) continue;
    const composite = graph.composites.get(y.name);
    const { inputs } = composite ?? node;
    const wants = (i: number): boolean => needed.has(inputs[i]?.name ?? '');
    const results = composite
      ? composite.vjp(dy, wants)
      : GRADIENTS[node.op]({ g: graph, node, x: inputs, y, dy, wants });
    results.forEach((gradient, i) => {
      if (gradient && wants(i)) accumulate(inputs[i] as Value, gradient);
    });
  }
  const wanted = new Set(parameters.map((value) => value.name));
  return new Map([...gradients].filter(([name]) => wanted.has(name)));
}
