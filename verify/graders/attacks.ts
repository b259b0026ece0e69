import { RandomStream } from '../../src/core/index.js';

/** An answer made to hang, crash or fool the grader. Against the gold answers of GOLDS none of them is correct. */
export interface Attack {
  family: string;
  text: string;
}

export const ATTACKED_GOLDS: readonly string[] = ['42', '\\frac{3}{7}', '\\sqrt{2}+1', 'x^2+2x+1', '(3,-1)', '[0, 5)', '\\{1, 2, 3\\}', '\\text{east}'];

const nest = (open: string, inner: string, close: string, depth: number): string => open.repeat(depth) + inner + close.repeat(depth);

const SIZES = [10, 100, 1000, 20_000] as const;

/** Families that grow: each gives one attack a size. */
const GROWING: Readonly<Record<string, (n: number) => string>> = {
  'open brackets': (n) => '('.repeat(n),
  'nested brackets': (n) => nest('(', '5', ')', n),
  'nested fractions': (n) => nest('\\frac{1}{1+', 'x', '}', n),
  'nested roots': (n) => nest('\\sqrt{', '3', '}', n),
  'nested sets': (n) => nest('\\{', '1', '\\}', n),
  'nested absolute values': (n) => nest('|', '5', '|', n),
  'nested functions': (n) => nest('\\sin(', 'x', ')', n),
  'nested calls': (n) => nest('f(', 'x', ')', n),
  'nested mixed numbers': (n) => nest('1\\frac{1}{', '2', '}', n),
  'nested boxes': (n) => nest('\\boxed{', '7', '}', n),
  'power towers': (n) => Array.from({ length: n }, () => '9').join('^'),
  'powers in braces': (n) => nest('9^{', '9', '}', n),
  factorials: (n) => `9${'!'.repeat(n)}`,
  'long numbers': (n) => '9'.repeat(n),
  'long decimals': (n) => `0.${'3'.repeat(n)}`,
  'long sums': (n) => Array.from({ length: n }, (_, k) => `x^{${k}}`).join('+'),
  'long products': (n) => Array.from({ length: n }, (_, k) => `(x+${k})`).join(''),
  'products of matrices': (n) => '\\begin{pmatrix}a&b\\\\c&d\\end{pmatrix}'.repeat(n),
  'long lists': (n) => Array.from({ length: n }, (_, k) => `${k}.5`).join(','),
  'lists of symbols': (n) => Array.from({ length: n }, (_, k) => `x^{${k}}+${k}`).join(','),
  'signs of plus-minus': (n) => `1${'\\pm 1'.repeat(n)}`,
  'minus signs': (n) => `${'-'.repeat(n)}5`,
  'equation chains': (n) => `x${'=x'.repeat(n)}`,
  unions: (n) => Array.from({ length: n }, (_, k) => `(${2 * k},${2 * k + 1})`).join('\\cup '),
  'big matrices': (n) => `\\begin{pmatrix}${'1&'.repeat(n)}1\\end{pmatrix}`,
  'cells of rows': (n) => `\\begin{pmatrix}${'1\\\\'.repeat(n)}1\\end{pmatrix}`,
  'begin without end': (n) => '\\begin{pmatrix}'.repeat(n),
  'dollar signs': (n) => '$'.repeat(n),
  backslashes: (n) => '\\'.repeat(n),
  'box openings': (n) => '\\boxed{'.repeat(n),
  'answer marks': (n) => 'answer: '.repeat(n),
  'final answers': (n) => 'final answer is '.repeat(n),
  'white space': (n) => ' '.repeat(n),
  'commas and digits': (n) => '1,'.repeat(n),
  'words is': (n) => 'is '.repeat(n),
  'quad spaces': (n) => '\\quad'.repeat(n),
  primes: (n) => `f${"'".repeat(n)}`,
  subscripts: (n) => `x${'_1'.repeat(n)}`,
  'text commands': (n) => '\\text{a}'.repeat(n),
  'unclosed text': (n) => '\\text{'.repeat(n),
  'unicode superscripts': (n) => `x${'²'.repeat(n)}`,
  'zero width': (n) => '\u200b'.repeat(n),
  surrogates: (n) => '\ud83d'.repeat(n),
  'dots of thousands': (n) => `1${',000'.repeat(n)}`,
};

