import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadFile, listFiles } from '@huggingface/hub';
import { HoneError, messageOf, silentProgress, type Progress } from '../core/index.js';
import { explainSystemError, makeFolder } from '../formats/index.js';
import { parseModelConfig } from './config.js';
import { pathKind, readJson } from './files.js';
import { TOKENIZER_FILES } from './folder.js';
import { isPlainName } from './safetensors.js';

export interface HubOptions {
  /** Branch, tag or commit. Default: main. */
  revision?: string;
  /** Access token, for gated and private models. Sent to the hub alone. */
  token?: string;
  onProgress?: Progress;
  /** Another hub that speaks the same API. Default: https://huggingface.co. */
  hubUrl?: string;
  /** For tests and proxies. */
  fetch?: typeof fetch;
}

/** A file of the repository, with what its content must hash to. */
interface RemoteFile {
  name: string;
  bytes: number;
  /** SHA-256 of the content, for large files. */
  sha256: string | undefined;
  /** Git's SHA-1 of the blob, for small files. */
  gitSha1: string | undefined;
}

const WEIGHTS = /^model(-\d+-of-\d+)?\.safetensors$/;
const INDEX = 'model.safetensors.index.json';
const MAX_CONFIG_BYTES = 16 * 1024 * 1024;

/**
 * Downloads a model from the Hugging Face hub into a folder: configuration, tokenizer, chat template and safetensors.
 * Each file goes to `NAME.partial` first, goes on from there after an interruption, and gets its name when size and
 * hash are the hub's. The architecture is checked before weights are fetched; config.json gets its name last.
 * @param id `owner/name`.
 * @throws HoneError('input') when there is no such model, it is no Llama, or it has no safetensors;
 *   HoneError('resource') when the hub cannot be reached or refuses access, or the disk is full.
 */
export async function importFromHub(id: string, outFolder: string, options: HubOptions = {}): Promise<void> {
  if (!/^[\w.-]+\/[\w.-]+$/.test(id)) throw new HoneError('usage', `"${id}" is not a model of the form owner/name`);
  const progress = options.onProgress ?? silentProgress;
  const files = chooseFiles(id, await listRemote(id, options));
  await makeFolder(outFolder);
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  progress.phase(`download ${id}`, total);
  let before = 0;
  const [config, ...others] = files as [RemoteFile, ...RemoteFile[]];
  for (const file of [config, ...others]) {
    await fetchFile(id, file, outFolder, options, (bytes) => progress.update(before + bytes, { file: file.name }));
    before += file.bytes;
    if (file === config) await checkArchitecture(join(outFolder, `${file.name}.verified`), id);
    else await rename(join(outFolder, `${file.name}.verified`), join(outFolder, file.name));
  }
  await rename(join(outFolder, `${config.name}.verified`), join(outFolder, config.name));
  progress.end();
}

async function listRemote(id: string, options: HubOptions): Promise<RemoteFile[]> {
  const files: RemoteFile[] = [];
  try {
    for await (const entry of listFiles(request(id, options)))
      if (entry.type === 'file')
        files.push({
          name: entry.path,
          bytes: entry.lfs?.size ?? entry.size,
          sha256: entry.lfs?.oid,
          gitSha1: entry.lfs ? undefined : entry.oid,
        });
  } catch (error) {
    throw hubError(error, id);
  }
  return files;
}

function request(id: string, options: HubOptions) {
  return {
    repo: { type: 'model' as const, name: id },
    ...(options.revision !== undefined && { revision: options.revision }),
    ...(options.token !== undefined && { accessToken: options.token }),
    ...(options.hubUrl !== undefined && { hubUrl: options.hubUrl }),
    ...(options.fetch !== undefined && { fetch: options.fetch }),
  };
}

