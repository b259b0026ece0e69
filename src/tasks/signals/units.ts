/**
 * What a text is counted in: a word or number is one unit, and so is each character of a script that is written without
 * spaces, and each sign that is no punctuation. Case does not tell units apart.
 */
const UNIT =
  /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]|[\p{L}\p{M}\p{N}_]+|[^\s\p{L}\p{M}\p{N}\p{P}]/gu;

/** Words, numbers and signs of a text in order, lower case. Time is linear. */
export function textUnits(text: string): string[] {
  return text.toLowerCase().match(UNIT) ?? [];
}

/** Units of a signal that counts repetitions: words, or token ids. */
export type Units = ArrayLike<string> | ArrayLike<number>;
