/**
 * Runs fuzzing cases in a process of its own: child.ts SEED FIRST LAST CORPUS OUT. Tells the parent the number of each
 * case before it starts and its outcome after, so that the parent knows which case a crash or a hang belongs to.
 */
import { runCase, type Outcome } from './targets.js';

export type Message = { started: number } | { number: number; outcome: Outcome; residentBytes: number };

const [seed, first, last] = process.argv.slice(2, 5).map(Number) as [number, number, number];
const [corpus, out] = process.argv.slice(5, 7) as [string, string];

function send(message: Message): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, (error: Error | null) => (error ? reject(error) : resolve()));
  });
}

for (let number = first; number <= last; number++) {
  await send({ started: number });
  const outcome = await runCase(seed, number, corpus, out);
  await send({ number, outcome, residentBytes: process.memoryUsage.rss() });
}
process.disconnect();
