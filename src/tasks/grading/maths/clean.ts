/** Rewriting of an answer's characters before it is read: one alphabet, no layout. */

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ';
const SUBSCRIPTS = '₀₁₂₃₄₅₆₇₈₉₊₋ₙ';
const PLAIN_SCRIPTS = '0123456789+-n';

const CHARACTERS: Readonly<Record<string, string>> = {
  '−': '-',
  '–': '-',
  '—': '-',
  '‐': '-',
  '‑': '-',
  '﹣': '-',
  '－': '-',
  '＋': '+',
  '×': '\\times ',
  '✕': '\\times ',
  '·': '\\cdot ',
  '⋅': '\\cdot ',
  '∙': '\\cdot ',
  '÷': '\\div ',
  '∕': '/',
  '⁄': '/',
  '√': '\\sqrt ',
  '∛': '\\sqrt[3] ',
  π: '\\pi ',
  '𝜋': '\\pi ',
  '∞': '\\infty ',
  '±': '\\pm ',
  '∓': '\\mp ',
  '≤': '\\le ',
  '⩽': '\\le ',
  '≥': '\\ge ',
  '⩾': '\\ge ',
  '≠': '\\ne ',
  '≈': '\\approx ',
  '≡': '\\equiv ',
  '∪': '\\cup ',
  '∩': '\\cap ',
  '∈': '\\in ',
  '∉': '\\notin ',
  '∅': '\\emptyset ',
  '∖': '\\setminus ',
  '→': '\\to ',
  '⇒': '\\Rightarrow ',
  '°': '^{\\circ}',
  º: '^{\\circ}',
  '˚': '^{\\circ}',
  '′': "'",
  '’': "'",
  '″': "''",
  '½': '\\frac{1}{2}',
  '⅓': '\\frac{1}{3}',
  '⅔': '\\frac{2}{3}',
  '¼': '\\frac{1}{4}',
  '¾': '\\frac{3}{4}',
  '⅕': '\\frac{1}{5}',
  '⅛': '\\frac{1}{8}',
  '⅜': '\\frac{3}{8}',
  '⅙': '\\frac{1}{6}',
  '⅚': '\\frac{5}{6}',
  '（': '(',
  '）': ')',
  '［': '[',
  '］': ']',
  '｛': '{',
  '｝': '}',
  '，': ',',
  '；': ';',
  '：': ':',
  '。': '.',
  '．': '.',
  '、': ',',
  '！': '!',
  '％': '%',
  '＝': '=',
  '＜': '<',
  '＞': '>',
  '／': '/',
  '＊': '*',
  '｜': '|',
  '⟨': '\\langle ',
  '⟩': '\\rangle ',
  '⌊': '\\lfloor ',
  '⌋': '\\rfloor ',
  '⌈': '\\lceil ',
  '⌉': '\\rceil ',
  ℝ: '\\mathbb{R}',
  ℤ: '\\mathbb{Z}',
  ℕ: '\\mathbb{N}',
  ℚ: '\\mathbb{Q}',
  ℂ: '\\mathbb{C}',
  ℯ: 'e',
  ⅈ: 'i',
  '“': '"',
  '”': '"',
  '…': '\\dots ',
  α: '\\alpha ',
  β: '\\beta ',
  γ: '\\gamma ',
  δ: '\\delta ',
  ε: '\\epsilon ',
  θ: '\\theta ',
  λ: '\\lambda ',
  μ: '\\mu ',
  ρ: '\\rho ',
  σ: '\\sigma ',
  τ: '\\tau ',
  φ: '\\phi ',
  ω: '\\omega ',
  Δ: '\\Delta ',
  Ω: '\\Omega ',
};

const FOREIGN = /[^\u0000-\u007f]/;
const RUN = new RegExp(`[${SUPERSCRIPTS}]+|[${SUBSCRIPTS}]+|[^\\u0000-\\u007f]`, 'gu');

function plainRun(run: string): string {
  const first = run.charAt(0);
  const [alphabet, sign] = SUPERSCRIPTS.includes(first)
    ? [SUPERSCRIPTS, '^']
    : SUBSCRIPTS.includes(first)
      ? [SUBSCRIPTS, '_']
      : [];
  if (alphabet !== undefined)
    return `${sign}{${[...run].map((sign) => PLAIN_SCRIPTS[alphabet.indexOf(sign)]).join('')}}`;
  if (/\s/u.test(run)) return ' ';
  if (/[\u200b-\u200f\u2060-\u2064\ufeff\u202a-\u202e\u2066-\u2069]/.test(run)) return '';
  const digit = /^[\uff10-\uff19]$/.test(run) ? String(run.charCodeAt(0) - 0xff10) : undefined;
  return CHARACTERS[run] ?? digit ?? run;
}

/** Characters of other alphabets and typography as LaTeX or ASCII. */
export function plainCharacters(text: string): string {
  return FOREIGN.test(text) ? text.replace(RUN, plainRun) : text;
}

/** Commands that a text escaped once too often shows with two backslashes. */
const DOUBLED =
  /(?<!\\)(?:\\\\){1,2}(?=(?:boxed|fbox|[cdt]?frac|sqrt|text(?:bf|it|rm)?|left|right|begin|end|pi|circ|le|leq|ge|geq|cup|cap|in|infty|times|cdot|pm|binom|mathrm|mathbb|mathbf|quad|sin|cos|tan|log|ln|theta|alpha)(?![a-zA-Z]))/;

