/**
 * LoRA adapters in the layout of Hugging Face PEFT: adapter_config.json beside adapter_model.safetensors.
 * Layout: github.com/huggingface/peft, docs/source/developer_guides/checkpoint.md and src/peft/tuners/lora/config.py.
 * LoRA: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1: W' = W + scale * B A.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HoneError } from '../core/index.js';
import { makeFolder } from '../formats/index.js';
import { pathKind, readJson, writeJson } from './files.js';
import { parseWith } from './parse.js';
import { openSafetensors, writeSafetensors, type SafetensorsFile, type TensorSource } from './safetensors.js';
import { withTimeLimit } from './time-limit.js';

/** The two factors of one linear layer. A: [rank, in], B: [out, rank], row-major. */
export interface LoraPair {
  a: Float32Array;
  b: Float32Array;
}

/** What `writePeftAdapter` needs to know. */
export interface PeftAdapterSource {
  /** r of the paper. */
  rank: number;
  alpha: number;
  /** The scale is alpha / sqrt(rank) (Kalajdzievski, "A Rank Stabilization Scaling Factor", 2023), not alpha / rank. */
  rslora?: boolean | undefined;
  /** Dropout that the adapter was trained with; it has no part in its use. */
  dropout?: number | undefined;
  /** Last names of the adapted modules, e.g. `q_proj`, or whole ones; every module in `tensors` matches one. */
  targets: readonly string[];
  /** Name or path of the model the adapter belongs to. */
  baseModel?: string | undefined;
  /** Factors by module, e.g. `model.layers.0.self_attn.q_proj`. */
  tensors: ReadonlyMap<string, LoraPair>;
}

export interface PeftAdapter extends PeftAdapterSource {
  rslora: boolean;
  dropout: number;
  /** What B A is multiplied by: alpha / rank, or alpha / sqrt(rank). */
  scale: number;
  targets: string[];
}

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';
const PREFIX = 'base_model.model.';
const MAX_CONFIG_BYTES = 16 * 1024 * 1024;
const MAX_RANK = 2 ** 14;
const PATTERN_LIMIT_MS = 1000;

const adapterConfig = z.looseObject({
  peft_type: z.string(),
  task_type: z.string().nullish(),
  r: z.int().positive().max(MAX_RANK),
  lora_alpha: z.number().positive().max(1e9),
  lora_dropout: z.number().min(0).lt(1).nullish(),
  use_rslora: z.boolean().nullish(),
  target_modules: z.union([z.string().max(10_000), z.array(z.string().min(1)).min(1).max(10_000)]).nullish(),
  bias: z.string().nullish(),
  init_lora_weights: z.union([z.boolean(), z.string()]).nullish(),
  base_model_name_or_path: z.string().nullish(),
});
type AdapterConfig = z.infer<typeof adapterConfig>;

/** Fields that are checked by name, or say nothing about what the adapter computes. */
const KNOWN_FIELDS: ReadonlySet<string> = new Set([
  ...Object.keys(adapterConfig.shape),
  ...['auto_mapping', 'peft_version', 'revision', 'inference_mode', 'megatron_core', 'qalora_group_size'],
  // How factors were initialised (eva) or kept in step (tied embeddings); which modules have factors is read from them.
  ...[
    'eva_config',
    'ensure_weight_tying',
    'layers_to_transform',
    'layers_pattern',
    'exclude_modules',
    'runtime_config',
  ],
]);
/** Ways to initialise that leave the base weights alone; the others (pissa, olora, loftq, ...) change them. */
const HARMLESS_INITS: ReadonlySet<unknown> = new Set([undefined, null, true, false, 'gaussian', 'orthogonal', 'eva']);

/**
 * Reads a PEFT adapter: LoRA on linear layers, F32, F16 or BF16 factors, which come back as float32.
 * Which modules are adapted is what the weights say; each must match `target_modules`, as PEFT ignores others.
 * @throws HoneError('input') on damaged files, on pickled weights, and on options that change what is computed
 *   and are not supported (DoRA, biases, saved modules, patterns of ranks, ...), by name.
 */
