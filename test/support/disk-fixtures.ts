import { copyFile, mkdir, readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { chooseBootLoader, type FirmwareChoice } from '../../src/disk/boot-loader.ts';
import { makeDiskFile, type DiskFile } from '../../src/disk/disk-file.ts';
import type { DiskContent } from '../../src/disk/write-disk.ts';
import { Contents } from '../../src/initramfs/contents.ts';
import { parseModuleSelection } from '../../src/initramfs/module-request.ts';
import type { LoaderName } from '../../src/loader/machine.ts';
import { findProgram } from '../../src/system/requirements-check.ts';
import { uefiFirmware, type FirmwareName } from '../../src/vm/firmware.ts';
import { bootImage, packLayer, type BootImage } from './boot-fixtures.ts';
import type { TestMachine } from './boot-machine.ts';
import { busyboxLayer } from './busybox-image.ts';
import { makeOnce } from './make-once.ts';
import { cacheDirectory } from './paths.ts';
import { TemporaryDirectory } from './temporary-directory.ts';

/** busybox and a kernel, rEFInd's files, and cryptsetup, which only has to be there: the host's programs are taken. */
export async function loaderImage(): Promise<BootImage> {
  return await bootImage('loaders', async (work) => [
    await busyboxLayer(work),
    await refindLayer(),
    await cryptsetupLayer(work),
  ]);
}

async function cryptsetupLayer(work: string): Promise<string> {
  const tree = path.join(work, 'cryptsetup-tree');
  await mkdir(path.join(tree, 'usr/sbin'), { recursive: true });
  await copyFile((await findProgram('cryptsetup'))!, path.join(tree, 'usr/sbin/cryptsetup'));
  const tar = path.join(work, 'cryptsetup.tar');
  await packLayer(tree, tar);
  return tar;
}

/** Debian's rEFInd, unpacked only: its installation would put it on this machine's ESP. */
export async function refindLayer(): Promise<string> {
  return await makeOnce(path.join(cacheDirectory, 'fixtures/refind.tar'), async (aside) => {
    await using work = await TemporaryDirectory.create();
    await execa('apt-get', ['download', '--quiet', 'refind'], { cwd: work.path });
    const [file] = (await readdir(work.path)).filter((name) => name.endsWith('.deb'));
    const unpacked = path.join(work.path, 'unpacked');
    await execa('dpkg-deb', ['-x', path.join(work.path, file!), unpacked]);
    const tree = path.join(work.path, 'tree');
    await mkdir(path.join(tree, 'usr/share'), { recursive: true });
    await rename(path.join(unpacked, 'usr/share/refind'), path.join(tree, 'usr/share/refind'));
    await packLayer(tree, aside);
  });
}

export interface TestDisk {
  loader?: LoaderName;
  firmware?: FirmwareChoice;
  filesystem?: DiskContent['filesystem'];
  format?: DiskFile['format'];
  sizeBytes?: number;
  luks?: DiskContent['luks'];
  topLayer?: string;
  deployment?: Partial<DiskContent['deployment']>;
}

const SIZE_BYTES = 1536 * 2 ** 20;

/** A disk with an image whose kernel talks on the serial port, as `imgboot disk` makes it. */
export async function diskOf(image: BootImage, file: string, disk: TestDisk = {}): Promise<DiskFile> {
  return await makeDiskFile(
    image.store,
    { path: file, format: disk.format ?? 'raw', sizeBytes: disk.sizeBytes ?? SIZE_BYTES },
    {
      filesystem: disk.filesystem ?? 'btrfs',
      loader: chooseBootLoader({ loader: disk.loader, firmware: disk.firmware }),
      topLayer: disk.topLayer,
      luks: disk.luks,
      deployment: {
        reference: image.reference,
        writable: 'ephemeral',
        append: ['console=ttyS0', 'loglevel=4'],
        persist: [],
        keep: 2,
        modules: parseModuleSelection('virtio', new Contents()),
        ...disk.deployment,
      },
    },
  );
}

/** A machine that starts a disk by firmware. @param directory gets the firmware's variables */
export function firmwareMachine(
  disk: { path: string; format: DiskFile['format'] },
  { firmware, directory }: { firmware: FirmwareName; directory: string },
): TestMachine {
  return {
    name: firmware,
    firmware: firmware === 'uefi' ? uefiFirmware(directory) : undefined,
    drives: [{ path: disk.path, format: disk.format, access: 'write', bootIndex: 0 }],
  };
}
