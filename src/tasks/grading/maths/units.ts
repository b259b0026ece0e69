import { equalExact, multiplyExact } from './exact.js';
import type { Budget } from './limits.js';
import type { Rational } from '../../rational.js';

/** A unit that is known: its dimension, and its size in the dimension's first unit. */
export interface Unit {
  dimension: string;
  size: Rational;
}

const of = (over: number, under = 1): Rational => ({ numerator: BigInt(over), denominator: BigInt(under) });

/** Names are lower case, singular, without full stops. */
const TABLE: readonly (readonly [dimension: string, size: Rational, ...names: string[]])[] = [
  ['length', of(1), 'm', 'meter', 'metre'],
  ['length', of(1, 100), 'cm', 'centimeter', 'centimetre'],
  ['length', of(1, 1000), 'mm', 'millimeter', 'millimetre'],
  ['length', of(1000), 'km', 'kilometer', 'kilometre'],
  ['length', of(254, 10000), 'inch', 'inche'],
  ['length', of(3048, 10000), 'ft', 'foot', 'feet'],
  ['length', of(9144, 10000), 'yd', 'yard'],
  ['length', of(1609344, 1000), 'mi', 'mile'],
  ['time', of(1), 's', 'sec', 'second'],
  ['time', of(60), 'min', 'minute'],
  ['time', of(3600), 'h', 'hr', 'hour'],
  ['time', of(86400), 'day'],
  ['time', of(604800), 'week'],
  ['mass', of(1), 'g', 'gram'],
  ['mass', of(1000), 'kg', 'kilogram'],
  ['mass', of(1, 1000), 'mg', 'milligram'],
  ['pound', of(1), 'lb', 'pound'],
  ['pound', of(1, 16), 'oz', 'ounce'],
  ['volume', of(1), 'l', 'liter', 'litre'],
  ['volume', of(1, 1000), 'ml', 'milliliter', 'millilitre'],
  ['money', of(1), 'dollar', 'usd', '$'],
  ['money', of(1, 100), 'cent', '¢'],
];

const UNITS: ReadonlyMap<string, Unit> = new Map(
  TABLE.flatMap(([dimension, size, ...names]) => names.map((name) => [name, { dimension, size }] as const)),
);

/** A unit as it is written, or undefined for words that are none: "km", "square inches", "cm^2", "dollars". */
export function unitOf(text: string, budget: Budget): Unit | undefined {
  const words = text
    .toLowerCase()
    .replace(/\\(?:text|mathrm|,|;| )|[.{}()]/g, ' ')
    .trim();
  const [, before, name = '', after] =
    /^(square |sq |cubic |cu )?([a-z$¢]+) ?(?:\^ ?([23])|(squared|cubed))?$/.exec(words) ?? [];
  const unit = UNITS.get(name) ?? UNITS.get(name.replace(/s$/, ''));
  if (!unit) return undefined;
  const power = before?.startsWith('sq') || after === '2' ? 2 : before?.startsWith('cu') || after === '3' ? 3 : 1;
  let size = unit.size;
  for (let k = 1; k < power; k++) size = multiplyExact(size, unit.size, budget) ?? size;
  return { dimension: power === 1 ? unit.dimension : `${unit.dimension}^${power}`, size };
}

export const sameUnit = (a: Unit, b: Unit): boolean => a.dimension === b.dimension && equalExact(a.size, b.size);
