import { Guest, type GuestRequest } from '../boot/guest.ts';
import type { Store } from '../store/store.ts';
import type { OperationOptions } from '../system/progress.ts';
import { agentArguments, guestArguments, type Accelerator } from '../vm/machine.ts';
import { startMachine } from '../vm/virtual-machine.ts';
import { awaitSystem } from './await-system.ts';
import { ContainerGuest, type ContainerGuestRequest } from './container-guest.ts';
import { MachineGuest } from './machine-guest.ts';
import { runSteps, timed, type StepReport } from './run-steps.ts';
import type { Trial, TrialGuest } from './trial.ts';

/** What became of a test. */
export interface TrialReport {
  ok: boolean;
  steps: StepReport[];
  /** The end of what the system printed on its console, where a step was not as expected. */
  console?: string | undefined;
}

export interface TrialOptions extends OperationOptions {
  /** What a system has to start. */
  bootMs: number;
  /** Called after each step. */
  onStep: (report: StepReport) => void;
}

/** Carries out a test in a container of an image. Needs root. */
export async function runInContainer(
  store: Store,
  trial: Trial,
  {
    request,
    ...options
  }: TrialOptions & { request: Omit<ContainerGuestRequest, 'boot' | 'signal' | 'progress'> },
): Promise<TrialReport> {
  const { progress, signal } = options;
  await using guest = await ContainerGuest.start(store, { ...request, boot: trial.boot, progress, signal });
  const begin = trial.boot ? async (): Promise<void> => awaitSystemOf(guest, options) : undefined;
  return await carryOut(guest, trial, { ...options, begin });
}

/** Carries out a test in a virtual machine that boots an image as `imgboot qemu` does. Needs root. */
export async function runInMachine(
  store: Store,
  trial: Trial,
  {
    request,
    machine,
    ...options
  }: TrialOptions & {
    request: Omit<GuestRequest, 'signal' | 'progress' | 'keep'>;
    machine: { accelerator: Accelerator; memoryBytes: number; cpus: number };
  },
): Promise<TrialReport> {
  const { progress, signal, bootMs } = options;
  await using files = await Guest.make(store, { ...request, keep: undefined, progress, signal });
  await using vm = await startMachine(
    {
      ...machine,
      kernel: files.kernel,
      initrd: files.initrd,
      append: [files.commandLine, 'panic=1', guestArguments, agentArguments].join(' '),
      drives: [{ path: files.disk, format: 'raw', access: 'write' }],
      console: 'captured',
      hasAgent: true,
    },
    { signal },
  );
  const guest = new MachineGuest(vm);
  const begin = async (): Promise<void> => {
    await vm.agent!.ready({ timeoutMs: bootMs, signal });
    await vm.agent!.start(signal);
    await awaitSystemOf(guest, options);
  };
  return await carryOut(guest, trial, { ...options, begin });
}

async function awaitSystemOf(guest: TrialGuest, { bootMs, signal }: TrialOptions): Promise<void> {
  await awaitSystem(guest, { timeoutMs: bootMs, signal });
}

/** @param begin what comes before the steps, if anything, and is told as one */
async function carryOut(
  guest: TrialGuest,
  trial: Trial,
  { begin, ...options }: TrialOptions & { begin: (() => Promise<void>) | undefined },
): Promise<TrialReport> {
  const steps: StepReport[] = [];
  if (begin !== undefined) {
    options.progress?.({ step: 'starting the system' });
    const first = await timed('the system starts', async () => {
      await begin();
      return {};
    });
    steps.push(first);
    options.onStep(first);
  }
  if (steps.every(({ ok }) => ok)) steps.push(...(await runSteps(guest, trial.steps, options)));
  const ok = steps.every((step) => step.ok);
  return { ok, steps, ...(ok ? {} : { console: await guest.lastLines() }) };
}
