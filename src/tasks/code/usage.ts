import { procFile } from './os-sandbox.js';

export interface Usage {
  /** Processor seconds, user and system. */
  cpuSeconds: number;
  residentBytes: number;
}

const PAGE = 4096;
const TICKS_PER_SECOND = 100; // Fixed for user space on Linux.

/** A process and what it has started, and so on; Linux alone. */
export function descendants(pid: number): number[] {
  const children = procFile(`/proc/${pid}/task/${pid}/children`)?.trim() ?? '';
  const pids = children === '' ? [] : children.split(/\s+/).map(Number);
  return [pid, ...pids.flatMap(descendants)];
}

function usageOfOne(pid: number): Usage {
  // The second field is the program's name in brackets, and may hold anything.
  const fields =
    procFile(`/proc/${pid}/stat`)
      ?.replace(/^.*\) /s, '')
      .split(' ') ?? [];
  const pages = Number(procFile(`/proc/${pid}/statm`)?.split(' ')[1] ?? 0);
  const [user = 0, system = 0, user2 = 0, system2 = 0] = fields.slice(11, 15).map(Number);
  return { cpuSeconds: (user + system + user2 + system2) / TICKS_PER_SECOND, residentBytes: pages * PAGE };
}

/** What a process and its descendants use now, with the processor time of children that have ended. Linux alone. */
export function usageOf(pid: number): Usage {
  return descendants(pid)
    .map(usageOfOne)
    .reduce((sum, one) => ({
      cpuSeconds: sum.cpuSeconds + one.cpuSeconds,
      residentBytes: sum.residentBytes + one.residentBytes,
    }));
}
