import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { $ } from 'zx';
import { debianTar } from '../../test/support/fixtures.ts';
import { TemporaryDirectory } from '../../test/support/temporary-directory.ts';
import { say } from './measure.ts';

/** Debian 12 with its own generators of initramfs images; the host has and gets none of them. */
const packages = [
  'linux-image-amd64',
  'systemd-sysv',
  'udev',
  'dbus',
  'kmod',
  'initramfs-tools',
  'dracut-core',
  'busybox-static',
  'btrfs-progs',
  'e2fsprogs',
  'tar',
  'zstd',
  'cpio',
];

/** A root file system that our peers run in, and that all of them make an initramfs for. Dispose it. */
export class PeersRoot implements AsyncDisposable {
  readonly path: string;
  readonly kver: string;
  readonly #directory: TemporaryDirectory;

  constructor(directory: TemporaryDirectory, root: string, kver: string) {
    this.#directory = directory;
    this.path = root;
    this.kver = kver;
  }

  get kernel(): string {
    return path.join(this.path, 'boot', `vmlinuz-${this.kver}`);
  }

  /** A directory beside the root, for what is made. */
  get scratch(): string {
    return this.#directory.path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await $`umount -R ${this.path}/proc ${this.path}/sys ${this.path}/dev`;
    await this.#directory[Symbol.asyncDispose]();
  }
}

/** Needs a mount namespace of our own: /proc, /sys and /dev are mounted into the root. */
export async function makePeersRoot(): Promise<PeersRoot> {
  const tar = await debianTar('bookworm', packages);
  say('unpacking the root file system of the peers');
  const directory = await TemporaryDirectory.create();
  const root = path.join(directory.path, 'root');
  await mkdir(root);
  await $`tar -xf ${tar} -C ${root}`;
  await $`mount -t proc proc ${root}/proc`;
  await $`mount --rbind /sys ${root}/sys`;
  await $`mount --rbind /dev ${root}/dev`;
  const [kver] = await readdir(path.join(root, 'lib/modules'));
  return new PeersRoot(directory, root, kver!);
}
