/** What an iteration of the RL benchmark does; the models are those of the engine benchmark. */
import { RandomStream } from '../../src/core/index.js';
import type { ModelName } from '../engine/cases.js';

export interface RlCase {
  model: ModelName;
  /** Responses end where the model draws the end token, as they do in training; otherwise all have the full length. */
  ends: boolean;
}

export const RL_CASES: readonly RlCase[] = [
  { model: '1M', ends: false },
  { model: '5M', ends: false },
  { model: '1M', ends: true },
  { model: '5M', ends: true },
];
export const PROMPTS = 64;
export const GROUP = 8;
export const PROMPT_TOKENS = 16;
export const NEW_TOKENS = 128;
/** So small that lengths stay as they are, however many iterations a contender has done. */
export const LEARNING_RATE = 1e-7;

/** With the padding and end tokens of a character tokenizer as many as the models' vocabulary has. */
export const ALPHABET = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

/** Texts of random characters, one token each. */
export function prompts(): string[] {
  return Array.from({ length: PROMPTS }, (_, p) => {
    const random = new RandomStream(1, 'bench prompt', p);
    const character = () => ALPHABET[random.nextInt(0, ALPHABET.length - 1)] as string;
    return Array.from({ length: PROMPT_TOKENS }, character).join('');
  });
}

/** Share of letters from the first half of the alphabet: nearly every attempt at a prompt gets a reward of its own. */
export function reward(text: string): number {
  let letters = 0;
  for (const character of text) letters += Number(character >= 'a' && character <= 'm');
  return letters / Math.max(1, text.length);
}
