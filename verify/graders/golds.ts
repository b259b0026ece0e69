import path from 'node:path';
import { z } from 'zod';
import { readRows } from '../../src/tasks/index.js';

const row = z.looseObject({ answer: z.union([z.string(), z.number()]) });

/** A gold answer and where it stands. */
export interface Gold {
  answer: string;
  where: string;
}

/** The gold answers of a data set. */
export function goldsOf(folder: string, name: string): Gold[] {
  const file = path.join(folder, `${name}.jsonl`);
  return readRows(file, row).map(({ line, value }) => ({ answer: String(value.answer), where: `${name}:${line}` }));
}
