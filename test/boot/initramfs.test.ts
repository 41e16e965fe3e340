import { cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Compression } from '../../src/initramfs/compression.ts';
import { makeInitramfs } from '../../src/initramfs/make-initramfs.ts';
import { readInitramfs } from '../../src/initramfs/read-initramfs.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { bookwormTar, trixieTar } from '../support/fixtures.ts';
import { repository } from '../support/paths.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { writeExt4, writeTinySystem } from '../support/tiny-machine.ts';

/** Loads what a btrfs root on virtio needs, and prints what the kernel unpacked. */
const init = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
while read -r module; do insmod "$module"; done < /etc/imgboot/modules.order
for module in $(sed -n 's/^btrfs //p' /etc/imgboot/modules.load); do insmod "$module"; done
printf 'FILES BEGIN\\n'
find / -xdev | sort
printf 'FILES END\\n'
printf 'SUM %s\\n' "$(find / -xdev -type f | sort | xargs cat | sha256sum)"
printf 'DRIVERS %s\\n' "$(cd /sys/bus && echo pci/drivers/virtio-pc? virtio/drivers/virtio_bl?)"
grep -w btrfs /proc/filesystems
printf 'MODES %s\\n' "$(stat -c '%a %u:%g %t,%T' /init /dev/console | tr '\\n' ' ')"
/usr/bin/tar --version | head -n 1
poweroff -f
`;

/** The kernel is the judge of what the archive holds. */
describe('an initramfs in a machine', () => {
  let work: TemporaryDirectory;

  beforeAll(async () => {
    work = await TemporaryDirectory.create();
    await cp(path.join(repository, 'hooks/contents'), path.join(work.path, 'hooks/contents'), {
      recursive: true,
    });
    await mkdir(path.join(work.path, 'hooks/own'));
    await writeFile(path.join(work.path, 'hooks/own/init'), init);
    await writeFile(path.join(work.path, 'hooks/contents/files'), 'own/init /init 0755\n');
  });
  afterAll(async () => await work[Symbol.asyncDispose]());

  it.for([
    { suite: 'bookworm', set: 'virtio', format: 'zstd', tar: bookwormTar },
    { suite: 'bookworm', set: 'universal', format: 'gzip', tar: bookwormTar },
    { suite: 'bookworm', set: 'qemu', format: 'xz', tar: bookwormTar },
    { suite: 'trixie', set: 'virtio', format: 'none', tar: trixieTar },
    { suite: 'trixie', set: 'virtio', format: 'lz4', tar: trixieTar },
    { suite: 'trixie', set: 'universal', format: 'zstd', tar: trixieTar },
  ] as const)(
    'of $suite, $set and $format, is unpacked by the kernel as GNU cpio unpacks it, and its modules load',
    async ({ suite, set, format, tar }, context) => {
      const root = path.join(work.path, suite);
      await mkdir(root, { recursive: true });
      await execa('tar', ['-xf', await tar(), '-C', root]);
      const output = path.join(work.path, 'initrd.img');
      const report = await makeInitramfs({
        root,
        modules: { sets: [set], names: [] },
        // In parts, as every archive of this size.
        compression: format === 'none' ? { format } : { format, level: 1 },
        output,
        hooksDir: path.join(work.path, 'hooks'),
      });
      const kernel = path.join(root, report.kernel!);
      await using machine = await bootMachine(context, {
        kernel,
        initrd: output,
        append: 'console=ttyS0 panic=-1 quiet',
      });
      await machine.expect('FILES END', { timeoutMs: 120_000, unless: 'Kernel panic' });
      await machine.expect('GNU tar', { timeoutMs: 30_000 });
      await machine.waitForExit({ timeoutMs: 30_000 });

      const { text } = machine.console;
      const files = /FILES BEGIN\n(.*)FILES END/s.exec(text)![1]!.trim().split('\n');
      const { members } = await readInitramfs(output);
      // The kernel's own built-in archive has /dev, /dev/console and /root.
      const expected = new Set(['/', '/dev', '/root', ...members.map(({ name }) => `/${name}`)]);
      expect(new Set(files)).toEqual(expected);
      expect(/SUM (\w+)/.exec(text)![1]).toBe(await contentSum(output, format));
      expect(text).toContain('DRIVERS pci/drivers/virtio-pci virtio/drivers/virtio_blk\n');
      expect(text).toContain('\tbtrfs\n');
      expect(text).toContain('MODES 755 0:0 0,0 600 0:0 5,1 \n');
    },
  );
});

describe('our own init', () => {
  it("gives modules the image's options, and the console its keymap", async (context) => {
    await using work = await TemporaryDirectory.create();
    const root = path.join(work.path, 'root');
    await mkdir(root);
    await execa('tar', ['-xf', await bookwormTar(), '-C', root]);
    await writeFile(path.join(root, 'etc/modprobe.d/mine.conf'), 'options loop max_loop=3 max_part=7\n');
    await writeFile(path.join(root, 'etc/vconsole.conf'), 'KEYMAP=mine\n');
    await mkdir(path.join(root, 'usr/share/kbd/keymaps'), { recursive: true });
    await writeFile(
      path.join(root, 'usr/share/kbd/keymaps/mine.map'),
      'keymaps 0-2,4-6,8,12\nkeycode 21 = z\nkeycode 44 = y\n',
    );
    const initrd = path.join(work.path, 'initrd.img');
    const { kernel, warnings } = await makeInitramfs({
      root,
      modules: { sets: ['virtio'], names: ['loop'], filesystems: ['ext4'] },
      output: initrd,
    });
    expect(warnings).toEqual([]);
    const [content, disk] = [path.join(work.path, 'content'), path.join(work.path, 'disk')];
    await mkdir(content);
    // In a binary keymap, 256 flags and the numbers of the first table follow the magic; 21 is the key of z or y.
    const key = 7 + 256 + 21 * 2;
    await writeTinySystem(
      content,
      `echo "LOOP $(cat /sys/module/loop/parameters/max_loop) $(cat /sys/module/loop/parameters/max_part)."
       echo "KEY $(busybox dumpkmap < /dev/tty0 | busybox dd bs=1 skip=${key} count=1 2> /dev/null)."`,
    );
    await writeExt4(disk, { content, label: 'plain' });
    await using machine = await bootMachine(context, {
      kernel: path.join(root, kernel!),
      initrd,
      append: 'console=ttyS0 quiet panic=1 root=LABEL=plain',
      drives: [{ path: disk, format: 'raw', access: 'write' }],
    });
    const unless = /imgboot: .*To mend it.*|Kernel panic.*/;
    await machine.expect(/^LOOP 3 7\.\r?$/m, { timeoutMs: 90_000, unless });
    await machine.expect(/^KEY z\.\r?$/m, { timeoutMs: 30_000, unless });
    await machine.waitForExit({ timeoutMs: 30_000 });
  });
});

/** The sum of all files' contents, as GNU cpio unpacks them. */
async function contentSum(image: string, format: Compression['format']): Promise<string> {
  await using tree = await TemporaryDirectory.create();
  const unpacker = { zstd: 'zstd -dc', gzip: 'gzip -dcf', xz: 'xz -dc', lz4: 'lz4 -dc', none: 'cat' }[format];
  const script = `${unpacker} "$1" | cpio -i -d --quiet &&
    find . -xdev -type f | LC_ALL=C sort | xargs cat | sha256sum`;
  const { stdout } = await execa('sh', ['-c', script, 'sh', image], { cwd: tree.path });
  return stdout.split(' ')[0]!;
}
