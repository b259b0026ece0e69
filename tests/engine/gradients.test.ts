import { describe, expect, it } from 'vitest';
import { addGradients } from '../../src/engine/local/graph/autodiff.js';
import { GRADIENTS } from '../../src/engine/local/graph/gradients.js';
import { Graph } from '../../src/engine/local/graph/graph.js';
import { OPS, type OpName } from '../../src/engine/local/graph/ops.js';
import type { Shape, Value } from '../../src/engine/local/graph/values.js';
import { evaluate, normals, type Feed } from './support.js';

interface Case {
  op: OpName;
  name?: string;
  /** Shapes of the differentiable float inputs. */
  shapes: Shape[];
  /** Maps inputs into the op's domain (positive numbers for square roots). */
  positive?: boolean;
  build(g: Graph, x: Value[]): Value;
}

const int64 = (g: Graph, list: number[], shape: Shape): Value => g.constant(BigInt64Array.from(list, BigInt), shape);

function rotaryTables(g: Graph, rows: number, half: number): [Value, Value] {
  const angle = (i: number): number => Math.floor(i / half) * 0.7 ** (i % half);
  return [
    g.constant(
      Float32Array.from({ length: rows * half }, (_, i) => Math.cos(angle(i))),
      [rows, half],
    ),
    g.constant(
      Float32Array.from({ length: rows * half }, (_, i) => Math.sin(angle(i))),
      [rows, half],
    ),
  ];
}

const fused = (attributes: Record<string, number>, a: Shape, b: Shape): Case => ({
  op: 'FusedMatMul',
  name: Object.keys(attributes).join(' ') || 'plain',
  shapes: [a, b],
  build: (g, x) => g.node('FusedMatMul', x, { ...attributes, alpha: { float: 0.7 } }),
});

const CASES: Case[] = [
  { op: 'Add', shapes: [[3, 4], [4]], build: (g, x) => g.node('Add', x) },
  {
    op: 'Sub',
    shapes: [
      [3, 1],
      [3, 4],
    ],
    build: (g, x) => g.node('Sub', x),
  },
  {
    op: 'Mul',
    shapes: [
      [2, 3, 4],
      [3, 1],
    ],
    build: (g, x) => g.node('Mul', x),
  },
  { op: 'Div', shapes: [[3, 4], [4]], positive: true, build: (g, x) => g.node('Div', x) },
  { op: 'Neg', shapes: [[5]], build: (g, x) => g.node('Neg', x) },
  { op: 'Exp', shapes: [[5]], build: (g, x) => g.node('Exp', x) },
  { op: 'Sqrt', shapes: [[5]], positive: true, build: (g, x) => g.node('Sqrt', x) },
  { op: 'Reciprocal', shapes: [[5]], positive: true, build: (g, x) => g.node('Reciprocal', x) },
  { op: 'Sigmoid', shapes: [[5]], build: (g, x) => g.node('Sigmoid', x) },
  { op: 'Softmax', shapes: [[2, 3, 4]], build: (g, x) => g.node('Softmax', x) },
  { op: 'LogSoftmax', shapes: [[3, 4]], build: (g, x) => g.node('LogSoftmax', x) },
  { op: 'ReduceSum', shapes: [[2, 3, 4]], build: (g, x) => g.sum(x[0] as Value, [0, 2]) },
  { op: 'ReduceSumSquare', shapes: [[3, 4]], build: (g, x) => g.node('ReduceSumSquare', x, { over: [1] }) },
  {
    op: 'Where',
    shapes: [[3, 4], [4]],
    build: (g, [a, b]) => g.node('Where', [g.isColumn(int64(g, [1, 0, 3], [3, 1]), 4), a as Value, b as Value]),
  },
  { op: 'Reshape', shapes: [[2, 6]], build: (g, x) => g.reshape(x[0] as Value, [3, 4]) },
  { op: 'Expand', shapes: [[3, 1]], build: (g, x) => g.node('Expand', x, { to: [2, 3, 4] }) },
  { op: 'Transpose', shapes: [[2, 3, 4]], build: (g, x) => g.transpose(x[0] as Value, [2, 0, 1]) },
  {
    op: 'Gather',
    name: 'small table',
    shapes: [[5, 3]],
    build: (g, [table]) => g.node('Gather', [table as Value, int64(g, [4, 1, 1, 0], [2, 2])]),
  },
  {
    op: 'Gather',
    name: 'large table',
    shapes: [[600, 2]],
    build: (g, [table]) => g.node('Gather', [table as Value, int64(g, [599, 1, 1, 0], [4])]),
  },
  {
    op: 'GatherElements',
    shapes: [[3, 4]],
    build: (g, [x]) => g.node('GatherElements', [x as Value, int64(g, [2, 0, 3], [3, 1])]),
  },
  {
    op: 'Gemm',
    name: 'transB',
    shapes: [
      [3, 4],
      [5, 4],
    ],
    build: (g, x) => g.node('Gemm', x, { transB: 1 }),
  },
  { op: 'Gemm', name: 'with C', shapes: [[3, 4], [4, 5], [5]], build: (g, x) => g.node('Gemm', x) },
  {
    op: 'Gemm',
    name: 'transB with a bias',
    shapes: [[3, 4], [5, 4], [5]],
    build: (g, [x, weight, bias]) => g.linear(x as Value, weight as Value, bias),
  },
  fused({}, [2, 3, 4], [2, 4, 5]),
  fused({ transB: 1 }, [2, 3, 3, 4], [2, 3, 5, 4]),
  fused({ transBatchB: 1 }, [2, 2, 3, 4], [4, 2, 2, 5]),
  fused({ transB: 1, transBatchA: 1, transBatchB: 1 }, [3, 2, 2, 4], [5, 2, 2, 4]),
  {
    op: 'RotaryEmbedding',
    shapes: [[3, 2, 8]],
    build: (g, [x]) => {
      const [cos, sin] = rotaryTables(g, 3, 2);
      return g.node('RotaryEmbedding', [x as Value, int64(g, [0, 0, 1, 1, 2, 2], [3, 2]), cos, sin]);
    },
  },
];

