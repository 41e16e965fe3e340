import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { diskCommandLine } from '../../src/boot/command-line.ts';
import { makeDisk, type Disk, type DiskFilesystem } from '../../src/boot/disk.ts';
import { makeImageInitramfs } from '../../src/boot/image-initramfs.ts';
import { parseCompression } from '../../src/initramfs/compression.ts';
import { Contents } from '../../src/initramfs/contents.ts';
import { parseModuleSelection } from '../../src/initramfs/module-request.ts';
import { loadArchive } from '../../src/store/load.ts';
import { Store } from '../../src/store/store.ts';
import { bookwormTar } from './fixtures.ts';
import { writeLayout } from './handmade-image.ts';
import { makeOnce } from './make-once.ts';
import { TemporaryDirectory } from './temporary-directory.ts';

/** Where the test files of one run share what is costly to make; set by the global setup. */
export const runVariable = 'IMGBOOT_TEST_RUN';

/** An image of the run's store, with its kernel and initramfs. */
export interface BootImage {
  store: Store;
  reference: string;
  kernel: string;
  initrd: string;
}

/** A disk that is booted with the kernel and initramfs of its image. */
export interface BootDisk extends Disk {
  image: BootImage;
}

/** Room for the image and what a few boots write; a test reads all of it. */
const DISK_BYTES = 1280 * 2 ** 20;

/**
 * An image of layer tars, bottom first, made once a run: loaded from an OCI layout into a store of its own, its
 * initramfs made as `imgboot qemu` makes it.
 * @param layers returns the tars; may make them in the directory that it is given
 */
export async function bootImage(
  name: string,
  layers: (work: string) => Promise<readonly string[]>,
): Promise<BootImage> {
  const reference = `test/${name}:latest`;
  const directory = await makeOnce(path.join(runDirectory(), name), async (aside) => {
    await using work = await TemporaryDirectory.create();
    const layout = path.join(work.path, 'layout');
    const tars = await Promise.all((await layers(work.path)).map(async (tar) => await readFile(tar)));
    writeLayout(layout, {
      name: reference,
      layers: tars.map((tar) => ({ tar, compression: 'zstd' as const })),
    });
    const store = Store.openOrCreate(path.join(aside, 'store'), undefined);
    await loadArchive(store, { source: { kind: 'path', path: layout } });
    await makeImageInitramfs(store, {
      reference,
      initramfs: {
        modules: parseModuleSelection('virtio', new Contents()),
        compression: parseCompression('zstd'),
        output: path.join(aside, 'initrd.img'),
      },
      kernelOutput: path.join(aside, 'vmlinuz'),
    });
  });
  return {
    store: Store.open(path.join(directory, 'store')),
    reference,
    kernel: path.join(directory, 'vmlinuz'),
    initrd: path.join(directory, 'initrd.img'),
  };
}

/** The Debian 12 that most tests boot. */
export async function bookwormImage(): Promise<BootImage> {
  return await bootImage('bookworm', async () => [await bookwormTar(), await consoleLayer()]);
}

/**
 * A disk of its own for a test, which has never been booted: a copy of one that is made once a run with the parts
 * of `imgboot qemu`.
 */
export async function freshDisk(
  directory: string,
  image: BootImage,
  options: { filesystem: DiskFilesystem; topLayer?: string | undefined },
): Promise<BootDisk> {
  const { filesystem, topLayer } = options;
  const fill = async (disk: string, topLayer?: string): Promise<Disk> => {
    return makeDisk(image.store, {
      reference: image.reference,
      path: disk,
      filesystem,
      sizeBytes: DISK_BYTES,
      topLayer,
    });
  };
  const base = await makeOnce(`${path.dirname(image.kernel)}.${filesystem}`, async (aside) => {
    await fill(aside);
  });
  const disk = path.join(directory, 'disk');
  await execa('cp', ['--sparse=always', '--reflink=auto', base, disk]);
  // The image is there already; this brings the top layer, and tells what is on the disk.
  return { ...(await fill(disk, topLayer)), image };
}

/** What bootMachine needs to boot an image from its disk. */
export function machineOf(
  disk: BootDisk,
  boot: { writable: string; append?: string },
): {
  kernel: string;
  initrd: string;
  append: string;
  drives: [{ path: string; format: 'raw'; access: 'write' }];
} {
  const commandLine = diskCommandLine(disk, { reference: disk.image.reference, writable: boot.writable });
  return {
    kernel: disk.image.kernel,
    initrd: disk.image.initrd,
    append: [commandLine, quietConsole, boot.append].filter(Boolean).join(' '),
    drives: [{ path: disk.path, format: 'raw', access: 'write' }],
  };
}

/** A console that has what went wrong, and answers; a boot that fails ends the machine. */
export const quietConsole = 'console=ttyS0 quiet systemd.show_status=auto panic=1';

/** What a fifth of an emulated boot goes into, and no test looks at. */
const slowUnits = [
  'dev-hugepages.mount',
  'dev-mqueue.mount',
  'e2scrub_reap.service',
  'getty@tty1.service',
  'modprobe@configfs.service',
  'modprobe@dm_mod.service',
  'modprobe@drm.service',
  'modprobe@efi_pstore.service',
  'modprobe@fuse.service',
  'modprobe@loop.service',
  'proc-sys-fs-binfmt_misc.automount',
  'sys-kernel-debug.mount',
  'sys-kernel-tracing.mount',
  'systemd-binfmt.service',
  'systemd-logind.service',
  'systemd-pstore.service',
  'systemd-update-utmp-runlevel.service',
  'systemd-update-utmp.service',
];

/**
 * A layer tar that makes an image's serial console a root shell, and leaves out what only costs time.
 * Everything else is Debian as it is.
 */
export async function consoleLayer(): Promise<string> {
  return makeOnce(path.join(runDirectory(), 'console-layer.tar'), async (aside) => {
    await using tree = await TemporaryDirectory.create();
    const units = path.join(tree.path, 'etc/systemd/system');
    await mkdir(path.join(units, 'serial-getty@.service.d'), { recursive: true });
    await writeFile(
      path.join(units, 'serial-getty@.service.d/autologin.conf'),
      '[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --keep-baud 115200 - $TERM\n',
    );
    // A bootstrapped Debian has the name of the host that made it.
    await writeFile(path.join(tree.path, 'etc/hostname'), 'image\n');
    for (const unit of slowUnits) await symlink('/dev/null', path.join(units, unit));
    await packLayer(tree.path, aside);
  });
}

/** Packs a directory as a layer, everything root's. */
export async function packLayer(directory: string, tar: string): Promise<void> {
  await chmod(directory, 0o755);
  await execa('tar', ['--owner=0', '--group=0', '--numeric-owner', '-cf', tar, '-C', directory, '.']);
}

function runDirectory(): string {
  const directory = process.env[runVariable];
  if (directory === undefined) throw new Error(`${runVariable} is not set: these tests run under vitest`);
  return directory;
}