export async function readPeftAdapter(folder: string): Promise<PeftAdapter> {
  const file = join(folder, CONFIG);
  const json = await readJson(file, MAX_CONFIG_BYTES);
  if (json === undefined)
    throw new HoneError('input', `has no ${CONFIG}`, {
      where: folder,
      hint: 'Give the folder that PEFT (save_pretrained) or hone wrote the adapter to.',
    });
  const config = parseWith(adapterConfig, json, file);
  refuseOtherMaths(config, file);
  const { r: rank, lora_alpha: alpha } = config;
  const rslora = config.use_rslora ?? false;
  const tensors = await readFactors(folder, rank);
  const modules = [...tensors.keys()];
  checkTargets(modules, config.target_modules ?? undefined, file);
  return {
    rank,
    alpha,
    rslora,
    scale: loraScale({ rank, alpha, rslora }),
    dropout: config.lora_dropout ?? 0,
    targets: [...new Set(modules.map(lastName))].sort(),
    baseModel: config.base_model_name_or_path ?? undefined,
    tensors,
  };
}

/** What B A is multiplied by. */
export function loraScale({ rank, alpha, rslora }: Pick<PeftAdapterSource, 'rank' | 'alpha' | 'rslora'>): number {
  return alpha / (rslora ? Math.sqrt(rank) : rank);
}

function refuseOtherMaths(config: AdapterConfig, where: string): void {
  const refuse = (field: string, message: string): never => {
    throw new HoneError('input', `${field}: ${message}`, {
      where,
      hint: 'Merge the adapter into its base model with PEFT (merge_and_unload, save_pretrained) and import that.',
    });
  };
  const { peft_type, task_type, bias, init_lora_weights: init } = config;
  if (peft_type !== 'LORA') refuse('peft_type', `adapters of type ${JSON.stringify(peft_type)} are not supported`);
  if ((task_type ?? 'CAUSAL_LM') !== 'CAUSAL_LM') refuse('task_type', `must be CAUSAL_LM, not ${task_type}`);
  if ((bias ?? 'none') !== 'none') refuse('bias', `trained biases (${JSON.stringify(bias)}) are not supported`);
  if (!HARMLESS_INITS.has(init)) refuse('init_lora_weights', `${JSON.stringify(init)} changes the base weights`);
  for (const [field, value] of Object.entries(config))
    if (!KNOWN_FIELDS.has(field) && !isOff(value)) refuse(field, 'is not supported');
}

/** null, false, [] and {}: the option is not in use. */
function isOff(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === null || value === undefined || value === false;
}

async function readFactors(folder: string, rank: number): Promise<Map<string, LoraPair>> {
  const file = join(folder, WEIGHTS);
  if (!(await pathKind(file))) throw await noFactors(folder);
  const weights = await openSafetensors(file);
  const tensors = new Map<string, LoraPair>();
  for (const module of modulesOf(weights.names(), file)) {
    const a = await readFactor(weights, `${PREFIX}${module}.lora_A.weight`, 0, rank, file);
    const b = await readFactor(weights, `${PREFIX}${module}.lora_B.weight`, 1, rank, file);
    tensors.set(module, { a, b });
  }
  if (tensors.size === 0) throw new HoneError('input', 'has no LoRA tensors', { where: file });
  return tensors;
}

/** The adapted modules, sorted. Each has both factors, and nothing else is in the file. */
function modulesOf(names: readonly string[], where: string): string[] {
  const present = new Set(names);
  const modules = new Set<string>();
  for (const name of names) {
    const [, module] = /^base_model\.model\.(.+)\.lora_[AB]\.weight$/.exec(name) ?? [];
    if (module === undefined)
      throw new HoneError('input', `tensor ${name} is not a factor of a linear layer`, {
        where,
        hint: 'Merge the adapter into its base model with PEFT (merge_and_unload, save_pretrained) and import that.',
      });
    modules.add(module);
  }
  for (const module of modules)
    for (const factor of ['lora_A', 'lora_B'])
      if (!present.has(`${PREFIX}${module}.${factor}.weight`))
        throw new HoneError('input', `${module} has no ${factor}`, { where, hint: 'Save the adapter again.' });
  return [...modules].sort();
}

/** A factor whose dimension `axis` is the rank. */
async function readFactor(
  weights: SafetensorsFile,
  name: string,
  axis: 0 | 1,
  rank: number,
  where: string,
): Promise<Float32Array> {
  const { shape } = weights.info(name);
  if (shape.length !== 2 || shape[axis] !== rank || shape[1 - axis] === 0)
    throw new HoneError('input', `tensor ${name} has shape [${shape}], which does not fit rank ${rank}`, {
      where,
      hint: `The weights do not belong to this ${CONFIG}.`,
    });
  return (await weights.read(name)).data;
}

