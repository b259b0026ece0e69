/**
 * to[at + j] += factor * from[start + j] for j < count. Four at a time, which takes the JIT compiler's code half the time.
 */
export function addRow(
  to: Float32Array,
  at: number,
  from: Float32Array,
  start: number,
  count: number,
  factor = 1,
): void {
  const whole = count - (count % 4);
  for (let i = at, k = start; i < at + whole; i += 4, k += 4) {
    to[i] = (to[i] as number) + factor * (from[k] as number);
    to[i + 1] = (to[i + 1] as number) + factor * (from[k + 1] as number);
    to[i + 2] = (to[i + 2] as number) + factor * (from[k + 2] as number);
    to[i + 3] = (to[i + 3] as number) + factor * (from[k + 3] as number);
  }
  for (let j = whole; j < count; j++) to[at + j] = (to[at + j] as number) + factor * (from[start + j] as number);
}
