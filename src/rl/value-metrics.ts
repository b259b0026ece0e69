/** What a critic said of a response, and what came of it: [tokens] each, by token of the response. */
export interface ValuedResponse {
  /** values[t]: of the state before token t, from before the critic learned from this response. */
  values: ArrayLike<number>;
  /** Returns G_t; at gamma = lambda = 1 the final reward, on every token. */
  returns: ArrayLike<number>;
  /** 1 on the tokens of the model; absent: all are. */
  mask?: ArrayLike<number>;
}

interface Pair {
  V: number;
  G: number;
  /** Place among the response's tokens of the model, in [0, 1). */
  place: number;
}

/** Parts of a response whose tokens are counted apart. */
const DECILES = 10;

function pairsOf({ values, returns, mask }: ValuedResponse): Pair[] {
  const tokens = Array.from({ length: returns.length }, (_, t) => t).filter((t) => (mask?.[t] ?? 1) !== 0);
  return tokens.map((t, i) => ({ V: values[t] as number, G: returns[t] as number, place: i / tokens.length }));
}

const mean = (numbers: readonly number[]): number => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;

/** Sum of squares around the mean; exactly 0 for equal numbers, and not what rounding makes of it. */
function squares(numbers: readonly number[]): number {
  if (numbers.every((x) => x === numbers[0])) return 0;
  const centre = mean(numbers);
  return numbers.reduce((sum, x) => sum + (x - centre) ** 2, 0);
}

/**
 * EV = 1 - var(G - V) / var(G) over all tokens: 1 for a critic that knows, 0 for one that says the same of everything,
 * below 0 for one that misleads. A constant error costs nothing here; `startBias` has it.
 * @returns undefined where the returns do not vary
 */
export function explainedVariance(responses: readonly ValuedResponse[]): number | undefined {
  return ofPairs(responses.flatMap(pairsOf));
}

function ofPairs(pairs: readonly Pair[]): number | undefined {
  const total = squares(pairs.map(({ G }) => G));
  return total > 0 ? 1 - squares(pairs.map(({ G, V }) => G - V)) / total : undefined;
}

/** The explained variance of the first, second, ... tenth of every response: how early the critic knows. */
export function explainedVarianceByDecile(responses: readonly ValuedResponse[]): (number | undefined)[] {
  const pairs = responses.flatMap(pairsOf);
  return Array.from({ length: DECILES }, (_, decile) =>
    ofPairs(pairs.filter(({ place }) => Math.floor(place * DECILES) === decile)),
  );
}

/**
 * The explained variance that is left once every prompt's own mean is taken off values and returns: whether the critic
 * tells good responses to a prompt from bad ones, and not only hard prompts from easy ones. Over the groups whose
 * returns vary.
 * @param responses_PG by prompt
 * @returns undefined where there is no such group
 */
export function explainedVarianceWithinGroups(
  responses_PG: readonly (readonly ValuedResponse[])[],
): number | undefined {
  let [left, total] = [0, 0];
  for (const responses of responses_PG) {
    const pairs = responses.flatMap(pairsOf);
    const ofGroup = squares(pairs.map(({ G }) => G));
    if (!(ofGroup > 0)) continue;
    total += ofGroup;
    left += squares(pairs.map(({ G, V }) => G - V));
  }
  return total > 0 ? 1 - left / total : undefined;
}

/**
 * Mean value and mean return before the first token, over responses: at gamma = lambda = 1 with rewards of 0 and 1 these
 * are what the critic thinks the success rate is, and what it is.
 * @returns undefined where there is no response
 */
export function startBias(
  responses: readonly ValuedResponse[],
): { value: number; return: number; bias: number } | undefined {
  const first = responses.flatMap((response) => pairsOf(response).slice(0, 1));
  if (first.length === 0) return undefined;
  const [value, G] = [mean(first.map(({ V }) => V)), mean(first.map((pair) => pair.G))];
  return { value, return: G, bias: value - G };
}

/** All of the above under the names that metrics have; those without a number are left out. */
export function valueMetrics(responses_PG: readonly (readonly ValuedResponse[])[]): Record<string, number> {
  const responses = responses_PG.flat();
  const start = startBias(responses);
  const all: [string, number | undefined][] = [
    ['critic.explained_variance', explainedVariance(responses)],
    ['critic.explained_variance.within_groups', explainedVarianceWithinGroups(responses_PG)],
    ...explainedVarianceByDecile(responses).map((value, i): [string, number | undefined] => [
      `critic.explained_variance.decile_${i + 1}`,
      value,
    ]),
    ['critic.start.value', start?.value],
    ['critic.start.return', start?.return],
    ['critic.start.bias', start?.bias],
  ];
  return Object.fromEntries(all.filter((entry): entry is [string, number] => entry[1] !== undefined));
}
