import { vitest } from '../vitest.js';
import type { Check } from '../types.js';

const check: Check = {
  name: 'op-gradients',
  shows: '4: the gradient rule of every differentiable op agrees with finite differences',
  needs: [],
  run: (ctx) => vitest(ctx, ['tests/engine/gradients.test.ts'], 'every rule agrees with finite differences'),
};
export default check;
