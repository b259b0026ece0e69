/** Scalar reverse-mode differentiation: slow and plain, for references written straight from a formula. */
export class Var {
  gradient = 0;
  constructor(
    readonly value: number,
    private readonly parents: readonly (readonly [Var, number])[] = [],
  ) {}

  plus(other: Var | number): Var {
    const b = asVar(other);
    return new Var(this.value + b.value, [
      [this, 1],
      [b, 1],
    ]);
  }

  times(other: Var | number): Var {
    const b = asVar(other);
    return new Var(this.value * b.value, [
      [this, b.value],
      [b, this.value],
    ]);
  }

  minus(other: Var | number): Var {
    return this.plus(asVar(other).times(-1));
  }

  exp(): Var {
    const e = Math.exp(this.value);
    return new Var(e, [[this, e]]);
  }

  min(other: Var | number): Var {
    const b = asVar(other);
    return this.value <= b.value ? this.plus(0) : b.plus(0);
  }

  max(other: Var | number): Var {
    return this.times(-1).min(asVar(other).times(-1)).times(-1);
  }

  clip(low: number, high: number): Var {
    return this.max(low).min(high);
  }

  /** The value without its history: sg(x) of the papers. */
  detach(): Var {
    return new Var(this.value);
  }

  /** Fills `gradient` of everything this depends on. */
  backward(): void {
    const order: Var[] = [];
    const seen = new Set<Var>();
    const visit = (node: Var) => {
      if (seen.has(node)) return;
      seen.add(node);
      node.parents.forEach(([parent]) => visit(parent));
      order.push(node);
    };
    visit(this);
    this.gradient = 1;
    for (const node of order.reverse())
      for (const [parent, local] of node.parents) parent.gradient += local * node.gradient;
  }
}

export function sum(values: readonly Var[]): Var {
  return values.reduce((total, value) => total.plus(value), new Var(0));
}

function asVar(value: Var | number): Var {
  return typeof value === 'number' ? new Var(value) : value;
}
