import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { formatJsonl, readJsonl } from '../../src/formats/index.js';
import { race } from '../measure.js';
import type { Bench } from '../types.js';

const ROWS = 5000;
const Row = z.object({ problemId: z.string(), text: z.string(), reward: z.number() });

async function plainLoop(file: string): Promise<z.infer<typeof Row>[]> {
  const lines = (await readFile(file, 'utf8')).split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as z.infer<typeof Row>);
}

const bench: Bench = {
  name: 'jsonl',
  measures: 'reading rows of rollouts with a schema and located errors, against JSON.parse over lines',
  run: async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'hone-bench-'));
    const file = path.join(folder, 'rows.jsonl');
    const rows = Array.from({ length: ROWS }, (_, i) => ({
      problemId: `train-${i}`,
      text: 'x'.repeat(300),
      reward: i % 2,
    }));
    await writeFile(file, formatJsonl(rows));
    try {
      const seconds = await race({ hone: () => readJsonl(file, Row), plain: () => plainLoop(file) }, 9);
      const rate = (name: 'hone' | 'plain'): string => `${(ROWS / seconds[name] / 1000).toFixed(0)}k rows/s`;
      return {
        ratios: { 'plain loop / hone': seconds.plain / seconds.hone },
        readings: { hone: rate('hone'), 'plain loop': rate('plain') },
      };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};
export default bench;
