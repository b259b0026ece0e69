import { describe, expect, it } from 'vitest';
import { crc32c, maskedCrc32c, tfRecord } from '../../src/formats/index.js';

const bytes = (length: number, value: (i: number) => number) => Uint8Array.from({ length }, (_, i) => value(i));

describe('CRC-32C', () => {
  // RFC 3720, appendix B.4.
  it.each([
    ['32 zeros', bytes(32, () => 0), 0x8a9136aa],
    ['32 bytes of ones', bytes(32, () => 0xff), 0x62a8ab43],
    ['32 incrementing', bytes(32, (i) => i), 0x46dd794e],
    ['32 decrementing', bytes(32, (i) => 31 - i), 0x113fdb5c],
    ['the check string', Buffer.from('123456789'), 0xe3069283],
    ['nothing', new Uint8Array(), 0],
  ])('of %s', (_, data, crc) => expect(crc32c(data)).toBe(crc));

  it('is masked without leaving 32 bits', () => {
    for (let i = 0; i < 200; i++) {
      const masked = maskedCrc32c(bytes(i, (j) => (i * 31 + j * 7) & 0xff));
      expect(Number.isInteger(masked) && masked >= 0 && masked < 2 ** 32).toBe(true);
    }
  });
});

it('a TFRecord has length, data and a checksum of each', () => {
  const record = Buffer.from(tfRecord(Buffer.from('abc')));
  expect(record.length).toBe(3 + 16);
  expect(record.readBigUInt64LE(0)).toBe(3n);
  expect(record.readUInt32LE(8)).toBe(maskedCrc32c(record.subarray(0, 8)));
  expect(record.subarray(12, 15).toString()).toBe('abc');
  expect(record.readUInt32LE(15)).toBe(maskedCrc32c(Buffer.from('abc')));
});
