import { truncateSync } from 'node:fs';
import { dirname } from 'node:path';
import { ImgbootError } from '../errors.ts';
import type { Deployed } from '../deploy/deploy.ts';
import type { Store } from '../store/store.ts';
import { AsideFile } from '../system/aside.ts';
import { runCommand } from '../system/exec.ts';
import { freeBytes } from '../system/free-space.ts';
import type { OperationOptions } from '../system/progress.ts';
import { MEBIBYTE } from './layout.ts';
import { neededBytes, writeDisk, type DiskContent } from './write-disk.ts';

export const diskFormats = ['raw', 'qcow2'] as const;
export type DiskFormat = (typeof diskFormats)[number];

/** The format that a file's name says. */
export function formatOfName(path: string): DiskFormat {
  return path.endsWith('.qcow2') ? 'qcow2' : 'raw';
}

/** Room for what a system writes before its disk is made larger. */
const SPARE_BYTES = 4096 * MEBIBYTE;
const SECTOR_BYTES = 512;

export interface DiskFile {
  path: string;
  format: DiskFormat;
  /** As the machine sees it; the file takes what was written. */
  sizeBytes: number;
  deployed: Deployed;
}

/**
 * Makes a disk that a firmware boots, as a file: whole, or not at all. Needs root; of the host's devices only loop
 * devices are used.
 * @param file.sizeBytes enough for the image and some more when undefined
 * @throws IMGBOOT_DISK_TOO_SMALL, IMGBOOT_NO_LOADER_FILES, and what `deployImage` throws
 */
export async function makeDiskFile(
  store: Store,
  file: { path: string; format: DiskFormat; sizeBytes: number | undefined },
  content: DiskContent & OperationOptions,
): Promise<DiskFile> {
  const { progress, signal } = content;
  const needed = neededBytes(store, content.deployment.reference);
  const sizeBytes = wholeMebibytes(file.sizeBytes ?? needed + SPARE_BYTES);
  using output = AsideFile.create(file.path, 0o600);
  using raw = file.format === 'raw' ? undefined : AsideFile.create(`${file.path}.raw`, 0o600);
  // In the clear, for as long as it takes.
  using plain = content.luks && AsideFile.create(`${file.path}.content`, 0o600);
  const disk = (raw ?? output).asidePath;
  // A sparse file that cannot be filled shows as errors of a device; an encrypted root is there twice.
  requireSpace(file.path, content.luks === undefined ? needed : 2 * needed);
  truncateSync(disk, sizeBytes);
  const target = { path: disk, sizeBytes, sectorBytes: SECTOR_BYTES, content: plain?.asidePath };
  const deployed = await writeDisk(store, target, content);
  if (raw !== undefined) {
    progress?.({ step: `converting it to ${file.format}` });
    await runCommand('qemu-img', ['convert', '-f', 'raw', '-O', file.format, disk, output.asidePath], {
      signal,
    });
  }
  signal?.throwIfAborted();
  output.publish();
  return { path: file.path, format: file.format, sizeBytes, deployed };
}

function requireSpace(path: string, needed: number): void {
  const free = freeBytes(dirname(path));
  if (free >= needed) return;
  const mb = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;
  throw new ImgbootError('IMGBOOT_NO_SPACE', `${path} needs ${mb(needed)}, and there are ${mb(free)} free`, {
    hint: 'free space there, or write it elsewhere',
  });
}

function wholeMebibytes(bytes: number): number {
  return Math.ceil(bytes / MEBIBYTE) * MEBIBYTE;
}
