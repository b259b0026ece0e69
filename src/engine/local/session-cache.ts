import type { CompiledGraph } from './session.js';

interface Entry {
  graph: CompiledGraph;
  bytes: number;
}

/**
 * Compiled graphs by key, least recently used first. Each session keeps the memory its largest run needed, so the
 * cache is bounded by an estimate of that; the newest entry always stays.
 */
export class SessionCache {
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(private readonly limitBytes: number) {}

  async get(key: string, estimateBytes: number, compile: () => Promise<CompiledGraph>): Promise<CompiledGraph> {
    const known = this.#entries.get(key);
    if (known) this.#take(key, known);
    const bytes = Math.max(estimateBytes, known?.bytes ?? 0);
    await this.#makeRoom(bytes);
    const graph = known?.graph ?? (await compile());
    this.#entries.set(key, { graph, bytes });
    this.#bytes += bytes;
    return graph;
  }

  #take(key: string, { bytes }: Entry): void {
    this.#entries.delete(key);
    this.#bytes -= bytes;
  }

  async #makeRoom(bytes: number): Promise<void> {
    for (const [key, entry] of this.#entries) {
      if (this.#bytes + bytes <= this.limitBytes) return;
      this.#take(key, entry);
      await entry.graph.release();
    }
  }

  async clear(): Promise<void> {
    for (const { graph } of this.#entries.values()) await graph.release();
    this.#entries.clear();
    this.#bytes = 0;
  }
}
