import { z } from 'zod';
import { HoneError } from '../core/index.js';
import { base64Of, float32Schema, int32Schema } from '../formats/index.js';
import type { Json } from '../runs/types.js';
import type { Segment } from '../tasks/types.js';
import { modelMask, type Attempt, type Group } from './attempt.js';
import type { Collected } from './collect.js';
import { CANNOT_LEARN } from './diagnosis.js';
import { EMPTY_MOMENTS, runningMomentsSchema, type RunningMoments } from './shaping.js';

/** What the rollouts of the next iteration depend on besides weights, configuration and seed: part of a checkpoint. */
export interface RolloutMemory {
  /** Position in the problem order. */
  cursor: number;
  /** Of all rewards so far. */
  moments: RunningMoments;
  /** Groups that dynamic sampling found beyond its number, for the next iteration. */
  carried: Group[];
  /** Sampled ahead for the next iteration (lag 1). */
  pending: Collected | undefined;
}

export const EMPTY_MEMORY: RolloutMemory = { cursor: 0, moments: EMPTY_MOMENTS, carried: [], pending: undefined };

const segmentSchema = z.object({
  tokens: int32Schema,
  source: z.enum(['prompt', 'model', 'tool']),
  text: z.string().optional(),
  logprobs: float32Schema.optional(),
  version: z.number().optional(),
});
const verdictSchema = z.looseObject({
  status: z.enum(['correct', 'wrong', 'no_verdict']),
  score: z.number(),
  reason: z.string(),
  cause: z.enum(['gold', 'grader', 'response']).optional(),
  components: z.record(z.string(), z.number()).optional(),
  extracted: z.string().optional(),
  wellFormed: z.boolean().optional(),
});
const attemptSchema = z.object({
  tokens: int32Schema,
  segments: z.array(segmentSchema).optional(),
  stopReason: z.enum(['eos', 'stop', 'length', 'aborted']),
  text: z.string(),
  verdict: verdictSchema,
  modelLogprobs: float32Schema.optional(),
  samplingLogprobs: float32Schema.optional(),
  reward: z.number(),
  earnedRight: z.boolean().optional(),
  turnRewards: z.array(z.number()).optional(),
  components: z.record(z.string(), z.number()),
  advantage: z.number(),
});
const problemSchema = z.looseObject({
  id: z.string(),
  prompt: z.string(),
  quoted: z.array(z.string()).optional(),
  answer: z.string().optional(),
  data: z.record(z.string(), z.json()).optional(),
  difficulty: z.number().optional(),
});
const groupSchema = z.object({
  problem: problemSchema,
  prompt: int32Schema,
  attempts: z.array(attemptSchema),
  sampledAfter: z.number().optional(),
});
/** A group of a pool by its place, with the places of some of its attempts. */
const choiceSchema = z.object({ group: z.number().int(), attempts: z.array(z.number().int()) });
const diagnosisSchema = z.object({
  cause: z.enum(CANNOT_LEARN),
  message: z.string(),
  option: z.string(),
  hint: z.string(),
});
const memorySchema = z.object({
  cursor: z.number().int().min(0),
  moments: runningMomentsSchema,
  /** Every group that is referred to below. */
  pool: z.array(groupSchema),
  carried: z.array(choiceSchema),
  pending: z
    .object({
      sampled: z.array(z.number().int()),
      carried: z.array(choiceSchema),
      left: z.array(z.number().int()),
      kept: z.array(choiceSchema),
      batches: z.number().int(),
      diagnosis: diagnosisSchema.nullable(),
    })
    .nullable(),
});
type Choice = z.infer<typeof choiceSchema>;

/** The memory as JSON, bit for bit. */
export function memoryToJson({ cursor, moments, carried, pending }: RolloutMemory): Json {
  const pool = new Pool([...(pending?.sampled ?? []), ...(pending?.carried ?? []), ...carried]);
  return {
    ...{ cursor, moments: { ...moments }, pool: pool.groups.map(groupToJson) },
    carried: carried.map((group) => pool.choice(group)),
    pending: pending
      ? {
          sampled: pending.sampled.map((group) => pool.place(group)),
          carried: pending.carried.map((group) => pool.choice(group)),
          left: pending.left.map((group) => pool.place(group)),
          kept: pending.kept.map((group) => pool.choice(group)),
          batches: pending.batches,
          diagnosis: pending.diagnosis ? { ...pending.diagnosis } : null,
        }
      : null,
  };
}

/**
 * The groups that a memory refers to, each once. A group that lost attempts on the way shares those it has with the one
 * that was sampled, so both are found by their prompt.
 */
