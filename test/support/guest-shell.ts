import type { VirtualMachine } from '../../src/vm/virtual-machine.ts';

/** From the machine's start to a shell, under an emulated processor that others use, too. */
export const BOOT_MS = 150_000;
const COMMAND_MS = 60_000;
const POWER_OFF_MS = 90_000;

/** What rules a login out: waiting on is a waste of time. */
const hopeless = /Kernel panic - .*|imgboot: .* To mend it: .*|You are in emergency mode/;

/**
 * A root shell on a machine's serial console, for images that have the console layer. The machine prints a line
 * that only the shell can have made around each answer, so an echo of what was typed is never taken for one.
 */
export class GuestShell {
  readonly machine: VirtualMachine;
  #commands = 0;

  private constructor(machine: VirtualMachine) {
    this.machine = machine;
  }

  /** Waits for the login and takes it over. */
  static async login(machine: VirtualMachine): Promise<GuestShell> {
    await machine.expect('login: root (automatic login)', { timeoutMs: BOOT_MS, unless: hopeless });
    await machine.expect(/root@[\w-]+:.*# $/, { timeoutMs: COMMAND_MS });
    // A shell without an editor of lines and without a prompt, so that the console has nothing but answers.
    machine.send('stty -echo; exec env PS1= PS2= sh\n');
    const shell = new GuestShell(machine);
    await shell.run('dmesg -n 1; systemctl is-system-running --wait > /dev/null || :');
    return shell;
  }

  /** Runs a command (one line, fewer than 4,000 characters) and returns what it printed; it must succeed. */
  async run(command: string, timeoutMs = COMMAND_MS): Promise<string> {
    this.#commands += 1;
    const number = this.#commands;
    this.machine.send(
      `printf '<%s ${number}>\\n' begin; { ${command}\n} 2>&1; printf '<%s ${number} %d>\\n' end $?\n`,
    );
    const answer = await this.machine.expect(new RegExp(`<begin ${number}>\\n[^]*?<end ${number} \\d+>`), {
      timeoutMs,
    });
    const [, output, status] = /^<.*>\n([^]*)<end \d+ (\d+)>$/.exec(answer)!;
    if (status !== '0') throw new Error(`"${command}" ended with status ${status} in the guest:\n${output}`);
    return output!.replace(/\n$/, '');
  }

  /** What a command prints, which must be JSON. */
  async json<T>(command: string): Promise<T> {
    // Base64, since the console turns line ends into others.
    return JSON.parse(Buffer.from(await this.run(`${command} | base64`), 'base64').toString()) as T;
  }

  /** Ends the guest as an administrator does, and waits until the machine is gone. */
  async powerOff(): Promise<void> {
    this.machine.send('systemctl poweroff\n');
    await this.machine.waitForExit({ timeoutMs: POWER_OFF_MS });
  }
}
