import { call, thoughtOf, turnsOf } from './call.js';
import type { Method } from './types.js';

/** The question, once. */
export function direct(): Method {
  return {
    name: 'direct',
    needs: [],
    settings: {},
    run: async (question, context) =>
      thoughtOf(await call(context, 'answer', { messages: turnsOf(question) }), context),
  };
}
