import type { Graph, GraphNode } from './graph.js';
import { intAttribute, intsAttribute, type OpName } from './ops.js';
import { sameShape, type Shape, type Value } from './values.js';

/** What a rule has to work with: the node, its inputs x and output y, the gradient of y, and a graph to add to. */
interface RuleContext {
  readonly g: Graph;
  readonly node: GraphNode;
  readonly x: readonly Value[];
  readonly y: Value;
  readonly dy: Value;
  /** Whether the gradient of input i is wanted; a rule may leave out work for the others. */
  wants(i: number): boolean;
}

/** Gradients of the inputs, in order; undefined where the input has none. */
type GradientRule = (context: RuleContext) => (Value | undefined)[];

/** Vocabularies up to this size take the embedding gradient by a one-hot product, larger ones by ScatterElements. */
const ONE_HOT_ROWS = 512;

const none: GradientRule = ({ x }) => x.map(() => undefined);

function noGradient(op: string): GradientRule {
  return () => {
    throw new Error(`${op} has no gradient of its own: it belongs into a composite, or into a sampling graph`);
  };
}

/** Sums a gradient over the axes that broadcasting added or stretched. */
function unbroadcast(g: Graph, gradient: Value, to: Shape): Value {
  if (sameShape(gradient.shape, to)) return gradient;
  const lead = gradient.shape.length - to.length;
  const over = gradient.shape.flatMap((dim, i) => (i < lead || (to[i - lead] === 1 && dim !== 1) ? [i] : []));
  return g.reshape(over.length > 0 ? g.sum(gradient, over) : gradient, to);
}

const input = (x: readonly Value[], i: number): Value => x[i] as Value;

/** Axes [R, batch..., C] -> position after moving R back to the front of [batch..., R, C]. */
function batchBackPerm(rank: number): number[] {
  return [rank - 2, ...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1];
}

const fusedMatMul: GradientRule = ({ g, node, x, dy, wants }) => {
  const flag = (name: string): number => intAttribute(node.attributes, name);
  if (flag('transA')) throw new Error('FusedMatMul with transA has no gradient rule: transpose the other operand');
  const [a, b] = [input(x, 0), input(x, 1)];
  const alpha = node.attributes['alpha'] ?? { float: 1 };
  const toLayout = (value: Value, transposed: number): Value =>
    transposed ? g.transpose(value, batchBackPerm(value.shape.length)) : value;
  const da = (): Value =>
    toLayout(
      g.node('FusedMatMul', [dy, b], { transB: flag('transB') ? 0 : 1, transBatchB: flag('transBatchB'), alpha }),
      flag('transBatchA'),
    );
  const db = (): Value =>
    toLayout(
      flag('transB')
        ? g.node('FusedMatMul', [dy, a], { transA: 1, transBatchB: flag('transBatchA'), alpha })
        : g.node('FusedMatMul', [a, dy], { transA: 1, transBatchA: flag('transBatchA'), alpha }),
      flag('transBatchB'),
    );
  return [wants(0) ? da() : undefined, wants(1) ? db() : undefined];
};

const gemm: GradientRule = ({ g, node, x, dy, wants }) => {
  const [a, b] = [input(x, 0), input(x, 1)];
  if (intAttribute(node.attributes, 'transA')) throw new Error('Gemm with transA has no gradient rule');
  const transB = intAttribute(node.attributes, 'transB');
  const da = wants(0) ? g.node('Gemm', [dy, b], { transB: transB ? 0 : 1 }) : undefined;
  const db = (): Value => (transB ? g.node('Gemm', [dy, a], { transA: 1 }) : g.node('Gemm', [a, dy], { transA: 1 }));
  const c = x[2];
  return [da, wants(1) ? db() : undefined, ...(c ? [unbroadcast(g, dy, c.shape)] : [])];
};

/** d table[v] = sum of dy over the positions that read row v. */
const gather: GradientRule = ({ g, x, dy, wants }) => {
  const [table, ids] = [input(x, 0), input(x, 1)];
  if (!wants(0)) return [undefined, undefined];
  const [rows, width] = table.shape as [number, number];
  const count = ids.shape.reduce((product, dim) => product * dim, 1);
  const column = g.reshape(ids, [count, 1]);
  const dRows = g.reshape(dy, [count, width]);
  if (rows <= ONE_HOT_ROWS) {
    const oneHot = g.node('Cast', [g.isColumn(column, rows)], { to: 1 });
    return [g.node('Gemm', [oneHot, dRows], { transA: 1 }), undefined];
  }
  const zeros = g.node('Expand', [g.scalar(0)], { to: [rows, width] });
  const indices = g.node('Expand', [column], { to: [count, width] });
  return [g.node('ScatterElements', [zeros, indices, dRows]), undefined];
};

