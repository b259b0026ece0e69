import { HoneError } from '../core/index.js';
import { pathKind } from './files.js';
import { exportModel, refuseExistingModel } from './folder.js';
import { importGguf } from './gguf/import.js';
import { importFromHub, type HubOptions } from './hub.js';

/**
 * Brings a model into a folder of its own, ready for hone and for Hugging Face tools.
 * @param source a model folder, a `.gguf` file, or `owner/name[@revision]` on the Hugging Face hub. What exists on
 *   disk is taken for a path.
 * @param outFolder must not hold a model yet. An interrupted import may be run again into the same folder.
 * @throws HoneError of the importers; 'usage' when the source is none of the three or outFolder holds a model.
 */
export async function importModel(source: string, outFolder: string, options: HubOptions = {}): Promise<void> {
  await refuseExistingModel(outFolder);
  const found = await pathKind(source);
  if (found?.kind === 'folder') return exportModel(source, outFolder, options);
  if (found?.kind === 'file') return importFile(source, outFolder, options);
  const [, id, revision] = /^([\w.-]+\/[\w.-]+)(?:@([\w./-]+))?$/.exec(source) ?? [];
  if (id === undefined || /^\.{1,2}\//.test(id) || source.endsWith('.gguf'))
    throw new HoneError('usage', 'there is no such file or folder, and it is not a model name', {
      where: source,
      hint: 'Give a model folder, a .gguf file, or owner/name[@revision] on the Hugging Face hub.',
    });
  return importFromHub(id, outFolder, { ...options, ...(revision !== undefined && { revision }) });
}

function importFile(source: string, outFolder: string, options: HubOptions): Promise<void> {
  if (source.toLowerCase().endsWith('.gguf')) return importGguf(source, outFolder, options);
  const pickle = /\.(bin|pt|pth|ckpt|pkl)$/i.test(source);
  throw new HoneError('input', pickle ? 'is a pickle checkpoint, and is refused' : 'is not a .gguf file', {
    where: source,
    hint: pickle
      ? "Convert it where you trust it: transformers' save_pretrained(..., safe_serialization=True)."
      : 'For safetensors give the folder that holds config.json and the weights.',
  });
}
