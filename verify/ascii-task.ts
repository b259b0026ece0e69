/**
 * The quickstart's task for a model that reads every printable character of ASCII, and what else SIFT's published
 * prompts have, so that it can be asked in words as well: the methods of thinking write prompts of their own.
 */
import { lastDigitTask } from 'hone/tasks';

const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('');
const giveUp = [70, 4, 4, 4, 4, 4, 4, 3, 3];

export default {
  ...lastDigitTask({ check: 'restate', giveUp }),
  name: 'last-digit-ascii',
  alphabet: `\n${printable}’÷`,
};
