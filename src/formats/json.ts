import { HoneError } from '../core/index.js';

/** How a number that JSON does not know is handled: refused, or replaced after `note(path, name)` has been told. */
export type NonFinite = 'refuse' | ((path: string, name: string) => void);

/**
 * JSON text that `JSON.parse` turns back into the same value bit for bit: finite doubles round-trip, and -0 stays -0
 * (`JSON.stringify` drops its sign). Properties that are undefined are left out.
 * @throws HoneError('numeric') for NaN and infinities, unless `nonFinite` takes note (then null is written)
 * @throws HoneError('usage') for values that JSON cannot hold: functions, Map, typed arrays, cycles
 */
export function stringifyJson(value: unknown, nonFinite: NonFinite = 'refuse'): string {
  return encode(value, '', nonFinite, new Set());
}

function encode(value: unknown, path: string, nonFinite: NonFinite, above: Set<object>): string {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return JSON.stringify(value);
  if (typeof value === 'number') return encodeNumber(value, path, nonFinite);
  if (typeof value !== 'object') throw unencodable(typeof value, path);
  if (above.has(value)) throw unencodable('a value that contains itself', path);
  above.add(value);
  const text = Array.isArray(value)
    ? `[${value.map((item, i) => encode(item, `${path}[${i}]`, nonFinite, above)).join(',')}]`
    : encodeObject(value, path, nonFinite, above);
  above.delete(value);
  return text;
}

function encodeNumber(value: number, path: string, nonFinite: NonFinite): string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? '-0' : String(value);
  if (nonFinite === 'refuse')
    throw new HoneError('numeric', `${value} cannot be stored`, {
      where: path || 'value',
      hint: 'Find where this number stops being finite: a learning rate that is too high is the usual cause.',
    });
  nonFinite(path, String(value));
  return 'null';
}

function encodeObject(value: object, path: string, nonFinite: NonFinite, above: Set<object>): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw unencodable(value.constructor.name, path);
  const parts: string[] = [];
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue;
    const text = encode(item, path === '' ? key : `${path}.${key}`, nonFinite, above);
    parts.push(`${JSON.stringify(key)}:${text}`);
  }
  return `{${parts.join(',')}}`;
}

function unencodable(what: string, path: string): HoneError {
  return new HoneError('usage', `JSON cannot hold ${what}`, {
    where: path || 'value',
    hint: 'Store plain objects, arrays, strings, booleans and finite numbers.',
  });
}
