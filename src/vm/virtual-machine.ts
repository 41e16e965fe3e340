import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { commandFailure } from '../system/exec.ts';
import { startProcess, type ExitResult, type RunningProcess } from '../system/process.ts';
import { GuestAgent } from './agent.ts';
import { driveDeviceOption, machineArguments } from './arguments.ts';
import { Console, type ExpectOptions } from './console.ts';
import type { Drive, Machine } from './machine.ts';

const QEMU = 'qemu-system-x86_64';

export interface StartMachineOptions {
  /** Gets the captured console as it comes, for a user who watches. */
  echo?: NodeJS.WritableStream | undefined;
  /** Ends the machine when aborted. */
  signal?: AbortSignal | undefined;
}

/**
 * Starts a machine. It ends with the guest's power-off (and reboot, unless told otherwise), with disposal, and,
 * whatever happens, with this process. Needs no root, only access to the drives' files.
 * @throws CommandFailed where QEMU is missing; refused arguments show as an early exit, see `waitForExit`
 */
export async function startMachine(
  machine: Machine,
  options: StartMachineOptions = {},
): Promise<VirtualMachine> {
  return VirtualMachine.start(machine, options);
}

/** A running machine and its serial console. Dispose it; disposal is idempotent. */
export class VirtualMachine {
  readonly console = new Console();
  /** What runs programs in the guest, where the machine has it. */
  readonly agent: GuestAgent | undefined;
  readonly #process: RunningProcess;
  readonly #drives: readonly Drive[];
  readonly #log: WriteStream | undefined;
  #endedByUs = false;

  /** @see startMachine */
  static async start(machine: Machine, options: StartMachineOptions): Promise<VirtualMachine> {
    options.signal?.throwIfAborted();
    if (machine.consoleLog !== undefined) await mkdir(path.dirname(machine.consoleLog), { recursive: true });
    const attached = machine.console === 'terminal';
    // QEMU writes the log itself only where we do not see the bytes; ours is complete when the exit is told.
    const process = await startProcess(
      QEMU,
      machineArguments(attached ? machine : { ...machine, consoleLog: undefined }),
      {
        stdin: attached ? 'inherit' : 'pipe',
        stdout: attached ? 'inherit' : 'pipe',
        // On SIGTERM QEMU gives the terminal its modes back.
        deathSignal: attached ? 'TERM' : 'KILL',
        channel: machine.hasAgent,
      },
    );
    const consoleLog = attached ? undefined : machine.consoleLog;
    return new VirtualMachine(process, { consoleLog, drives: machine.drives ?? [] }, options);
  }

  private constructor(
    process: RunningProcess,
    { consoleLog, drives }: { consoleLog: string | undefined; drives: readonly Drive[] },
    { echo, signal }: StartMachineOptions,
  ) {
    this.#process = process;
    this.agent = process.channel && new GuestAgent(process.channel);
    this.#drives = drives;
    this.#log = consoleLog === undefined ? undefined : createWriteStream(consoleLog);
    process.stdout?.on('data', (bytes: Buffer) => {
      this.#log?.write(bytes);
      echo?.write(bytes);
      this.console.append(bytes);
    });
    void this.#followUntilExit(signal);
  }

  async #followUntilExit(signal: AbortSignal | undefined): Promise<void> {
    const abort = (): void => void this[Symbol.asyncDispose]();
    signal?.addEventListener('abort', abort, { once: true });
    const result = await this.#process.exited;
    signal?.removeEventListener('abort', abort);
    this.#log?.end();
    this.console.end(describeExit(result));
  }

  /** The QEMU process's id. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Waits for the console to print something; see {@link Console.expect}. */
  async expect(pattern: string | RegExp, options: ExpectOptions): Promise<string> {
    return this.console.expect(pattern, options);
  }

  /** Types text on the serial console, as it is: end a command with `\n`. */
  send(text: string): void {
    // Ctrl-A is QEMU's own key; written twice, it reaches the guest.
    this.#process.stdin?.write(text.replaceAll('\x01', '\x01\x01'));
  }

  /** Presses the power button: a guest that listens shuts down, see `waitForExit`. */
  pressPowerButton(): void {
    this.#process.stdin?.write('\x01csystem_powerdown\n\x01c');
  }

  /** Presses keys of the machine's keyboard, one after the other, by the monitor's names: `a`, `spc`, `ret`. */
  pressKeys(keys: readonly string[]): void {
    this.#process.stdin?.write(`\x01c${keys.map((key) => `sendkey ${key}\n`).join('')}\x01c`);
  }

  /** Plugs in a drive that was left out when the machine started. */
  plugDrive(index: number): void {
    const drive = this.#drives[index];
    if (drive === undefined) throw new RangeError(`the machine has no drive ${index}`);
    this.#process.stdin?.write(`\x01cdevice_add ${driveDeviceOption(drive, index)}\n\x01c`);
  }

  /** Has QEMU write what the screen shows, as a PPM image; the file is there a moment later. */
  saveScreen(file: string): void {
    this.#process.stdin?.write(`\x01cscreendump ${JSON.stringify(file)}\n\x01c`);
  }

  /**
   * Waits until the guest has ended the machine.
   * @throws IMGBOOT_CONSOLE_TIMEOUT where it still runs after `timeoutMs` (it keeps running), CommandFailed where
   *   QEMU itself failed
   */
  async waitForExit(options: { timeoutMs?: number | undefined } = {}): Promise<void> {
    const result = await this.#exitWithin(options.timeoutMs);
    if (result.exitCode !== 0 && !this.#endedByUs) throw commandFailure([QEMU], result);
  }

  async #exitWithin(timeoutMs: number | undefined): Promise<ExitResult> {
    if (timeoutMs === undefined) return this.#process.exited;
    const timer = new AbortController();
    try {
      return await Promise.race([
        this.#process.exited,
        sleep(timeoutMs, undefined, { signal: timer.signal }).then(() => {
          throw this.console.timeoutError('the machine did not end', timeoutMs);
        }),
      ]);
    } finally {
      timer.abort();
    }
  }

  /** Ends the machine as pulling its plug does, but with QEMU's own buffers written. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#endedByUs = true;
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 5_000);
    await this.#process.exited;
    clearTimeout(timer);
  }
}

function describeExit({ exitCode, signal, stderr }: ExitResult): string {
  const words = stderr.trim().split('\n').slice(-3).join('\n');
  const how = signal === undefined ? `QEMU's exit status ${exitCode}` : `QEMU got ${signal}`;
  return words === '' ? how : `${how}: ${words}`;
}
