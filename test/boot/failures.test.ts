import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import type { VirtualMachine } from '../../src/vm/virtual-machine.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { onDisk } from '../support/disk-check.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { hooksUnderTest, uuidOf, writeExt4, writeStore, writeTinySystem } from '../support/tiny-machine.ts';

const BOOT_MS = 90_000;
const IMAGE = 'root=/dev/vda rootfstype=ext4 imgboot.image=tiny:1';

describe('a boot that fails', () => {
  let work: TemporaryDirectory;
  let hooks: { kernel: string; initrd: string };
  /** An ext4 labelled "linux" with a store of two images that have one layer, and a third that has no init. */
  let disk: string;
  let uuid: string;

  beforeAll(async () => {
    work = await TemporaryDirectory.create();
    hooks = await hooksUnderTest();
    const content = path.join(work.path, 'content');
    const store = path.join(content, 'var/lib/imgboot');
    await writeStore(store, [
      { reference: 'tiny:1', driver: 'overlay', layer: '1111111111111111' },
      { reference: 'tiny:2', driver: 'overlay', layer: '1111111111111111', chain: 'd' },
      { reference: 'empty:1', driver: 'overlay', layer: '2222222222222222' },
    ]);
    await writeTinySystem(path.join(store, 'layers/1111111111111111'), 'echo "the system is up"');
    await mkdir(path.join(store, 'layers/2222222222222222'));
    // A persistent layer that another image's boot made.
    const deployment = path.join(store, 'deployments/tiny%3A2');
    await mkdir(path.join(deployment, 'persistent/upper'), { recursive: true });
    await mkdir(path.join(deployment, 'persistent/work'));
    await writeFile(path.join(deployment, 'persistent.chain'), `sha256:${'e'.repeat(64)}\n`);
    disk = path.join(work.path, 'disk');
    await writeExt4(disk, { content, label: 'linux' });
    uuid = await uuidOf(disk);
  });
  afterAll(async () => work[Symbol.asyncDispose]());

  async function boot(
    context: TestContext,
    commandLine: string,
    drives: string[] = [disk],
  ): Promise<VirtualMachine> {
    return bootMachine(context, {
      ...hooks,
      memoryBytes: 512 * 2 ** 20,
      append: `console=ttyS0 quiet ${commandLine}`,
      drives: drives.map((file) => ({ path: file, format: 'raw', access: 'snapshot' })),
    });
  }

  /** What the console says when a boot stops, in one line, and that nothing else gets the machine. */
  async function expectStop(context: TestContext, commandLine: string, drives?: string[]): Promise<string> {
    await using machine = await boot(context, commandLine, drives);
    const line = await machine.expect(/imgboot: .* To mend it: .*/, {
      timeoutMs: BOOT_MS,
      unless: /Kernel panic.*|the system is up/,
    });
    await machine.expect('imgboot: the machine is halted.', { timeoutMs: 20_000, unless: /imgboot# / });
    expect(machine.console.text.split(line)).toHaveLength(2);
    return line;
  }

  it('boots where nothing is wrong', async (context) => {
    await using machine = await boot(context, IMAGE);
    const up = machine.expect('the system is up', { timeoutMs: BOOT_MS, unless: /imgboot: .*To mend/ });
    await expect(up).resolves.toBeTruthy();
    await machine.waitForExit({ timeoutMs: 20_000 });
  });

  it('for want of its root names the devices that it saw', async (context) => {
    const line = await expectStop(context, 'root=LABEL=nowhere rd.timeout=2 imgboot.image=tiny:1');
    expect(line).toContain('waiting for root=LABEL=nowhere: no such device came within 2 seconds');
    expect(line).toContain(`seen: /dev/vda (LABEL=linux UUID=${uuid} ext4)`);
  });

  it('for want of any device says so', async (context) => {
    const line = await expectStop(context, 'root=/dev/vda rd.timeout=1', []);
    expect(line).toContain('no block device at all');
  });

  it('for want of a root= says so', async (context) => {
    expect(await expectStop(context, '')).toContain('there is no root= on the kernel command line');
  });

  it('for two devices with one label names both', async (context) => {
    const copy = path.join(work.path, 'copy');
    await copyFile(disk, copy);
    for (const root of ['LABEL=linux', `UUID=${uuid}`]) {
      const line = await expectStop(context, `root=${root} imgboot.image=tiny:1`, [disk, copy]);
      expect(line).toContain(
        `looking for root=${root}: more than one device answers to it: /dev/vda and /dev/vdb`,
      );
    }
  });

  it('for want of the image lists those that the store has, and leaves the store as it was', async (context) => {
    const changed = path.join(work.path, 'changed');
    await copyFile(disk, changed);
    const list = async (): Promise<string> => onDisk({ path: changed, filesystem: 'ext4' }, 'find . | sort');
    const before = await list();
    await using machine = await bootMachine(context, {
      ...hooks,
      append: 'console=ttyS0 quiet root=/dev/vda imgboot.image=other:1 rd.emergency=poweroff',
      drives: [{ path: changed, format: 'raw', access: 'write' }],
    });
    await machine.expect(
      /looking for the image other:1: the store \/var\/lib\/imgboot on \/dev\/vda has no such image; it has: empty:1, tiny:1, tiny:2\./,
      { timeoutMs: BOOT_MS },
    );
    // rd.emergency=poweroff: the machine ends by itself.
    await machine.waitForExit({ timeoutMs: 20_000 });
    expect(await list()).toBe(before);
  });

  it('for want of a store says where it looked', async (context) => {
    expect(await expectStop(context, `${IMAGE} imgboot.store=/srv/images`)).toContain(
      'there is none at /srv/images',
    );
  });

  it.for(['$(reboot)', '`reboot`', ';reboot&&reboot|reboot', '../../x'])(
    'for the reference %s runs nothing of it',
    async (reference, context) => {
      expect(await expectStop(context, `root=/dev/vda imgboot.image=${reference}`)).toContain(
        `imgboot.image=${reference} on the kernel command line: is no image reference`,
      );
    },
  );

  it('for a parameter that it does not know stops', async (context) => {
    expect(await expectStop(context, `${IMAGE} imgboot.writeable=ram`)).toContain(
      'imgboot.writeable=ram on the kernel command line: is no parameter of this initramfs',
    );
  });

  it('for want of the top layer does not boot without it', async (context) => {
    const line = await expectStop(context, `${IMAGE} toplayer=LABEL=top rd.timeout=2`);
    expect(line).toContain('waiting for toplayer=LABEL=top: no such device came within 2 seconds');
  });

  it("for want of the top layer's directory does not boot without it", async (context) => {
    const line = await expectStop(context, `${IMAGE} toplayer=/dev/vda toplayer_path=/no/such`);
    expect(line).toContain('opening toplayer_path=/no/such on /dev/vda: there is no such directory');
  });

  it('for a top layer of another digest says which it is', async (context) => {
    const line = await expectStop(
      context,
      `${IMAGE} toplayer=/dev/vda toplayer_path=/var/lib/imgboot/boot toplayer.digest=sha256:${'0'.repeat(64)}`,
    );
    expect(line).toMatch(
      /checking the top layer against toplayer.digest=sha256:0+: it is sha256:[0-9a-f]{64}\./,
    );
  });

  it('for a persistent layer of another image does not mix the two', async (context) => {
    const line = await expectStop(context, 'root=/dev/vda imgboot.image=tiny:2 imgboot.writable=persistent');
    expect(line).toContain(
      `it was made on sha256:${'e'.repeat(64)}, and the image is now sha256:${'d'.repeat(64)}`,
    );
  });

  it('for want of an init says so', async (context) => {
    expect(await expectStop(context, 'root=/dev/vda imgboot.image=empty:1')).toContain(
      'it has none of /sbin/init, /etc/init, /bin/init, /bin/sh',
    );
    expect(await expectStop(context, `${IMAGE} init=/sbin/none`)).toContain(
      'starting init=/sbin/none: the new root has no such program',
    );
  });

  it('restarts the machine with panic=', async (context) => {
    await using machine = await boot(context, 'root=/dev/nowhere rd.timeout=1 panic=1');
    await machine.expect('no such device came', { timeoutMs: BOOT_MS });
    await expect(machine.waitForExit({ timeoutMs: 20_000 })).resolves.not.toThrow();
  });

  it('gives a shell with rd.shell, and only then', async (context) => {
    await using machine = await boot(context, 'root=/dev/nowhere rd.timeout=1 rd.shell');
    await machine.expect('imgboot# ', { timeoutMs: BOOT_MS });
    machine.send('echo $((6 * 7)) is $$; exit\n');
    await expect(machine.expect(/42 is \d+/, { timeoutMs: 20_000 })).resolves.toBeTruthy();
    await machine.waitForExit({ timeoutMs: 20_000 });
  });

  it('stops where rd.break says, and goes on', async (context) => {
    await using machine = await boot(context, `${IMAGE} rd.break=mount`);
    await machine.expect('imgboot# ', { timeoutMs: BOOT_MS });
    machine.send('cat /sysroot/sbin/init; exit\n');
    await machine.expect('echo "the system is up"', { timeoutMs: 20_000 });
    await expect(machine.expect('\nthe system is up', { timeoutMs: 30_000 })).resolves.toBeTruthy();
  });

  it('says it on every console', async (context) => {
    await using machine = await boot(
      context,
      'console=tty0 console=ttyS0 root=/dev/nowhere rd.timeout=1 rd.shell',
    );
    await machine.expect('imgboot# ', { timeoutMs: BOOT_MS });
    // The first text console's memory, read as it is shown.
    machine.send('tr -d "\\0" < /dev/vcs1 | grep -o "no such device came"; exit\n');
    await expect(machine.expect(/\nno such device came/, { timeoutMs: 20_000 })).resolves.toBeTruthy();
  });
});
