import { statSync } from 'node:fs';
import { ImgbootError } from '../errors.ts';
import { runCommand } from '../system/exec.ts';
import { DISK_LABEL, diskFilesystems, type DiskFilesystem } from './disk.ts';

/** What a disk that exists has. It must be one of ours: nothing else is ever mounted. @throws IMGBOOT_NOT_A_DISK */
export async function identifyDisk(path: string): Promise<{ filesystem: DiskFilesystem; uuid: string }> {
  if (!statSync(path).isFile()) throw notOurs(path, 'is no regular file');
  const { stdout } = await runCommand('blkid', ['--probe', '--output', 'export', path], {
    okStatuses: [0, 2],
  });
  const facts = new Map(stdout.split('\n').map((line) => line.split('=', 2) as [string, string]));
  const filesystem = diskFilesystems.find((name) => name === facts.get('TYPE'));
  const uuid = facts.get('UUID');
  if (filesystem !== undefined && uuid !== undefined && facts.get('LABEL') === DISK_LABEL)
    return { filesystem, uuid };
  throw notOurs(path, 'is no disk that imgboot qemu made');
}

function notOurs(path: string, why: string): ImgbootError {
  return new ImgbootError('IMGBOOT_NOT_A_DISK', `${path} exists and ${why}`, {
    hint: 'give --keep the name of a new file, or of one that an earlier --keep made',
  });
}
