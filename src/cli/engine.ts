import { HoneError } from '../core/index.js';
import type { Engine } from '../engine/index.js';
import { INSTALL_ONNXRUNTIME, isInstalled } from './doctor.js';

/** Asked before a run folder is made. @throws HoneError('resource') when onnxruntime-node is not installed. */
export function assertEngineInstalled(): void {
  if (isInstalled('onnxruntime-node')) return;
  throw new HoneError('resource', 'the compute engine onnxruntime-node is not installed', {
    hint: `Install it: ${INSTALL_ONNXRUNTIME}`,
  });
}

/** Opens the local engine. @throws HoneError('resource') when onnxruntime-node is not there. */
export async function openEngine(options: { threads?: number }): Promise<Engine> {
  assertEngineInstalled();
  const { createLocalEngine } = await import('../engine/local/index.js');
  return createLocalEngine(options);
}

/** Runs `use` with an engine and closes it whatever happens. */
export async function withEngine<T>(options: { threads?: number }, use: (engine: Engine) => Promise<T>): Promise<T> {
  const engine = await openEngine(options);
  try {
    return await use(engine);
  } finally {
    await engine.close();
  }
}
