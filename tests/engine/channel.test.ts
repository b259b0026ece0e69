import { expect, it } from 'vitest';
import { HoneError } from '../../src/core/index.js';
import { fromWire, toWire } from '../../src/engine/local/channel.js';

const across = (error: unknown): Error => fromWire(structuredClone(toWire(error)));

it('carries an error of ours between threads as it is', () => {
  const error = new HoneError('input', 'is truncated', { where: 'model.safetensors', hint: 'Fetch it again.' });
  const { kind, where, hint, message } = error;
  expect(across(error)).toMatchObject({ kind, where, hint, message });
});

it.each(['Array buffer allocation failed', 'std::bad_alloc', 'Failed to allocate memory for requested buffer'])(
  'takes "%s" for a lack of memory, with a way out',
  (message) => {
    expect(across(new RangeError(message))).toMatchObject({ kind: 'resource', hint: expect.stringMatching(/smaller/) });
  },
);

it('leaves a bug a bug', () => {
  expect(across(new TypeError('x is not a function'))).not.toBeInstanceOf(HoneError);
});
