import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { bootImage, packLayer, type BootImage } from './boot-fixtures.ts';
import { bookwormTar } from './fixtures.ts';

/** What the image's only script says when it has the machine; `test.poweroff` on the command line ends it then. */
const script = `#!/bin/sh
mount -t proc proc /proc 2> /dev/null
echo "name: $(cat /etc/name)"
[ ! -e /mark ] || echo "mark: $(cat /mark)"
echo one > /mark && echo "busybox: $(cat /proc/1/comm) has $(awk '$2 == "/" { print $3 }' /proc/mounts)"
printf 'report: %s\\n' "$(tr '\\n' ' ' < /run/imgboot/boot.json)"
sync
case $(cat /proc/cmdline) in
  *test.poweroff*) poweroff -f ;;
esac
`;

/** An image of Debian's kernel and its modules, busybox as init and shell, and nothing else. Boots in seconds. */
export async function busyboxImage(): Promise<BootImage> {
  return await bootImage('busybox', async (work) => [await busyboxLayer(work)]);
}

/** Its only layer, as a tar in that directory. */
export async function busyboxLayer(work: string): Promise<string> {
  const tree = path.join(work, 'tree');
  for (const name of ['bin', 'sbin', 'etc', 'proc', 'sys', 'dev', 'run', 'tmp', 'root']) {
    await mkdir(path.join(tree, name), { recursive: true });
  }
  const members = ['./boot/vmlinuz-*', './usr/lib/modules/*', './usr/bin/busybox'];
  await execa('tar', ['-xf', await bookwormTar(), '-C', tree, '--wildcards', ...members]);
  await symlink('usr/lib', path.join(tree, 'lib'));
  for (const name of ['sh', 'init', 'mount', 'awk', 'cat', 'tr', 'sync', 'poweroff']) {
    await symlink('../usr/bin/busybox', path.join(tree, 'bin', name));
  }
  await symlink('../bin/init', path.join(tree, 'sbin/init'));
  await writeFile(path.join(tree, 'etc/inittab'), '::sysinit:/etc/rc\nttyS0::respawn:-/bin/sh\n');
  await writeFile(path.join(tree, 'etc/rc'), script, { mode: 0o755 });
  await writeFile(path.join(tree, 'etc/name'), 'image\n');
  const tar = path.join(work, 'layer.tar');
  await packLayer(tree, tar);
  return tar;
}
