import { execa } from 'execa';
import { expect } from 'vitest';

export type RootFilesystem = 'btrfs' | 'ext4' | 'xfs';

/** A file system in a file that no machine uses now. */
export interface DiskFile {
  path: string;
  filesystem: RootFilesystem;
}

/** Fails where a mount would have to replay a journal or log tree, or the file system's own checker finds fault. */
export async function expectClean({ path, filesystem }: DiskFile): Promise<void> {
  if (filesystem === 'ext4') {
    const { stdout } = await execa('dumpe2fs', ['-h', path]);
    expect(stdout).toMatch(/^Filesystem state: +clean$/m);
    expect(stdout).not.toContain('needs_recovery');
    await execa('e2fsck', ['-f', '-n', path]);
  } else if (filesystem === 'btrfs') {
    const { stdout } = await execa('btrfs', ['inspect-internal', 'dump-super', path]);
    expect(stdout).toMatch(/^log_root\s+0$/m);
    await execa('btrfs', ['check', '--readonly', path]);
  } else {
    const { stdout } = await execa('xfs_logprint', ['-t', path]);
    expect(stdout).toContain('state: <CLEAN>');
    await execa('xfs_repair', ['-n', path]);
  }
}

/** Runs a shell script in the top directory of a disk's file system, read-only, and returns what it prints. */
export async function onDisk({ path, filesystem }: DiskFile, script: string): Promise<string> {
  const options = { ext4: 'ro,noload,loop', btrfs: 'ro,rescue=nologreplay,loop', xfs: 'ro,norecovery,loop' }[
    filesystem
  ];
  const mountAndRun = 'mount -t "$1" -o "$2" "$3" /mnt && cd /mnt && eval "$4"';
  // The mount ends with the shell, and the loop device with the mount.
  const shell = ['sh', '-euc', mountAndRun, 'sh', filesystem, options, path, script];
  const { stdout } = await execa('unshare', ['--mount', '--propagation', 'private', ...shell]);
  return stdout;
}
