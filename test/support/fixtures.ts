import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { makeOnce } from './make-once.ts';
import { cacheDirectory } from './paths.ts';

const fixtureDirectory = path.join(cacheDirectory, 'fixtures');

/** A Debian that boots to a login with our initramfs, with the programs that the guest-side checks use. */
const bootablePackages = [
  'linux-image-cloud-amd64',
  'systemd-sysv',
  'udev',
  'dbus',
  'kmod',
  'util-linux',
  'tar',
  'btrfs-progs',
  'e2fsprogs',
  'dosfstools',
  'xfsprogs',
  'attr',
  'acl',
  'libcap2-bin',
  'busybox-static',
  'crun',
  'conmon',
];

/** The root file system of a bootable Debian 12 (kernel 6.1), as an uncompressed tar. Made at first use. */
export async function bookwormTar(): Promise<string> {
  return debianTar('bookworm', bootablePackages);
}

/** The same with the kernel for any machine. */
export async function genericTar(): Promise<string> {
  return debianTar('bookworm', ['linux-image-amd64', ...bootablePackages.slice(1)]);
}

/** The same with what imgboot makes subvolumes with. */
export async function subvolumesTar(): Promise<string> {
  return debianTar('bookworm', [...bootablePackages, 'libbtrfsutil1']);
}

/** The same with what fetches an image from a registry and makes snapshots. */
export async function upgradingTar(): Promise<string> {
  return debianTar('bookworm', [...bootablePackages, 'skopeo', 'libbtrfsutil1']);
}

/** The same of Debian 13 (kernel 6.12). */
export async function trixieTar(): Promise<string> {
  return debianTar('trixie', bootablePackages);
}

/** The root file system of a Debian 12 with apt and what is essential, and nothing else. */
export async function minimalTar(): Promise<string> {
  return debianTar('bookworm', []);
}

/** A Debian of minbase and `include`, from Debian's archive; about half a minute the first time. */
export async function debianTar(suite: string, include: readonly string[]): Promise<string> {
  const key = createHash('sha256').update(include.join(',')).digest('hex').slice(0, 12);
  return makeOnce(path.join(fixtureDirectory, `${suite}-${key}.tar`), async (aside) => {
    process.stderr.write(`making the fixture ${suite} (${include.length} packages and minbase) ...\n`);
    await rm(aside, { force: true });
    const included = include.length === 0 ? [] : [`--include=${include.join(',')}`];
    await execa('mmdebstrap', ['--quiet', '--variant=minbase', '--format=tar', ...included, suite, aside], {
      env: { SOURCE_DATE_EPOCH: '1700000000' },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  });
}

/** The kernel of a fixture tar, and its version, for machines that are started without imgboot. */
export async function kernelOf(tar: string): Promise<{ vmlinuz: string; version: string }> {
  const directory = await makeOnce(tar.replace(/\.tar$/, '.kernel'), async (aside) => {
    await rm(aside, { recursive: true, force: true });
    await mkdir(aside);
    await execa('tar', ['-xf', tar, '-C', aside, '--wildcards', './boot/vmlinuz-*']);
    for (const name of await readdir(path.join(aside, 'boot'))) {
      await rename(path.join(aside, 'boot', name), path.join(aside, name));
    }
    await rm(path.join(aside, 'boot'), { recursive: true });
  });
  const [name] = await readdir(directory);
  return { vmlinuz: path.join(directory, name!), version: name!.replace('vmlinuz-', '') };
}
