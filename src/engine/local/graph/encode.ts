import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { Constant, Graph, GraphNode } from './graph.js';
import { intAttribute, intsAttribute, opSpec } from './ops.js';
import { declared, isStandIn } from './sizes.js';
import { ANY, DTYPES, type Attribute, type Shape, type Value } from './values.js';

/**
 * Encodes a graph as an ONNX ModelProto. Field numbers are those of onnx/onnx.proto3; opset 21 and com.microsoft 1,
 * IR version 10.
 */

const OPSET = 21;
const IR_VERSION = 10;

/** Name of the output that lets a run skip the binding's copy of all outputs (see session.ts). */
export const NO_COPY_OUTPUT = 'no_copy';

const FIELD = {
  model: { irVersion: 1, producerName: 2, graph: 7, opsetImport: 8 },
  opset: { domain: 1, version: 2 },
  graph: { node: 1, name: 2, initializer: 5, input: 11, output: 12 },
  node: { input: 1, output: 2, name: 3, opType: 4, attribute: 5, domain: 7 },
  attribute: { name: 1, f: 2, i: 3, s: 4, ints: 8, type: 20 },
  tensor: { dims: 1, dataType: 2, name: 8, rawData: 9 },
  valueInfo: { name: 1, type: 2 },
  type: { tensor: 1, sequence: 4 },
  tensorType: { elemType: 1, shape: 2 },
  sequenceType: { elemType: 1 },
  shape: { dim: 1 },
  dim: { value: 1 },
} as const;

const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, ints: 7 } as const;

type Write = (writer: BinaryWriter) => void;

function message(writer: BinaryWriter, field: number, write: Write): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  write(writer);
  writer.join();
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}

function whole(writer: BinaryWriter, field: number, value: number): void {
  writer.tag(field, WireType.Varint).int64(value);
}

function attribute(writer: BinaryWriter, name: string, value: Attribute | string): void {
  const F = FIELD.attribute;
  message(writer, FIELD.node.attribute, (w) => {
    text(w, F.name, name);
    if (typeof value === 'string') {
      text(w, F.s, value);
      whole(w, F.type, ATTRIBUTE_TYPE.string);
    } else if (typeof value === 'number') {
      whole(w, F.i, value);
      whole(w, F.type, ATTRIBUTE_TYPE.int);
    } else if ('float' in value) {
      w.tag(F.f, WireType.Bit32).float(value.float);
      whole(w, F.type, ATTRIBUTE_TYPE.float);
    } else {
      for (const item of value) whole(w, F.ints, item);
      whole(w, F.type, ATTRIBUTE_TYPE.ints);
    }
  });
}

/** A shape to reshape to, as ONNX takes it: 0 stands for the size there is, one -1 for what is left over. */
function reshapeTo(from: Shape, to: Shape): Shape {
  const left = (dim: number, i: number): boolean => isStandIn(dim) && dim !== from[i];
  const unknown = to.filter(left).length;
  // Two sizes to be found take the list as an input, where 0 and -1 have no place.
  return unknown > 1 ? to : to.map((dim, i) => (left(dim, i) ? -1 : isStandIn(dim) ? 0 : dim));
}

/** ONNX takes axes, shapes and ranges as tensor inputs; the graph keeps them as attributes. */
function onnxForm(graph: Graph, node: GraphNode): { inputs: string[]; attributes: [string, Attribute | string][] } {
  const inputs = node.inputs.map((value) => value.name);
  const attributes = Object.entries(node.attributes) as [string, Attribute | string][];
  const without = (name: string): [string, Attribute | string][] => attributes.filter(([key]) => key !== name);
  const list = (name: string): string => graph.ints(node.attributes[name] as readonly number[]).name;
  switch (node.op) {
    case 'ReduceSum':
    case 'ReduceSumSquare':
      return { inputs: [...inputs, list('over')], attributes: [...without('over'), ['keepdims', 1]] };
    case 'Reshape': {
      const to = reshapeTo((node.inputs[0] as Value).shape, intsAttribute(node.attributes, 'to'));
      return { inputs: [...inputs, graph.ints(to).name], attributes: [] };
    }
    case 'Expand':
      return { inputs: [...inputs, list('to')], attributes: without('to') };
    case 'Slice': {
      const [from, until] = [intAttribute(node.attributes, 'from'), intAttribute(node.attributes, 'until')];
      return { inputs: [...inputs, ...[[from], [until], [0]].map((ints) => graph.ints(ints).name)], attributes: [] };
    }
    case 'Concat':
      return { inputs, attributes: [...attributes, ['axis', 0]] };
    case 'Softmax':
    case 'LogSoftmax':
      return { inputs, attributes: [...attributes, ['axis', -1]] };
    case 'ScatterElements':
      return { inputs, attributes: [...attributes, ['reduction', 'add']] };
    case 'GatherElements':
      return { inputs, attributes: [...attributes, ['axis', 1]] };
    default:
      return { inputs, attributes };
  }
}

