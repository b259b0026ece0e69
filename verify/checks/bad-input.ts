import { vitest } from '../vitest.js';
import type { Check } from '../types.js';

const check: Check = {
  name: 'bad-input',
  shows: 'every failure of docs/failures.md ends with its cause, the way out and an exit code, finished work kept',
  needs: [],
  run: (ctx) =>
    vitest(
      ctx,
      ['tests/cli/failures.test.ts', 'tests/cli/lora.test.ts', 'tests/engine/failures.test.ts'],
      'every failure behaves as the table says',
    ),
};
export default check;
