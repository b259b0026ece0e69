import { execFileSync } from 'node:child_process';
import { z } from 'zod';
import { gradeMaths } from '../../src/tasks/index.js';

/** What verify/peers/sympy_forms.py prints, and tests/tasks/grading/golden/sympy-forms.json holds a part of. */
export const sympyFormsSchema = z.object({
  sympy: z.string(),
  rows: z.array(z.object({ gold: z.string(), form: z.string(), text: z.string(), keeps: z.boolean() })),
});
export type SympyForms = z.output<typeof sympyFormsSchema>;
export type SympyForm = SympyForms['rows'][number];

/** How SymPy prints these answers in other forms. */
export function printedBySympy(python: string, golds: readonly string[]): SympyForms {
  const output = execFileSync(python, ['verify/peers/sympy_forms.py'], {
    input: JSON.stringify(golds),
    encoding: 'utf8',
    maxBuffer: 1e9,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  return sympyFormsSchema.parse(JSON.parse(output));
}

/** Whether the form is graded as it should be: correct where it keeps the value, else wrong. */
export function isGradedRight({ gold, text, keeps }: SympyForm): boolean {
  return (gradeMaths(gold, `\\boxed{${text}}`).status === 'correct') === keeps;
}
