import type { StopReason } from '../engine/types.js';
import type { Verdict } from '../tasks/types.js';
import { missingReason } from './missing-reward.js';

/** What a diagnosis reads of one attempt. */
export interface Outcome {
  verdict: Pick<Verdict, 'status' | 'cause' | 'extracted'>;
  stopReason: StopReason;
  reward: number;
}

/** What it reads of the configuration. */
export interface DiagnosisOptions {
  maxTokens: number;
  groupSize: number;
  /** Truncated attempts are left out of the loss. */
  filterTruncated: boolean;
  /** The baseline is taken within the group, so that equal rewards in a group teach nothing. */
  groupBaseline: boolean;
}

export const CANNOT_LEARN = [
  'truncated',
  'no-answer',
  'no-verdicts',
  'all-wrong',
  'all-right',
  'no-variance',
  'equal-rewards',
  'filtered',
] as const;

/** Why an iteration cannot learn, and what to change. */
export interface Diagnosis {
  cause: (typeof CANNOT_LEARN)[number];
  /** What was seen, with numbers; one line without a full stop. */
  message: string;
  /** Dotted option to change first. */
  option: string;
  /** The way out; one line. */
  hint: string;
}

interface Counts {
  total: number;
  correct: number;
  truncated: number;
  noAnswer: number;
  wrong: number;
  noVerdict: number;
}

function countOutcomes(attempts: readonly Outcome[]): Counts {
  const counts = { total: attempts.length, correct: 0, truncated: 0, noAnswer: 0, wrong: 0, noVerdict: 0 };
  for (const { verdict, stopReason } of attempts) {
    const reason = missingReason(verdict, stopReason);
    if (reason === undefined) counts.correct++;
    else if (reason === 'truncated') counts.truncated++;
    else if (reason === 'no_answer') counts.noAnswer++;
    else if (reason === 'wrong') counts.wrong++;
    else counts.noVerdict++;
  }
  return counts;
}

const differ = (attempts: readonly Outcome[]): boolean => attempts.some(({ reward }) => reward !== attempts[0]?.reward);

/** Whether the rewards of these groups move the policy. */
function teaches(groups_P: readonly (readonly Outcome[])[], options: DiagnosisOptions): boolean {
  if (options.groupSize === 1) return groups_P.flat().some(({ reward }) => reward !== 0);
  return options.groupBaseline ? groups_P.some(differ) : differ(groups_P.flat());
}

/** Whether some attempt that the rewards move is in the loss at all. */
function survivesFilter(groups_P: readonly (readonly Outcome[])[], options: DiagnosisOptions): boolean {
  if (!options.filterTruncated) return true;
  const moved = options.groupBaseline && options.groupSize > 1 ? groups_P.filter(differ) : groups_P;
  return moved.flat().some(({ stopReason }) => stopReason !== 'length');
}

/**
 * Why an iteration cannot learn; undefined: it can.
 * @param sampled_PG outcomes of all groups that were sampled. @param kept_PG those that it would train on.
 */
export function diagnose(
  sampled_PG: readonly (readonly Outcome[])[],
  kept_PG: readonly (readonly Outcome[])[],
  options: DiagnosisOptions,
): Diagnosis | undefined {
  if (teaches(kept_PG, options)) return survivesFilter(kept_PG, options) ? undefined : filtered(options);
  const counts = countOutcomes(sampled_PG.flat());
  const graded = counts.total - counts.noVerdict;
  if (2 * counts.noVerdict > counts.total) return noVerdicts(counts);
  if (counts.correct + counts.wrong === 0)
    return counts.truncated >= counts.noAnswer ? truncated(counts, options) : noAnswer(counts, options);
  if (counts.correct === 0) return allWrong(counts, options);
  if (counts.correct === graded) return allRight(counts);
  return sampled_PG.some(isMixed) ? equalRewards() : noVariance(sampled_PG, options);
}