async function noFactors(folder: string): Promise<HoneError> {
  const pickle = (await readdir(folder)).find((name) => /\.(bin|pt|pth|ckpt|pkl)$/i.test(name));
  if (pickle === undefined) return new HoneError('input', `has no ${WEIGHTS}`, { where: folder });
  return new HoneError('input', 'is a pickled adapter, which can run code when loaded, and is refused', {
    where: join(folder, pickle),
    hint: "Convert it where you trust it: PEFT's save_pretrained(..., safe_serialization=True).",
  });
}

/** A list names modules by their ends, a string is a regular expression of the whole name or `all-linear`. */
function checkTargets(modules: readonly string[], targets: string | string[] | undefined, where: string): void {
  if (targets === undefined || (typeof targets === 'string' && targets.toLowerCase() === 'all-linear')) return;
  const matches =
    typeof targets === 'string'
      ? matchesPattern(targets, where)
      : (module: string) => targets.some((target) => isTarget(module, target));
  const stranger = modules.find((module) => !matches(module));
  if (stranger !== undefined)
    throw new HoneError('input', `target_modules does not cover ${stranger}, for which there are weights`, {
      where,
      hint: `The weights do not belong to this ${CONFIG}.`,
    });
}

function isTarget(module: string, target: string): boolean {
  return module === target || module.endsWith(`.${target}`);
}

/** Python's `re.fullmatch`, in the syntax that both languages share. */
function matchesPattern(pattern: string, where: string): (module: string) => boolean {
  const hint = 'List the module names in target_modules instead.';
  let whole: RegExp;
  try {
    whole = new RegExp(`^(?:${pattern})$`);
  } catch (cause) {
    throw new HoneError('input', 'target_modules: the regular expression cannot be read', { where, hint, cause });
  }
  return (module) => withTimeLimit(PATTERN_LIMIT_MS, `${where}: target_modules`, hint, () => whole.test(module));
}

/** `q_proj` of `model.layers.0.self_attn.q_proj`. */
export function lastName(module: string): string {
  return module.slice(module.lastIndexOf('.') + 1);
}

/**
 * Writes an adapter that PEFT loads (PeftModel.from_pretrained), float32. adapter_config.json is written last, so an
 * interrupted write is not mistaken for an adapter.
 * @throws HoneError('usage') when `folder` already holds an adapter, or the factors do not fit rank and targets;
 *   HoneError('resource') when the disk is full.
 */
export async function writePeftAdapter(folder: string, adapter: PeftAdapterSource): Promise<void> {
  if (await pathKind(join(folder, CONFIG)))
    throw new HoneError('usage', 'already holds an adapter', { where: folder, hint: 'Choose another folder.' });
  const tensors = [...adapter.tensors].flatMap(([module, pair]) => factorsToWrite(module, pair, adapter, folder));
  await makeFolder(folder);
  await writeSafetensors(join(folder, WEIGHTS), tensors);
  await writeJson(join(folder, CONFIG), {
    base_model_name_or_path: adapter.baseModel ?? null,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: adapter.alpha,
    lora_dropout: adapter.dropout ?? 0,
    modules_to_save: null,
    peft_type: 'LORA',
    r: adapter.rank,
    target_modules: [...adapter.targets].sort(),
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: adapter.rslora ?? false,
  });
}

function factorsToWrite(
  module: string,
  { a, b }: LoraPair,
  { rank, targets }: PeftAdapterSource,
  where: string,
): [string, TensorSource][] {
  const refuse = (message: string): never => {
    throw new HoneError('usage', `${module}: ${message}`, { where });
  };
  if (!targets.some((target) => isTarget(module, target))) refuse(`none of the targets ${targets.join(', ')} names it`);
  const [inSize, outSize] = [a.length / rank, b.length / rank];
  if (!Number.isInteger(inSize) || !Number.isInteger(outSize) || inSize === 0 || outSize === 0)
    refuse(`factors of ${a.length} and ${b.length} values do not fit rank ${rank}`);
  return [
    [`${PREFIX}${module}.lora_A.weight`, { shape: [rank, inSize], data: a }],
    [`${PREFIX}${module}.lora_B.weight`, { shape: [outSize, rank], data: b }],
  ];
}