function writeNode(writer: BinaryWriter, graph: Graph, node: GraphNode, rename: ReadonlyMap<string, string>): void {
  const F = FIELD.node;
  const { inputs, attributes } = onnxForm(graph, node);
  const named = (name: string): string => rename.get(name) ?? name;
  message(writer, FIELD.graph.node, (w) => {
    for (const name of inputs) text(w, F.input, named(name));
    for (const value of node.outputs) text(w, F.output, named(value.name));
    text(w, F.opType, node.op);
    for (const [name, value] of attributes) attribute(w, name, value);
    const domain = opSpec(node.op).domain;
    if (domain) text(w, F.domain, domain);
  });
}

function writeShape(writer: BinaryWriter, shape: Shape): void {
  message(writer, FIELD.tensorType.shape, (w) => {
    for (const dim of shape)
      message(w, FIELD.shape.dim, (d) => {
        // A dimension without a value or a name is unknown.
        if (dim !== ANY) whole(d, FIELD.dim.value, dim);
      });
  });
}

function writeValueInfo(writer: BinaryWriter, field: number, name: string, value: Value): void {
  message(writer, field, (w) => {
    text(w, FIELD.valueInfo.name, name);
    message(w, FIELD.valueInfo.type, (t) =>
      message(t, FIELD.type.tensor, (tt) => {
        whole(tt, FIELD.tensorType.elemType, DTYPES[value.dtype]);
        writeShape(tt, declared(value.shape));
      }),
    );
  });
}

function writeConstant(writer: BinaryWriter, { value, data }: Constant): void {
  const F = FIELD.tensor;
  message(writer, FIELD.graph.initializer, (w) => {
    for (const dim of value.shape) whole(w, F.dims, dim);
    whole(w, F.dataType, DTYPES[value.dtype]);
    text(w, F.name, value.name);
    w.tag(F.rawData, WireType.LengthDelimited).bytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  });
}

/** An empty sequence as the graph's first output: what makes the binding stop before it copies outputs. */
function writeNoCopyNode(writer: BinaryWriter): void {
  message(writer, FIELD.graph.node, (w) => {
    text(w, FIELD.node.output, NO_COPY_OUTPUT);
    text(w, FIELD.node.opType, 'SequenceEmpty');
    attribute(w, 'dtype', DTYPES.float32);
  });
}

function writeNoCopyOutput(writer: BinaryWriter): void {
  message(writer, FIELD.graph.output, (w) => {
    text(w, FIELD.valueInfo.name, NO_COPY_OUTPUT);
    message(w, FIELD.valueInfo.type, (t) =>
      message(t, FIELD.type.sequence, (s) =>
        message(s, FIELD.sequenceType.elemType, (e) =>
          message(e, FIELD.type.tensor, (tt) => whole(tt, FIELD.tensorType.elemType, DTYPES.float32)),
        ),
      ),
    );
  });
}

/** Nodes that some output depends on, in order. */
function liveNodes(graph: Graph): GraphNode[] {
  const live = new Set(graph.outputs.map(({ value }) => value.name));
  const kept: GraphNode[] = [];
  for (const node of graph.nodes.slice().reverse()) {
    if (!node.outputs.some((value) => live.has(value.name))) continue;
    kept.push(node);
    for (const value of node.inputs) live.add(value.name);
  }
  return kept.reverse();
}

/**
 * @param noCopy add the extra first output that session.ts uses to avoid output copies
 * @returns the bytes of a ModelProto, without nodes that no output needs
 * @throws Error when one value is given out under two names
 */
export function encodeModel(graph: Graph, noCopy: boolean): Uint8Array {
  const rename = new Map<string, string>();
  for (const { name, value } of graph.outputs) {
    if (rename.has(value.name)) throw new Error(`${value.name} is output twice: ${rename.get(value.name)} and ${name}`);
    rename.set(value.name, name);
  }
  const writer = new BinaryWriter();
  whole(writer, FIELD.model.irVersion, IR_VERSION);
  text(writer, FIELD.model.producerName, 'hone');
  for (const [domain, version] of [
    ['', OPSET],
    ['com.microsoft', 1],
  ] as const) {
    message(writer, FIELD.model.opsetImport, (w) => {
      text(w, FIELD.opset.domain, domain);
      whole(w, FIELD.opset.version, version);
    });
  }
  message(writer, FIELD.model.graph, (w) => {
    text(w, FIELD.graph.name, 'graph');
    if (noCopy) writeNoCopyNode(w);
    for (const node of liveNodes(graph)) writeNode(w, graph, node, rename);
    for (const constant of graph.constants) writeConstant(w, constant);
    for (const value of graph.inputs) writeValueInfo(w, FIELD.graph.input, value.name, value);
    if (noCopy) writeNoCopyOutput(w);
    for (const { name, value } of graph.outputs) writeValueInfo(w, FIELD.graph.output, name, value);
  });
  return writer.finish();
}
