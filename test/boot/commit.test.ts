import path from 'node:path';
import { expect, it } from 'vitest';
import { diskCommandLine } from '../../src/boot/command-line.ts';
import { makeDisk } from '../../src/boot/disk.ts';
import { quietConsole } from '../support/boot-fixtures.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { busyboxImage } from '../support/busybox-image.ts';
import { runCliOk } from '../support/run-cli.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

it('an image that was committed from a container boots, with what the container has changed', async (context) => {
  await using directory = await TemporaryDirectory.create();
  const { store, reference, kernel, initrd } = await busyboxImage();
  const cli = async (verb: string, ...args: string[]): Promise<string> =>
    runCliOk([verb, '--store', store.paths.root, ...args]);
  const change = 'echo committed > /etc/name; cat /etc/hosts > /dev/null';
  await cli('run', '--name', 'changer', '--network', 'none', reference, 'sh', '-c', change);
  expect(await cli('diff', 'changer')).toBe('C /etc\nC /etc/name\n');
  await cli('commit', 'changer', 'test/committed:1');
  await cli('rm', 'changer');
  const disk = await makeDisk(store, {
    reference: 'test/committed:1',
    path: path.join(directory.path, 'disk'),
    filesystem: 'btrfs',
    sizeBytes: 1280 * 2 ** 20,
    topLayer: undefined,
  });
  const commandLine = diskCommandLine(disk, { reference: 'test/committed:1', writable: 'ephemeral' });
  await using machine = await bootMachine(context, {
    kernel,
    initrd,
    append: `${commandLine} ${quietConsole}`,
    drives: [{ path: disk.path, format: 'raw', access: 'write' }],
  });
  const patience = { timeoutMs: 60_000, unless: /Kernel panic|imgboot: .* To mend it:/ };
  expect(await machine.expect(/name: .*\n/, patience)).toBe('name: committed\n');
});
