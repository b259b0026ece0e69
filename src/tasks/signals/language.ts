/** Scripts that are told apart. Kanji stand among kana and hanja among hangul without being a second language. */
const SCRIPTS = {
  latin: /\p{sc=Latin}/u,
  han: /\p{sc=Han}/u,
  kana: /[\p{sc=Hiragana}\p{sc=Katakana}]/u,
  hangul: /\p{sc=Hangul}/u,
  cyrillic: /\p{sc=Cyrillic}/u,
  greek: /\p{sc=Greek}/u,
  arabic: /\p{sc=Arabic}/u,
  hebrew: /\p{sc=Hebrew}/u,
  devanagari: /\p{sc=Devanagari}/u,
  thai: /\p{sc=Thai}/u,
  other: /\p{L}/u,
} as const;
export type Script = keyof typeof SCRIPTS;
const NAMES = Object.keys(SCRIPTS) as Script[];

/** Formulas, commands, code, tags and links: signs of no language. Each pattern stops at its own kind: linear time. */
const NO_LANGUAGE = new RegExp(
  [
    '```(?:(?!```)[^])*(?:```|$)',
    String.raw`\$\$[^$]*\$\$|\$[^$\n]*\$`,
    String.raw`\\\[(?:(?!\\[[\]])[^])*\\\]|\\\((?:(?!\\[()])[^])*\\\)`,
    String.raw`\\(?:begin|end)\{[^{}]*\}|\\[A-Za-z]+`,
    '`[^`\\n]*`',
    String.raw`<\/?[A-Za-z][^<>\n]*>|https?:\/\/\S+`,
  ].join('|'),
  'g',
);
/** A word of an alphabet, or one character of a script that is written without spaces. */
const WORD = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}]|[\p{L}\p{M}'’]+/gu;

export interface LanguageMix {
  /** Words a script; a Chinese, Japanese or Thai character counts as one. */
  words: Partial<Record<Script, number>>;
  /** The script that most words are in; undefined: no words. */
  main: Script | undefined;
  /** Share of words that are not in the home script, 0 without words. */
  mixing: number;
}

/**
 * How much of a text is in another script than its own. 1 - mixing is the language consistency of DeepSeek-R1
 * (arXiv 2501.12948, section 2.3.2): the share of words in the target language, here told by script alone, so that
 * French among English is not seen. Formulas, code, tags and single Latin or Greek letters are left out.
 * @param home the script that the text should be in; left out: the one that most of its words are in.
 */
export function languageMixing(text: string, home?: Script): LanguageMix {
  const words: Partial<Record<Script, number>> = {};
  for (const [word] of text.replace(NO_LANGUAGE, ' ').matchAll(WORD)) {
    const script = scriptOf(word);
    if (isVariable(word, script)) continue;
    words[script] = (words[script] ?? 0) + 1;
  }
  const total = NAMES.reduce((sum, script) => sum + (words[script] ?? 0), 0);
  const main = mainScript(words);
  const own = home ?? main;
  const foreign = NAMES.filter((script) => own !== undefined && !belongs(script, own));
  const count = foreign.reduce((sum, script) => sum + (words[script] ?? 0), 0);
  return { words, main, mixing: total === 0 ? 0 : count / total };
}

const scriptOf = (word: string): Script => NAMES.find((script) => SCRIPTS[script].test(word)) ?? 'other';

const isVariable = (word: string, script: Script): boolean =>
  word.length === 1 && (script === 'latin' || script === 'greek');

/** Japanese is written in kana and Chinese characters, Korean may be. */
const belongs = (script: Script, home: Script): boolean =>
  script === home || (script === 'han' && (home === 'kana' || home === 'hangul'));

/** Kana in a text of Chinese characters make it Japanese from one in five on. */
const KANA_SHARE = 0.2;

function mainScript(words: Partial<Record<Script, number>>): Script | undefined {
  const most = NAMES.filter((script) => words[script] !== undefined).toSorted(
    (a, b) => (words[b] as number) - (words[a] as number),
  )[0];
  const { han = 0, kana = 0 } = words;
  return most === 'han' && kana >= KANA_SHARE * (han + kana) ? 'kana' : most;
}

/** Signs that no reader can read: replacement signs, control characters, private use, unassigned, half surrogates. */
const UNREADABLE = /[\uFFFD\p{Cn}\p{Co}\p{Cs}]|(?![\t\n\r])\p{Cc}/gu;

/** Share of the characters of a text that cannot be read; 0 for an empty one. */
export function unreadableShare(text: string): number {
  if (text === '') return 0;
  return (text.match(UNREADABLE)?.length ?? 0) / [...text].length;
}
