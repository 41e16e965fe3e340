import { cpus } from 'node:os';
import { join } from 'node:path';
import type { Candidate, Gate, GateReport } from '../deploy/gate.ts';
import { versionDirectory } from '../deploy/deployments.ts';
import { ImgbootError } from '../errors.ts';
import type { Store } from '../store/store.ts';
import type { OperationOptions } from '../system/progress.ts';
import { MachineGuest } from '../trial/machine-guest.ts';
import { runSteps } from '../trial/run-steps.ts';
import type { Trial } from '../trial/trial.ts';
import { chooseAccelerator } from '../vm/accelerator.ts';
import { agentArguments, guestArguments, type Machine } from '../vm/machine.ts';
import { startMachine, type VirtualMachine } from '../vm/virtual-machine.ts';
import { busFor } from './drive-bus.ts';
import type { SetupFile } from './part-maker.ts';
import { prepareDisks } from './prepare.ts';
import type { Prepared } from './prepare.job.ts';
import { refusal } from './refusal.ts';
import { watchBoot, type Outcome } from './watch.ts';

export interface GateSettings {
  memoryBytes: number;
  /** How long a version may take to reach its target. */
  timeoutMs: number;
  /** Patterns of units that may fail. */
  allowed: readonly string[];
  /** A persistent directory that holds more is not copied. */
  copyBytes: number;
  /** What the booted system has to do besides. */
  trial: Trial | undefined;
}

/** More do not make a boot faster. */
const MOST_CPUS = 4;

/**
 * A gate that boots exactly the version, with this machine's top layer and persistent directories, in a virtual machine
 * without a network, from copies. @throws IMGBOOT_GATE_REFUSED, IMGBOOT_GATE_CANNOT_IMITATE, IMGBOOT_NO_SPACE
 */
export function createGate(settings: GateSettings): Gate {
  return async (store, candidate, options) => await tryVersion(store, candidate, { ...options, settings });
}

async function tryVersion(
  store: Store,
  candidate: Candidate,
  { settings, ...options }: OperationOptions & { settings: GateSettings },
): Promise<GateReport> {
  const { version } = candidate;
  const { progress, signal } = options;
  const { accelerator, reason } = await chooseAccelerator();
  await using workspace = await store.workspace();
  progress?.({ step: `making the disks that ${version.id} is tried with` });
  const prepared = await prepareDisks(store, candidate, {
    workspace,
    copyBytes: settings.copyBytes,
    ...options,
  });
  const directory = versionDirectory(store.paths, version);
  const initrd = join(directory, 'initrd.img');
  const bus = await busFor(initrd, signal);
  const parts: Machine = {
    accelerator,
    memoryBytes: settings.memoryBytes,
    cpus: Math.min(MOST_CPUS, cpus().length),
    kernel: join(directory, 'vmlinuz'),
    initrd,
    append: gateWords(candidate),
    drives: prepared.drives.map((path) => ({ path, format: 'raw', access: 'write', bus })),
    // Screens are what many a system waits for; nobody sees it.
    display: 'none',
    console: 'captured',
    hasAgent: true,
  };
  const start = performance.now();
  progress?.({ step: `booting ${version.id} in a virtual machine (${accelerator}: ${reason})` });
  await using machine = await startMachine(parts, { signal });
  const outcome = await bootOnce(machine, { settings, prepared, signal });
  if (!outcome.reached) throw refusal(version.id, { outcome, prepared, machine });
  const seconds = Math.round((performance.now() - start) / 100) / 10;
  const steps = await runTrial(machine, { version: version.id, settings, options, prepared });
  const { passedOver } = outcome;
  return { accelerator, seconds, passedOver, untested: prepared.untested, steps };
}

/**
 * The version's own command line, and what shows the boot to us. What the store lies in on this machine (LUKS), the gate
 * does without, so nothing of it is waited for in the initramfs.
 */
function gateWords({ options }: Candidate): string {
  return [options, 'rd.luks=0', guestArguments, agentArguments].join(' ');
}

async function bootOnce(
  machine: VirtualMachine,
  {
    settings,
    prepared,
    signal,
  }: { settings: GateSettings; prepared: Prepared; signal: AbortSignal | undefined },
): Promise<Outcome> {
  const end = performance.now() + settings.timeoutMs;
  const agent = machine.agent!;
  const guest = new MachineGuest(machine);
  try {
    await agent.ready({ timeoutMs: settings.timeoutMs, signal });
    for (const file of prepared.setup) await putFile(guest, file, signal);
    await agent.start(signal);
    const { allowed } = settings;
    return await watchBoot(guest, { end, allowed, passedOver: prepared.passedOver, signal });
  } catch (error) {
    if (!(error instanceof ImgbootError)) throw error;
    return { reached: false, why: await whyEnded(machine, error), details: [] };
  }
}

/** QEMU may still have something to say. */
const LAST_WORDS_MS = 5_000;

async function whyEnded(machine: VirtualMachine, error: ImgbootError): Promise<string> {
  if (error.code !== 'IMGBOOT_MACHINE_ENDED') return error.message;
  await machine.waitForExit({ timeoutMs: LAST_WORDS_MS }).catch(() => {});
  const { text, ended = 'QEMU goes on' } = machine.console;
  // A panic has more lines after it than are shown.
  const words = /Kernel panic - .*|imgboot: .* To mend it: .*/.exec(text)?.[0];
  return `the machine ended before its target was reached (${ended})${words === undefined ? '' : `: ${words}`}`;
}

async function putFile(
  guest: MachineGuest,
  { path, content }: SetupFile,
  signal: AbortSignal | undefined,
): Promise<void> {
  const script = 'umask 077; mkdir -p "${1%/*}" && printf %s "$2" > "$1"';
  await guest.run([...guest.shell, script, 'sh', path, content], { limitSeconds: 60, signal });
}

async function runTrial(
  machine: VirtualMachine,
  request: { version: string; settings: GateSettings; options: OperationOptions; prepared: Prepared },
): Promise<GateReport['steps']> {
  const { version, settings, options, prepared } = request;
  if (settings.trial === undefined) return [];
  const steps = await runSteps(new MachineGuest(machine), settings.trial.steps, options);
  const failed = steps.find(({ ok }) => !ok);
  if (failed === undefined) return steps.map(({ name, seconds }) => ({ name, seconds }));
  const why = `the step ${JSON.stringify(failed.name)} of the test: ${failed.why}`;
  const details = [failed.stdout ?? '', failed.stderr ?? ''].join('\n').split('\n').filter(Boolean);
  throw refusal(version, { outcome: { why, details }, prepared, machine });
}
