import { describe, expect, it, type TestContext } from 'vitest';
import type { Machine } from '../../src/vm/machine.ts';
import type { VirtualMachine } from '../../src/vm/virtual-machine.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { luksUuid, passphrase, stackDisks, universalHooks, type StackDisk } from '../support/stack-disks.ts';

const BOOT_MS = 150_000;

describe('a root on', () => {
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

  it('LUKS is unlocked by the passphrase that is typed, at the second try', async (context) => {
    await using machine = await boot(context, `root=LABEL=in-luks rd.luks.name=${luksUuid}=cave`, ['luks']);
    await machine.expect('Passphrase for /dev/vda (cave): ', { timeoutMs: BOOT_MS, unless: failed });
    machine.send('mellon\n');
    await machine.expect(/that passphrase does not open \/dev\/vda \(cave\): .*; 2 more to try/, {
      timeoutMs: 60_000,
    });
    await machine.expect('Passphrase for /dev/vda (cave): ', { timeoutMs: 60_000 });
    machine.send(`${passphrase}\n`);
    expect(await rootOf(machine)).toBe('ROOT /dev/mapper/cave ext2 ro.');
    expect(machine.console.text).not.toContain(passphrase);
    expect(machine.console.text).not.toContain('mellon');
  });
});
