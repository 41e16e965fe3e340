import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it, type TestContext } from 'vitest';
import type { VirtualMachine } from '../../src/vm/virtual-machine.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { hooksUnderTest, uuidOf, writeExt4, writeStore, writeTinySystem } from '../support/tiny-machine.ts';

const BOOT_MS = 150_000;
const failed = /imgboot: .*To mend it.*|Kernel panic.*/;
const facts = `
while read -r device point type options _; do
  case $type,$point in
    rootfs,*) ;;
    *,/ | *,/usr) echo "MOUNT $point $device $type \${options%%,*}." ;;
  esac
done < /proc/mounts
[ ! -e /kept ] || echo "KEPT."
(echo x > /kept) 2> /dev/null || echo "READ-ONLY."
sync
echo "FALLBACKS $(sed -n 's/.*"fallbacks": \\(.*\\),$/\\1/p' /run/imgboot/boot.json)."
echo END.`;

describe('a plain root', () => {
  let work: TemporaryDirectory;
  let content: string;
  let disk: string;
  beforeEach(async () => {
    work = await TemporaryDirectory.create();
    content = path.join(work.path, 'content');
    disk = path.join(work.path, 'disk');
    await mkdir(path.join(content, 'usr'), { recursive: true });
    await writeTinySystem(content, facts);
  });
  afterEach(async () => work[Symbol.asyncDispose]());

  async function start(context: TestContext, words: string, disks: string[]): Promise<VirtualMachine> {
    return bootMachine(context, {
      ...(await hooksUnderTest()),
      memoryBytes: 512 * 2 ** 20,
      append: `console=ttyS0 quiet panic=1 ${words}`,
      drives: disks.map((file) => ({ path: file, format: 'raw', access: 'write' })),
    });
  }
  async function boot(context: TestContext, words: string, disks: string[] = [disk]): Promise<string> {
    await using machine = await start(context, words, disks);
    const text = await machine.expect(/MOUNT [^]*END\./, { timeoutMs: BOOT_MS, unless: failed });
    await machine.waitForExit({ timeoutMs: 60_000 });
    return text;
  }
  const digest = async (file: string): Promise<string> =>
    createHash('sha256')
      .update(await readFile(file))
      .digest('hex');

  it('has its /usr where its fstab says, and its init there', async (context) => {
    const usr = path.join(work.path, 'usr');
    await mkdir(path.join(usr, 'sbin'), { recursive: true });
    await execa('mv', [path.join(content, 'sbin/init'), path.join(usr, 'sbin/init')]);
    const usrDisk = path.join(work.path, 'usr-disk');
    await writeExt4(usrDisk, { content: usr, label: 'usr' });
    await writeFile(
      path.join(content, 'etc/fstab'),
      `# a comment\nUUID=none / ext4 defaults 0 1\nUUID=${await uuidOf(usrDisk)}\t/usr ext4 defaults,noatime,x-systemd.automount 0 2\n`,
    );
    await writeExt4(disk, { content, label: 'plain' });
    const text = await boot(context, 'root=LABEL=plain init=/usr/sbin/init', [disk, usrDisk]);
    expect(text).toContain('MOUNT / /dev/vda ext4 ro.\nMOUNT /usr /dev/vdb ext4 ro.');
  });

  it('is mended by e2fsck before it is mounted, and that is said', async (context) => {
    await writeExt4(disk, { content, label: 'plain' });
    await execa('debugfs', ['-w', '-R', 'set_inode_field /sbin/init links_count 5', disk]);
    await execa('debugfs', ['-w', '-R', 'set_super_value state 2', disk]);
    const text = await boot(context, 'root=LABEL=plain');
    expect(text).toMatch(/FALLBACKS \["the file system on \/dev\/vda had errors, which e2fsck mended: /);
    const { exitCode } = await execa('e2fsck', ['-fn', disk], { reject: false });
    expect(exitCode).toBe(0);
  });

  it('that e2fsck cannot mend by itself is not mounted', async (context) => {
    await writeExt4(disk, { content, label: 'plain' });
    await execa('debugfs', ['-w', '-R', 'clri /sbin', disk]);
    await execa('debugfs', ['-w', '-R', 'set_super_value state 2', disk]);
    await using machine = await start(context, 'root=LABEL=plain', [disk]);
    const stop = /^imgboot: checking \/dev\/vda: .* To mend it: boot with fsck\.repair=yes.*$/m;
    await machine.expect(stop, { timeoutMs: BOOT_MS, unless: /MOUNT|Kernel panic.*/ });
    await machine.waitForExit({ timeoutMs: 60_000 });
    const again = await boot(
      context,
      'root=LABEL=plain fsck.mode=skip init=/bin/sh -- -c "echo MOUNT again; echo END.; /bin/busybox poweroff -f"',
    );
    expect(again).toContain('END.');
  });

  it('under rd.overlay is not written to', async (context) => {
    await writeExt4(disk, { content, label: 'plain' });
    const before = await digest(disk);
    const text = await boot(context, 'root=LABEL=plain rw rd.overlay=tmpfs:size=16M');
    expect(text).toContain('MOUNT / LiveOS_rootfs overlay rw.');
    expect(text).toContain('FALLBACKS [].');
    expect(text).not.toMatch(/KEPT|READ-ONLY/);
    expect(await digest(disk)).toBe(before);
  });

  it('under an overlay on a device keeps what was written, until rd.overlay.reset', async (context) => {
    await writeExt4(disk, { content, label: 'plain' });
    const over = path.join(work.path, 'over');
    const empty = path.join(work.path, 'empty');
    await mkdir(empty);
    await writeExt4(over, { content: empty, label: 'over' });
    const words = 'root=LABEL=plain rd.overlay=LABEL=over';
    expect(await boot(context, words, [disk, over])).not.toContain('KEPT.');
    expect(await boot(context, words, [disk, over])).toContain('KEPT.');
    const readonly = await boot(context, `${words} rd.overlay.readonly=1`, [disk, over]);
    expect(readonly).toContain('KEPT.');
    expect(await boot(context, `${words} rd.overlay.reset=1`, [disk, over])).not.toContain('KEPT.');
  });

  it('is in RAM, which is said, where the overlay or its reset would destroy what is not ours', async (context) => {
    await writeExt4(disk, { content, label: 'plain' });
    const over = path.join(work.path, 'over');
    const foreign = path.join(work.path, 'foreign');
    await mkdir(path.join(foreign, 'overlay'), { recursive: true });
    await writeFile(path.join(foreign, 'overlay/photographs'), 'of somebody');
    await writeExt4(over, { content: foreign, label: 'over' });
    const kept = await boot(context, 'root=LABEL=plain rd.overlay=LABEL=over rd.overlay.reset', [disk, over]);
    expect(kept).toContain('rd.overlay.reset is passed over: the directory overlay/ was never an overlay');
    const { stdout } = await execa('debugfs', ['-R', 'cat /overlay/photographs', over]);
    expect(stdout).toBe('of somebody');
    const gone = await boot(context, 'root=LABEL=plain rd.overlay=LABEL=nowhere rd.timeout=2');
    expect(gone).toContain('rd.overlay=LABEL=nowhere cannot be had: no such device came');
    expect(gone).toContain('MOUNT / LiveOS_rootfs overlay rw.');
  });

  it('stops at each point that rd.break names', async (context) => {
    await writeExt4(disk, { content, label: 'plain' });
    const points = ['pre-trigger', 'initqueue', 'pre-mount', 'mount', 'pre-pivot'];
    await using machine = await start(
      context,
      `root=LABEL=plain ${points.map((point) => `rd.break=${point}`).join(' ')}`,
      [disk],
    );
    for (const point of points) {
      await machine.expect(`imgboot: a shell at ${point}, as rd.break asks for`, {
        timeoutMs: BOOT_MS,
        unless: failed,
      });
      await machine.expect('imgboot# ', { timeoutMs: 60_000 });
      machine.send('exit\n');
    }
    await expect(machine.expect('END.', { timeoutMs: 60_000 })).resolves.toBe('END.');
  });
});

describe('resume=', () => {
  it('is refused for an ephemeral root', async (context) => {
    await using work = await TemporaryDirectory.create();
    const content = path.join(work.path, 'content');
    const store = path.join(content, 'var/lib/imgboot');
    await writeStore(store, [{ reference: 'tiny:1', driver: 'overlay', layer: '1111111111111111' }]);
    await writeTinySystem(path.join(store, 'layers/1111111111111111'), 'echo "the system is up"');
    await chmod(content, 0o755);
    const disk = path.join(work.path, 'disk');
    await writeExt4(disk, { content, label: 'linux' });
    await using machine = await bootMachine(context, {
      ...(await hooksUnderTest()),
      memoryBytes: 512 * 2 ** 20,
      append: 'console=ttyS0 quiet panic=1 root=LABEL=linux imgboot.image=tiny:1 resume=/dev/vda',
      drives: [{ path: disk, format: 'raw', access: 'snapshot' }],
    });
    await machine.expect(
      'imgboot: resume=/dev/vda is refused: the writable layer of this boot is made anew',
      {
        timeoutMs: BOOT_MS,
        unless: failed,
      },
    );
    await expect(machine.expect('the system is up', { timeoutMs: 60_000 })).resolves.toBeTruthy();
  });
});