/** Text whose backslashes are doubled, with single ones. Line breaks of matrices (\\ before a space or digit) stay. */
function singleBackslashes(text: string): string {
  if (!text.includes('\\\\') || !DOUBLED.test(text)) return text;
  return /\\\\begin|\\\\end/.test(text) || !text.includes('\\begin')
    ? text.replace(/\\\\/g, '\\')
    : text.replace(new RegExp(DOUBLED, 'g'), '\\');
}

/** What a JSON string makes of \frac, \boxed and \begin when its author forgot to escape the backslash. */
function repairEscapes(text: string): string {
  return text
    .replace(/\f(?=rac)/g, '\\f')
    .replace(/[\b](?=oxed|egin|inom|ar\b|eta\b)/g, '\\b')
    .replace(/\v/g, ' ');
}

/** Stands for \\\\ while the space commands, which begin with one backslash, are taken out. */
const LINE_BREAK = '\u0002';

const LAYOUT =
  /\\(?:displaystyle|textstyle|scriptstyle|limits|nolimits|mathstrut|strut|nonumber|notag|allowbreak|hfill|vspace\{[^{}]*\}|hspace\{[^{}]*\}|phantom\{[^{}]*\}|label\{[^{}]*\}|tag\{[^{}]*\})(?![a-zA-Z])/g;

/** Sizes of brackets; the bracket stays where it touches. */
const SIZES =
  /\\(?:left|right|middle|bigl|bigr|biggl|biggr|Bigl|Bigr|Biggl|Biggr|big|Big|bigg|Bigg)(?![a-zA-Z])\s*\.?/g;

/**
 * An answer without layout: sizes and spaces of LaTeX, math delimiters, emphasis of Markdown, full stops at the end.
 * Spaces between tokens are kept as one space, since they tell `1 000` and `1 1/2`.
 */
export function cleanMaths(text: string): string {
  let clean = plainCharacters(singleBackslashes(repairEscapes(text).replace(/[~\s]+/g, ' ')));
  if (clean.includes('\\'))
    clean = clean
      .replace(/\\\\(?:\s*\[[\d.]+(?:pt|em|ex|mm|cm)\])?/g, LINE_BREAK)
      .replace(SIZES, '')
      .replace(LAYOUT, ' ')
      .replace(/,\s*\\!\s*(?=\d{3})/g, '{,}')
      .replace(/\\!/g, '')
      .replace(/(\d)(?:\\[,:; ]|\\thinspace)\s*(?=\d{3}(?!\d))/g, '$1{,}')
      .replace(/\\[()[\]]/g, ' ')
      .replace(/\\(?:[,:;> ]|(?:quad|qquad|thinspace|enspace|enskip|space)(?![a-zA-Z]))/g, (space) =>
        space.includes('quad') ? ' \\quad ' : ' ',
      );
  clean = clean
    .replace(/\s*\{\s*,\s*\}\s*(?=\d)/g, '{,}')
    .replace(/\b(?:np|math|sympy|sp)\.(?=[a-zA-Z])/g, '')
    .replace(/(\d)\{,\}(?=\d{3})/g, '$1\u0001')
    .replace(/\{,\}/g, ',')
    .replace(/\*\* ?$|^ ?\*\*/g, '')
    .replace(POWER_BEFORE_INDEX, '_$2^$1')
    .replace(/ +/g, ' ');
  return withoutStops(clean).replaceAll(LINE_BREAK, '\\\\ ').trim();
}

/** v^2_0 is v_0^2: the index of a name belongs to the name. */
const POWER_BEFORE_INDEX =
  /(?<=[A-Za-z])\^(\{[^{}]{1,40}\}|[A-Za-z0-9]|\\[a-z]{1,12})\s?_(\{[^{}]{1,40}\}|[A-Za-z0-9])/g;

/** Text without the full stops, commas and single backslashes at its end. */
function withoutStops(text: string): string {
  let end = text.length;
  while (
    end > 0 &&
    ('.,;: \u0002'.includes(text[end - 1] as string) || (text[end - 1] === '\\' && text[end - 2] !== '\\'))
  )
    end--;
  return text.slice(0, end);
}

/** Marks a comma that only separates thousands, put in by `cleanMaths`. */
export const THOUSANDS = '\u0001';

const TEXT_WRAPPERS =
  /\\(?:text|textbf|textit|textrm|textsf|texttt|textnormal|mbox|hbox|mathrm|mathbf|mathit|mathsf|operatorname|boldsymbol|emph|bf|rm|it)(?![a-zA-Z])\s*(?:\{([^{}]*)\})?/g;

/**
 * The writing of an answer in words: no layout, no spaces but those between digits, no punctuation at the ends, \text{}
 * unwrapped. Words are in lower case where the whole answer is letters. Two answers in words are the same when their
 * writings are.
 */
export function textKey(text: string): string {
  const key = cleanMaths(text)
    .replaceAll(THOUSANDS, '')
    .replace(TEXT_WRAPPERS, (_, content: string | undefined) => content ?? '')
    .replace(/\\[cdt]frac(?![a-zA-Z])/g, '\\frac')
    .replace(/\\quad|[$"`*]|\\(?![a-zA-Z])/g, '')
    .replace(/(?<!\d)\s+|\s+(?!\d)/g, '')
    .replace(/^[.,;:'!?]+|[.,;:'!?]+$/g, '');
  return /^[^\d\\^_=+*/<>]{2,}$/.test(key) ? key.toLowerCase() : key;
}
