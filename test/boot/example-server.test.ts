import { expect, it } from 'vitest';
import { bookwormImage, quietConsole } from '../support/boot-fixtures.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { makeExample } from '../support/example.ts';
import { GuestShell } from '../support/guest-shell.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

it('the example server is built from its Dockerfile, boots, and its services answer', async (context) => {
  await using directory = await TemporaryDirectory.create();
  await using guest = await makeExample('server', { base: await bookwormImage(), directory: directory.path });
  await using machine = await bootMachine(context, {
    kernel: guest.kernel,
    initrd: guest.initrd,
    append: `${guest.commandLine} ${quietConsole}`,
    drives: [{ path: guest.disk, format: 'raw', access: 'write' }],
  });
  const shell = await GuestShell.login(machine);
  const ask = (port: number, words: string): string =>
    `bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port}; ${words}'`;
  expect(await shell.run(ask(80, 'printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3'))).toContain(
    '<h1>A server that was booted from a container image</h1>',
  );
  expect(await shell.run(ask(22, 'head -n 1 <&3'))).toMatch(/^SSH-2\.0-OpenSSH/);
  expect(await shell.run('id --name --groups alice')).toBe('alice sudo');
  await shell.powerOff();
});
