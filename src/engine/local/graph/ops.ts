import { broadcastShapes, sizeOf, type Attributes, type DType, type Shape, type Value } from './values.js';

/** What an op yields, from its inputs. A shape that does not fit is a bug of the graph's author: a plain Error. */
interface OpSpec {
  readonly domain?: 'com.microsoft';
  infer(inputs: readonly Value[], attributes: Attributes): { dtype: DType; shape: Shape }[];
}

const first = (inputs: readonly Value[]): Value => at(inputs, 0);

function at(inputs: readonly Value[], index: number): Value {
  const value = inputs[index];
  if (!value) throw new Error(`input ${index} is missing`);
  return value;
}

export function intAttribute(attributes: Attributes, name: string, fallback = 0): number {
  const value = attributes[name] ?? fallback;
  if (typeof value !== 'number') throw new Error(`attribute ${name} must be a whole number`);
  return value;
}

export function intsAttribute(attributes: Attributes, name: string): readonly number[] {
  const value = attributes[name];
  if (!Array.isArray(value)) throw new Error(`attribute ${name} must be a list of whole numbers`);
  return value as readonly number[];
}

const unary: OpSpec = { infer: (inputs) => [{ dtype: first(inputs).dtype, shape: first(inputs).shape }] };

const binary: OpSpec = {
  infer: (inputs) => [{ dtype: first(inputs).dtype, shape: broadcastShapes(first(inputs).shape, at(inputs, 1).shape) }],
};

const comparison: OpSpec = {
  infer: (inputs) => [{ dtype: 'bool', shape: broadcastShapes(first(inputs).shape, at(inputs, 1).shape) }],
};

/** Reductions over the axes in attribute `over` (passed to ONNX as an input by the builder), keeping dimensions. */
const reduction: OpSpec = {
  infer: (inputs, attributes) => {
    const over = intsAttribute(attributes, 'over');
    return [{ dtype: first(inputs).dtype, shape: first(inputs).shape.map((dim, i) => (over.includes(i) ? 1 : dim)) }];
  },
};

/** Shape given by attribute `to` (an input for ONNX). */
const shaped: OpSpec = {
  infer: (inputs, attributes) => [{ dtype: first(inputs).dtype, shape: intsAttribute(attributes, 'to') }],
};

/** Logical shape of a FusedMatMul operand: leading dimension moved behind the batch, last two swapped. */
function operandShape(shape: Shape, transpose: number, transposeBatch: number): number[] {
  const rank = shape.length;
  const moved = transposeBatch
    ? [...shape.slice(1, rank - 1), shape[0] as number, shape[rank - 1] as number]
    : [...shape];
  if (transpose) [moved[rank - 2], moved[rank - 1]] = [moved[rank - 1] as number, moved[rank - 2] as number];
  return moved;
}

/**
 * Every op a graph may hold. The gradient table (gradients.ts) is keyed by this one, so an op added here without its
 * rule there does not compile.
 */
