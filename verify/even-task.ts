/**
 * A task with something to learn from the first iteration on, even for random weights: answer with an even number of
 * characters. Its runs have gradients in every iteration, which is what a check of determinism needs.
 */
import { correct, defineTask, wrong } from 'hone/tasks';

export default defineTask({
  name: 'even',
  description: 'answer with an even number of characters',
  format: 'raw',
  alphabet: '0123456789=',
  suggestedMaxTokens: 12,
  generate: (random) => ({ prompt: `${random.nextInt(0, 9999)}=` }),
  grade: async (_, { text, stopReason }) => {
    if (stopReason === 'length') return wrong('cut off', { extracted: text });
    return text.length % 2 === 0 ? correct(text, 'even') : wrong('odd', { extracted: text });
  },
});
