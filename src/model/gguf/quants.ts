/**
 * GGML's block formats decoded to float32, bit-equal to gguf-py's `gguf.quants.dequantize`.
 * Layouts: ggml-org/llama.cpp, ggml/src/ggml-common.h (struct block_*). In every product below a half times small
 * integers is exact in double precision, so one rounding to float32 gives what float32 arithmetic gives.
 */
import { decodeBF16, decodeF16, decodeF32, halfToNumber } from '../floats.js';

interface BlockFormat {
  name: string;
  /** Values in a block, and its bytes. */
  values: number;
  bytes: number;
  /** Decodes `count` blocks. */
  decode: (bytes: Uint8Array) => Float32Array;
}

type BlockDecoder = (block: Uint8Array, offset: number, out: Float32Array, at: number) => void;

const half = (b: Uint8Array, i: number): number => halfToNumber((b[i] as number) | ((b[i + 1] as number) << 8));
const int8 = (value: number): number => (value << 24) >> 24;

function blocks(name: string, values: number, bytes: number, decodeBlock: BlockDecoder): BlockFormat {
  const decode = (source: Uint8Array): Float32Array => {
    const count = source.length / bytes;
    const out = new Float32Array(count * values);
    for (let i = 0; i < count; i++) decodeBlock(source, i * bytes, out, i * values);
    return out;
  };
  return { name, values, bytes, decode };
}

/** Formats by the type number in the file (enum ggml_type). */
const FORMATS: ReadonlyMap<number, BlockFormat> = new Map([
  [0, { name: 'F32', values: 1, bytes: 4, decode: decodeF32 }],
  [1, { name: 'F16', values: 1, bytes: 2, decode: decodeF16 }],
  [2, blocks('Q4_0', 32, 18, decodeQ4_0)],
  [3, blocks('Q4_1', 32, 20, decodeQ4_1)],
  [6, blocks('Q5_0', 32, 22, decodeQ5_0)],
  [7, blocks('Q5_1', 32, 24, decodeQ5_1)],
  [8, blocks('Q8_0', 32, 34, decodeQ8_0)],
  [12, blocks('Q4_K', 256, 144, decodeQ4_K)],
  [13, blocks('Q5_K', 256, 176, decodeQ5_K)],
  [14, blocks('Q6_K', 256, 210, decodeQ6_K)],
  [30, { name: 'BF16', values: 1, bytes: 2, decode: decodeBF16 }],
]);

/** The format of a type number; undefined when hone cannot decode it. */
export function quantFormat(type: number): BlockFormat | undefined {
  return FORMATS.get(type);
}

/** x = d * (q - 8). Sixteen bytes hold values 0-15 in their low and 16-31 in their high halves. */
function decodeQ4_0(b: Uint8Array, o: number, out: Float32Array, at: number): void {
  const d = half(b, o);
  for (let j = 0; j < 16; j++) {
    const q = b[o + 2 + j] as number;
    out[at + j] = d * ((q & 0xf) - 8);
    out[at + 16 + j] = d * ((q >> 4) - 8);
  }
}

/** x = d * q + m. */
function decodeQ4_1(b: Uint8Array, o: number, out: Float32Array, at: number): void {
  const d = half(b, o);
  const m = half(b, o + 2);
  for (let j = 0; j < 16; j++) {
    const q = b[o + 4 + j] as number;
    out[at + j] = d * (q & 0xf) + m;
    out[at + 16 + j] = d * (q >> 4) + m;
  }
}

/** Value j's fifth bit of a 32-bit mask, in place. */
function fifthBit(b: Uint8Array, mask: number, j: number): number {
  return (((b[mask + (j >> 3)] as number) >> (j & 7)) & 1) << 4;
}

/** x = d * (q - 16), the fifth bits in a mask of their own. */
function decodeQ5_0(b: Uint8Array, o: number, out: Float32Array, at: number): void {
  const d = half(b, o);
  for (let j = 0; j < 16; j++) {
    const q = b[o + 6 + j] as number;
    out[at + j] = d * (((q & 0xf) | fifthBit(b, o + 2, j)) - 16);
    out[at + 16 + j] = d * (((q >> 4) | fifthBit(b, o + 2, j + 16)) - 16);
  }
}

