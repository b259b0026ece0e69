import path from 'node:path';
import { HoneError } from '../core/index.js';
import { mergeAdapter, type PeftAdapter, readPeftAdapter, readTrainedAdapter, weightsHash } from '../model/index.js';
import { readRun, type RunManifest } from '../runs/index.js';
import {
  CHECKPOINT_WEIGHTS,
  checkpointModel,
  copySideFiles,
  exists,
  type Scratch,
  sideFolder,
} from './checkpoint-model.js';
import { adapterBaseOf, type AdapterBase } from './train-settings.js';

export interface FolderOptions {
  scratch: Scratch;
  /** Told of a damaged checkpoint that was passed over. */
  warn: (line: string) => void;
  /** Models whose base this one is. */
  above?: readonly string[];
}

/** What a path that names a model holds. */
type Place =
  { kind: 'model' } | { kind: 'peft' } | { kind: 'checkpoint'; run: string; folder: string; manifest: RunManifest };

/**
 * The Hugging Face folder behind a path: a model folder itself; a run or one of its checkpoints is made into one in
 * `scratch`, and an adapter is folded into its base there.
 * @throws HoneError when there is no model, or the base of an adapter is missing or is not what it was.
 */
export async function modelFolder(model: string, options: FolderOptions): Promise<string> {
  const place = await placeOf(model, options);
  if (place.kind === 'model') return model;
  if (place.kind === 'peft') return peftModel(model, options);
  const { run, folder, manifest } = place;
  const base = adapterBaseOf(manifest, run);
  const names = { scratch: options.scratch, given: model };
  if (base === undefined) return checkpointModel(run, folder, names);
  const side = await sideFolder(run);
  const merged = await mergedFolder(await baseFolder(base, run, below(model, options)), {
    ...{ adapter: await readTrainedAdapter(path.join(folder, CHECKPOINT_WEIGHTS), base.adapter), where: folder },
    ...names,
  });
  await copySideFiles(side, merged);
  return merged;
}

/**
 * The adapter behind a path: a PEFT folder, a run or one of its checkpoints.
 * @throws HoneError('usage') when it has none.
 */
export async function adapterOf(model: string, options: FolderOptions): Promise<PeftAdapter> {
  const place = await placeOf(model, options);
  if (place.kind === 'peft') return readPeftAdapter(model);
  const base = place.kind === 'checkpoint' ? adapterBaseOf(place.manifest, place.run) : undefined;
  if (place.kind === 'model' || base === undefined)
    throw new HoneError('usage', 'has no adapter: all of its weights are its own', {
      where: model,
      hint: 'Give a run that was started with --lora, or a PEFT folder.',
    });
  const adapter = await readTrainedAdapter(path.join(place.folder, CHECKPOINT_WEIGHTS), base.adapter);
  return { ...adapter, baseModel: base.model };
}

async function placeOf(model: string, { warn }: FolderOptions): Promise<Place> {
  const has = (...names: string[]): Promise<boolean> => exists(path.join(model, ...names));
  if (await has('run.json')) return newestOf(model, warn);
  if (await has('config.json')) return { kind: 'model' };
  if (await has('adapter_config.json')) return { kind: 'peft' };
  const run = path.resolve(model, '..', '..');
  if ((await has(CHECKPOINT_WEIGHTS)) && (await exists(path.join(run, 'run.json'))))
    return { kind: 'checkpoint', run, folder: model, manifest: (await readRun(run)).manifest };
  throw noModel(model, await exists(model));
}

/** The best checkpoint by validation, else the newest. */
async function newestOf(run: string, warn: FolderOptions['warn']): Promise<Place> {
  const onDamaged = (folder: string, why: string): void => warn(`${folder} is damaged and passed over: ${why}`);
  const reader = await readRun(run);
  const checkpoint = (await reader.bestCheckpoint(onDamaged)) ?? (await reader.latestCheckpoint(onDamaged));
  if (checkpoint) return { kind: 'checkpoint', run, folder: checkpoint.folder, manifest: reader.manifest };
  throw new HoneError('input', 'the run has no checkpoint yet', {
    where: run,
    hint: `Go on with it: hone resume ${run}`,
  });
}

/** Options for the base of `model`. @throws HoneError('input') when the models go in a circle. */
function below(model: string, options: FolderOptions): FolderOptions {
  const above = [...(options.above ?? []), path.resolve(model)];
  if (new Set(above).size === above.length) return { ...options, above };
  throw new HoneError('input', 'the model is its own base', {
    where: model,
    hint: 'Name the model that the adapter was trained on: hone models merge BASE ADAPTER --out DIR.',
  });
}

/**
 * The folder of the model that a run's adapter was trained on.
 * @throws HoneError('input') when it is missing, or its weights are not what they were.
 */
export async function baseFolder(base: AdapterBase, run: string, options: FolderOptions): Promise<string> {
  const found = await locateBase(base.model, run);
  if (found === undefined)
    throw new HoneError('input', `the base model of its adapter is not there: ${base.model}`, {
      where: run,
      hint: 'Put it back, or run the command in the folder where training was started.',
    });
  const folder = await modelFolder(found, options);
  if ((await weightsHash(folder)) === base.sha256) return folder;
  throw new HoneError('input', `the weights are not those that the adapter of ${run} was trained on`, {
    where: found,
    hint: `Restore them (SHA-256 of the tensors ${base.sha256.slice(0, 12)}...), or fold the adapter in all the same: hone models merge BASE ${run} --out DIR.`,
  });
}

/** A relative path is tried from here, then from the folders around the run, which may have moved with its base. */
async function locateBase(base: string, run: string): Promise<string | undefined> {
  if (await exists(base)) return base;
  if (path.isAbsolute(base)) return undefined;
  for (let folder = path.resolve(run); folder !== path.dirname(folder); folder = path.dirname(folder)) {
    const candidate = path.join(path.dirname(folder), base);
    if (await exists(candidate)) return candidate;
  }
  return undefined;
}

/** A PEFT folder merged into the base that it names, where that is a folder on this machine. */
async function peftModel(model: string, options: FolderOptions): Promise<string> {
  const adapter = await readPeftAdapter(model);
  const { baseModel } = adapter;
  if (baseModel === undefined || !(await exists(baseModel)))
    throw new HoneError(
      'usage',
      `is an adapter of ${baseModel ?? 'a model it does not name'}, which is no folder here`,
      {
        where: model,
        hint: `Fold it into its base first: hone models merge BASE ${model} --out DIR`,
      },
    );
  const base = await modelFolder(baseModel, below(model, options));
  return mergedFolder(base, { adapter, where: model, scratch: options.scratch, given: model });
}

async function mergedFolder(
  base: string,
  { adapter, where, scratch, given }: { adapter: PeftAdapter; where: string; scratch: Scratch; given: string },
): Promise<string> {
  const folder = await scratch.folder();
  scratch.call(folder, given);
  await mergeAdapter(base, adapter, folder, { where });
  return folder;
}

function noModel(model: string, isThere: boolean): HoneError {
  if (model.endsWith('.gguf'))
    return new HoneError('usage', 'a GGUF file has to be imported first', {
      where: model,
      hint: `hone models import ${model} --out models/${path.basename(model, '.gguf')}`,
    });
  const message = isThere ? 'not a model: there is no config.json and no run.json' : 'there is no such model';
  return new HoneError('input', message, {
    where: model,
    hint: 'Give a model folder (hone models import makes one), a run folder, a checkpoint, or tiny.',
  });
}
