import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { execa } from 'execa';
import { packLayer } from '../../test/support/boot-fixtures.ts';
import { subvolumesTar } from '../../test/support/fixtures.ts';
import { writeLayout, type LayerSpec } from '../../test/support/handmade-image.ts';
import { packageLayer } from '../../test/support/package-layer.ts';

/** The reference that both images have, one after the other: what is deployed follows it. */
export const REFERENCE = 'machine:latest';

/** A shell on the console as the first process: what is under test has nobody beside it, and boots in seconds. */
const init = `#!/bin/sh
export PATH=/opt/imgboot/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
mount -t tmpfs tmpfs /tmp
dmesg -n 1
stty -echo < /dev/console
printf 'READY %s, top layer %s, home %s.\\n' "$(cat /etc/name)" "$(cat /etc/top/* | wc -c)" "$(cat /home/seeded)"
exec env PS1= PS2= sh
`;

/** Neither read by the tools of the image nor by ours; every byte is read again and again under an emulated processor. */
const left = [
  './boot/initrd*',
  './boot/System.map*',
  './usr/share/*',
  './usr/lib/python3*',
  './usr/lib/udev',
  './usr/lib/systemd',
  './usr/lib/x86_64-linux-gnu/perl*',
  './usr/lib/x86_64-linux-gnu/gconv',
  './usr/bin/python3*',
  './usr/bin/perl*',
  './var/lib/apt',
  './var/lib/dpkg',
  './var/cache',
  './sbin/init',
  './usr/sbin/init',
  './dev/*',
];

/** Two images of a small Debian with imgboot's own package, which differ in what they are called: OCI layouts. */
export async function writeImages(directory: string): Promise<{ one: string; two: string }> {
  const tree = path.join(directory, 'tree');
  await mkdir(tree);
  const excluded = left.map((pattern) => `--exclude=${pattern}`);
  await execa('tar', ['-xf', await subvolumesTar(), '-C', tree, '--wildcards', '--anchored', ...excluded]);
  await writeFile(path.join(tree, 'usr/sbin/init'), init, { mode: 0o755 });
  await mkdir(path.join(tree, 'home'), { recursive: true });
  await writeFile(path.join(tree, 'home/seeded'), 'seeded\n');
  await mkdir(path.join(tree, 'etc/top'));
  await writeFile(path.join(tree, 'etc/top/image'), 'of the image\n');
  await writeFile(path.join(tree, 'etc/hostname'), 'machine\n');
  const base = path.join(directory, 'base.tar');
  await packLayer(tree, base);
  const shared = await Promise.all([base, await packageLayer(directory)].map(readLayer));
  const layout = async (name: string): Promise<string> => {
    const top = path.join(directory, `${name}-tree`);
    await mkdir(path.join(top, 'etc'), { recursive: true });
    await writeFile(path.join(top, 'etc/name'), `${name}\n`);
    await symlink('name', path.join(top, 'etc/called'));
    const tar = `${top}.tar`;
    await packLayer(top, tar);
    return writeLayout(path.join(directory, name), {
      name: REFERENCE,
      layers: [...shared, await readLayer(tar)],
    });
  };
  const layouts = { one: await layout('one'), two: await layout('two') };
  await execa('rm', ['-rf', tree, path.join(directory, 'package'), path.join(directory, 'package-tree')]);
  return layouts;
}

/** Compressed once, for both. */
async function readLayer(file: string): Promise<LayerSpec> {
  const tar = await readFile(file);
  return { tar, compression: 'zstd', blob: zstdCompressSync(tar) };
}
