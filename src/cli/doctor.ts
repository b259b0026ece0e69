import { statfs } from 'node:fs/promises';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { messageOf, type Progress } from '../core/index.js';
import { GEMM_SHAPES, type GemmRate, measureGemm } from '../engine/local/gemm.js';
import { containmentOf, INSTALL_PYODIDE, pyodideFolder } from '../tasks/index.js';
import { bytes } from './text.js';
import { version } from './version.js';

/** How to get the compute engine when it is missing. */
export const INSTALL_ONNXRUNTIME = 'ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node';

export interface Finding {
  level: 'ok' | 'note' | 'problem';
  name: string;
  text: string;
  hint?: string;
}

export interface DoctorReport {
  /** No problem was found: this machine can train. */
  ok: boolean;
  findings: Finding[];
  facts: {
    hone: string;
    node: string;
    platform: string;
    cpu: string;
    cores: number;
    memoryBytes: number;
    freeMemoryBytes: number;
    freeDiskBytes: number;
    engine: boolean;
    /** GFLOP/s by shape; empty without an engine. */
    gemm: Record<string, number>;
  };
}

/** Smallest Node that hone runs on (package.json `engines`). */
const NEEDED_NODE: readonly [number, number] = [20, 19];

function nodeFinding(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const enough = major > NEEDED_NODE[0] || (major === NEEDED_NODE[0] && minor >= NEEDED_NODE[1]);
  if (enough) return { level: 'ok', name: 'Node', text: process.versions.node };
  return {
    level: 'problem',
    name: 'Node',
    text: `${process.versions.node} is too old`,
    hint: `Install Node ${NEEDED_NODE.join('.')} or newer.`,
  };
}

function memoryFinding(): Finding {
  const text = `${bytes(totalmem())}, ${bytes(freemem())} free`;
  const low = totalmem() < 4e9;
  const hint = 'The quickstart needs about 2 GB; a 135M-parameter model about 8 GB.';
  return low ? { level: 'note', name: 'memory', text, hint } : { level: 'ok', name: 'memory', text };
}

function diskFinding(free: number, folder: string): Finding {
  const text = `${bytes(free)} free in ${folder}`;
  if (free >= 2e9) return { level: 'ok', name: 'disk', text };
  return { level: 'note', name: 'disk', text, hint: 'Checkpoints of a 135M model take 1.6 GB each: free some space.' };
}

async function measureAll(progress: Progress): Promise<GemmRate[]> {
  progress.phase('measuring matrix products', GEMM_SHAPES.length);
  const rates: GemmRate[] = [];
  for (const shape of GEMM_SHAPES) {
    rates.push(await measureGemm(shape, 0.5, availableParallelism()));
    progress.update(rates.length);
  }
  progress.end();
  return rates;
}

export function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(name);
    return true;
  } catch {
    return false; // Resolving has one way to fail: the package is not there.
  }
}

async function engineFindings(progress: Progress): Promise<{ findings: Finding[]; rates: GemmRate[] }> {
  if (!isInstalled('onnxruntime-node')) {
    const text = 'onnxruntime-node is not installed';
    return { rates: [], findings: [{ level: 'problem', name: 'compute engine', text, hint: INSTALL_ONNXRUNTIME }] };
  }
  try {
    const rates = await measureAll(progress);
    const text = rates.map(({ shape, gflops }) => `${gflops} (${shape})`).join(', ');
    return {
      rates,
      findings: [
        { level: 'ok', name: 'compute engine', text: 'onnxruntime-node loads and runs' },
        { level: 'ok', name: 'GEMM, GFLOP/s', text: `${text}, fp32` },
      ],
    };
  } catch (error) {
    const text = `onnxruntime-node fails: ${messageOf(error)}`;
    return { rates: [], findings: [{ level: 'problem', name: 'compute engine', text, hint: INSTALL_ONNXRUNTIME }] };
  }
}

/** Which level holds for programs that a grader runs. */
function codeFinding(): Finding {
  const name = 'programs graded on tests';
  if (pyodideFolder() === undefined)
    return { level: 'note', name, text: 'pyodide is not installed: no program can be run', hint: INSTALL_PYODIDE };
  const { level, why } = containmentOf();
  if (level === 'attackers') return { level: 'ok', name, text: `contains attackers: ${why}` };
  const hint = 'Install bubblewrap or allow user namespaces before running programs that you do not trust.';
  return { level: 'note', name, text: `contains accidents only: ${why}`, hint };
}

/** Looks at the machine and runs a few matrix products (about two seconds). */
export async function examine(folder: string, progress: Progress): Promise<DoctorReport> {
  const disk = await statfs(folder);
  const freeDiskBytes = disk.bavail * disk.bsize;
  const engine = await engineFindings(progress);
  const cpu = cpus()[0]?.model.trim() ?? 'unknown';
  const cores = availableParallelism();
  const findings: Finding[] = [
    nodeFinding(),
    { level: 'ok', name: 'machine', text: `${process.platform} ${process.arch}, ${cpu}, ${cores} cores` },
    memoryFinding(),
    diskFinding(freeDiskBytes, folder),
    ...engine.findings,
    codeFinding(),
    { level: 'ok', name: 'also needed', text: 'nothing: no Python, no GPU, no browser' },
  ];
  return {
    ok: findings.every(({ level }) => level !== 'problem'),
    findings,
    facts: {
      hone: version(),
      node: process.versions.node,
      platform: `${process.platform}-${process.arch}`,
      cpu,
      cores,
      memoryBytes: totalmem(),
      freeMemoryBytes: freemem(),
      freeDiskBytes,
      engine: engine.rates.length > 0,
      gemm: Object.fromEntries(engine.rates.map(({ shape, gflops }) => [shape, gflops])),
    },
  };
}
