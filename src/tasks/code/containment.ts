import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GUEST_FLAGS, pythonImage, type Image } from './image.js';
import { findOsSandbox, type OsSandboxes } from './os-sandbox.js';
import type { Containment } from './types.js';

let found: OsSandboxes | undefined;

/** The operating system's sandbox on this machine, looked for once. */
export function osSandbox(): OsSandboxes {
  if (found) return found;
  const root = mkdtempSync(join(tmpdir(), 'hone-probe-'));
  try {
    return (found = findOsSandbox(root));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const PERMISSION_FLAG = ['--permission', '--experimental-permission'].find((flag) =>
  process.allowedNodeEnvironmentFlags.has(flag),
);

/** Threads of Node and of V8 in all guests together, with room: the kernel counts them by user. */
const PROCESSES = 4096;

function nodeCommand({ folder }: Image, args: readonly string[]): string[] {
  const permission = PERMISSION_FLAG ? [PERMISSION_FLAG, `--allow-fs-read=${folder}/*`] : [];
  return [process.execPath, ...GUEST_FLAGS, ...permission, join(folder, 'guest.mjs'), ...args];
}

/** The command that starts a guest, as deep in as this machine can shut it. */
export async function guestCommand(
  role: 'program' | 'harness',
  memoryMegabytes: number,
): Promise<{ command: string[]; env: Record<string, string> }> {
  const image = await pythonImage();
  const inner = nodeCommand(image, ['serve', role, String(memoryMegabytes)]);
  const { sandbox } = osSandbox();
  if (!sandbox) return { command: inner, env: {} };
  const plan = {
    readOnly: [process.execPath, image.folder],
    root: image.root,
    scratchMegabytes: 0,
    processes: PROCESSES,
  };
  return { command: sandbox.wrap(inner, plan), env: toolPath() };
}

/** Where the sandbox's own tools are found; the program's environment says nothing else. */
export const toolPath = (): Record<string, string> => ({ PATH: process.env.PATH ?? '/usr/bin:/bin:/usr/sbin:/sbin' });

/** Which level holds for the embedded runner, and why. */
export function containmentOf(): Containment {
  const { sandbox, missing } = osSandbox();
  const inner = ['Python in WebAssembly', ...(PERMISSION_FLAG ? ["Node's permission model"] : [])].join(', ');
  if (sandbox) return { level: 'attackers', why: `${inner}, and ${sandbox.name}: no network, no files, no rights` };
  return { level: 'accidents', why: `${inner} alone; no sandbox of the operating system (${missing.join('; ')})` };
}
