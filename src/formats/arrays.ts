import { z } from 'zod';

/** Typed arrays in JSON: their bytes, little-endian, in base64, so that every bit comes back. */
type Typed = Int32Array | Float32Array | Uint8Array;

/** The bytes of a typed array in base64. */
export function base64Of(array: Typed): string {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64');
}

function bytesOf(text: string, size: number): ArrayBuffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length % size !== 0) return undefined;
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
}

/** Reads what `base64Of` wrote of an Int32Array. */
export const int32Schema = z.string().transform((text, context): Int32Array => {
  const bytes = bytesOf(text, 4);
  if (bytes) return new Int32Array(bytes);
  context.addIssue({ code: 'custom', message: 'not the bytes of 32-bit numbers' });
  return z.NEVER;
});

/** Reads what `base64Of` wrote of a Float32Array. */
export const float32Schema = z.string().transform((text, context): Float32Array => {
  const bytes = bytesOf(text, 4);
  if (bytes) return new Float32Array(bytes);
  context.addIssue({ code: 'custom', message: 'not the bytes of 32-bit numbers' });
  return z.NEVER;
});
