import { InvalidArgumentError, Option } from 'commander';
import { HoneError, nearest } from '../core/index.js';
import { LORA_TARGETS } from '../engine/index.js';
import type { AdapterSettings } from './train-settings.js';

type Target = AdapterSettings['targets'][number];

/** Of the Tinker API and "LoRA Without Regret" (Schulman et al., Thinking Machines Lab, 2025). */
const DEFAULT_ALPHA = 32;
/** The most that reading a PEFT folder accepts. */
const MAX_RANK = 2 ** 14;

export interface AdapterOptions {
  lora?: number;
  loraAlpha?: number;
  loraTargets?: Target[];
}

/** `--lora` and what goes with it. */
export function adapterOptions(): Record<'rank' | 'alpha' | 'targets', Option> {
  return {
    rank: new Option('--lora <rank>', 'train a low-rank adapter instead of all weights (LoRA)').argParser(rank),
    alpha: new Option(
      '--lora-alpha <n>',
      `the adapter counts alpha / rank times (default: ${DEFAULT_ALPHA})`,
    ).argParser(alpha),
    targets: new Option(
      '--lora-targets <modules>',
      `modules to adapt, by commas (default: all of ${LORA_TARGETS.join(',')})`,
    ).argParser(targets),
  };
}

function rank(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 1 || value > MAX_RANK)
    throw new InvalidArgumentError(`Give a whole number from 1 to ${MAX_RANK}.`);
  return value;
}

function alpha(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1e9)) throw new InvalidArgumentError('Give a number above 0.');
  return value;
}

function targets(text: string): Target[] {
  const named = text.split(',').map((name) => name.trim());
  const known: readonly string[] = LORA_TARGETS;
  const unknown = named.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new InvalidArgumentError(
      `Did you mean ${nearest(unknown, known)}? Modules, by commas: ${LORA_TARGETS.join(', ')}.`,
    );
  return LORA_TARGETS.filter((name) => named.includes(name));
}

/** null: all weights are trained. @throws HoneError('usage') for settings of an adapter without one. */
export function adapterSettings({ lora, loraAlpha, loraTargets }: AdapterOptions): AdapterSettings | null {
  if (lora !== undefined)
    return { rank: lora, alpha: loraAlpha ?? DEFAULT_ALPHA, targets: loraTargets ?? [...LORA_TARGETS] };
  if (loraAlpha === undefined && loraTargets === undefined) return null;
  throw new HoneError('usage', 'says something about an adapter, but there is none', {
    where: loraAlpha === undefined ? '--lora-targets' : '--lora-alpha',
    hint: 'Add --lora RANK, for instance --lora 16.',
  });
}
