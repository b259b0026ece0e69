import { describe, expect, it } from 'vitest';
import { GRADIENTS } from '../../src/engine/local/graph/gradients.js';
import type { Graph } from '../../src/engine/local/graph/graph.js';
import { OPS, type OpName } from '../../src/engine/local/graph/ops.js';
import type { Shape, Value } from '../../src/engine/local/graph/values.js';
import { directionalGradients, normals, type Differentiable } from './support.js';

interface Case extends Differentiable {
  op: OpName;
  name?: string;
  /** Maps inputs into the op's domain (positive numbers for square roots). */
  positive?: boolean;
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
  {
    op: 'Concat',
    shapes: [
      [2, 3],
      [1, 3],
      [4, 3],
    ],
    build: (g, x) => g.node('Concat', x),
  },
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
  'Less',
  'Cast',
  'ScatterElements',
  'QuickGelu',
  'Slice',
  'SimplifiedLayerNormalization',
  'GroupQueryAttention',
];

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
      for (const { exact, numeric } of await directionalGradients(test, inputs))
        expect(Math.abs(exact - numeric)).toBeLessThan(2e-3 * Math.max(1, Math.abs(exact)));
    });
  }
});
