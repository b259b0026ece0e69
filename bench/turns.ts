/** Something that is timed once a round; `rate` is tokens a second (or another unit of its own). */
export interface Contender {
  label: string;
  rate(): Promise<number>;
}

/** All contenders take turns, round by round, so that a slow spell of the machine hits all; the first is not counted. */
export async function takeTurns(
  contenders: readonly Contender[],
  rounds: number,
  log: (line: string) => void,
): Promise<Map<string, number[]>> {
  const rates = new Map<string, number[]>(contenders.map(({ label }) => [label, []]));
  for (let round = 0; round <= rounds; round++) {
    const start = performance.now();
    for (const { label, rate } of contenders) {
      const found = await rate();
      if (round > 0) rates.get(label)?.push(found);
    }
    const spent = ((performance.now() - start) / 1000).toFixed(0);
    log(round === 0 ? `warmed up in ${spent} s` : `round ${round} of ${rounds}: ${spent} s`);
  }
  return rates;
}
