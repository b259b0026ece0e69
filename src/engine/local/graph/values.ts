/** Element types the graphs use, with their numbers in ONNX's TensorProto.DataType. */
export const DTYPES = { float32: 1, int32: 6, int64: 7, bool: 9 } as const;
export type DType = keyof typeof DTYPES;

export type Shape = readonly number[];

/** A dimension that each run may choose anew; for inputs whose size no shape of the graph depends on. */
export const ANY = -1;

/** An attribute of a node: whole numbers are INT, `{ float }` is FLOAT, a list is INTS. */
export type Attribute = number | readonly number[] | { readonly float: number };
export type Attributes = Readonly<Record<string, Attribute>>;

/** One tensor of a graph, with its shape known when the graph is built. */
export interface Value {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

export function sizeOf(shape: Shape): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** Result shape of NumPy-style broadcasting. @throws Error when the shapes do not fit. */
export function broadcastShapes(a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const left = a[i - rank + a.length] ?? 1;
    const right = b[i - rank + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1)
      throw new Error(`cannot broadcast [${a.join()}] with [${b.join()}]`);
    return Math.max(left, right);
  });
}
