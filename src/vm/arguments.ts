import type { Drive, Machine } from './machine.ts';

const MEBIBYTE = 2 ** 20;

/**
 * The arguments of qemu-system-x86_64 for a machine. Pure: looks at no file and starts nothing.
 * The machine has what is asked for and nothing else: no configuration files, no default devices, no network.
 */
export function machineArguments(machine: Machine): string[] {
  return [
    '-no-user-config',
    '-nodefaults',
    ...processorArguments(machine),
    ...bootArguments(machine),
    ...(machine.drives ?? []).flatMap(driveArguments),
    ...networkArguments(machine),
    // Without it a guest waits for entropy: an emulated processor has no source of its own.
    '-device',
    'virtio-rng-pci',
    ...consoleDeviceArguments(machine),
    ...displayArguments(machine),
    ...(machine.onReboot === 'restart' ? [] : ['-no-reboot']),
  ];
}

function processorArguments({ accelerator, cpus, memoryBytes }: Machine): string[] {
  return [
    '-machine',
    'q35',
    '-accel',
    accelerator === 'kvm' ? 'kvm' : 'tcg,thread=multi',
    '-cpu',
    accelerator === 'kvm' ? 'host' : 'max',
    '-smp',
    String(cpus),
    '-m',
    `${Math.ceil(memoryBytes / MEBIBYTE)}M`,
  ];
}

function bootArguments({ kernel, initrd, append }: Machine): string[] {
  return [
    ...(kernel === undefined ? [] : ['-kernel', kernel]),
    ...(initrd === undefined ? [] : ['-initrd', initrd]),
    ...(append === undefined ? [] : ['-append', append]),
  ];
}

function driveArguments(drive: Drive, index: number): string[] {
  const id = `drive${index}`;
  const access = { write: '', snapshot: ',snapshot=on', 'read-only': ',readonly=on' }[drive.access];
  const serial = drive.serial === undefined ? '' : `,serial=${optionValue(drive.serial)}`;
  return [
    '-drive',
    `if=none,id=${id},format=${drive.format},discard=unmap,file=${optionValue(drive.path)}${access}`,
    '-device',
    `virtio-blk-pci,drive=${id}${serial}`,
  ];
}

function networkArguments({ network }: Machine): string[] {
  return network === 'user'
    ? ['-netdev', 'user,id=network0', '-device', 'virtio-net-pci,netdev=network0']
    : ['-nic', 'none'];
}

function consoleDeviceArguments({ consoleLog }: Machine): string[] {
  const log = consoleLog === undefined ? '' : `,logfile=${optionValue(consoleLog)},logappend=off`;
  return [
    // mux: Ctrl-A c leads to QEMU's monitor and back. signal=off: Ctrl-C belongs to the guest.
    '-chardev',
    `stdio,id=console,mux=on,signal=off${log}`,
    '-serial',
    'chardev:console',
    '-mon',
    'chardev=console',
  ];
}

/** The plainest screen that every kernel drives, and a pointer that needs no grabbing of the user's mouse. */
function displayArguments({ display }: Machine): string[] {
  if (display === undefined) return ['-display', 'none'];
  return ['-display', display, '-device', 'VGA', '-device', 'qemu-xhci', '-device', 'usb-tablet'];
}

/** A value inside QEMU's comma-separated options: a comma is written twice (qemu-options, "file=my,,file"). */
function optionValue(text: string): string {
  return text.replaceAll(',', ',,');
}
