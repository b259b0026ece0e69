import { RandomStream } from '../../src/core/index.js';

/** Special tokens of SmolLM2 and its like, whole and damaged. */
const SPECIAL = [
  '<|im_start|>',
  '<|im_end|>',
  '<|endoftext|>',
  '<repo_name>',
  '<|im_',
  'im_end|>',
  '<|IM_END|>',
  '<eos>',
];
const WORDS =
  "the a of sum number apples twenty-three reasoning therefore Therefore THE iPhone naïve café Straße Ωmega don't we'll I'M she'D it's x² H₂O 1,234.56 3.14e-10 0xFF ½ Ⅷ ٣٤٥ १२३ １２３ ①②".split(
    ' ',
  );
const CODE = [
  'def f(x):\n    return x**2\n\n\n',
  '  if (a != b) { c[i] += "\\n"; }\r\n',
  '\tfor(;;){/* … */}\n\t\t',
  'SELECT * FROM t WHERE a<>1;--',
  '<div class="x">&nbsp;</div>',
  '{"a": [1, 2.50, null], "b": "\\u00e9"}',
  '\\frac{1}{2} \\boxed{42} $x^{10}$',
  '#### 1234\n',
  '__proto__ constructor toString',
];
const SPACES = [' ', '  ', '   ', '\t', '\n', '\n\n', '\r\n', ' \n ', '\u00a0', '\u2003', '\u3000', '\u0085', '\ufeff'];
const ODD_SPACES = ['\u200b', '\u200d', '\u2028', '\u180e', '\u000b', '\u000c', '\u001c', '\u0000', '\u0007', '\u007f'];
const SCRIPTS = [
  'Привет, мир',
  'こんにちは世界',
  '한국어 문장',
  'مرحبا بالعالم',
  'שלום',
  'नमस्ते दुनिया',
  'สวัสดี',
  'Ελληνικά',
  '数学问题：求和。',
  'Việt Nam',
];
const EMOJI = ['😀', '👩‍👩‍👧‍👦', '🏳️‍🌈', '👍🏽', '🇩🇪', '1️⃣', '❤️', '🧠→💡', '\u{1F9D1}\u200D'];
const MARKS = ['e\u0301', 'a\u0308\u0323', '\u0301', 'Z̸͎͝a̷l̶g̵o', 'ﬁ', 'ǅ', 'ŉ', 'İ', 'ß', '\u1e9e'];
const HOSTILE = [
  'a'.repeat(200),
  ' '.repeat(130),
  '((((((((((((((((',
  '9'.repeat(100),
  '\n'.repeat(40),
  "'s't're've'm'll'd",
];
const RANGES: readonly (readonly [number, number])[] = [
  [0x20, 0x7e],
  [0xa0, 0x24f],
  [0x370, 0x3ff],
  [0x400, 0x4ff],
  [0x2000, 0x206f],
  [0x2190, 0x23ff],
  [0x3040, 0x30ff],
  [0x4e00, 0x9fff],
  [0x1f300, 0x1f5ff],
];

const POOLS: readonly (readonly string[])[] = [
  WORDS,
  CODE,
  SPACES,
  SCRIPTS,
  EMOJI,
  MARKS,
  ODD_SPACES,
  SPECIAL,
  HOSTILE,
];
/** Ordinary text more often than the oddities. */
const POOL_OF_DRAW = [0, 0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 7, 7, 8];

/** One draw from the pools, or a character from a block of Unicode. */
function piece(random: RandomStream): string {
  const draw = random.nextInt(0, POOL_OF_DRAW.length);
  const pool = POOLS[POOL_OF_DRAW[draw] ?? -1];
  if (pool) return random.pick(pool);
  const [low, high] = random.pick(RANGES);
  return String.fromCodePoint(random.nextInt(low, high));
}

/**
 * Strings to hold a tokenizer against its original: prose, code, digits of several scripts, runs and odd kinds of
 * white space, emoji, combining marks, control characters, special tokens inside text, long repetitions.
 * String i is a pure function of (seed, i).
 */
export function variedStrings(seed: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const random = new RandomStream(seed, 'varied-strings', i);
    const pieces = Array.from({ length: random.nextInt(1, 12) }, () => piece(random));
    return pieces.join(random.next() < 0.5 ? ' ' : '');
  });
}

/** The strings of the golden files: for SmolLM2's tokenizer, and for the tiny ones of the unit tests. */
export const SMOLLM2_STRINGS = { seed: 1, count: 1500 };
export const TINY_STRINGS = { seed: 2, count: 300 };
