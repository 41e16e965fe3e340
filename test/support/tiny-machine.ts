import { chmod, copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { parseCompression } from '../../src/initramfs/compression.ts';
import { Contents } from '../../src/initramfs/contents.ts';
import { makeInitramfs } from '../../src/initramfs/make-initramfs.ts';
import { parseModuleSelection } from '../../src/initramfs/module-request.ts';
import { runVariable } from './boot-fixtures.ts';
import { writeTree, type FileTree } from './file-tree.ts';
import { bookwormTar, kernelOf } from './fixtures.ts';
import { makeOnce } from './make-once.ts';

/** The kernel of Debian 12 and our initramfs for it, made once a run. */
export async function hooksUnderTest(): Promise<{ kernel: string; initrd: string }> {
  const tar = await bookwormTar();
  const { vmlinuz } = await kernelOf(tar);
  const initrd = await makeOnce(path.join(process.env[runVariable]!, 'hooks-initrd.img'), async (aside) => {
    const root = `${aside}.root`;
    await mkdir(root);
    await execa('tar', ['-xf', tar, '-C', root, '--exclude=./usr/share', '--exclude=./var']);
    writeTree(root, originalConfiguration);
    await makeInitramfs({
      root,
      modules: parseModuleSelection('virtio', new Contents()),
      compression: parseCompression('zstd'),
      output: aside,
    });
    await execa('rm', ['-rf', root]);
  });
  return { kernel: vmlinuz, initrd };
}

/** What `docker_path=` boots, as mkinitcpio-docker-hooks has it. */
export const originalConfiguration: FileTree = {
  'etc/docker-btrfs.json': '{\n  "docker_image": "one",\n  "docker_tag": "latest"\n}\n',
};

/**
 * A system of a static busybox whose init runs `script` and powers the machine off: what boots in no time, and has
 * no systemd.
 */
export async function writeTinySystem(root: string, script: string): Promise<void> {
  for (const directory of ['bin', 'sbin', 'etc', 'proc', 'sys', 'dev', 'run', 'var/lib', 'tmp']) {
    await mkdir(path.join(root, directory), { recursive: true });
  }
  await copyFile('/bin/busybox', path.join(root, 'bin/busybox'));
  await symlink('busybox', path.join(root, 'bin/sh'));
  await writeFile(
    path.join(root, 'sbin/init'),
    `#!/bin/busybox sh\nexport PATH=/bin\n${script}\n/bin/busybox poweroff -f\n`,
  );
  await chmod(path.join(root, 'sbin/init'), 0o755);
}

/** What the initramfs reads of a store, written by hand as docs/architecture.md, 4.5, has it: no code of ours. */
export async function writeStore(
  store: string,
  images: { reference: string; driver: 'btrfs' | 'overlay'; layer: string; chain?: string }[],
): Promise<void> {
  for (const directory of ['boot', 'layers', 'deployments']) {
    await mkdir(path.join(store, directory), { recursive: true });
  }
  await chmod(store, 0o700);
  for (const { reference, driver, layer, chain = 'c' } of images) {
    await writeFile(
      path.join(store, 'boot', encodeURIComponent(reference)),
      `version=1\nreference=${reference}\nimage=sha256:${'1'.repeat(64)}\ndriver=${driver}\n` +
        `chain=sha256:${chain.repeat(64)}\nlayer=${layer}\n`,
    );
  }
}

/** An ext4 in a file, with the content of a directory; needs no mount. */
export async function writeExt4(
  disk: string,
  options: { content: string; label: string; sizeBytes?: number },
): Promise<void> {
  await execa('truncate', ['-s', String(options.sizeBytes ?? 64 * 2 ** 20), disk]);
  await execa('mkfs.ext4', ['-q', '-F', '-L', options.label, '-d', options.content, disk]);
}

/** The UUID of a file system in a file. */
export async function uuidOf(disk: string): Promise<string> {
  const { stdout } = await execa('blkid', ['-p', '-o', 'value', '-s', 'UUID', disk]);
  return stdout.trim();
}
