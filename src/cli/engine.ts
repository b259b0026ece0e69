import { HoneError } from '../core/index.js';
import type { Engine } from '../engine/index.js';
import { INSTALL_ONNXRUNTIME } from './doctor.js';

/** Opens the local engine. @throws HoneError('resource') when onnxruntime-node is not there. */
export async function openEngine(options: { threads?: number }): Promise<Engine> {
  try {
    import.meta.resolve('onnxruntime-node');
  } catch (error) {
    throw new HoneError('resource', 'the compute engine onnxruntime-node is not installed', {
      hint: `Install it: ${INSTALL_ONNXRUNTIME}`,
      cause: error,
    });
  }
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
