/** Writes small GGUF files for tests, following docs/gguf.md of ggml-org/ggml. */

type Value = string | number | boolean | string[] | { i32: number[] } | { f32: number };

export interface TensorToWrite {
  name: string;
  /** Row-major; the file keeps dimensions reversed. */
  shape: number[];
  type: number;
  bytes: Uint8Array;
}

const ALIGNMENT = 32;

class Bytes {
  readonly parts: Buffer[] = [];
  length = 0;
  push(part: Buffer): void {
    this.parts.push(part);
    this.length += part.length;
  }
  u32(value: number): void {
    const part = Buffer.alloc(4);
    part.writeUInt32LE(value);
    this.push(part);
  }
  u64(value: number): void {
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(BigInt(value));
    this.push(part);
  }
  f32(value: number): void {
    const part = Buffer.alloc(4);
    part.writeFloatLE(value);
    this.push(part);
  }
  text(value: string): void {
    const part = Buffer.from(value);
    this.u64(part.length);
    this.push(part);
  }
  pad(): void {
    this.push(Buffer.alloc((ALIGNMENT - (this.length % ALIGNMENT)) % ALIGNMENT));
  }
}

/** Type numbers: 4 uint32, 5 int32, 6 float32, 7 bool, 8 string, 9 array. */
function writeValue(out: Bytes, value: Value): void {
  if (typeof value === 'string') {
    out.u32(8);
    out.text(value);
  } else if (typeof value === 'number') {
    out.u32(4);
    out.u32(value);
  } else if (typeof value === 'boolean') {
    out.u32(7);
    out.push(Buffer.from([value ? 1 : 0]));
  } else if (Array.isArray(value)) {
    out.u32(9);
    out.u32(8);
    out.u64(value.length);
    for (const item of value) out.text(item);
  } else if ('f32' in value) {
    out.u32(6);
    out.f32(value.f32);
  } else {
    out.u32(9);
    out.u32(5);
    out.u64(value.i32.length);
    for (const item of value.i32) out.u32(item);
  }
}

export function buildGguf(metadata: Record<string, Value>, tensors: readonly TensorToWrite[], version = 3): Buffer {
  const out = new Bytes();
  out.push(Buffer.from('GGUF'));
  out.u32(version);
  out.u64(tensors.length);
  out.u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    out.text(key);
    writeValue(out, value);
  }
  const data = new Bytes();
  for (const tensor of tensors) {
    out.text(tensor.name);
    out.u32(tensor.shape.length);
    for (const size of tensor.shape.toReversed()) out.u64(size);
    out.u32(tensor.type);
    out.u64(data.length);
    data.push(Buffer.from(tensor.bytes));
    data.pad();
  }
  out.pad();
  return Buffer.concat([...out.parts, ...data.parts]);
}
