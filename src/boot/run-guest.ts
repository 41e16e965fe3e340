import { guestArguments } from '../vm/machine.ts';
import { startMachine, type VirtualMachine } from '../vm/virtual-machine.ts';
import type { Accelerator, Machine } from '../vm/machine.ts';
import type { Guest } from './guest.ts';

export interface RunGuestRequest {
  accelerator: Accelerator;
  memoryBytes: number;
  cpus: number;
  /** {@link Machine.display} */
  display: Machine['display'];
  /** Further words for the kernel command line. */
  append: string | undefined;
  /** What the console must print, and within how long; a user sits at the console when undefined. */
  expect: { text: string; timeoutMs: number } | undefined;
  /** Gets the console while something is expected of it. */
  echo: NodeJS.WritableStream;
  signal?: AbortSignal | undefined;
}

/** How long a guest may take to power off after what was expected came. */
const POWER_OFF_MS = 60_000;

/**
 * Boots a guest: at the user's terminal, or until its console has printed what is expected, and then ends it.
 * @throws IMGBOOT_CONSOLE_TIMEOUT, IMGBOOT_CONSOLE_ENDED with the console's last lines
 */
export async function runGuest(guest: Guest, request: RunGuestRequest): Promise<void> {
  // At a terminal a failed boot offers a shell; nobody would use one where only text is expected.
  const onFailure = request.expect === undefined ? 'rd.shell' : 'panic=1';
  await using machine = await startMachine(
    {
      accelerator: request.accelerator,
      memoryBytes: request.memoryBytes,
      cpus: request.cpus,
      display: request.display,
      kernel: guest.kernel,
      initrd: guest.initrd,
      append: [guest.commandLine, onFailure, guestArguments, request.append].filter(Boolean).join(' '),
      drives: [{ path: guest.disk, format: 'raw', access: 'write' }],
      console: request.expect === undefined ? 'terminal' : 'captured',
    },
    { echo: request.echo, signal: request.signal },
  );
  await bootAtTerminal(machine, { ...request, isKept: guest.isKept });
}

/** Waits for the end of a machine at a terminal, or for what is expected of its console. */
export async function bootAtTerminal(
  machine: VirtualMachine,
  request: Pick<RunGuestRequest, 'expect' | 'signal'> & { isKept: boolean },
): Promise<void> {
  if (request.expect === undefined) return await machine.waitForExit();
  const { text, timeoutMs } = request.expect;
  await machine.expect(text, { timeoutMs, signal: request.signal });
  if (!request.isKept) return;
  // A disk that is booted again deserves a clean shutdown; a guest that does not hear the button loses its power.
  machine.pressPowerButton();
  await machine.waitForExit({ timeoutMs: POWER_OFF_MS }).catch(() => {});
}
