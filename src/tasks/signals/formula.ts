import type { Signal } from './algebra.js';

/** How tightly a formula holds together: what stands inside of something tighter gets brackets. */
const CONDITION = 0;
const SUM = 1;
const PRODUCT = 2;
const ATOM = 3;

/** A signal as a formula: `0.8·answer + 0.2·effort if format >= 1 else 0`. */
export function formulaOf(of: Signal): string {
  return written(of)[0];
}

function written(of: Signal): [text: string, tightness: number] {
  switch (of.kind) {
    case 'leaf':
      return [of.name, ATOM];
    case 'constant':
      return [String(of.value), of.value < 0 ? SUM : ATOM];
    case 'sum':
      return [sum(of.terms), of.terms.length === 1 ? PRODUCT : SUM];
    case 'product':
      return [of.factors.map((factor) => inside(factor, PRODUCT)).join('·'), PRODUCT];
    case 'least':
      return [`min(${of.of.map(formulaOf).join(', ')})`, ATOM];
    case 'greatest':
      return [`max(${of.of.map(formulaOf).join(', ')})`, ATOM];
    case 'clamp':
      return [clamped(formulaOf(of.of), of.min, of.max), ATOM];
    case 'sigmoid':
      return [`sigmoid(${formulaOf(of.of)})`, ATOM];
    case 'gate': {
      const condition = `${inside(of.when, SUM)} >= ${of.atLeast}`;
      return [`${inside(of.then, SUM)} if ${condition} else ${formulaOf(of.otherwise)}`, CONDITION];
    }
  }
}

function inside(of: Signal, tightness: number): string {
  const [text, own] = written(of);
  return own < tightness ? `(${text})` : text;
}

/** Minus signs of weights become signs of the sum. */
function sum(terms: readonly (readonly [number, Signal])[]): string {
  return terms
    .map(([weight, of], at) => {
      const size = Math.abs(weight);
      const term = size === 1 ? inside(of, PRODUCT) : `${size}·${inside(of, PRODUCT)}`;
      if (at === 0) return weight < 0 ? `-${term}` : term;
      return weight < 0 ? ` - ${term}` : ` + ${term}`;
    })
    .join('');
}

function clamped(inner: string, min: number, max: number): string {
  if (min === -Infinity) return `min(${inner}, ${max})`;
  if (max === Infinity) return `max(${inner}, ${min})`;
  return `clamp(${inner}, ${min}, ${max})`;
}
