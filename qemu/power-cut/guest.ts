import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chooseAccelerator } from '../../src/vm/accelerator.ts';
import { uefiFirmware } from '../../src/vm/firmware.ts';
import { startMachine, type VirtualMachine } from '../../src/vm/virtual-machine.ts';
import type { SweepDisk } from './disk.ts';

const BOOT_MS = 180_000;
/** Making an initramfs under an emulated processor. */
const COMMAND_MS = 400_000;
const END_MS = 60_000;
const hopeless = /Kernel panic - .*|imgboot: .* To mend it: .*|grub rescue>|boot: $/;

/** A machine that its own boot loader has got up, with the shell on its console. */
export class Guest implements AsyncDisposable {
  /** What its init said of the system that it is. */
  readonly greeting: string;
  readonly #machine: VirtualMachine;
  readonly #directory: string;
  #commands = 0;

  private constructor(
    machine: VirtualMachine,
    { directory, greeting }: { directory: string; greeting: string },
  ) {
    this.#machine = machine;
    this.#directory = directory;
    this.greeting = greeting;
  }

  /**
   * Switches the machine on.
   * @param options.writeLog a file for the record of what it writes
   * @throws where it does not reach its init; the console is part of the error
   */
  static async boot(
    disk: SweepDisk,
    options: { writeLog?: string; consoleLog?: string } = {},
  ): Promise<Guest> {
    const directory = await mkdtemp(path.join(tmpdir(), 'imgboot-power-cut-'));
    const { accelerator } = await chooseAccelerator();
    const machine = await startMachine({
      accelerator,
      memoryBytes: 1024 * 2 ** 20,
      cpus: 1,
      console: 'captured',
      consoleLog: options.consoleLog,
      ...(disk.firmware === 'uefi' ? { firmware: uefiFirmware(directory) } : {}),
      drives: [{ path: disk.path, format: 'raw', access: 'write', writeLog: options.writeLog }],
    });
    try {
      const greeting = await machine.expect(/READY .*\./, { timeoutMs: BOOT_MS, unless: hopeless });
      return new Guest(machine, { directory, greeting });
    } catch (error) {
      await machine[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Runs a command (one line) and returns what it printed. */
  async run(command: string): Promise<{ output: string; status: number }> {
    this.#commands += 1;
    const number = this.#commands;
    // A line that only the shell can have made: what was typed is never taken for it.
    this.#machine.send(
      `printf '<%s ${number}>\\n' begin; { ${command}\n} 2>&1; printf '<%s ${number} %d>\\n' end $?\n`,
    );
    const answer = await this.#machine.expect(new RegExp(`<begin ${number}>\\n[^]*?<end ${number} \\d+>`), {
      timeoutMs: COMMAND_MS,
    });
    const [, output, status] = /^<.*>\n([^]*)<end \d+ (\d+)>$/.exec(answer)!;
    return { output: output!.replace(/\n$/, ''), status: Number(status) };
  }

  /** The same, where the command must succeed. */
  async need(command: string): Promise<string> {
    const { output, status } = await this.run(command);
    if (status !== 0) throw new Error(`"${command}" ended with status ${status} in the guest:\n${output}`);
    return output;
  }

  /** What a command prints, which must be JSON. */
  async json<T>(command: string): Promise<T> {
    // Base64, since the console turns line ends into others.
    return JSON.parse(Buffer.from(await this.need(`${command} | base64`), 'base64').toString()) as T;
  }

  /** Everything that the console said. */
  get consoleText(): string {
    return this.#machine.console.text;
  }

  /** Writes all to the disks, file systems closed, and ends the machine. */
  async powerOff(): Promise<void> {
    this.#machine.send('sync; echo u > /proc/sysrq-trigger; sleep 1; echo o > /proc/sysrq-trigger\n');
    await this.#machine.waitForExit({ timeoutMs: END_MS });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#machine[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