/** x = d * q + m, the fifth bits in a mask of their own. */
function decodeQ5_1(b: Uint8Array, o: number, out: Float32Array, at: number): void {
  const d = half(b, o);
  const m = half(b, o + 2);
  for (let j = 0; j < 16; j++) {
    const q = b[o + 8 + j] as number;
    out[at + j] = d * ((q & 0xf) | fifthBit(b, o + 4, j)) + m;
    out[at + 16 + j] = d * ((q >> 4) | fifthBit(b, o + 4, j + 16)) + m;
  }
}

/** x = d * q, q a signed byte. */
function decodeQ8_0(b: Uint8Array, o: number, out: Float32Array, at: number): void {
  const d = half(b, o);
  for (let j = 0; j < 32; j++) out[at + j] = d * int8(b[o + 2 + j] as number);
}

/** Scale and minimum (6 bits each) of sub-block j out of 8, from 12 packed bytes. */
function scaleAndMin(b: Uint8Array, s: number, j: number): [number, number] {
  const byte = (i: number) => b[s + i] as number;
  if (j < 4) return [byte(j) & 63, byte(j + 4) & 63];
  return [(byte(j + 4) & 0xf) | ((byte(j - 4) >> 6) << 4), (byte(j + 4) >> 4) | ((byte(j) >> 6) << 4)];
}

/** x = d * scale * q - dmin * min, in 8 sub-blocks of 32; pairs of sub-blocks share bytes. */
function decodeQ4_K(b: Uint8Array, o: number, out: Float32Array, at: number): void {
  const d = half(b, o);
  const dmin = half(b, o + 2);
  for (let j = 0; j < 8; j++) {
    const [scale, min] = scaleAndMin(b, o + 4, j);
    const quants = o + 16 + 32 * (j >> 1);
    const shift = 4 * (j & 1);
    for (let l = 0; l < 32; l++) {
      const q = ((b[quants + l] as number) >> shift) & 0xf;
      out[at + 32 * j + l] = d * scale * q - dmin * min;
    }
  }
}

/** As Q4_K, with bit j of a shared byte as the fifth bit of sub-block j. */
function decodeQ5_K(b: Uint8Array, o: number, out: Float32Array, at: number): void {
  const d = half(b, o);
  const dmin = half(b, o + 2);
  for (let j = 0; j < 8; j++) {
    const [scale, min] = scaleAndMin(b, o + 4, j);
    const quants = o + 48 + 32 * (j >> 1);
    const shift = 4 * (j & 1);
    for (let l = 0; l < 32; l++) {
      const fifth = (((b[o + 16 + l] as number) >> j) & 1) << 4;
      const q = (((b[quants + l] as number) >> shift) & 0xf) | fifth;
      out[at + 32 * j + l] = d * scale * q - dmin * min;
    }
  }
}

/** x = d * scale * (q - 32), 16 sub-blocks of 16 with signed scales; four lower bits and two upper bits apart. */
function decodeQ6_K(b: Uint8Array, o: number, out: Float32Array, at: number): void {
  const d = half(b, o + 208);
  for (let i = 0; i < 256; i++) {
    // Each half of 128 values has four quarters of 32; quarters 0 and 2 share the 32 low bytes, as 1 and 3 do.
    const upperHalf = i >> 7;
    const quarter = (i >> 5) & 3;
    const l = i & 31;
    const low = ((b[o + 64 * upperHalf + 32 * (quarter & 1) + l] as number) >> (4 * (quarter >> 1))) & 0xf;
    const high = ((b[o + 128 + 32 * upperHalf + l] as number) >> (2 * quarter)) & 3;
    const scale = int8(b[o + 192 + (i >> 4)] as number);
    out[at + i] = d * scale * ((low | (high << 4)) - 32);
  }
}
