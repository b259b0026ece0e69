import { containmentOf, guestCommand } from './containment.js';
import { GuestRunner, type GuestCommand } from './guest-runner.js';
import type { Containment } from './types.js';

/**
 * Python in WebAssembly, each program in a process of its own that starts from a memory image and is used once: under
 * the operating system's sandbox where the machine has one.
 */
export class EmbeddedRunner extends GuestRunner {
  readonly name = 'embedded';

  containment(): Promise<Containment> {
    return Promise.resolve(containmentOf());
  }

  protected guestCommand(role: 'program' | 'harness', memoryMegabytes: number): Promise<GuestCommand> {
    return guestCommand(role, memoryMegabytes);
  }
}
