import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { performance } from 'node:perf_hooks';

/** One timed matrix product C[m,n] = A[m,k] B[k,n]. */
export interface GemmRate {
  shape: string;
  gflops: number;
}

/** Shapes that training runs: a square one, a projection of a micro-batch, an MLP of a small model. */
export const GEMM_SHAPES: readonly (readonly [number, number, number])[] = [
  [1024, 1024, 1024],
  [1024, 576, 576],
  [1024, 128, 384],
];

const FLOAT = 1;

/** An ONNX model of one MatMul, written field by field (onnx.proto3 numbers). */
export function matMulModel(m: number, k: number, n: number): Uint8Array {
  const node = new BinaryWriter();
  for (const name of ['A', 'B']) node.uint32((1 << 3) | 2).string(name);
  node.uint32((2 << 3) | 2).string('C');
  node.uint32((4 << 3) | 2).string('MatMul');
  const graph = new BinaryWriter();
  graph.uint32((1 << 3) | 2).bytes(node.finish());
  graph.uint32((2 << 3) | 2).string('gemm');
  graph.uint32((11 << 3) | 2).bytes(valueInfo('A', [m, k]));
  graph.uint32((11 << 3) | 2).bytes(valueInfo('B', [k, n]));
  graph.uint32((12 << 3) | 2).bytes(valueInfo('C', [m, n]));
  const opset = new BinaryWriter().uint32((2 << 3) | 0).int64(21);
  const model = new BinaryWriter().uint32((1 << 3) | 0).int64(10);
  model.uint32((7 << 3) | 2).bytes(graph.finish());
  return model
    .uint32((8 << 3) | 2)
    .bytes(opset.finish())
    .finish();
}

function valueInfo(name: string, shape: readonly number[]): Uint8Array {
  const dimensions = new BinaryWriter();
  for (const size of shape)
    dimensions.uint32((1 << 3) | 2).bytes(
      new BinaryWriter()
        .uint32((1 << 3) | 0)
        .int64(size)
        .finish(),
    );
  const tensor = new BinaryWriter().uint32((1 << 3) | 0).int32(FLOAT);
  tensor.uint32((2 << 3) | 2).bytes(dimensions.finish());
  const type = new BinaryWriter().uint32((1 << 3) | 2).bytes(tensor.finish());
  return new BinaryWriter()
    .uint32((1 << 3) | 2)
    .string(name)
    .uint32((2 << 3) | 2)
    .bytes(type.finish())
    .finish();
}

/** Best rate over repeated fp32 products for about `seconds`, in GFLOP/s. @throws whatever onnxruntime-node throws. */
export async function measureGemm(shape: readonly [number, number, number], seconds: number): Promise<GemmRate> {
  const { InferenceSession, Tensor } = await import('onnxruntime-node');
  const [m, k, n] = shape;
  const session = await InferenceSession.create(matMulModel(m, k, n));
  const feeds = {
    A: new Tensor('float32', new Float32Array(m * k).fill(0.5), [m, k]),
    B: new Tensor('float32', new Float32Array(k * n).fill(0.25), [k, n]),
  };
  let best = Infinity;
  const end = performance.now() + 1000 * seconds;
  do {
    const start = performance.now();
    await session.run(feeds);
    best = Math.min(best, (performance.now() - start) / 1000);
  } while (performance.now() < end);
  await session.release();
  return { shape: `${m}x${k}x${n}`, gflops: Math.round((2 * m * k * n) / best / 1e9) };
}
