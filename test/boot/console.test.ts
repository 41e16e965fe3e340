import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bootMachine } from '../support/boot-machine.ts';
import { bookwormTar, kernelOf } from '../support/fixtures.ts';
import { outDirectory } from '../support/paths.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { writeInitramfs } from '../support/tiny-initramfs.ts';

const secondsOfBoot = 60_000;

describe('a machine with the cloud kernel and an initramfs of busybox', () => {
  let directory: TemporaryDirectory;
  let vmlinuz: string;
  beforeAll(async () => {
    directory = await TemporaryDirectory.create();
    ({ vmlinuz } = await kernelOf(await bookwormTar()));
  });
  afterAll(async () => directory[Symbol.asyncDispose]());

  /** A machine that runs `script` as its init. */
  async function machineWithInit(
    script: string,
  ): Promise<{ kernel: string; initrd: string; append: string }> {
    const initrd = path.join(directory.path, 'initrd');
    await writeInitramfs(initrd, script);
    return { kernel: vmlinuz, initrd, append: 'console=ttyS0 quiet panic=-1' };
  }

  it('says what its init prints, hears what is typed, and ends with its power-off', async (context) => {
    const parts = await machineWithInit('echo ready; read -r word; echo "heard $word"; poweroff -f');
    await using machine = await bootMachine(context, parts);
    await machine.expect('ready', { timeoutMs: secondsOfBoot });
    machine.send('hello\n');
    expect(await machine.expect(/heard .*(?=\r?\n)/, { timeoutMs: 10_000 })).toBe('heard hello');
    await machine.waitForExit({ timeoutMs: 10_000 });
  });

  it('that does not print the expected in time is a failure that shows its last lines', async (context) => {
    await using machine = await bootMachine(context, await machineWithInit('echo "last words"; sleep 1000'));
    await machine.expect('last', { timeoutMs: secondsOfBoot });
    await expect(machine.expect('login:', { timeoutMs: 500 })).rejects.toThrow(
      /"login:" within 0.5 s.*\n(.*\n)*.*last words/,
    );
  });

  it('that ends early fails who waits for it', async (context) => {
    await using machine = await bootMachine(context, await machineWithInit('poweroff -f'));
    await expect(machine.expect('login:', { timeoutMs: secondsOfBoot })).rejects.toMatchObject({
      code: 'IMGBOOT_MACHINE_ENDED',
    });
  });

  it("that QEMU refuses says so in QEMU's words", async (context) => {
    await using machine = await bootMachine(context, { kernel: '/nonexistent/vmlinuz' });
    await expect(machine.waitForExit()).rejects.toThrow('could not open kernel file');
  });

  it('ends with its disposal and leaves no process', async (context) => {
    const machine = await bootMachine(context, await machineWithInit('echo ready; sleep 1000'));
    await machine.expect('ready', { timeoutMs: secondsOfBoot });
    await machine[Symbol.asyncDispose]();
    expect(() => process.kill(machine.pid, 0)).toThrow('ESRCH');
    await machine[Symbol.asyncDispose]();
  });

  it('leaves no console log where the test passes', async () => {
    const logs = await readdir(path.join(outDirectory, 'consoles')).catch(() => []);
    expect(logs.filter((log) => log.startsWith('ends-with-its-disposal'))).toEqual([]);
  });

  it('does not outlive the process that started it', async (context) => {
    const parts = await machineWithInit('echo ready; sleep 1000');
    const child = execa(
      process.execPath,
      ['--input-type=module', '--eval', startAndTell(context.task.file.filepath, parts)],
      { reject: false },
    );
    const [firstLine] = (await once(child.stdout, 'data')) as [Buffer];
    const pid = Number(String(firstLine));
    expect(pid).toBeGreaterThan(1);
    child.kill('SIGKILL');
    await child;
    await expect.poll(() => isRunning(pid), { timeout: 5_000 }).toBe(false);
  });
});

/** A program that starts a machine, prints its process id, and waits. */
function startAndTell(from: string, parts: object): string {
  const module = new URL('../../src/vm/virtual-machine.ts', `file://${from}`).href;
  const machine = { accelerator: 'tcg', memoryBytes: 2 ** 28, cpus: 1, console: 'captured', ...parts };
  return `
    import { startMachine } from ${JSON.stringify(module)};
    const machine = await startMachine(${JSON.stringify(machine)});
    console.log(machine.pid);
    setInterval(() => {}, 1000);`;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