const SINGLE: readonly string[] = [
  '10^{10^{10}}', '10^10^10^10', '9999999999^{9999999999}', '2^{-10^{12}}', '(1/3)^{100000}', '\\binom{1000000}{500000}', '100000!', '(10^9)!', '3000!/2999!', '1e999999999',
  '1e-999999999', '\\sqrt[1000000]{2}', '2^{1/1000003}', '\\sin(10^{100})', '\\tan(10^{30})', 'e^{e^{e^{e^{e^9}}}}', '\\ln(\\ln(\\ln(2)))', '\\sum_{k=1}^{10^{12}} k', '\\prod_{k=1}^{400} (k+x)^{k}', '\\sum_{k=1}^{400}\\sum_{j=1}^{400}\\sum_{i=1}^{400} x',
  '\\int_0^1 x\\,dx', '\\lim_{n\\to\\infty} n', '0/0', '1/0', '0^0', '0^{-1}', '\\infty-\\infty', '\\infty', 'NaN', 'Infinity', 'undefined', 'null', '__proto__', 'constructor', 'toString()', '[object Object]', '${7*6}', '{{7*6}}', '<script>alert(42)</script>', '\u0000', '\u001b[31m42',
  '\\input{/etc/passwd}', '\\def\\x{\\x\\x}\\x', '\\newcommand{\\a}{42}\\a', '\\boxed{}', '\\boxed{ }', '<answer></answer>', '####', 'answer:', '</think>', '<think>', '\\frac{}{}', '\\frac', '\\sqrt', '^', '_', '{', '}', ')', ']', '\\begin{cases}', '\\left(', 'x_{', 'x^{', '|', '||', '\\|', '&', '\\\\', ',,,,', ';;;', ':::', '=', '<', '1=', '=1=', '\\pm', '!', '%', '1 2 3', '..', '1..2', '1.2.3', '\\text{', '41.99', '43', '42i', '-42', '4 2', '42 or 43', '\\{41,42\\}', '42_8', '42:1:1', 'any number', 'all of the above', '*', 'true',
  '\\sqrt{2}+1+10^{-40}\\cdot\\sqrt{3}+1', 'x^2+2x+1+10^{-9}x', '\\gcd(10^{300},6)', '\\max(1,2,3)', '2^{3000}\\bmod 7', '\\lfloor 10^{300}/7 \\rfloor', '\\det\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}', 'f(f(f(f(f(x)))))',
];

/** At least 200 attacks, the same ones every time. */
export function attacks(): Attack[] {
  const growing = Object.entries(GROWING).flatMap(([family, make]) => SIZES.map((size) => ({ family: `${family}, ${size}`, text: make(size) })));
  const single = SINGLE.map((text) => ({ family: 'single', text }));
  return [...growing, ...single, ...noise(60)];
}

const PIECES = ['\\frac', '{', '}', '\\sqrt', '^', '_', '(', ')', '[', ']', '1', '2', 'x', ',', ';', '=', '<', '\\cup', '\\text{or}', '\\pm', '|', '\\{', '\\}', '&', '\\\\', '\\begin{pmatrix}', '\\end{pmatrix}', '%', '!', '$', '\\boxed{', ' ', '-', '\\sin', '\\log_', ':', '.', '\\circ', "'"];

/** Random strings of the pieces that answers are made of. */
function noise(count: number): Attack[] {
  return Array.from({ length: count }, (_, index) => {
    const random = new RandomStream(7, 'attacks', index);
    const length = random.nextInt(5, 120);
    const text = Array.from({ length }, () => PIECES[random.nextInt(0, PIECES.length - 1)]).join('');
    return { family: 'noise', text };
  });
}
