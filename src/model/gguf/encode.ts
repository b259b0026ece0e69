/**
 * Float32 values encoded as GGUF stores them: F32, F16 (to nearest, ties to even) and Q8_0, equal to gguf-py's
 * `gguf.quants.quantize` bit for bit. Layout: ggml-org/llama.cpp, ggml/src/ggml-common.h (block_q8_0).
 */
import { HoneError } from '../../core/index.js';

export type GgufType = 'F32' | 'F16' | 'Q8_0';

interface Encoding {
  /** enum ggml_type */
  type: number;
  /** Values in a block, and its bytes. */
  values: number;
  bytes: number;
  /** @param values a multiple of the block. @throws HoneError('numeric') for values the format cannot hold. */
  encode: (values: Float32Array) => Uint8Array;
}

export const ENCODINGS: Readonly<Record<GgufType, Encoding>> = {
  F32: { type: 0, values: 1, bytes: 4, encode: encodeF32 },
  F16: { type: 1, values: 1, bytes: 2, encode: encodeF16 },
  Q8_0: { type: 8, values: 32, bytes: 34, encode: encodeQ8_0 },
};

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** The binary16 bits nearest to a float32, ties to even; beyond 65,504 an infinity, as IEEE 754 rounds. */
export function toHalf(value: number): number {
  scratch[0] = value;
  const bits = scratchBits[0] as number;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520 is halfway between the largest half and the next power of two.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  const exponent = magnitude >>> 23;
  if (exponent >= 113) return sign | roundShifted(magnitude - (112 << 23), 13);
  // A subnormal half is a multiple of 2^-24: shift the mantissa, with its leading one, to that place.
  const shift = 126 - exponent;
  return shift > 24 ? sign : sign | roundShifted((magnitude & 0x7fffff) | 0x800000, shift);
}

/** bits / 2^shift to nearest, ties to even. A carry into the exponent is the right result. */
function roundShifted(bits: number, shift: number): number {
  const kept = bits >>> shift;
  const rest = bits & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept;
}

function encodeF32(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function encodeF16(values: Float32Array): Uint8Array {
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    const half = toHalf(value);
    if ((half & 0x7c00) === 0x7c00) throw unstorable(value, 'F16 (largest: 65,504)');
    halves[i] = half;
  }
  return new Uint8Array(halves.buffer);
}

/** Blocks of 32: d as a half, then q in [-127, 127], where x is about d * q and d = max |x| / 127. */
function encodeQ8_0(values: Float32Array): Uint8Array {
  const { values: perBlock, bytes: blockBytes } = ENCODINGS.Q8_0;
  const blocks = values.length / perBlock;
  const out = new Uint8Array(blocks * blockBytes);
  for (let block = 0; block < blocks; block++) {
    const at = block * blockBytes;
    const from = block * perBlock;
    const d = Math.fround(largest(values, from, perBlock) / 127);
    const half = toHalf(d);
    out[at] = half & 0xff;
    out[at + 1] = half >>> 8;
    const inverse = Math.fround(1 / d);
    // Below 2^-128 the inverse is no float32. Such a d is 0 as a half, so that whatever q is decodes to 0.
    if (!Number.isFinite(inverse)) continue;
    for (let i = 0; i < perBlock; i++)
      out[at + 2 + i] = roundAwayFromZero(Math.fround((values[from + i] as number) * inverse));
  }
  return out;
}

function largest(values: Float32Array, from: number, count: number): number {
  let max = 0;
  for (let i = from; i < from + count; i++) {
    const magnitude = Math.abs(values[i] as number);
    if (!(magnitude <= 65504 * 127)) throw unstorable(values[i] as number, 'Q8_0 (largest: 8,319,008)');
    if (magnitude > max) max = magnitude;
  }
  return max;
}

/** C's roundf. */
function roundAwayFromZero(x: number): number {
  return x < 0 ? -Math.floor(-x + 0.5) : Math.floor(x + 0.5);
}

function unstorable(value: number, format: string): HoneError {
  return new HoneError('numeric', `the value ${value} cannot be stored as ${format}`, {
    hint: Number.isFinite(value)
      ? 'Export a Hugging Face folder instead: it keeps float32.'
      : 'The weights are broken.',
  });
}
