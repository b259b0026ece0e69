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
    if (known) {
      this.#entries.delete(key);
      this.#entries.set(key, known);
      return known.graph;
    }
    await this.#makeRoom(estimateBytes);
    const graph = await compile();
    this.#entries.set(key, { graph, bytes: estimateBytes });
    this.#bytes += estimateBytes;
    return graph;
  }

  async #makeRoom(bytes: number): Promise<void> {
    for (const [key, entry] of this.#entries) {
      if (this.#bytes + bytes <= this.limitBytes) return;
      this.#entries.delete(key);
      this.#bytes -= entry.bytes;
      await entry.graph.release();
    }
  }

  async clear(): Promise<void> {
    for (const { graph } of this.#entries.values()) await graph.release();
    this.#entries.clear();
    this.#bytes = 0;
  }
}
