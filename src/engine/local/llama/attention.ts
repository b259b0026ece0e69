import { GRADIENTS } from '../graph/gradients.js';
import type { Graph } from '../graph/graph.js';
import { isStandIn } from '../graph/sizes.js';
import type { Value } from '../graph/values.js';

export interface AttentionShape {
  T: number;
  B: number;
  /** Keys and values before those of the first query; default 0. */
  past?: number;
  heads: number;
  kvHeads: number;
  headDim: number;
}

/** Queries are taken in blocks against the keys up to theirs, so that little of the masked half is computed. */
const BLOCKS = { most: 8, leastQueries: 64 } as const;

/** Into how many blocks T queries are cut: a power of two. */
export function blocksFor(T: number): number {
  return 2 ** Math.floor(Math.log2(Math.min(BLOCKS.most, Math.max(1, T / BLOCKS.leastQueries))));
}

/** Some queries and what they have made: their context by token, [t, B, kvHeads, group, D], and its gradient. */
interface Block {
  from: number;
  until: number;
  byToken: Value;
  /** @param dc of byToken. @param perToken the sum of dc * c over D. @returns gradients of the queries, keys and values read */
  vjp(dc: Value, perToken: Value): [dRows: Value, dKeys: Value, dValues: Value];
}

export interface Operands {
  q: Value;
  k: Value;
  v: Value;
  /**
   * Float32: a query reads the keys whose number is not above its own. Of each row of queries, past + t, [T * group, 1];
   * of each key [past + T, 1], or [past + T, B] where sequences lack some: these have the number infinity.
   */
  queryNumbers: Value;
  keyNumbers: Value;
}

/**
 * Causal attention. q [T, B, heads * D], k and v [past + T, B, kvHeads * D] -> [T * B, heads * D]: query t reads the keys
 * up to past + t. Grouped queries are rows (t, group) of their key head, so K and V are not repeated; leading-dimension
 * transposition of FusedMatMul reads the operands in place.
 * With P the weights and c the context: dS = P * (dP - rowsum(dc * c)), the sum running over D and not over T.
 */
export function attention(
  g: Graph,
  { q, k, v, queryNumbers, keyNumbers }: Operands,
  shape: AttentionShape,
  count = blocksFor(shape.T),
): Value {
  const { T, B, past = 0, heads, kvHeads, headDim: D } = shape;
  const group = heads / kvHeads;
  const grouped = group === 1 ? q : g.transpose(g.reshape(q, [T, B, kvHeads, group, D]), [0, 3, 1, 2, 4]);
  const rows = g.reshape(grouped, [T * group, B, kvHeads, D]);
  const [keys, values] = [k, v].map((value) => g.reshape(value, [past + T, B, kvHeads, D])) as [Value, Value];
  const cut = (i: number): number => (isStandIn(T) ? (i * T) / count : Math.round((i * T) / count));
  const all = { rows, keys, values, queryNumbers, keyNumbers };
  const blocks = Array.from({ length: count }, (_, i) => blockOf(g, all, shape, cut(i), cut(i + 1)));
  const byToken = g.join(blocks.map((part) => part.byToken));
  const core = g.composite(byToken, {
    inputs: [rows, keys, values],
    vjp: (dc) => {
      const perToken = g.sum(g.mul(dc, byToken), [4]);
      const parts = blocks.map(({ from, until, vjp }) => vjp(g.rows(dc, from, until), g.rows(perToken, from, until)));
      const [dKeys, dValues] = [sumOfBeginnings(g, parts, 1), sumOfBeginnings(g, parts, 2)];
      return [g.join(parts.map(([dRows]) => dRows)), dKeys, dValues];
    },
  });
  return g.reshape(core, [T * B, heads * D]);
}

/** Attention of the queries [from, until) to the keys [0, past + until). */
function blockOf(
  g: Graph,
  all: Readonly<Record<'rows' | 'keys' | 'values' | 'queryNumbers' | 'keyNumbers', Value>>,
  { B, past = 0, heads, kvHeads, headDim: D }: AttentionShape,
  from: number,
  until: number,
): Block {
  const [t, group, last] = [until - from, heads / kvHeads, past + until];
  const [rows, keys] = [g.rows(all.rows, from * group, until * group), g.rows(all.keys, 0, last)];
  const scale = { float: 1 / Math.sqrt(D) };
  const scores = g.node('FusedMatMul', [rows, keys], { transBatchA: 1, transBatchB: 1, transB: 1, alpha: scale });
  const ofKeys = g.transpose(g.rows(all.keyNumbers, 0, last), [1, 0]);
  const [sequences] = ofKeys.shape as [number, number];
  const later = g.node('Less', [
    g.rows(all.queryNumbers, from * group, until * group),
    g.reshape(ofKeys, [sequences, 1, 1, last]),
  ]);
  const mask = g.node('Where', [later, g.scalar(-Infinity), g.scalar(0)]);
  const weights = g.node('Softmax', [g.add(scores, mask)]);
  const operands = [weights, g.rows(all.values, 0, last)];
  const context = g.node('FusedMatMul', operands, { transBatchB: 1, alpha: { float: 1 } });
  return {
    from,
    until,
    byToken: g.transpose(g.reshape(context, [B, kvHeads, t, group, D]), [2, 0, 1, 3, 4]),
    vjp: (dc, perToken) => {
      const perRow = g.transpose(perToken, [1, 2, 0, 3, 4]);
      const dContext = g.reshape(g.transpose(dc, [1, 2, 0, 3, 4]), context.shape);
      const [dWeights, dValues] = ruleOf(g, context, dContext) as [Value, Value];
      const dScores = g.mul(weights, g.sub(dWeights, g.reshape(perRow, [B, kvHeads, t * group, 1])));
      const [dRows, dKeys] = ruleOf(g, scores, dScores) as [Value, Value];
      return [dRows, dKeys, dValues];
    },
  };
}

/** The sum of gradients of which each is of the first rows only, the last of all rows. */
function sumOfBeginnings(g: Graph, parts: readonly (readonly Value[])[], which: number): Value {
  const tails: Value[] = [];
  const sum = parts
    .map((part) => part[which] as Value)
    .reduceRight((longer, shorter) => {
      const length = shorter.shape[0] as number;
      tails.unshift(g.rows(longer, length, longer.shape[0] as number));
      return g.add(g.rows(longer, 0, length), shorter);
    });
  return g.join([sum, ...tails]);
}

/** Gradients of the inputs of the node that made `y`. */
function ruleOf(g: Graph, y: Value, dy: Value): (Value | undefined)[] {
  const node = g.nodes.find(({ outputs }) => outputs[0]?.name === y.name);
  if (!node) throw new Error(`no node makes ${y.name}`);
  return GRADIENTS[node.op]({ g, node, x: node.inputs, y, dy, wants: () => true });
}
