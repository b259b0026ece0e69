import { opSpec, type OpName } from './ops.js';
import { isStandIn } from './sizes.js';
import { sameShape, sizeOf, type Attributes, type DType, type Shape, type Value } from './values.js';

export interface GraphNode {
  readonly op: OpName;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
}

export type ConstantData = Float32Array | Int32Array | BigInt64Array;

export interface Constant {
  readonly value: Value;
  readonly data: ConstantData;
}

export interface GraphOutput {
  /** Name under which a run returns it. */
  readonly name: string;
  readonly value: Value;
}

/**
 * A function of several nodes whose gradient is written by hand, because it takes fewer passes over memory than the
 * rules of its nodes would.
 */
export interface Composite {
  readonly inputs: readonly Value[];
  /** From the gradient of the output to those of the inputs, in order; `wants(i)` as in the rules of ops. */
  vjp(dy: Value, wants: (i: number) => boolean): (Value | undefined)[];
}

/**
 * A graph of ONNX ops under construction. Nodes are appended in order of use, so the list is always topologically
 * sorted. Shapes are known when the graph is built, but for sizes that each run chooses (sizes.ts).
 */
export class Graph {
  readonly inputs: Value[] = [];
  readonly constants: Constant[] = [];
  readonly nodes: GraphNode[] = [];
  readonly outputs: GraphOutput[] = [];
  /** By name of the output. */
  readonly composites = new Map<string, Composite>();
  /** Inputs that say what sizes a run has chosen, by name: the lists that they have to give. Known once it is encoded. */
  readonly sizeInputs = new Map<string, readonly number[]>();
  #count = 0;
  readonly #scalars = new Map<string, Value>();

  /** @param prefix begins the names of its values, so that graphs made of one another's nodes do not clash */
  constructor(private readonly prefix = 'v') {}

  #value(dtype: DType, shape: Shape, name = `${this.prefix}${this.#count++}`): Value {
    return { name, dtype, shape };
  }

  input(name: string, dtype: DType, shape: Shape): Value {
    const value = this.#value(dtype, shape, name);
    this.inputs.push(value);
    return value;
  }

  constant(data: ConstantData, shape: Shape): Value {
    if (data.length !== sizeOf(shape))
      throw new Error(`constant of ${data.length} elements for shape [${shape.join()}]`);
    const dtype = data instanceof Float32Array ? 'float32' : data instanceof Int32Array ? 'int32' : 'int64';
    const value = this.#value(dtype, shape);
    this.constants.push({ value, data });
    return value;
  }

  /** A float32 scalar; equal scalars share one constant. */
  scalar(number: number): Value {
    return this.#shared(`s${number}`, () => this.constant(Float32Array.of(number), []));
  }

  /** A list of int64, for shape and axis inputs; an input of the graph where it depends on what a run chooses. */
  ints(list: readonly number[]): Value {
    const name = `i${list.join()}`;
    return this.#shared(name, () => {
      if (!list.some(isStandIn)) return this.constant(BigInt64Array.from(list, BigInt), [list.length]);
      this.sizeInputs.set(name, list);
      return this.input(name, 'int64', [list.length]);
    });
  }

  #shared(key: string, make: () => Value): Value {
    const known = this.#scalars.get(key);
    if (known) return known;
    const value = make();
    this.#scalars.set(key, value);
    return value;
  }

  /** Appends a node with all its outputs. */
  nodeOutputs(op: OpName, inputs: readonly Value[], attributes: Attributes = {}): Value[] {
    const outputs = opSpec(op)
      .infer(inputs, attributes)
      .map(({ dtype, shape }) => this.#value(dtype, shape));
    this.nodes.push({ op, inputs, outputs, attributes });
    return outputs;
  }

  /** Appends a node and returns its first output. */
  node(op: OpName, inputs: readonly Value[], attributes: Attributes = {}): Value {
    return this.nodeOutputs(op, inputs, attributes)[0] as Value;
  }

  /** Declares that `output` depends on `inputs` alone, by a gradient of its own. */
  composite(output: Value, composite: Composite): Value {
    this.composites.set(output.name, composite);
    return output;
  }

  output(name: string, value: Value): void {
    this.outputs.push({ name, value });
  }

  add = (a: Value, b: Value): Value => this.node('Add', [a, b]);
  sub = (a: Value, b: Value): Value => this.node('Sub', [a, b]);
  mul = (a: Value, b: Value): Value => this.node('Mul', [a, b]);
  scale = (a: Value, factor: number): Value => this.node('Mul', [a, this.scalar(factor)]);
  neg = (a: Value): Value => this.node('Neg', [a]);

  reshape(a: Value, to: Shape): Value {
    return sameShape(a.shape, to) ? a : this.node('Reshape', [a], { to });
  }

  transpose(a: Value, perm: readonly number[]): Value {
    return this.node('Transpose', [a], { perm });
  }

  /** Rows [from, until) along the first axis; `a` itself when that is all of them. */
  rows(a: Value, from: number, until: number): Value {
    return from === 0 && until === a.shape[0] ? a : this.node('Slice', [a], { from, until });
  }

  /** Values one after the other along the first axis. */
  join(parts: readonly Value[]): Value {
    return parts.length === 1 ? (parts[0] as Value) : this.node('Concat', parts);
  }

  sum(a: Value, over: readonly number[]): Value {
    return this.node('ReduceSum', [a], { over });
  }

  /** x [N, K] times w^T, w [M, K] as Hugging Face stores it, plus a bias [M] where there is one. */
  linear(x: Value, weight: Value, bias?: Value): Value {
    return this.node('Gemm', bias ? [x, weight, bias] : [x, weight], { transB: 1 });
  }

  /**
   * addend + value. Where `value` comes from a product without an addend, the product takes it in: BLAS adds for free.
   * Only for a value that nothing else reads.
   */
  addInto(addend: Value, value: Value): Value {
    const index = this.nodes.findLastIndex((node) => node.outputs[0]?.name === value.name);
    const node = this.nodes[index];
    if (node?.op !== 'Gemm' || node.inputs.length !== 2) return this.add(addend, value);
    this.nodes[index] = { ...node, inputs: [...node.inputs, addend] };
    return value;
  }

  /** True where ids[n] = column: bool [N, columns] from int64 ids [N, 1]. */
  isColumn(ids: Value, columns: number): Value {
    const range = this.#shared(`range${columns}`, () =>
      this.constant(
        BigInt64Array.from({ length: columns }, (_, i) => BigInt(i)),
        [1, columns],
      ),
    );
    return this.node('Equal', [ids, range]);
  }
}
