/**
 * Regular expressions by which byte-level tokenizers split text before merging, as their published tokenizer.json
 * files carry them. All are free of nested repetition, so they run in linear time and need no time limit.
 */

/** GPT-2, and what `ByteLevel` with `use_regex` applies (openai/gpt-2, encoder.py). */
export const GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** Llama 3: contractions in either case, numbers in threes. */
export const LLAMA3_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Qwen 2 and 2.5: as Llama 3, but every digit alone. */
export const QWEN2_PATTERN = LLAMA3_PATTERN.replace('\\p{N}{1,3}', '\\p{N}');

/** What `Digits` splits off: Rust's char::is_numeric, one at a time or in runs. */
export const DIGIT_PATTERN = '\\p{N}';
export const DIGITS_PATTERN = '\\p{N}+';

export const KNOWN_PATTERNS: ReadonlySet<string> = new Set([
  GPT2_PATTERN,
  LLAMA3_PATTERN,
  QWEN2_PATTERN,
  DIGIT_PATTERN,
  DIGITS_PATTERN,
]);
