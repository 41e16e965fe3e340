import { setTimeout as sleep } from 'node:timers/promises';
import path from 'node:path';
import { execa } from 'execa';
import { describe, expect, it, type TestContext } from 'vitest';
import { bootMachine } from '../support/boot-machine.ts';
import { onDisk } from '../support/disk-check.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { hooksUnderTest, writeExt4, writeStore, writeTinySystem } from '../support/tiny-machine.ts';

const BOOT_MS = 90_000;
const LAYER = '1111111111111111';
const DEPLOYMENT = 'var/lib/imgboot/deployments/tiny%3A1';
/** How often the machine is killed for each kind, evenly over the time that the boot takes. */
const KILLS = 5;

/** Says whether the system is whole: what the image has, and all of the top layer. */
const look = `
echo "WHOLE $(cat /etc/name) $(cat /etc/top/* | wc -c) $(ls /etc/top | wc -l) $(cat /persistent 2> /dev/null)."
[ -e /persistent ] || echo kept > /persistent; sync`;

describe.each([
  { filesystem: 'btrfs', driver: 'btrfs' },
  { filesystem: 'ext4', driver: 'overlay' },
] as const)('a machine on $filesystem that loses its power while it boots', ({ filesystem, driver }) => {
  it.for(['ephemeral', 'persistent'])('boots whole afterwards, %s', async (writable, context) => {
    await using work = await TemporaryDirectory.create();
    const disk = path.join(work.path, 'disk');
    await makeDisk(work.path);
    const start = async (name: string): Promise<Awaited<ReturnType<typeof bootMachine>>> =>
      boot(context, { name, disk, top: path.join(work.path, 'topdisk'), writable });

    // How long a boot takes that makes everything.
    await makeTopLayer(work.path, 0);
    let took: number;
    {
      const since = Date.now();
      await using machine = await start('first');
      await machine.expect('WHOLE machine 131072 32', {
        timeoutMs: BOOT_MS,
        unless: /To mend it.*|Kernel panic.*/,
      });
      took = Date.now() - since;
      await machine.waitForExit({ timeoutMs: 20_000 });
    }
    for (let kill = 1; kill <= KILLS; kill += 1) {
      // Another top layer each time, so that there is always something to make.
      await makeTopLayer(work.path, kill);
      {
        await using machine = await start(`killed-${kill}`);
        const points = took * 0.4 + (took * 0.65 * kill) / KILLS;
        await Promise.race([sleep(points), machine.waitForExit({ timeoutMs: BOOT_MS })]);
      }
      await using machine = await start(`after-${kill}`);
      const line = await machine.expect(/WHOLE .*\./, {
        timeoutMs: BOOT_MS,
        unless: /To mend it.*|Kernel panic.*/,
      });
      expect(line).toBe(`WHOLE machine 131072 32 ${writable === 'persistent' ? 'kept' : ''}.`);
      await machine.waitForExit({ timeoutMs: 20_000 });
    }
    // What killed boots left has a name that says so.
    const names = (await onDisk({ path: disk, filesystem }, `ls -A ${DEPLOYMENT}`)).split('\n');
    const known =
      /^(boot\.json(\.new)?|ephemeral(\.\d+)?|persistent(\.chain|\.toplayer)?(\.new)?|made|\.new\.\d+|base\.[0-9a-f]{64}\.[0-9a-f]{16})$/;
    expect(names.filter((name) => !known.test(name))).toEqual([]);
  });

  async function makeDisk(directory: string): Promise<void> {
    await writeStore(path.join(directory, 'content'), [{ reference: 'tiny:1', driver, layer: LAYER }]);
    await writeTinySystem(path.join(directory, 'system'), look);
    const layer = driver === 'btrfs' ? `btrfs -q subvolume create ${LAYER}` : `mkdir ${LAYER}`;
    const script = `
      truncate -s 400M disk; mkfs.${filesystem} -q -L linux disk; mkdir mnt; mount -o loop disk mnt; mkdir -p mnt/var/lib
      cp -a content mnt/var/lib/imgboot; cd mnt/var/lib/imgboot/layers; ${layer}; cp -a ../../../../../system/. ${LAYER}`;
    await execa('unshare', ['--mount', '--propagation', 'private', 'sh', '-euc', script], { cwd: directory });
  }
});

async function makeTopLayer(directory: string, generation: number): Promise<void> {
  const script = `
    mkdir -p top/etc/top; echo machine > top/etc/name
    for i in $(seq 32); do printf '%04096d' ${generation} > top/etc/top/$i; done; rm -f topdisk`;
  await execa('sh', ['-euc', script], { cwd: directory });
  const disk = path.join(directory, 'topdisk');
  await writeExt4(disk, { content: path.join(directory, 'top'), label: 'top', sizeBytes: 16 * 2 ** 20 });
}

async function boot(
  context: TestContext,
  { name, disk, top, writable }: { name: string; disk: string; top: string; writable: string },
): ReturnType<typeof bootMachine> {
  return bootMachine(context, {
    ...(await hooksUnderTest()),
    name,
    append: `console=ttyS0 quiet panic=1 root=LABEL=linux imgboot.image=tiny:1 imgboot.writable=${writable} toplayer=LABEL=top`,
    drives: [
      { path: disk, format: 'raw', access: 'write' },
      { path: top, format: 'raw', access: 'read-only' },
    ],
  });
}
