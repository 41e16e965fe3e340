import { describe, expect, it } from 'vitest';
import { driveDeviceOption, machineArguments } from './arguments.ts';
import type { Machine } from './machine.ts';

const smallest: Machine = { accelerator: 'tcg', memoryBytes: 512 * 2 ** 20, cpus: 1, console: 'captured' };

describe('machineArguments', () => {
  it('a machine has no configuration files, default devices or network of its own', () => {
    const args = machineArguments(smallest);
    expect(args.slice(0, 2)).toEqual(['-no-user-config', '-nodefaults']);
    expect(pairs(args)).toContainEqual(['-nic', 'none']);
  });

  it('memory is given in MiB, rounded up', () => {
    expect(pairs(machineArguments({ ...smallest, memoryBytes: 100 * 2 ** 20 + 1 }))).toContainEqual([
      '-m',
      '101M',
    ]);
  });

  it.each([
    ['kvm', 'kvm', 'host'],
    ['tcg', 'tcg,thread=multi', 'max,-erms,-fsrm'],
  ] as const)('under %s the processor is the fullest one that is quick', (accelerator, accel, cpu) => {
    const args = pairs(machineArguments({ ...smallest, accelerator }));
    expect(args).toContainEqual(['-accel', accel]);
    expect(args).toContainEqual(['-cpu', cpu]);
  });

  it('kernel, initrd and command line are passed whole', () => {
    const args = machineArguments({ ...smallest, kernel: '/k', initrd: '/i', append: 'a=1 b="c d"' });
    expect(args.slice(args.indexOf('-kernel'), args.indexOf('-kernel') + 6)).toEqual([
      '-kernel',
      '/k',
      '-initrd',
      '/i',
      '-append',
      'a=1 b="c d"',
    ]);
  });

  it.each([
    ['write', 'if=none,id=drive0,format=raw,file=/d,discard=unmap'],
    ['snapshot', 'if=none,id=drive0,format=raw,file=/d,discard=unmap,snapshot=on'],
    ['read-only', 'if=none,id=drive0,format=raw,file=/d,discard=unmap,readonly=on'],
  ] as const)('a drive with access %s', (access, option) => {
    const drives = [{ path: '/d', format: 'raw' as const, access }];
    expect(pairs(machineArguments({ ...smallest, drives }))).toContainEqual(['-drive', option]);
  });

  it('a comma in a file name stays a part of the name', () => {
    const drives = [{ path: '/a,snapshot=off', format: 'qcow2' as const, access: 'snapshot' as const }];
    expect(pairs(machineArguments({ ...smallest, drives }))).toContainEqual([
      '-drive',
      'if=none,id=drive0,format=qcow2,file=/a,,snapshot=off,discard=unmap,snapshot=on',
    ]);
  });

  it('what a drive is written can be recorded', () => {
    const drives = [{ path: '/d', format: 'raw' as const, access: 'write' as const, writeLog: '/l' }];
    expect(pairs(machineArguments({ ...smallest, drives }))).toContainEqual([
      '-drive',
      'if=none,id=drive0,driver=blklogwrites,file.driver=raw,file.file.driver=file,file.file.filename=/d,log.driver=file,log.filename=/l,discard=unmap',
    ]);
  });

  it('drives keep their order, and their serial numbers name them in the guest', () => {
    const drive = { format: 'raw', access: 'write' } as const;
    const args = machineArguments({
      ...smallest,
      drives: [
        { ...drive, path: '/a', serial: 'root' },
        { ...drive, path: '/b' },
      ],
    });
    expect(args.filter((arg) => arg.startsWith('virtio-blk-pci'))).toEqual([
      'virtio-blk-pci,drive=drive0,serial=root',
      'virtio-blk-pci,drive=drive1',
    ]);
  });

  it.each([
    ['virtio', undefined, 'virtio-blk-pci,drive=drive0'],
    ['sata', 'ahci,id=sata', 'ide-hd,bus=sata.0,drive=drive0'],
    ['scsi', 'virtio-scsi-pci,id=scsi', 'scsi-hd,bus=scsi.0,drive=drive0'],
    ['lsi', 'lsi53c895a,id=lsi', 'scsi-hd,bus=lsi.0,drive=drive0'],
    ['nvme', undefined, 'nvme,drive=drive0,serial=drive0'],
    ['usb', 'qemu-xhci,id=usb', 'usb-storage,bus=usb.0,drive=drive0'],
  ] as const)('a drive on %s comes with its adapter', (bus, adapter, device) => {
    const drives = [{ path: '/d', format: 'raw', access: 'write', bus }] as const;
    const devices = pairs(machineArguments({ ...smallest, drives }))
      .filter(([option]) => option === '-device')
      .map(([, value]) => value);
    expect(devices.slice(0, -1)).toEqual(adapter === undefined ? [device] : [adapter, device]);
  });

  it('a drive that is plugged in later has its adapter, but no device', () => {
    const drives = [{ path: '/d', format: 'raw', access: 'write', bus: 'scsi', isUnplugged: true }] as const;
    const args = machineArguments({ ...smallest, drives });
    expect(args).toContain('virtio-scsi-pci,id=scsi');
    expect(args.filter((arg) => arg.startsWith('scsi-hd'))).toEqual([]);
    expect(driveDeviceOption(drives[0], 0)).toBe('scsi-hd,bus=scsi.0,drive=drive0');
  });

  it('several drives on one bus share its adapter', () => {
    const drive = { path: '/d', format: 'raw', access: 'write', bus: 'sata' } as const;
    const args = machineArguments({ ...smallest, drives: [drive, drive] });
    expect(args.filter((arg) => /^(ahci|ide-hd)/.test(arg))).toEqual([
      'ahci,id=sata',
      'ide-hd,bus=sata.0,drive=drive0',
      'ide-hd,bus=sata.1,drive=drive1',
    ]);
  });

  it('UEFI is a flash chip with the program, and after it one with the variables', () => {
    const firmware = { code: '/code.fd', variables: '/a,b.fd' };
    const chips = pairs(machineArguments({ ...smallest, firmware }))
      .filter(([option]) => option === '-drive')
      .map(([, value]) => value);
    expect(chips).toEqual([
      'if=pflash,format=raw,file=/code.fd,readonly=on',
      'if=pflash,format=raw,file=/a,,b.fd',
    ]);
  });

  it('firmware boots from the drive that is said', () => {
    const drive = { path: '/d', format: 'raw', access: 'write', bootIndex: 0 } as const;
    expect(driveDeviceOption(drive, 0)).toBe('virtio-blk-pci,drive=drive0,bootindex=0');
  });

  it('the machine is a q35, unless the older pc is asked for', () => {
    expect(pairs(machineArguments(smallest))).toContainEqual(['-machine', 'q35']);
    expect(pairs(machineArguments({ ...smallest, machine: 'pc' }))).toContainEqual(['-machine', 'pc']);
  });

  it('a guest that reboots ends the machine, unless it may restart', () => {
    expect(machineArguments(smallest)).toContain('-no-reboot');
    expect(machineArguments({ ...smallest, onReboot: 'restart' })).not.toContain('-no-reboot');
  });

  it('on a terminal, Ctrl-A reaches QEMU and Ctrl-C the guest', () => {
    const args = pairs(machineArguments({ ...smallest, console: 'terminal', consoleLog: '/log' }));
    expect(args).toContainEqual([
      '-chardev',
      'stdio,id=console,mux=on,signal=off,logfile=/log,logappend=off',
    ]);
    expect(args).toContainEqual(['-mon', 'chardev=console']);
  });
});

function pairs(args: readonly string[]): string[][] {
  return args.map((arg, index) => [arg, args[index + 1] ?? '']);
}
