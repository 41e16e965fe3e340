import { readFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { $ } from 'zx';
import { chooseAccelerator } from '../../src/vm/accelerator.ts';

/** What a reader must know of the machine that was measured. */
export async function describeMachine(): Promise<string[]> {
  const osRelease = await readFile('/etc/os-release', 'utf8');
  const { accelerator } = await chooseAccelerator();
  const qemu = (await $`qemu-system-x86_64 --version`).stdout.split('\n')[0] ?? '';
  return [
    `${cpus().length} x ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB of memory`,
    `${/^PRETTY_NAME="(.*)"$/m.exec(osRelease)?.[1] ?? 'unknown'}, kernel ${release()}`,
    `${qemu}, accelerator ${accelerator}; one processor and 1 GiB for the guest`,
    `Node.js ${process.version}`,
    new Date().toISOString().slice(0, 10),
  ];
}
