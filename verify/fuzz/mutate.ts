/** Ways to damage a file, each a pure function of its random stream. */
import type { RandomStream } from '../../src/core/index.js';

/** Counts, sizes and offsets that readers trip over. */
const EXTREMES: readonly bigint[] = [
  ...[0n, 1n, 2n, 7n, 8n, 31n, 255n, 65_535n, 1_000_000n, 100_000_000n],
  ...[31n, 32n, 40n, 53n, 62n, 63n].flatMap((power) => [2n ** power - 1n, 2n ** power]),
  2n ** 64n - 8n,
  2n ** 64n - 1n,
];

/** JSON that takes the place of a value. */
const HOSTILE: readonly string[] = [
  ...['null', 'true', 'false', '0', '-0', '-1', '1.5', '1e308', '1e999', '-1e999', '9007199254740993', '4294967296'],
  ...['""', '"\\u0000"', '"\\ud800"', '"__proto__"', '"../../etc/passwd"', '"<|im_start|>"', '"(a+)+$"', '"\\u2581"'],
  ...['[]', '{}', '[null]', '{"__proto__":{"x":1}}', '{"type":"Sequence"}', '[[0,0],[0,0]]', '{"constructor":1}'],
  ...['[0,1]', '[-1,2]', '[[]]', '["a","b"]', '"constructor"', '{"type":"Split","pattern":{"Regex":"(a|a)*b"}}'],
  `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
  `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`,
  `{"type":"Sequence","normalizers":${'[{"type":"Sequence","normalizers":'.repeat(5000)}[]${'}]'.repeat(5000)}}`,
  `[${'0,'.repeat(50_000)}0]`,
  JSON.stringify('x'.repeat(300_000)),
];

/** Damages bytes: flips, cuts, extreme lengths, copies, insertions and deletions, one to four times. */
export function mutateBytes(bytes: Uint8Array, draws: RandomStream): Uint8Array {
  let out = Buffer.from(bytes);
  for (let times = draws.pick([1, 1, 1, 2, 4]); times > 0 && out.length > 0; times--)
    out = draws.pick(BYTE_MUTATIONS)(out, draws);
  return out;
}

type ByteMutation = (bytes: Buffer, draws: RandomStream) => Buffer<ArrayBuffer>;

/** Headers lie at the start: most edits go there. */
function position(bytes: Buffer, draws: RandomStream): number {
  const end = draws.next() < 0.7 ? Math.min(bytes.length, draws.pick([64, 512, 4096])) : bytes.length;
  return draws.nextInt(0, Math.max(0, end - 1));
}

const flip: ByteMutation = (bytes, draws) => {
  const out = Buffer.from(bytes);
  const at = position(bytes, draws);
  out[at] = draws.pick([
    (out[at] ?? 0) ^ (1 << draws.nextInt(0, 7)),
    draws.nextInt(0, 255),
    (out[at] ?? 0) + 1,
    0,
    255,
  ]);
  return out;
};

const BYTE_MUTATIONS: readonly ByteMutation[] = [
  flip,
  flip,
  (bytes, draws) => Buffer.from(bytes.subarray(0, draws.nextInt(0, bytes.length))),
  (bytes, draws) => Buffer.concat([bytes, Buffer.alloc(draws.pick([1, 7, 32, 4096]), draws.pick([0, 255]))]),
  (bytes, draws) => {
    const out = Buffer.from(bytes);
    const width = draws.pick([4, 8]);
    if (out.length < width) return out;
    const at = Math.min(position(bytes, draws), out.length - width);
    const value = draws.pick(EXTREMES);
    if (width === 8) out.writeBigUInt64LE(BigInt.asUintN(64, value), at);
    else out.writeUInt32LE(Number(BigInt.asUintN(32, value)), at);
    return out;
  },
  (bytes, draws) => {
    const [from, to] = [position(bytes, draws), position(bytes, draws)];
    const piece = bytes.subarray(from, from + draws.pick([1, 4, 8, 24, 200]));
    return Buffer.concat([bytes.subarray(0, to), piece, bytes.subarray(to)]);
  },
  (bytes, draws) => {
    const from = position(bytes, draws);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + draws.pick([1, 4, 8, 100]))]);
  },
];

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Container = Json[] | { [key: string]: Json };
const HOLE = '@@hole@@';

/** Damages the structure of JSON text (one to three places), or now and then its characters. */
export function mutateJson(text: string, draws: RandomStream): string {
  if (draws.next() < 0.15) return Buffer.from(mutateBytes(Buffer.from(text), draws)).toString('utf8');
  const root = JSON.parse(text) as Json;
  if (typeof root !== 'object' || root === null || draws.next() < 0.02) return draws.pick(HOSTILE);
  for (let times = draws.pick([1, 1, 2, 3]); times > 0; times--) mutatePlace(root, draws);
  let out = JSON.stringify(root);
  while (out.includes(`"${HOLE}"`)) {
    const hostile = draws.pick(HOSTILE);
    out = out.replace(`"${HOLE}"`, () => hostile);
  }
  return out;
}

function mutatePlace(root: Container, draws: RandomStream): void {
  const container = walk(root, draws);
  const keys = Object.keys(container);
  const key = keys.length === 0 ? undefined : draws.pick(keys);
  const action = draws.nextInt(0, 9);
  if (key === undefined || action === 0) put(container, draws.pick(['type', 'vocab', '', 'lora_bias', '0']), HOLE);
  else if (action === 1) remove(container, key);
  else if (action === 2) put(container, key, get(root, draws.pick(Object.keys(root))));
  else if (action === 3) put(container, draws.pick(keys), get(container, key));
  else if (action <= 5) put(container, key, nudged(get(container, key), draws));
  else put(container, key, HOLE);
}

/** A container reached by random steps from the root: its chance falls with depth. */
function walk(root: Container, draws: RandomStream): Container {
  let at = root;
  for (;;) {
    const inner = Object.values(at).filter((value): value is Container => typeof value === 'object' && value !== null);
    if (inner.length === 0 || draws.next() < 0.25) return at;
    at = draws.pick(inner);
  }
}

/** A neighbour of a value: numbers off by one or scaled, strings cut or doubled, flags turned. */
function nudged(value: Json, draws: RandomStream): Json {
  if (typeof value === 'number') return draws.pick([value + 1, value - 1, value * 2, value / 2, -value, value * 1e6]);
  if (typeof value === 'string')
    return draws.pick([value.slice(1), value + value, ` ${value}`, value.toUpperCase(), [value]]);
  if (typeof value === 'boolean') return !value;
  return Array.isArray(value) ? value.slice(0, -1) : HOLE;
}

function get(container: Container, key: string): Json {
  return (Array.isArray(container) ? container[Number(key)] : container[key]) ?? null;
}

function put(container: Container, key: string, value: Json): void {
  // Values that are put in twice must not become cycles.
  const copy = structuredClone(value);
  if (Array.isArray(container)) container[Math.min(Number(key) || 0, container.length)] = copy;
  else container[key] = copy;
}

function remove(container: Container, key: string): void {
  if (Array.isArray(container)) container.splice(Number(key), 1);
  else delete container[key];
}

const TEMPLATE_PIECES: readonly string[] = [
  ...['{{', '}}', '{%', '%}', '{%- ', ' -%}', '{% endif %}', '{% endfor %}', '{% if x %}', '{% else %}', '{#', '#}'],
  ...[
    '{% for i in range(99999999999) %}',
    '{% for i in range(1000) %}',
    '{% set x = x ~ x %}',
    "{{ 'a' * 999999999 }}",
  ],
  ...['{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}', '{{ messages.constructor }}', '{{ messages[-1] }}'],
  ...['{{ messages | tojson }}', '{{ loop.index }}', '{{ 1 / 0 }}', '{{ [] | first }}', '{{ raise_exception(1) }}'],
  ...[
    '{{ namespace(a=1) }}',
    '(',
    ')',
    '[',
    ']',
    '"',
    "'",
    '\\',
    '|',
    '~',
    '.',
    ',',
    ' is defined',
    '((((((((',
    '\u0000',
  ],
  '('.repeat(20_000),
  '{% if x %}'.repeat(5000),
  `{{ ${'['.repeat(20_000)}`,
  `{{ ${'not '.repeat(20_000)}x }}`,
  `{{ x${'.a'.repeat(20_000)} }}`,
  `{{ ${'1 + '.repeat(20_000)}1 }}`,
];

/** Damages a template: pieces of the language put in, parts cut out or doubled. */
export function mutateText(text: string, draws: RandomStream): string {
  let out = text;
  for (let times = draws.pick([1, 1, 2, 4]); times > 0; times--) {
    const at = draws.nextInt(0, out.length);
    const length = draws.pick([1, 2, 5, 20]);
    out = draws.pick([
      out.slice(0, at) + draws.pick(TEMPLATE_PIECES) + out.slice(at),
      out.slice(0, at) + draws.pick(TEMPLATE_PIECES) + out.slice(at + length),
      out.slice(0, at) + out.slice(at + length),
      out.slice(0, at) + out.slice(Math.max(0, at - 20), at) + out.slice(at),
    ]);
  }
  return out;
}
