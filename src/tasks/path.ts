import { z } from 'zod';
import type { RandomStream } from '../core/index.js';
import { parseOptions } from './options.js';
import { drawnSource, type Draft } from './split.js';
import type { Problem, Response, Task, Verdict } from './types.js';
import { correct, wrong } from './verdicts.js';

const NAME = 'path';
const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

export const pathOptions = z
  .strictObject({
    /** Steps from start to goal, both ends included; drawn evenly, so lengths are spread evenly. */
    hops: z.tuple([z.int().min(1), z.int().max(25)]).default([1, 14]),
    /** Most places that lead away from the way, alone or in a row. */
    deadEnds: z.int().min(0).max(24).default(8),
  })
  .refine(({ hops: [low, high] }) => low <= high, { path: ['hops'], message: 'low end above high end' })
  .refine(({ hops, deadEnds }) => hops[1] + deadEnds < LETTERS.length, {
    path: ['deadEnds'],
    message: 'hops and deadEnds need more than the 26 letters there are',
  });
export type PathOptions = z.output<typeof pathOptions>;

/** A directed tree: one way to the goal, and side ways grown from any place on it but the goal. */
function draw(options: PathOptions, random: RandomStream): Draft {
  const hops = random.nextInt(...options.hops);
  const extra = random.nextInt(0, options.deadEnds);
  const names = random.shuffle([...LETTERS]).slice(0, hops + 1 + extra);
  const [start, goal] = [names[0], names[hops]];
  const edges = names.slice(1).map((name, i) => {
    const onWay = i < hops;
    const grown = names.slice(0, i + 1).filter((place) => place !== goal);
    return (onWay ? names[i] : random.pick(grown)) + name;
  });
  const question = `${start}>${goal}`;
  return {
    content: `${edges.toSorted().join(' ')} ${question}`,
    problem: {
      prompt: `${random.shuffle(edges).join(' ')} ${question}:`,
      answer: names.slice(0, hops + 1).join(''),
      difficulty: hops,
    },
  };
}

interface Maze {
  next: Map<string, string[]>;
  start: string;
  goal: string;
}

function mazeOf(problem: Problem): Maze {
  const match = /^((?:[a-z]{2} )+)([a-z])>([a-z]):$/.exec(problem.prompt);
  if (!match) throw new RangeError(`problem ${problem.id}: the prompt is not a list of edges and a question`);
  const next = new Map<string, string[]>();
  for (const edge of (match[1] as string).trim().split(' ')) {
    const [from, to] = [edge.charAt(0), edge.charAt(1)];
    next.set(from, [...(next.get(from) ?? []), to]);
  }
  return { next, start: match[2] as string, goal: match[3] as string };
}

/** Depth-first search in random order: a letter is a step on, < a step back. */
function searchText(problem: Problem, random: RandomStream): string {
  const { next, start, goal } = mazeOf(problem);
  const visit = (place: string): { text: string; found: boolean } => {
    if (place === goal) return { text: place, found: true };
    let text = place;
    for (const neighbour of random.shuffle(next.get(place) ?? [])) {
      const below = visit(neighbour);
      text += below.text;
      if (below.found) return { text, found: true };
      text += '<';
    }
    return { text, found: false };
  };
  return `${visit(start).text}.`;
}

/** Walks the response; the verdict is about the way that is left when steps back have taken steps on away. */
function gradeText(problem: Problem, { text, stopReason }: Response): Verdict {
  const { next, start, goal } = mazeOf(problem);
  if (stopReason === 'length' || stopReason === 'aborted')
    return wrong('cut off before the end', { cause: 'response', wellFormed: false });
  if (!/^[a-z][a-z<]*\.$/.test(text)) return wrong('not a walk that ends in a full stop', { wellFormed: false });
  const way: string[] = [];
  for (const sign of text.slice(0, -1)) {
    const place = way.at(-1);
    const allowed = sign === '<' || (place === undefined ? sign === start : next.get(place)?.includes(sign));
    if (!allowed) return wrong(`no way from ${place ?? 'the start'} to ${sign}`, { extracted: text, wellFormed: true });
    if (sign !== '<') way.push(sign);
    else if (way.pop() === undefined)
      return wrong('a step back before the start', { extracted: text, wellFormed: true });
  }
  const said = { extracted: way.join(''), wellFormed: true };
  return way.at(-1) === goal ? correct(said.extracted, 'reaches the goal', said) : wrong('ends off the goal', said);
}

/**
 * Find the way through a small directed graph: `ac ab bd a>d:` is answered by `abd.`, or with a dead end on the way by
 * `ac<bd.` (a step on, a step back). The right response is 3 to 32 characters long, in proportion to hops and to luck, so the choices that
 * turn on length show: token-mean against sequence-mean losses, truncation, overlong punishment, length of right
 * and wrong responses.
 */
export function pathTask(input?: z.input<typeof pathOptions>): Task {
  const options = parseOptions(pathOptions, input, NAME);
  return {
    name: NAME,
    description: 'find the way through a small directed graph; solution lengths vary more than tenfold',
    format: 'raw',
    alphabet: `${LETTERS} >:<.`,
    // Each place entered once, each dead end left once, a full stop and the end token.
    suggestedMaxTokens: options.hops[1] + 1 + 2 * options.deadEnds + 2,
    problems: (split, seed) => drawnSource(NAME, split, seed, (random) => draw(options, random)),
    grade: async (problem, response) => gradeText(problem, response),
    demonstrate: (problem, style, random) => ({
      problem,
      response: style === 'plain' ? `${problem.answer}.` : searchText(problem, random),
    }),
  };
}
