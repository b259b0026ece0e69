import { z } from 'zod';
import { HoneError } from '../../core/index.js';
import {
  DEFAULT_PROFILE,
  gradeMaths,
  MATHS_PROFILES,
  type CompareOptions,
  type MathsProfile,
  type MathsVerdict,
} from './maths/index.js';

/** One row of a file of pairs. Settings that a row carries overrule the profile's. */
export const pairSchema = z.looseObject({
  id: z.union([z.string(), z.number()]).transform(String),
  gold: z.string(),
  pred: z.string(),
  kind: z.string().default('maths'),
  expected: z.boolean().optional(),
  precision: z.number().int().min(0).max(40).optional(),
  abs_tolerance: z.union([z.number(), z.array(z.number()).min(1)]).optional(),
  strict: z.boolean().optional(),
  allow_set_relation_comp: z.boolean().optional(),
  profile: z.string().optional(),
});
export type Pair = z.output<typeof pairSchema>;

/** The profile of a kind of pair, where the row or the caller names none; `math` for kinds without a format rule. */
const KIND_PROFILES: Readonly<Record<string, string>> = {
  'bare-answer': 'bare',
  boxed: 'boxed',
  'think+boxed': 'boxed',
  'dapo-string': 'dapo',
  'gsm8k-hash': 'hash',
  bracket: 'bracket',
  'last-number': 'last-number',
  NativeLetters: 'choice',
  'string-extraction': 'choice',
};

/**
 * A profile by its name.
 * @throws HoneError usage when there is none.
 */
export function profileNamed(name: string): MathsProfile {
  const profile = MATHS_PROFILES.get(name);
  if (profile) return profile;
  throw new HoneError('usage', `no such grader profile: ${name}`, {
    where: '--profile',
    hint: `There are: ${[...MATHS_PROFILES.keys()].join(', ')}.`,
  });
}

function profileOf({ kind, profile }: Pair, asked: MathsProfile | undefined): MathsProfile {
  if (profile !== undefined) return profileNamed(profile);
  const named = asked ?? MATHS_PROFILES.get(KIND_PROFILES[kind] ?? 'math') ?? DEFAULT_PROFILE;
  return kind.startsWith('think') ? { ...named, thinking: 'required' } : named;
}

/** The verdict on one pair. `asked` overrules the profile that the kind would choose. */
export function gradePair(pair: Pair, asked?: MathsProfile, options: CompareOptions = {}): MathsVerdict {
  const { precision, abs_tolerance: absolute, strict, allow_set_relation_comp: relationForSet } = pair;
  const settings = Object.fromEntries(
    Object.entries({ precision, absolute, strict, relationForSet }).filter(([, value]) => value !== undefined),
  );
  return gradeMaths(pair.gold, pair.pred, { profile: profileOf(pair, asked), ...options, ...settings });
}

export interface KindAgreement {
  kind: string;
  pairs: number;
  /** Rows that say what is expected. */
  expected: number;
  agreed: number;
  noVerdict: number;
}

/** Counts by kind, in the order in which kinds appear. A verdict agrees when `correct` is what was expected. */
export function agreementByKind(graded: readonly { pair: Pair; verdict: MathsVerdict }[]): KindAgreement[] {
  const kinds = new Map<string, KindAgreement>();
  for (const { pair, verdict } of graded) {
    const row = kinds.get(pair.kind) ?? { kind: pair.kind, pairs: 0, expected: 0, agreed: 0, noVerdict: 0 };
    kinds.set(pair.kind, row);
    row.pairs++;
    if (verdict.status === 'no_verdict') row.noVerdict++;
    if (pair.expected === undefined) continue;
    row.expected++;
    if (agrees(pair, verdict)) row.agreed++;
  }
  return [...kinds.values()];
}

export const agrees = ({ expected }: Pair, { status }: MathsVerdict): boolean => (status === 'correct') === expected;
