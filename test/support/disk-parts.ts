import { execa } from 'execa';
import type { DiskContent } from '../../src/disk/write-disk.ts';

/** Where a partition lies in a disk file. */
export interface Part {
  offsetBytes: number;
  sizeBytes: number;
}

/** A disk as `imgboot disk` makes it, as a raw file. */
export interface PartedDisk {
  path: string;
  filesystem: DiskContent['filesystem'];
  esp: Part;
  root: Part;
}

/** Reads where the partitions of such a disk lie. */
export async function diskParts(path: string): Promise<Pick<PartedDisk, 'esp' | 'root'>> {
  const { stdout } = await execa('sfdisk', ['--json', path]);
  const { partitiontable } = JSON.parse(stdout) as {
    partitiontable: { sectorsize: number; partitions: { name: string; start: number; size: number }[] };
  };
  const part = (name: string): Part => {
    const { start, size } = partitiontable.partitions.find((one) => one.name === name)!;
    return { offsetBytes: start * partitiontable.sectorsize, sizeBytes: size * partitiontable.sectorsize };
  };
  return { esp: part('EFI system'), root: part('imgboot') };
}

/** Runs a script with the root file system of a disk that no machine uses mounted at `$root`. @returns what it prints */
export async function onRoot({ path, filesystem, root }: PartedDisk, script: string): Promise<string> {
  const isolated = ['--mount', '--propagation', 'private', 'sh', '-euc'];
  const mounted = `root=$(mktemp -d); trap 'umount "$root"; rmdir "$root"' EXIT
    mount -t ${filesystem} -o loop,offset=${root.offsetBytes},sizelimit=${root.sizeBytes} "$1" "$root"; ${script}`;
  const { stdout } = await execa('unshare', [...isolated, mounted, 'sh', path]);
  return stdout;
}

/** What one of mtools prints for the ESP of a disk. @param args files of the ESP are `::/loader/loader.conf` */
export async function onEsp(
  { path, esp }: PartedDisk,
  tool: string,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const { stdout } = await execa(tool, ['-i', `${path}@@${esp.offsetBytes}`, ...args], {
    env: { MTOOLS_SKIP_CHECK: '1' },
    stripFinalNewline: false,
    ...(input === undefined ? {} : { input }),
  });
  return stdout;
}
