import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it, type TestContext } from 'vitest';
import { bootMachine } from '../support/boot-machine.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { hooksUnderTest, uuidOf, writeExt4, writeTinySystem } from '../support/tiny-machine.ts';

const BOOT_MS = 90_000;
const facts = `
while read -r device point type options _; do
  [ "$point" != / ] || [ "$type" = rootfs ] || echo "ROOT $device $type \${options%%,*}."
done < /proc/mounts
echo "ARGS $0 $*."
ls /run/initramfs/shutdown`;

describe('without an image on the command line', () => {
  let work: TemporaryDirectory;
  let content: string;
  beforeEach(async () => {
    work = await TemporaryDirectory.create();
    content = path.join(work.path, 'content');
    await mkdir(content);
    await writeTinySystem(content, facts);
  });
  afterEach(async () => work[Symbol.asyncDispose]());

  async function boot(context: TestContext, commandLine: string, disks: string[]): Promise<string> {
    await using machine = await bootMachine(context, {
      ...(await hooksUnderTest()),
      append: `console=ttyS0 quiet panic=1 ${commandLine}`,
      drives: disks.map((file) => ({ path: file, format: 'raw', access: 'write' })),
    });
    const text = await machine.expect(/ROOT [^]*\/run\/initramfs\/shutdown/, {
      timeoutMs: BOOT_MS,
      unless: /imgboot: .*To mend it.*|Kernel panic.*/,
    });
    await machine.waitForExit({ timeoutMs: 20_000 });
    return text.replaceAll('\r', '');
  }

  it.for([
    { words: 'root=/dev/vda', root: '/dev/vda ext4 ro.', args: '/sbin/init .' },
    { words: 'root=LABEL=plain rw single', root: '/dev/vda ext4 rw.', args: '/sbin/init single.' },
    {
      words: 'root=/dev/vda rootfstype=ext4 rootflags=noatime init=/etc/my-init rw',
      root: '/dev/vda ext4 rw.',
      args: '/etc/my-init .',
    },
    {
      words: 'root=/dev/disk/by-label/plain rw -- two words',
      root: '/dev/vda ext4 rw.',
      args: '/sbin/init two words.',
    },
  ])('$words gives the system its root', async ({ words, root, args }, context) => {
    await execa('cp', ['sbin/init', 'etc/my-init'], { cwd: content });
    const disk = path.join(work.path, 'disk');
    await writeExt4(disk, { content, label: 'plain' });
    const text = await boot(context, words, [disk]);
    expect(text).toContain(`ROOT ${root}`);
    expect(text).toContain(`ARGS ${args}`);
  });

  it('a btrfs of two devices is one root, whichever it is named by', async (context) => {
    const disks = ['one', 'two'].map((name) => path.join(work.path, name));
    for (const disk of disks) await execa('truncate', ['-s', '300M', disk]);
    const script = `
      for disk in "$2" "$3"; do losetup -f --show "$disk"; done > "$1/loops"
      trap 'xargs losetup -d < "$1/loops"' EXIT
      mkfs.btrfs -q -L pair -d raid0 -m raid1 $(cat "$1/loops")
      btrfs device scan $(cat "$1/loops") > /dev/null
      mount "$(tail -n 1 "$1/loops")" /mnt
      cp -a "$1/content/." /mnt; umount /mnt; btrfs device scan --forget $(cat "$1/loops")`;
    const isolated = ['--mount', '--propagation', 'private', 'sh', '-euc', script, 'sh'];
    await execa('unshare', [...isolated, work.path, ...disks]);
    for (const root of ['LABEL=pair', `UUID=${await uuidOf(disks[0]!)}`, '/dev/vdb']) {
      expect(await boot(context, `root=${root} rootfstype=btrfs`, disks)).toMatch(
        /ROOT \/dev\/vd[ab] btrfs ro\./,
      );
    }
  });

  it('rd.debug shows the commands', async (context) => {
    const disk = path.join(work.path, 'disk');
    await writeExt4(disk, { content, label: 'plain' });
    await using machine = await bootMachine(context, {
      ...(await hooksUnderTest()),
      append: 'console=ttyS0 quiet panic=1 root=/dev/vda rd.debug',
      drives: [{ path: disk, format: 'raw', access: 'write' }],
    });
    await expect(
      machine.expect(/\+ mount -t ext4 -o ro \/dev\/vda \/sysroot/, { timeoutMs: BOOT_MS }),
    ).resolves.toBeTruthy();
  });
});
