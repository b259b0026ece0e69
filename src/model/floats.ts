/**
 * Half-precision formats decoded to float32, bit for bit: both fit into float32, so nothing is rounded.
 * F16: IEEE 754 binary16. BF16: the upper half of a binary32. All files read here are little-endian, as is every
 * platform Node runs on that ONNX Runtime supports.
 */

function halfBits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  let mantissa = half & 0x3ff;
  if (exponent === 0x1f) return (sign | 0x7f800000 | (mantissa << 13)) >>> 0;
  if (exponent !== 0) return (sign | ((exponent + 112) << 23) | (mantissa << 13)) >>> 0;
  if (mantissa === 0) return sign >>> 0;
  // Subnormal, mantissa * 2^-24: shift the leading one into the implicit place.
  let shifted = 113;
  while ((mantissa & 0x400) === 0) {
    mantissa <<= 1;
    shifted--;
  }
  return (sign | (shifted << 23) | ((mantissa & 0x3ff) << 13)) >>> 0;
}

let halfTable: Uint32Array | undefined;

/** Float32 bit patterns of all 65,536 halves, built once. */
function halfBitsTable(): Uint32Array {
  halfTable ??= Uint32Array.from({ length: 0x10000 }, (_, half) => halfBits(half));
  return halfTable;
}

/** One binary16 as a number. */
export function halfToNumber(half: number): number {
  const bits = halfBitsTable()[half & 0xffff] as number;
  scratchBits[0] = bits;
  return scratchFloat[0] as number;
}
const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

/** Binary16 values in little-endian bytes, decoded. [bytes / 2] */
export function decodeF16(bytes: Uint8Array): Float32Array {
  const halves = asUint16(bytes);
  const table = halfBitsTable();
  const out = new Uint32Array(halves.length);
  for (let i = 0; i < out.length; i++) out[i] = table[halves[i] as number] as number;
  return new Float32Array(out.buffer);
}

/** Bfloat16 values in little-endian bytes, decoded. [bytes / 2] */
export function decodeBF16(bytes: Uint8Array): Float32Array {
  const halves = asUint16(bytes);
  const out = new Uint32Array(halves.length);
  for (let i = 0; i < out.length; i++) out[i] = (halves[i] as number) << 16;
  return new Float32Array(out.buffer);
}

/** Float32 values in little-endian bytes; shares the bytes where their alignment allows. [bytes / 4] */
export function decodeF32(bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, bytes.length / 4);
}

function asUint16(bytes: Uint8Array): Uint16Array {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, bytes.length / 2);
}