class Pool {
  readonly groups: Group[] = [];

  constructor(groups: readonly Group[]) {
    for (const group of groups) if (this.#find(group) < 0) this.groups.push(group);
  }

  #find({ prompt }: Group): number {
    return this.groups.findIndex((other) => other.prompt === prompt);
  }

  place(group: Group): number {
    return this.#find(group);
  }

  choice(group: Group): { group: number; attempts: number[] } {
    const place = this.place(group);
    const all = this.groups[place]?.attempts ?? [];
    return { group: place, attempts: group.attempts.map((attempt) => all.indexOf(attempt)) };
  }
}

function groupToJson({ problem, prompt, attempts, sampledAfter }: Group): Json {
  return {
    problem: JSON.parse(JSON.stringify(problem)) as Json,
    prompt: base64Of(prompt),
    attempts: attempts.map(attemptToJson),
    ...(sampledAfter === undefined ? {} : { sampledAfter }),
  };
}

function attemptToJson(attempt: Attempt): Json {
  const { tokens, segments, stopReason, response, verdict, reward, components = {}, advantage } = attempt;
  const { earnedRight, turnRewards } = attempt;
  const logprobs = (name: 'modelLogprobs' | 'samplingLogprobs') => attempt[name] && { [name]: base64Of(attempt[name]) };
  return {
    ...{ tokens: base64Of(tokens), stopReason, text: response.text, reward, components, advantage },
    verdict: JSON.parse(JSON.stringify(verdict)) as Json,
    ...(earnedRight === undefined ? {} : { earnedRight }),
    ...(turnRewards ? { turnRewards: [...turnRewards] } : {}),
    ...(segments ? { segments: segments.map(segmentToJson) } : {}),
    ...logprobs('modelLogprobs'),
    ...logprobs('samplingLogprobs'),
  };
}

function segmentToJson({ tokens, logprobs, source, text, version }: Segment): Json {
  return {
    ...{ tokens: base64Of(tokens), source },
    ...(text === undefined ? {} : { text }),
    ...(version === undefined ? {} : { version }),
    ...(logprobs ? { logprobs: base64Of(logprobs) } : {}),
  };
}

/** @param where folder of the checkpoint, for errors. @throws HoneError('input') when this is no memory. */
export function memoryFromJson(json: unknown, where: string): RolloutMemory {
  const parsed = memorySchema.safeParse(json);
  if (!parsed.success)
    throw new HoneError('input', 'the checkpoint does not hold the rollouts of a trainer', {
      where,
      hint: 'Resume it with the version of hone that wrote it.',
      cause: parsed.error,
    });
  const { cursor, moments, pool, carried, pending } = parsed.data;
  const groups = pool.map(groupFromJson);
  const at = (place: number): Group => groupAt(groups, place, where);
  const chosen = (choice: Choice): Group => chosenOf(at(choice.group), choice);
  return {
    ...{ cursor, moments, carried: carried.map(chosen) },
    pending: pending
      ? {
          ...{ sampled: pending.sampled.map(at), carried: pending.carried.map(chosen), left: pending.left.map(at) },
          ...{ kept: pending.kept.map(chosen), batches: pending.batches, diagnosis: pending.diagnosis ?? undefined },
          timing: { sampleSeconds: 0, gradeSeconds: 0, sampledTokens: 0 },
        }
      : undefined,
  };
}

function groupAt(groups: readonly Group[], place: number, where: string): Group {
  const group = groups[place];
  if (group) return group;
  throw new HoneError('input', `the checkpoint refers to rollout group ${place}, which it does not hold`, {
    where,
    hint: 'The checkpoint was changed or damaged: resume an older one.',
  });
}

function chosenOf(group: Group, { attempts }: Choice): Group {
  if (attempts.length === group.attempts.length) return group;
  return { ...group, attempts: attempts.flatMap((i) => group.attempts[i] ?? []) };
}

function groupFromJson({ problem, prompt, attempts, sampledAfter }: z.infer<typeof groupSchema>): Group {
  return {
    ...{ problem, prompt, attempts: attempts.map(attemptFromJson) },
    ...(sampledAfter === undefined ? {} : { sampledAfter }),
  };
}

function attemptFromJson({ text, segments, ...attempt }: z.infer<typeof attemptSchema>): Attempt {
  const { tokens, stopReason, modelLogprobs, samplingLogprobs } = attempt;
  return {
    ...attempt,
    ...{ segments, mask: segments && modelMask(segments), modelLogprobs, samplingLogprobs },
    response: { text, tokens, stopReason, ...(segments ? { segments } : {}) },
    ...{ advantages: undefined, trained: false },
  };
}
