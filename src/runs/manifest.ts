import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { HoneError } from '../core/index.js';
import { errorCode, explainSystemError, parseRow, stringifyJson } from '../formats/index.js';
import { redact } from './redact.js';
import type { CheckpointPolicy, Json, RunManifest } from './types.js';

export const RUN_FILE = 'run.json';
const SCHEMA = 1;

export const jsonSchema: z.ZodType<Json> = z.json();
const policySchema = z.object({ every: z.number().int().positive(), keep: z.number().int().positive() });
const runFileSchema = z.object({
  schema: z.literal(SCHEMA, 'this folder was written by another version of hone'),
  name: z.string(),
  kind: z.string(),
  recipe: z.string(),
  seed: z.number(),
  config: z.record(z.string(), jsonSchema),
  dataHashes: z.record(z.string(), z.string()),
  checkpoints: policySchema,
  rolloutShare: z.number().min(0).max(1),
  created: z.string(),
  versions: z.record(z.string(), z.string().nullable()),
  machine: z.object({ platform: z.string(), cpu: z.string(), threads: z.number(), memoryBytes: z.number() }),
  git: z.object({ commit: z.string(), modified: z.boolean() }).nullable(),
});

/** What run.json holds: the manifest (secrets redacted), the storage policy, and the facts of machine and software. */
export type RunFile = z.infer<typeof runFileSchema>;

/** Gathers run.json. `config` is redacted here; nothing else of a manifest can hold a secret. */
export async function describeRun(
  manifest: RunManifest,
  policy: CheckpointPolicy,
  rolloutShare: number,
): Promise<RunFile> {
  const [versions, git] = await Promise.all([readVersions(), readGit(process.cwd())]);
  const file = {
    schema: SCHEMA,
    ...manifest,
    config: redact(manifest.config),
    checkpoints: policy,
    rolloutShare,
    created: new Date().toISOString(),
    versions,
    machine: {
      platform: `${process.platform} ${process.arch}`,
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      threads: cpus().length,
      memoryBytes: totalmem(),
    },
    git,
  };
  const parsed = runFileSchema.safeParse(file);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new HoneError('usage', issue?.message ?? 'invalid', {
    where: issue?.path.map(String).join('.') ?? 'run',
    hint: 'Every option of a run must be a plain JSON value.',
  });
}

export function formatRunFile(file: RunFile): string {
  // The exact form first: it refuses what JSON cannot hold. Then indented for people.
  return `${JSON.stringify(JSON.parse(stringifyJson(file)), undefined, 2)}\n`;
}

/** @throws HoneError('input') when the folder is not a run, or of another version */
export async function readRunFile(path: string): Promise<RunFile> {
  const file = join(path, RUN_FILE);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const code = errorCode(error);
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw explainSystemError(error, file);
    throw new HoneError('input', 'not a run folder: it has no run.json', {
      where: path,
      hint: 'List the runs with hone runs list; name one of them.',
      cause: error,
    });
  }
  const hint = 'Open the run with the version of hone that wrote it, or start a new one.';
  return parseRow(text, runFileSchema, file, hint);
}

export function manifestOf(file: RunFile): RunManifest {
  const { name, kind, recipe, seed, config, dataHashes } = file;
  return { name, kind, recipe, seed, config, dataHashes };
}

const require = createRequire(import.meta.url);

async function readVersions(): Promise<Record<string, string | null>> {
  return {
    hone: await packageVersion(() => join(import.meta.dirname, '..', '..', 'package.json')),
    node: process.versions.node,
    'onnxruntime-node': await packageVersion(() => {
      // The package does not export its package.json: find it from its main file.
      const main = require.resolve('onnxruntime-node');
      return join(main.slice(0, main.lastIndexOf('onnxruntime-node')), 'onnxruntime-node', 'package.json');
    }),
  };
}

/** null: not installed. */
async function packageVersion(locate: () => string): Promise<string | null> {
  try {
    const text = await readFile(locate(), 'utf8');
    return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'MODULE_NOT_FOUND') return null;
    throw error;
  }
}

const run = promisify(execFile);

/** Commit of the repository around `folder`, and whether tracked files differ from it; null outside of one. */
async function readGit(folder: string): Promise<RunFile['git']> {
  const git = async (...args: string[]): Promise<string> =>
    // A repository's own configuration may name programs to run; we only read.
    (await run('git', ['-c', 'core.fsmonitor=false', ...args], { cwd: folder, timeout: 5_000 })).stdout.trim();
  try {
    const commit = await git('rev-parse', '--verify', 'HEAD');
    const status = await git('status', '--porcelain', '--untracked-files=no');
    return { commit, modified: status !== '' };
  } catch {
    return null; // No git, no repository, or no commit yet: there is nothing to record.
  }
}

/** A run's name must be one plain path segment. @throws HoneError('usage') */
export function checkRunName(name: string): void {
  if (/^[\p{L}\p{N}][\p{L}\p{N}._ -]{0,99}$/u.test(name) && dirname(name) === '.') return;
  throw new HoneError('usage', 'a run name is 1 to 100 letters, digits, dots, dashes and underscores', {
    where: JSON.stringify(name),
    hint: 'Choose a plain name with --out, e.g. runs/first-try.',
  });
}
