import { closeSync, constants, openSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { failIoctl, ioctl } from './ioctl.ts';
import { loadKoffi } from './koffi.ts';

/** linux/loop.h */
const LOOP_CONFIGURE = 0x4c0a;
const LOOP_CTL_GET_FREE = 0x4c82;
const LO_FLAGS_AUTOCLEAR = 4;
/** struct loop_config, and where its fields are: fd, block_size, and info's lo_offset, lo_sizelimit, lo_flags. */
const CONFIG_BYTES = 304;
const AT = { fd: 0, blockSize: 4, offset: 32, sizeLimit: 40, flags: 60 } as const;

/** Others may take the free device that the kernel names before we do. */
const TRIES = 64;

/**
 * A part of a file or block device as a block device. It is there until disposal and the last use of it have ended,
 * or this process has, however it ends. Needs root.
 */
export class LoopDevice implements Disposable {
  /** `/dev/loop7` */
  readonly path: string;
  #fd: number | undefined;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /** @throws SyscallError */
  static attach(
    file: string,
    { offsetBytes, sizeBytes, sectorBytes }: { offsetBytes: number; sizeBytes: number; sectorBytes: number },
  ): LoopDevice {
    const backing = openSync(file, constants.O_RDWR);
    try {
      const config = Buffer.alloc(CONFIG_BYTES);
      config.writeUInt32LE(backing, AT.fd);
      config.writeUInt32LE(sectorBytes, AT.blockSize);
      config.writeBigUInt64LE(BigInt(offsetBytes), AT.offset);
      config.writeBigUInt64LE(BigInt(sizeBytes), AT.sizeLimit);
      config.writeUInt32LE(LO_FLAGS_AUTOCLEAR, AT.flags);
      return LoopDevice.#configure(config, file);
    } finally {
      closeSync(backing);
    }
  }

  static #configure(config: Buffer, file: string): LoopDevice {
    for (let tries = 1; ; tries += 1) {
      const path = `/dev/loop${freeNumber()}`;
      const fd = openSync(path, constants.O_RDWR);
      if (ioctl().withBuffer(fd, LOOP_CONFIGURE, config) === 0) return new LoopDevice(path, fd);
      const errno = loadKoffi().errno();
      closeSync(fd);
      if (errno !== osConstants.errno.EBUSY || tries === TRIES) failIoctl('LOOP_CONFIGURE', errno, file);
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }
}

function freeNumber(): number {
  const control = openSync('/dev/loop-control', constants.O_RDWR);
  try {
    const number = ioctl().withNumber(control, LOOP_CTL_GET_FREE, 0);
    return number >= 0 ? number : failIoctl('LOOP_CTL_GET_FREE', loadKoffi().errno(), '/dev/loop-control');
  } finally {
    closeSync(control);
  }
}