export const OPS = {
  Add: binary,
  Sub: binary,
  Mul: binary,
  Div: binary,
  Neg: unary,
  Exp: unary,
  Sqrt: unary,
  Reciprocal: unary,
  Sigmoid: unary,
  Softmax: unary,
  LogSoftmax: unary,
  ReduceSum: reduction,
  ReduceSumSquare: reduction,
  Equal: comparison,
  Less: comparison,
  Where: {
    infer: (inputs) => [
      {
        dtype: at(inputs, 1).dtype,
        shape: broadcastShapes(first(inputs).shape, broadcastShapes(at(inputs, 1).shape, at(inputs, 2).shape)),
      },
    ],
  },
  /** bool to float32. */
  Cast: { infer: (inputs) => [{ dtype: 'float32', shape: first(inputs).shape }] },
  Reshape: {
    infer: (inputs, attributes) => {
      const to = intsAttribute(attributes, 'to');
      if (sizeOf(to) !== sizeOf(first(inputs).shape)) {
        throw new Error(`cannot reshape [${first(inputs).shape.join()}] to [${to.join()}]`);
      }
      return [{ dtype: first(inputs).dtype, shape: to }];
    },
  },
  Expand: shaped,
  Transpose: {
    infer: (inputs, attributes) => {
      const { dtype, shape } = first(inputs);
      return [{ dtype, shape: intsAttribute(attributes, 'perm').map((axis) => shape[axis] as number) }];
    },
  },
  /** Rows from (attribute `from`) to before (attribute `until`) along the first axis. */
  Slice: {
    infer: (inputs, attributes) => {
      const { dtype, shape } = first(inputs);
      const [from, until] = [intAttribute(attributes, 'from'), intAttribute(attributes, 'until')];
      if (!(0 <= from && from < until && until <= (shape[0] as number)))
        throw new Error(`rows ${from} to ${until} of [${shape.join()}]`);
      return [{ dtype, shape: [until - from, ...shape.slice(1)] }];
    },
  },
  /** Along the first axis. */
  Concat: {
    infer: (inputs) => {
      const [{ dtype, shape }, rest] = [first(inputs), first(inputs).shape.slice(1).join()];
      if (inputs.some((value) => value.shape.slice(1).join() !== rest))
        throw new Error(`cannot join ${inputs.map((value) => `[${value.shape.join()}]`).join(' and ')}`);
      return [
        { dtype, shape: [inputs.reduce((sum, value) => sum + (value.shape[0] as number), 0), ...shape.slice(1)] },
      ];
    },
  },
  /** Rows of a table [V, H] by ids of any shape. */
  Gather: {
    infer: (inputs) => {
      const [table, ids] = [first(inputs), at(inputs, 1)];
      return [{ dtype: table.dtype, shape: [...ids.shape, ...table.shape.slice(1)] }];
    },
  },
  /** One element a row: data [N, V], indices [N, 1]. */
  GatherElements: { infer: (inputs) => [{ dtype: first(inputs).dtype, shape: at(inputs, 1).shape }] },
  /** Adds updates into data at indices along axis 0. */
  ScatterElements: unary,
  /** x [N, K] times w, plus an optional third input. transA, transB as in BLAS. */
  Gemm: {
    infer: (inputs, attributes) => {
      const [a, b] = [first(inputs).shape, at(inputs, 1).shape];
      const [rows, inner] = intAttribute(attributes, 'transA') ? [a[1], a[0]] : [a[0], a[1]];
      const [inner2, columns] = intAttribute(attributes, 'transB') ? [b[1], b[0]] : [b[0], b[1]];
      if (inner !== inner2) throw new Error(`Gemm of [${a.join()}] and [${b.join()}]: inner dimensions differ`);
      return [{ dtype: 'float32', shape: [rows as number, columns as number] }];
    },
  },
  /** Batched product; transBatchA/B read an operand [M, batch..., K] as [batch..., M, K]. */
  FusedMatMul: {
    domain: 'com.microsoft',
    infer: (inputs, attributes) => {
      const a = operandShape(
        first(inputs).shape,
        intAttribute(attributes, 'transA'),
        intAttribute(attributes, 'transBatchA'),
      );
      const b = operandShape(
        at(inputs, 1).shape,
        intAttribute(attributes, 'transB'),
        intAttribute(attributes, 'transBatchB'),
      );
      if (a.at(-1) !== b.at(-2))
        throw new Error(`FusedMatMul: inner dimensions of [${a.join()}] and [${b.join()}] differ`);
      return [{ dtype: 'float32', shape: [...a.slice(0, -1), b.at(-1) as number] }];
    },
  },
  /** inputs: x [S, B, heads*D], position_ids [S, B], cos, sin [rows, D/2]. */
  RotaryEmbedding: { domain: 'com.microsoft', infer: unary.infer },
  /** x * sigmoid(alpha * x). Sampling only. */
  QuickGelu: { domain: 'com.microsoft', infer: unary.infer },
  /** Outputs y = x / rms(x) * gain and 1 / rms(x), [N, 1]. Its gradient is that of parts.ts's rmsNorm. */
  SimplifiedLayerNormalization: {
    infer: (inputs) => {
      const { shape } = first(inputs);
      return [
        { dtype: 'float32', shape },
        { dtype: 'float32', shape: [...shape.slice(0, -1), 1] },
      ];
    },
  },
  /** Attention over a KV cache: outputs [B, S, heads*D] and the caches. Sampling only. */
  GroupQueryAttention: {
    domain: 'com.microsoft',
    infer: (inputs) => [
      { dtype: 'float32', shape: first(inputs).shape },
      { dtype: 'float32', shape: at(inputs, 3).shape },
      { dtype: 'float32', shape: at(inputs, 4).shape },
    ],
  },
} satisfies Record<string, OpSpec>;

export type OpName = keyof typeof OPS;

export function opSpec(name: OpName): OpSpec {
  return OPS[name];
}
