import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import type { Machine } from '../../src/vm/machine.ts';
import type { VirtualMachine } from '../../src/vm/virtual-machine.ts';
import { bootMachine } from '../support/boot-machine.ts';
import {
  luksUuid,
  passphrase,
  stackDisks,
  universalHooks,
  writeInitrd,
  type StackDisk,
} from '../support/stack-disks.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const BOOT_MS = 150_000;

describe('a root on', () => {
  let work: TemporaryDirectory;
  beforeAll(async () => {
    work = await TemporaryDirectory.create();
    await stackDisks();
  });
  afterAll(async () => work[Symbol.asyncDispose]());

  async function boot(
    context: TestContext,
    commandLine: string,
    disks: StackDisk[],
    more: Partial<Machine> = {},
  ): Promise<VirtualMachine> {
    const files = await stackDisks();
    return bootMachine(context, {
      ...(await universalHooks()),
      memoryBytes: 512 * 2 ** 20,
      append: `console=tty0 console=ttyS0 quiet panic=1 ${commandLine}`,
      drives: disks.map((disk) => ({ path: files[disk], format: 'raw', access: 'snapshot', serial: disk })),
      ...more,
    });
  }
  const failed = /imgboot: .*To mend it.*|Kernel panic.*/;
  async function rootOf(machine: VirtualMachine): Promise<string> {
    const line = await machine.expect(/^ROOT .*\.$/m, { timeoutMs: BOOT_MS, unless: failed });
    await machine.waitForExit({ timeoutMs: 60_000 });
    return line;
  }

  it('LUKS is unlocked by the passphrase that is typed, on whichever console, at the second try', async (context) => {
    await using machine = await boot(context, `root=LABEL=in-luks rd.luks.name=${luksUuid}=cave`, ['luks']);
    await machine.expect('Passphrase for /dev/vda (cave): ', { timeoutMs: BOOT_MS, unless: failed });
    machine.send('mellon\n');
    await machine.expect(/that passphrase does not open \/dev\/vda \(cave\): .*; 2 more to try/, {
      timeoutMs: 60_000,
    });
    await machine.expect('Passphrase for /dev/vda (cave): ', { timeoutMs: 60_000 });
    // The other console's keyboard.
    machine.pressKeys(
      passphrase
        .split('')
        .map((key) => (key === ' ' ? 'spc' : key))
        .concat('ret'),
    );
    expect(await rootOf(machine)).toBe('ROOT /dev/mapper/cave ext2 ro.');
    expect(machine.console.text).not.toContain('mellon');
  });

  it('LUKS is unlocked by a key file, which the crypttab or the command line names', async (context) => {
    const hooks = await universalHooks();
    const initrd = path.join(work.path, 'with-key.img');
    await writeInitrd(initrd, hooks.initrd, {
      'etc/keys/root.key': 'a key file\n',
      'etc/crypttab': `cave UUID=${luksUuid} /etc/keys/root.key luks,discard,x-initrd.attach\n`,
    });
    const inside = await boot(context, 'root=/dev/mapper/cave', ['luks'], { initrd });
    expect(await rootOf(inside)).toBe('ROOT /dev/mapper/cave ext2 ro.');
    const beside = await boot(
      context,
      `root=LABEL=in-luks rd.luks.uuid=luks-${luksUuid.slice(0, 8)} rd.luks.key=/root.key:LABEL=plain rw`,
      ['luks', 'plain'],
    );
    expect(await rootOf(beside)).toBe(`ROOT /dev/mapper/luks-${luksUuid} ext2 rw.`);
  });

  it.for([
    { words: '', root: /^ROOT \/dev\/(mapper\/vg-root|vg\/root) ext2 rw\.$/ },
    // With a persistent directory.
    { words: 'imgboot.deployment=tiny', root: /^ROOT overlay overlay rw\.$/ },
  ])(
    'LVM in LUKS is found behind both, and both are closed on the way back: "$words"',
    async ({ words, root: expected }, context) => {
      await using machine = await boot(context, `root=/dev/vg/root rw way-back ${words}`, ['luks-lvm']);
      await machine.expect('Passphrase for /dev/vda', { timeoutMs: BOOT_MS, unless: failed });
      machine.send(`${passphrase}\n`);
      const root = await machine.expect(/^ROOT .*\.$/m, { timeoutMs: BOOT_MS, unless: failed });
      expect(root).toMatch(expected);
      expect(await machine.expect(/^LEFT [^]*?\.$/m, { timeoutMs: 60_000 })).toBe('LEFT .');
      await machine.waitForExit({ timeoutMs: 60_000 });
      expect(machine.console.text).not.toMatch(/still (in use|open)/);
    },
  );

  it('a RAID1 that lacks a disk is mounted after a wait, and that is said', async (context) => {
    await using machine = await boot(context, 'root=LABEL=in-md rd.timeout=8 way-back', ['md2']);
    await machine.expect(/imgboot: the array \/dev\/md\w+ lacks 1 of its disks and runs without .*/, {
      timeoutMs: BOOT_MS,
      unless: failed,
    });
    const root = await machine.expect(/^ROOT .*\.$/m, { timeoutMs: BOOT_MS, unless: failed });
    expect(root).toMatch(/^ROOT \/dev\/md\w+ ext2 ro\.$/);
    expect(await machine.expect(/^LEFT [^]*?\.$/m, { timeoutMs: 60_000 })).toBe('LEFT .');
  });

  it('an encrypted overlay is made on an empty disk, and never on one that holds something', async (context) => {
    const [empty, held] = ['empty', 'held'].map((name) => path.join(work.path, name)) as [string, string];
    await execa('truncate', ['-s', '40M', empty]);
    await execa('truncate', ['-s', '8M', held]);
    await execa('mkfs.ext4', ['-q', held]);
    const before = await readFile(held);
    const { plain } = await stackDisks();
    const drives = [
      { path: plain, format: 'raw', access: 'snapshot' },
      { path: empty, format: 'raw', access: 'write' },
      { path: held, format: 'raw', access: 'write' },
    ] as const;
    await using made = await boot(context, 'root=LABEL=plain rd.overlay.crypt=/dev/vdb', [], { drives });
    expect(await rootOf(made)).toBe('ROOT LiveOS_rootfs overlay rw.');
    const { stdout } = await execa('blkid', ['-p', '-o', 'value', '-s', 'TYPE', empty]);
    expect(stdout).toBe('crypto_LUKS');
    expect(made.console.text).not.toContain('imgboot: ');
    await using refused = await boot(context, 'root=LABEL=plain rd.overlay.crypt=/dev/vdc', [], { drives });
    await refused.expect(/rd\.overlay\.crypt=\/dev\/vdc cannot be had: \/dev\/vdc holds something else/, {
      timeoutMs: BOOT_MS,
      unless: failed,
    });
    expect(await rootOf(refused)).toBe('ROOT LiveOS_rootfs overlay rw.');
    expect((await readFile(held)).equals(before)).toBe(true);
  });

  it('a disk that never comes does not keep a machine with a watchdog', async (context) => {
    await using machine = await boot(context, 'root=/dev/nowhere rd.timeout=0 rd.watchdog=10', []);
    await machine.expect('imgboot: the boot takes longer than rd.watchdog=10 has it; restarting', {
      timeoutMs: BOOT_MS,
      unless: failed,
    });
    await expect(machine.waitForExit({ timeoutMs: 60_000 })).resolves.not.toThrow();
    expect(machine.console.text).not.toContain('has a timer only');
  });

  it('a btrfs of two disks waits for the one that comes late', async (context) => {
    const files = await stackDisks();
    await using machine = await boot(context, 'root=LABEL=pair rd.break=pre-mount', [], {
      drives: [
        { path: files.btrfs1, format: 'raw', access: 'snapshot', bus: 'scsi' },
        { path: files.btrfs2, format: 'raw', access: 'snapshot', bus: 'scsi', isUnplugged: true },
      ],
    });
    await machine.expect('imgboot# ', { timeoutMs: BOOT_MS, unless: failed });
    machine.send('ls /dev/sd*; exit\n');
    await machine.expect(/^\/dev\/sda$/m, { timeoutMs: 60_000 });
    machine.plugDrive(1);
    expect(await rootOf(machine)).toMatch(/^ROOT \/dev\/sd[ab] btrfs ro\.$/);
    expect(machine.console.text).not.toContain('/dev/sdb\n');
  });
});
