/** How a guest's instructions run: by the processor itself, or emulated. */
export type Accelerator = 'kvm' | 'tcg';

/** What a disk hangs on. */
export type DriveBus = 'virtio' | 'sata' | 'scsi' | 'lsi' | 'nvme' | 'usb';

/** A disk of the machine; the first on virtio is /dev/vda in the guest. */
export interface Drive {
  /** The file that holds the disk's bytes. */
  path: string;
  format: 'raw' | 'qcow2';
  /**
   * `write` keeps what the guest writes, `snapshot` discards it when the machine ends and leaves the file as it
   * is, `read-only` refuses it.
   */
  access: 'write' | 'snapshot' | 'read-only';
  /** `virtio` by default; `scsi` is virtio's adapter, `lsi` an emulated one. */
  bus?: DriveBus | undefined;
  /** Not there when the machine starts: `plugDrive` puts it in, on the buses scsi and usb. */
  isUnplugged?: true | undefined;
  /** Which drive the firmware boots from: the least first; none that has no number. */
  bootIndex?: number | undefined;
  /**
   * A file that gets a record of what the guest writes, in the order in which it is done, flushes included: of a raw
   * drive that is written to, in the format of the kernel's dm-log-writes.
   */
  writeLog?: string | undefined;
  /** What the guest sees as the disk's serial number (/dev/disk/by-id/virtio-SERIAL); at most 20 characters. */
  serial?: string | undefined;
}

/** UEFI as two flash chips. */
export interface UefiFirmware {
  /** The program; read only. */
  code: string;
  /** The machine's own variables, which it writes. */
  variables: string;
}

/** A virtual machine, as the argument builder takes it. */
export interface Machine {
  accelerator: Accelerator;
  memoryBytes: number;
  cpus: number;
  /** `q35` (PCI Express) by default; `pc` is the older i440fx. */
  machine?: 'q35' | 'pc' | undefined;
  /** What boots from the drives where no kernel is given; QEMU's BIOS when undefined. */
  firmware?: UefiFirmware | undefined;
  /** The kernel that is started directly: a bzImage, or an uncompressed vmlinux with a PVH note. */
  kernel?: string | undefined;
  initrd?: string | undefined;
  /** The kernel command line, whole: {@link guestArguments} is not added. */
  append?: string | undefined;
  drives?: readonly Drive[] | undefined;
  /**
   * Where the screen is shown, as QEMU's -display has it (`gtk`, `vnc=:1`, `none` to have one that nobody sees); the
   * machine has no screen when undefined.
   */
  display?: string | undefined;
  /** `none` by default; `user` gives the guest a private network with the host's way out. */
  network?: 'none' | 'user' | undefined;
  /**
   * `captured`: the serial console is our standard input and output as plain pipes. `terminal`: the user's terminal
   * is attached in raw mode; Ctrl-A x ends the machine, Ctrl-A h lists QEMU's other keys.
   */
  console: 'captured' | 'terminal';
  /** Where QEMU itself writes what the console printed; with `terminal`, the only record. */
  consoleLog?: string | undefined;
  /** A second serial port, whose other end is the machine's `agent`. */
  hasAgent?: true | undefined;
  /** `exit` ends the machine when the guest reboots (the default), `restart` lets it. */
  onReboot?: 'exit' | 'restart' | undefined;
}

/**
 * What a guest's kernel command line needs: the kernel and its console getty talk on the machine's serial port; and an
 * emulated processor that waits for its turn may miss the ticks by which the kernel tries its timer.
 */
export const guestArguments = 'console=ttyS0 no_timer_check';

/** What it needs so that our initramfs serves the second serial port. @see hooks/own/agent */
export const agentArguments = 'imgboot.agent=ttyS1';
