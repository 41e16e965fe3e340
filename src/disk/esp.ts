import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { fillingNames } from '../loader/fat-room.ts';
import { runCommand } from '../system/exec.ts';

/** mtools finds fault with sizes that are not whole cylinders. */
const mtoolsEnvironment = { MTOOLS_SKIP_CHECK: '1', MTOOLS_NO_VFAT: '0', MTOOLS_LOWER_CASE: '0' };
/** What FAT takes for itself: two tables of four bytes a cluster, and the rest of each file's last cluster. */
const OVERHEAD = 1.1;
const SPARE_BYTES = 2 ** 20;

/**
 * Makes a FAT file system on a device and copies a directory onto it. The kernel need not know FAT.
 * @param esp.uuid as blkid names it: `ABCD-1234`
 * @param esp.roomy directories in it that are to have room for many names, from its top
 * @throws IMGBOOT_NO_SPACE
 */
export async function writeEsp(
  device: string,
  esp: { staging: string; uuid: string; sizeBytes: number; roomy: readonly string[] },
): Promise<void> {
  const needed = treeBytes(esp.staging) * OVERHEAD + SPARE_BYTES;
  if (needed > esp.sizeBytes) {
    throw new ImgbootError(
      'IMGBOOT_NO_SPACE',
      `kernel and initramfs need ${megabytes(needed)}, and the ESP has ${megabytes(esp.sizeBytes)}`,
      { hint: 'make the disk larger (--size): an eighth of it, up to 512 MiB, is its ESP' },
    );
  }
  // What lay on a device before may still be recognised.
  await runCommand('wipefs', ['--all', '--quiet', device]);
  await runCommand('mkfs.vfat', ['-F', '32', '-n', 'ESP', '-i', esp.uuid.replace('-', ''), device]);
  const names = readdirSync(esp.staging).map((name) => join(esp.staging, name));
  await runCommand('mcopy', ['-s', '-Q', '-m', '-i', device, ...names, '::/'], { env: mtoolsEnvironment });
  for (const directory of esp.roomy) await makeRoom(device, join(esp.staging, directory), directory);
}

/** Makes a directory large, as {@link makeRoomyDirectory} makes one of a file system that is mounted. */
async function makeRoom(device: string, staging: string, directory: string): Promise<void> {
  const files = fillingNames.map((name) => join(staging, name));
  for (const file of files) writeFileSync(file, '');
  await runCommand('mcopy', ['-Q', '-i', device, ...files, `::${directory}/`], { env: mtoolsEnvironment });
  for (const file of files) rmSync(file);
  const names = fillingNames.map((name) => `::${directory}/${name}`);
  await runCommand('mdel', ['-i', device, ...names], { env: mtoolsEnvironment });
}

function treeBytes(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}
