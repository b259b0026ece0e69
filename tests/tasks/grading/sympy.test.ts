import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isGradedRight, sympyFormsSchema } from '../../../verify/graders/sympy-forms.js';

// A part of what verify/peers/sympy_forms.py printed for gold answers of MATH-500 and three more; the file names the version.
const { rows } = sympyFormsSchema.parse(
  JSON.parse(readFileSync(new URL('./golden/sympy-forms.json', import.meta.url), 'utf8')),
);

describe('answers as SymPy prints them', () => {
  it.each([
    [true, 'correct where the value is the same'],
    [false, 'wrong where it is another'],
  ])('keeps %s: %s', (keeps) => {
    const asked = rows.filter((row) => row.keeps === keeps);
    expect(asked.length).toBeGreaterThan(15);
    expect(asked.filter((row) => !isGradedRight(row))).toEqual([]);
  });
});
