import type { Drive, DriveBus, Machine } from './machine.ts';

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
    ...firmwareArguments(machine),
    ...bootArguments(machine),
    ...controllerArguments(machine),
    ...(machine.drives ?? []).flatMap(driveArguments),
    ...networkArguments(machine),
    // Without it a guest waits for entropy: an emulated processor has no source of its own.
    '-device',
    'virtio-rng-pci',
    ...consoleDeviceArguments(machine),
    ...agentDeviceArguments(machine),
    ...displayArguments(machine),
    ...(machine.onReboot === 'restart' ? [] : ['-no-reboot']),
  ];
}

/**
 * All that QEMU emulates, but for what tells kernel and libc that `rep movsb` copies fast: it is emulated byte by byte,
 * and a boot to a login takes a fifth longer with it.
 */
const EMULATED_CPU = 'max,-erms,-fsrm';

function processorArguments({ accelerator, cpus, machine, memoryBytes }: Machine): string[] {
  return [
    '-machine',
    machine ?? 'q35',
    '-accel',
    accelerator === 'kvm' ? 'kvm' : 'tcg,thread=multi',
    '-cpu',
    accelerator === 'kvm' ? 'host' : EMULATED_CPU,
    '-smp',
    String(cpus),
    '-m',
    `${Math.ceil(memoryBytes / MEBIBYTE)}M`,
  ];
}

function firmwareArguments({ firmware }: Machine): string[] {
  if (firmware === undefined) return [];
  const flash = (file: string, readOnly: string): string[] => [
    '-drive',
    `if=pflash,format=raw,file=${optionValue(file)}${readOnly}`,
  ];
  // In this order: the first chip has the program.
  return [...flash(firmware.code, ',readonly=on'), ...flash(firmware.variables, '')];
}

function bootArguments({ kernel, initrd, append }: Machine): string[] {
  return [
    ...(kernel === undefined ? [] : ['-kernel', kernel]),
    ...(initrd === undefined ? [] : ['-initrd', initrd]),
    ...(append === undefined ? [] : ['-append', append]),
  ];
}

/** The adapters that the drives' buses need, each once. */
function controllerArguments({ drives }: Machine): string[] {
  const buses = new Set((drives ?? []).map(({ bus }) => bus ?? 'virtio'));
  return [...buses].flatMap((bus) => {
    const adapter = adapters[bus];
    return adapter === undefined ? [] : ['-device', adapter];
  });
}

/** virtio-blk and NVMe are adapters themselves; q35 has one for SATA, but i440fx has none. */
const adapters: Partial<Record<DriveBus, string>> = {
  sata: 'ahci,id=sata',
  scsi: 'virtio-scsi-pci,id=scsi',
  lsi: 'lsi53c895a,id=lsi',
  usb: 'qemu-xhci,id=usb',
};

/** A drive's device, up to its own properties; each port of SATA takes one. */
function driveDevice(bus: DriveBus, index: number): string {
  const devices: Record<DriveBus, string> = {
    virtio: 'virtio-blk-pci',
    sata: `ide-hd,bus=sata.${index}`,
    scsi: 'scsi-hd,bus=scsi.0',
    lsi: 'scsi-hd,bus=lsi.0',
    nvme: 'nvme',
    usb: 'usb-storage,bus=usb.0',
  };
  return devices[bus];
}

function driveArguments(drive: Drive, index: number): string[] {
  const access = { write: '', snapshot: ',snapshot=on', 'read-only': ',readonly=on' }[drive.access];
  return [
    '-drive',
    `if=none,id=drive${index},${driveFile(drive)},discard=unmap${access}`,
    ...(drive.isUnplugged === true ? [] : ['-device', driveDeviceOption(drive, index)]),
  ];
}

function driveFile({ path, format, writeLog }: Drive): string {
  if (writeLog === undefined) return `format=${format},file=${optionValue(path)}`;
  const file = `file.driver=${format},file.file.driver=file,file.file.filename=${optionValue(path)}`;
  return `driver=blklogwrites,${file},log.driver=file,log.filename=${optionValue(writeLog)}`;
}

/** The value of -device, or of the monitor's device_add, for a drive of the machine. */
export function driveDeviceOption(drive: Drive, index: number): string {
  const bus = drive.bus ?? 'virtio';
  // An NVMe disk without a serial number is refused.
  const name = drive.serial ?? (bus === 'nvme' ? `drive${index}` : undefined);
  const serial = name === undefined ? '' : `,serial=${optionValue(name)}`;
  const order = drive.bootIndex === undefined ? '' : `,bootindex=${drive.bootIndex}`;
  return `${driveDevice(bus, index)},drive=drive${index}${serial}${order}`;
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

/** The socket that is QEMU's descriptor 3. */
function agentDeviceArguments({ hasAgent }: Machine): string[] {
  if (hasAgent !== true) return [];
  return ['-chardev', 'socket,id=agent,fd=3', '-serial', 'chardev:agent'];
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