function isMixed(attempts: readonly Outcome[]): boolean {
  const { correct, noVerdict, total } = countOutcomes(attempts);
  return correct > 0 && correct < total - noVerdict;
}

const cut = ({ truncated }: Counts, { maxTokens }: DiagnosisOptions): string =>
  `${truncated} were cut at maxTokens (${maxTokens})`;

function truncated(counts: Counts, options: DiagnosisOptions): Diagnosis {
  const others = counts.noAnswer > 0 ? `, ${counts.noAnswer} end without an answer` : '';
  return {
    cause: 'truncated',
    message: `of ${counts.total} responses ${cut(counts, options)}${others}`,
    option: 'maxTokens',
    hint: 'Raise maxTokens (in a task with an environment also environment.maxTurns), or warm-start the model on shorter solutions (hone train sft).',
  };
}

function noAnswer(counts: Counts, options: DiagnosisOptions): Diagnosis {
  const others = counts.truncated > 0 ? `, ${cut(counts, options)}` : '';
  return {
    cause: 'no-answer',
    message: `of ${counts.total} responses ${counts.noAnswer} end without an answer in the format of the task${others}`,
    option: '--model',
    hint: 'Start from a model that knows the format: warm-start it on demonstrations (hone train sft --task), or show the format in the prompt.',
  };
}

function noVerdicts({ total, noVerdict }: Counts): Diagnosis {
  return {
    cause: 'no-verdicts',
    message: `${noVerdict} of ${total} responses got no verdict`,
    option: '--task',
    hint: 'Check the grader and the gold answers (hone tasks preview).',
  };
}

function allWrong({ total, wrong, truncated, noAnswer }: Counts, { groupSize }: DiagnosisOptions): Diagnosis {
  const others = truncated + noAnswer > 0 ? ` (${wrong} wrong, ${truncated} cut, ${noAnswer} without an answer)` : '';
  return {
    cause: 'all-wrong',
    message: `none of ${total} responses is right${others}: the problems are too hard for the model`,
    option: '--task-option',
    hint: `Make the problems easier (--task-option, or curriculum.stages with data.difficulty), raise groupSize (${groupSize}) or temperature, or warm-start the model (hone train sft).`,
  };
}

function allRight({ correct }: Counts): Diagnosis {
  return {
    cause: 'all-right',
    message: `all ${correct} graded responses are right: the problems are too easy for the model`,
    option: '--task-option',
    hint: 'Make the problems harder (--task-option, or curriculum.stages with data.difficulty), or stop here.',
  };
}

function noVariance(groups_PG: readonly (readonly Outcome[])[], { groupSize }: DiagnosisOptions): Diagnosis {
  const right = groups_PG.filter((attempts) => countOutcomes(attempts).correct > 0).length;
  return {
    cause: 'no-variance',
    message: `the attempts at each of ${groups_PG.length} prompts are all right (${right}) or all wrong (${groups_PG.length - right})`,
    option: 'groupSize',
    hint: `Raise groupSize (${groupSize}) or temperature, or refill with dynamicSampling.enabled=true.`,
  };
}

function equalRewards(): Diagnosis {
  return {
    cause: 'equal-rewards',
    message: 'right and wrong attempts at a prompt have the same reward',
    option: 'rewards.correct',
    hint: 'Set rewards.correct above rewards.wrong, and see that no penalty (shaping.penalties, rewards.truncated) levels them.',
  };
}

function filtered({ maxTokens }: DiagnosisOptions): Diagnosis {
  return {
    cause: 'filtered',
    message: `every response that its reward could move was cut at maxTokens (${maxTokens}) and is left out of the loss`,
    option: 'overlong.filter',
    hint: 'Raise maxTokens, or set overlong.filter=false.',
  };
}

/** The one line that an iteration prints. */
export function diagnosisLine(iteration: number, { message, option, hint }: Diagnosis): string {
  return `iteration ${iteration} cannot learn: ${message}. ${option}: ${hint}`;
}
