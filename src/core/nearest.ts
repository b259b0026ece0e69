/** The candidate with the smallest edit distance; undefined when there are none. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const distances = candidates.map((candidate) => ({ candidate, distance: dottedDistance(word, candidate) }));
  return distances.sort((a, b) => a.distance - b.distance)[0]?.candidate;
}

/** Whole paths, or a last part that was given without its path. */
function dottedDistance(word: string, path: string): number {
  const last = path.slice(path.lastIndexOf('.') + 1);
  return Math.min(editDistance(word, path), editDistance(word, last) + 0.5);
}

/** Levenshtein distance, one row at a time. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