/** config.json first; then small files, then weights. */
function chooseFiles(id: string, files: readonly RemoteFile[]): RemoteFile[] {
  const named = new Map(files.filter((file) => isPlainName(file.name)).map((file) => [file.name, file]));
  const config = named.get('config.json');
  const weights = [...named.values()].filter((file) => WEIGHTS.test(file.name));
  const refuse = (message: string, hint: string): never => {
    throw new HoneError('input', message, { where: id, hint });
  };
  if (!config) return refuse('the repository has no config.json', 'Choose a repository with a Hugging Face model.');
  if (weights.length === 0)
    return refuse(
      'the repository has no safetensors weights',
      [...named.keys()].some((name) => name.endsWith('.gguf'))
        ? 'Download one of its .gguf files and import that file.'
        : 'Pickle weights (.bin, .pt) are refused; choose a repository with safetensors.',
    );
  const single = named.get('model.safetensors');
  const wanted = [...TOKENIZER_FILES, ...(single ? [] : [INDEX])];
  const small = wanted.map((name) => named.get(name)).filter((file) => file !== undefined);
  return [config, ...small, ...(single ? [single] : weights)];
}

async function checkArchitecture(path: string, id: string): Promise<void> {
  parseModelConfig(await readJson(path, MAX_CONFIG_BYTES), `${id}: config.json`);
}

/** Leaves the checked content under `NAME.verified`. */
async function fetchFile(
  id: string,
  file: RemoteFile,
  folder: string,
  options: HubOptions,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const [partial, verified] = [join(folder, `${file.name}.partial`), join(folder, `${file.name}.verified`)];
  const done = join(folder, file.name);
  if ((await pathKind(done)) && (await matches(done, file))) return rename(done, verified);
  if ((await pathKind(verified)) && (await matches(verified, file))) return;
  await download(id, file, partial, options, onBytes);
  if (((await pathKind(partial))?.bytes ?? 0) < file.bytes)
    throw new HoneError('resource', `the download of ${file.name} stopped early`, {
      where: id,
      hint: 'Run the command again: it goes on where it stopped.',
    });
  if (!(await matches(partial, file))) {
    await rm(partial);
    throw new HoneError('resource', `${file.name} arrived damaged (its hash is not the hub's)`, {
      where: id,
      hint: 'Run the command again; what is complete is kept.',
    });
  }
  await rename(partial, verified);
}

async function download(
  id: string,
  file: RemoteFile,
  partial: string,
  options: HubOptions,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const present = (await pathKind(partial))?.bytes ?? 0;
  // A longer file is of another revision.
  let bytes = present <= file.bytes ? present : 0;
  const handle = await open(partial, bytes > 0 ? 'r+' : 'w');
  try {
    if (bytes === file.bytes) return;
    const blob = await downloadFile({ ...request(id, options), path: file.name, xet: false });
    if (!blob) throw new HoneError('input', `${file.name} is no longer in the repository`, { where: id });
    for await (const chunk of blob.slice(bytes).stream()) {
      await handle.write(chunk as Uint8Array, 0, (chunk as Uint8Array).length, bytes);
      bytes += (chunk as Uint8Array).length;
      onBytes(bytes);
    }
    await handle.sync();
  } catch (error) {
    throw hubError(explainSystemError(error, partial), id);
  } finally {
    await handle.close();
  }
}

async function matches(path: string, file: RemoteFile): Promise<boolean> {
  if ((await pathKind(path))?.bytes !== file.bytes) return false;
  if (file.sha256 !== undefined) return (await hashFile(path, 'sha256', '')) === file.sha256;
  if (file.gitSha1 !== undefined) return (await hashFile(path, 'sha1', `blob ${file.bytes}\0`)) === file.gitSha1;
  return true;
}

async function hashFile(path: string, algorithm: string, prefix: string): Promise<string> {
  const hash = createHash(algorithm).update(prefix);
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

/** Says what a failed request means for the person who asked. */
function hubError(error: unknown, id: string): unknown {
  if (error instanceof HoneError) return error;
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  if (status === 401 || status === 403)
    return new HoneError('resource', `the hub refuses access (${status}): no such model, or it is private or gated`, {
      where: id,
      hint: 'Check the name; for a gated model accept its terms on the hub and set a token (HF_TOKEN).',
      cause: error,
    });
  if (status === 404)
    return new HoneError('input', 'there is no such model or revision on the hub', {
      where: id,
      hint: 'Check the name: owner/name or owner/name@revision.',
      cause: error,
    });
  const reason = error instanceof Error && error.cause ? messageOf(error.cause) : messageOf(error);
  return new HoneError('resource', `the hub cannot be reached (${reason.slice(0, 200)})`, {
    where: id,
    hint: 'Without internet, give the path of a model folder or a .gguf file. Otherwise run the command again: it goes on where it stopped.',
    cause: error,
  });
}
