import { BENCHMARK_HASHES } from './benchmark-hashes.js';
import { hash64 } from './split.js';

const HASH_LENGTH = 16;

/**
 * 64-bit fingerprint of a problem by its letters and digits alone, in lower case and Unicode form NFKC, so that layout,
 * spacing and punctuation do not hide a copy. Paraphrases and changed numbers are not recognised.
 */
export function fingerprint(problem: string): string {
  return hash64(
    problem
      .normalize('NFKC')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, ''),
  );
}

let known: Map<string, string> | undefined;

function knownBenchmarks(): Map<string, string> {
  known ??= new Map(
    Object.entries(BENCHMARK_HASHES).flatMap(([name, hashes]) =>
      Array.from({ length: hashes.length / HASH_LENGTH }, (_, i): [string, string] => [
        hashes.slice(i * HASH_LENGTH, (i + 1) * HASH_LENGTH),
        name,
      ]),
    ),
  );
  return known;
}

/** The benchmark that holds this problem, or undefined. */
export function benchmarkOf(problem: string): string | undefined {
  return knownBenchmarks().get(fingerprint(problem));
}
