/**
 * A task of your own: how many days lie between two dates? Train on it with
 *   hone train grpo --task examples/tasks/days-between.ts --model ...
 */
import { defineTask, gradeAnswer } from 'hone/tasks';

const DAY = 24 * 60 * 60 * 1000;
const MONTHS = 'January February March April May June July August September October November December'.split(' ');

/** 3 March 2021, for the day that lies `days` after 1 January 2000. */
function write(days: number): string {
  const date = new Date(Date.UTC(2000, 0, 1) + days * DAY);
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
}

export default defineTask({
  name: 'days-between',
  description: 'count the days between two dates',
  format: 'chat',
  suggestedMaxTokens: 256,
  // One problem. Every draw comes from `random`, so problem i of a seed is always the same one; train and test are
  // kept apart by a hash of the prompt.
  generate(random) {
    const start = random.nextInt(0, 9000);
    const days = random.nextInt(2, 400);
    return {
      prompt:
        `How many days are there from ${write(start)} to ${write(start + days)}, not counting the first day? ` +
        'Work month by month, and put the number within \\boxed{}.',
      answer: String(days),
      difficulty: Math.ceil(days / 30),
    };
  },
  // Reads \boxed{}, ####, <answer> or "Answer:" and compares numbers exactly.
  grade: (problem, response) => gradeAnswer(problem, response),
  // A text that must grade correct: checked before training starts.
  goldResponse: (problem) => `\\boxed{${problem.answer}}`,
});