const rotary: GradientRule = ({ g, x, dy }) => {
  // A rotation's transpose is the rotation by the negated angle.
  const [, positions, cos, sin] = x as [Value, Value, Value, Value];
  return [g.node('RotaryEmbedding', [dy, positions, cos, g.neg(sin)]), undefined, undefined, undefined];
};

/**
 * Vector-Jacobian products, one for each op. Typed by the op table: an op without a rule does not compile. Every rule
 * is checked by finite differences in tests/engine/gradients.test.ts.
 */
export const GRADIENTS: Record<OpName, GradientRule> = {
  Add: ({ g, x, dy }) => x.map((value) => unbroadcast(g, dy, value.shape)),
  Sub: ({ g, x, dy, wants }) => [
    unbroadcast(g, dy, input(x, 0).shape),
    wants(1) ? unbroadcast(g, g.neg(dy), input(x, 1).shape) : undefined,
  ],
  Mul: ({ g, x, dy, wants }) => [
    wants(0) ? unbroadcast(g, g.mul(dy, input(x, 1)), input(x, 0).shape) : undefined,
    wants(1) ? unbroadcast(g, g.mul(dy, input(x, 0)), input(x, 1).shape) : undefined,
  ],
  Div: ({ g, x, y, dy, wants }) => {
    const overB = g.node('Div', [dy, input(x, 1)]);
    return [
      unbroadcast(g, overB, input(x, 0).shape),
      wants(1) ? unbroadcast(g, g.neg(g.mul(overB, y)), input(x, 1).shape) : undefined,
    ];
  },
  Neg: ({ g, dy }) => [g.neg(dy)],
  Exp: ({ g, y, dy }) => [g.mul(dy, y)],
  Sqrt: ({ g, y, dy }) => [g.node('Div', [g.scale(dy, 0.5), y])],
  Reciprocal: ({ g, y, dy }) => [g.neg(g.mul(dy, g.mul(y, y)))],
  Sigmoid: ({ g, y, dy }) => [g.mul(dy, g.mul(y, g.sub(g.scalar(1), y)))],
  Softmax: ({ g, y, dy }) => {
    const weighted = g.mul(dy, y);
    return [g.sub(weighted, g.mul(y, g.sum(weighted, [y.shape.length - 1])))];
  },
  LogSoftmax: ({ g, y, dy }) => [g.sub(dy, g.mul(g.node('Exp', [y]), g.sum(dy, [y.shape.length - 1])))],
  ReduceSum: ({ g, x, dy }) => [g.node('Expand', [dy], { to: input(x, 0).shape })],
  ReduceSumSquare: ({ g, x, dy }) => [g.mul(input(x, 0), g.scale(dy, 2))],
  Equal: none,
  Less: none,
  Where: ({ g, x, dy, wants }) => {
    const [condition, a, b] = x as [Value, Value, Value];
    const zero = g.scalar(0);
    return [
      undefined,
      wants(1) ? unbroadcast(g, g.node('Where', [condition, dy, zero]), a.shape) : undefined,
      wants(2) ? unbroadcast(g, g.node('Where', [condition, zero, dy]), b.shape) : undefined,
    ];
  },
  Cast: none,
  Reshape: ({ g, x, dy }) => [g.reshape(dy, input(x, 0).shape)],
  Expand: ({ g, x, dy }) => [unbroadcast(g, dy, input(x, 0).shape)],
  Transpose: ({ g, node, dy }) => {
    const perm = intsAttribute(node.attributes, 'perm');
    return [
      g.transpose(
        dy,
        perm.map((_, axis) => perm.indexOf(axis)),
      ),
    ];
  },
  Gather: gather,
  GatherElements: ({ g, x, dy }) => {
    const columns = input(x, 0).shape[1] as number;
    return [g.node('Where', [g.isColumn(input(x, 1), columns), dy, g.scalar(0)]), undefined];
  },
  Slice: noGradient('Slice'),
  Concat: ({ g, x, dy }) => {
    let from = 0;
    return x.map(({ shape }) => g.rows(dy, from, (from += shape[0] as number)));
  },
  ScatterElements: noGradient('ScatterElements'),
  Gemm: gemm,
  FusedMatMul: fusedMatMul,
  RotaryEmbedding: rotary,
  QuickGelu: noGradient('QuickGelu'),
  SimplifiedLayerNormalization: noGradient('SimplifiedLayerNormalization'),
  GroupQueryAttention: noGradient('GroupQueryAttention'),
};
