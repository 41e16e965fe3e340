import type { VirtualMachine } from '../vm/virtual-machine.ts';
import type { ProgramEnd, TrialGuest } from './trial.ts';

/** A virtual machine with an agent. */
export class MachineGuest implements TrialGuest {
  /** What the initramfs leaves: the image may have none. */
  readonly shell = ['/run/initramfs/bin/busybox', 'sh', '-c'];
  readonly #machine: VirtualMachine;

  constructor(machine: VirtualMachine) {
    this.#machine = machine;
  }

  async run(
    words: readonly string[],
    options: { limitSeconds: number; signal?: AbortSignal | undefined },
  ): Promise<ProgramEnd> {
    return await this.#machine.agent!.run(words, options);
  }

  async lastLines(): Promise<string> {
    return this.#machine.console.lastLines();
  }
}