const WITHOUT_GRADIENT: OpName[] = [
  'Equal',
  'Cast',
  'ScatterElements',
  'QuickGelu',
  'SimplifiedLayerNormalization',
  'GroupQueryAttention',
];

/** Sum of y * weights for given inputs, in float64 from float32 outputs. */
async function weightedSum(test: Case, inputs: Feed[], weights: Float32Array): Promise<number> {
  const g = new Graph();
  const y = test.build(
    g,
    test.shapes.map((shape, i) => g.input(`x${i}`, 'float32', shape)),
  );
  g.output('y', y);
  const { y: values } = await evaluate(g, Object.fromEntries(inputs.map((data, i) => [`x${i}`, data])));
  return (values as Float32Array).reduce((sum, value, i) => sum + value * (weights[i] as number), 0);
}

describe('gradient rules against central differences', () => {
  it('every op with a gradient has a case', () => {
    const covered = new Set<string>([...CASES.map((test) => test.op), ...WITHOUT_GRADIENT]);
    expect([...covered].sort()).toEqual(Object.keys(OPS).sort());
    expect(Object.keys(GRADIENTS).sort()).toEqual(Object.keys(OPS).sort());
  });

  for (const test of CASES) {
    it(`${test.op} ${test.name ?? ''}`, async () => {
      const inputs = test.shapes.map((shape, i) =>
        normals(7, `${test.op}${i}`, shape).map((value) => (test.positive ? 0.5 + Math.abs(value) : value)),
      );
      const g = new Graph();
      const x = test.shapes.map((shape, i) => g.input(`x${i}`, 'float32', shape));
      const y = test.build(g, x);
      const weights = normals(8, test.op, y.shape);
      const gradients = addGradients(g, [[y, g.scale(g.constant(weights, y.shape), 1)]], x);
      x.forEach((value) => g.output(`d_${value.name}`, gradients.get(value.name) as Value));
      const analytic = await evaluate(g, Object.fromEntries(inputs.map((data, i) => [`x${i}`, data])));
      for (let i = 0; i < inputs.length; i++) {
        const direction = normals(9, `direction${i}`, test.shapes[i] as Shape);
        const step = 1e-2;
        const shifted = (sign: number): Float32Array[] =>
          inputs.map((data, j) =>
            j === i ? data.map((value, k) => value + sign * step * (direction[k] as number)) : data,
          );
        const numeric =
          ((await weightedSum(test, shifted(1), weights)) - (await weightedSum(test, shifted(-1), weights))) /
          (2 * step);
        const exact = (analytic[`d_x${i}`] as Float32Array).reduce(
          (sum, value, k) => sum + value * (direction[k] as number),
          0,
        );
        expect(Math.abs(exact - numeric)).toBeLessThan(2e-3 * Math.max(1, Math.abs(exact)));
      }
    });
  }
});
