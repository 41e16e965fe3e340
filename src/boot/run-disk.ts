import { basename } from 'node:path';
import { accessSync, closeSync, constants, openSync, readSync } from 'node:fs';
import { ImgbootError } from '../errors.ts';
import { TemporaryDirectory } from '../system/temporary-directory.ts';
import { uefiFirmware, type FirmwareName } from '../vm/firmware.ts';
import type { Drive, Machine } from '../vm/machine.ts';
import { startMachine } from '../vm/virtual-machine.ts';
import { bootAtTerminal, type RunGuestRequest } from './run-guest.ts';

export interface RunDiskRequest extends Omit<RunGuestRequest, 'append'> {
  path: string;
  format: Drive['format'];
  /** What starts the disk; what it has code for when undefined. */
  firmware: FirmwareName | undefined;
}

/**
 * Boots a whole disk by firmware, with the network of the user: at the user's terminal, or until its console has
 * printed what is expected. Needs only the right to write the file.
 * @throws IMGBOOT_NO_FIRMWARE, IMGBOOT_NOT_A_DISK, IMGBOOT_CONSOLE_TIMEOUT, IMGBOOT_CONSOLE_ENDED
 */
export async function runDisk(request: RunDiskRequest): Promise<void> {
  requireDisk(request.path);
  await using directory = await TemporaryDirectory.create();
  const firmware = request.firmware ?? firmwareOf(request);
  const { accelerator, memoryBytes, cpus, display, path, format } = request;
  const parts: Machine = {
    accelerator,
    memoryBytes,
    cpus,
    display,
    firmware: firmware === 'uefi' ? uefiFirmware(directory.path) : undefined,
    drives: [{ path, format, access: 'write', bootIndex: 0 }],
    network: 'user',
    onReboot: request.expect === undefined ? 'restart' : 'exit',
    console: request.expect === undefined ? 'terminal' : 'captured',
  };
  await using machine = await startMachine(parts, { echo: request.echo, signal: request.signal });
  await bootAtTerminal(machine, { ...request, isKept: true });
}

function requireDisk(path: string): void {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch (cause) {
    throw new ImgbootError('IMGBOOT_NOT_A_DISK', `${path} cannot be read and written`, {
      cause,
      hint: `make it: imgboot disk IMAGE -o ${basename(path)}`,
    });
  }
}

const BOOT_CODE_BYTES = 440;

/** BIOS starts what is in the first bytes; a disk for UEFI only has nothing there. A qcow2 file would have to be read. */
function firmwareOf({ path, format }: RunDiskRequest): FirmwareName {
  if (format !== 'raw') return 'uefi';
  const code = Buffer.alloc(BOOT_CODE_BYTES);
  const fd = openSync(path, 'r');
  readSync(fd, code, 0, code.length, 0);
  closeSync(fd);
  return code.every((byte) => byte === 0) ? 'uefi' : 'bios';
}
