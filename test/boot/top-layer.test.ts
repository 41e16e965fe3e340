import path from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it, type TestContext } from 'vitest';
import type { BootReport } from '../../src/boot/boot-report.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { expectClean, onDisk } from '../support/disk-check.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { hooksUnderTest, writeExt4, writeStore, writeTinySystem } from '../support/tiny-machine.ts';

const BOOT_MS = 90_000;
const LAYER = '1111111111111111';
const DEPLOYMENT = 'var/lib/imgboot/deployments/tiny%3A1';

/** What the tiny system shows of itself: facts of files, then the report. */
const look = `
cd /; for file in etc/name etc/gone lib/x usr/lib/x etc/.hidden opt/a written; do
  [ ! -f $file ] || echo "FACT $file: $(cat $file) $(stat -c '%a %u:%g %h' $file)"
done
echo "FACT lib -> $(readlink lib)"
echo now > written
echo REPORT; cat /run/imgboot/boot.json; echo END
# What systemd does at its end, too: into what the initramfs left, and the rest is its.
cd /run/initramfs && mount --bind . . && cd /run/initramfs && mount --move /dev dev
pivot_root . oldroot && exec /bin/busybox sh /shutdown poweroff < /dev/console > /dev/console 2>&1
`;

describe.each([
  { filesystem: 'btrfs', driver: 'btrfs' },
  { filesystem: 'ext4', driver: 'overlay' },
  { filesystem: 'xfs', driver: 'overlay' },
] as const)('a top layer on $filesystem', ({ filesystem, driver }) => {
  let work: TemporaryDirectory;
  let disk: string;
  let top: string;

  beforeEach(async () => {
    work = await TemporaryDirectory.create();
    disk = path.join(work.path, 'disk');
    top = path.join(work.path, 'top');
    await sh(`truncate -s 400M disk; mkfs.${filesystem} -q -L linux disk; mkdir mnt`);
    const store = path.join(work.path, 'content');
    await writeStore(store, [{ reference: 'tiny:1', driver, layer: LAYER }]);
    const system = path.join(work.path, 'system');
    await writeTinySystem(system, look);
    await sh(`mkdir -p system/usr/lib; ln -s usr/lib system/lib; echo image > system/etc/name; echo image > system/etc/gone
      mount -o loop disk mnt; mkdir -p mnt/var/lib; cp -a content mnt/var/lib/imgboot
      cd mnt/var/lib/imgboot/layers
      ${driver === 'btrfs' ? `btrfs -q subvolume create ${LAYER}` : `mkdir ${LAYER}`}; cp -a ../../../../../system/. ${LAYER}
      ${driver === 'btrfs' ? `btrfs property set -ts ${LAYER} ro true` : ''}`);
    await sh(`mkdir -p top/etc top/lib top/opt; echo machine > top/etc/name; touch top/etc/.wh.gone; echo hid > top/etc/.hidden
      echo x > top/lib/x; echo a > top/opt/a; ln top/opt/a top/opt/b; chown 12:34 top/opt/a; chmod 4755 top/opt/a
      setfattr -n user.color -v red top/opt/a; setfattr -n security.capability -v 0sAQAAAgAgAAAAAAAAAAAAAAAAAAA= top/lib/x`);
  });
  afterEach(async () => work[Symbol.asyncDispose]());

  /** Runs shell commands in the test's directory; what they mount ends with them. */
  async function sh(script: string): Promise<string> {
    const words = ['--mount', '--propagation', 'private', 'sh', '-euc', script];
    return (await execa('unshare', words, { cwd: work.path })).stdout;
  }

  async function boot(
    context: TestContext,
    name: string,
    words: string,
  ): Promise<{ facts: string[]; report: BootReport }> {
    await writeExt4(path.join(work.path, 'topdisk'), { content: top, label: 'top', sizeBytes: 16 * 2 ** 20 });
    await using machine = await bootMachine(context, {
      ...(await hooksUnderTest()),
      name: `${filesystem}-${name}`,
      append: `console=ttyS0 quiet root=LABEL=linux rootfstype=${filesystem} imgboot.image=tiny:1 panic=1 ${words}`,
      drives: [
        { path: disk, format: 'raw', access: 'write' },
        { path: path.join(work.path, 'topdisk'), format: 'raw', access: 'read-only' },
      ],
    });
    const text = await machine.expect(/FACT[^]*REPORT[^]*\nEND/, {
      timeoutMs: BOOT_MS,
      unless: /imgboot: .* To mend it: .*|Kernel panic.*/,
    });
    await machine.waitForExit({ timeoutMs: 30_000 });
    await expectClean({ path: disk, filesystem });
    const report = JSON.parse(/REPORT\n([^]*)\nEND/.exec(text)![1]!) as BootReport;
    return { facts: text.match(/(?<=FACT ).*/g)!.map((line) => line.trim()), report };
  }

  const withTop = [
    'etc/name: machine 644 0:0 1',
    'lib/x: x 644 0:0 1',
    'usr/lib/x: x 644 0:0 1',
    'etc/.hidden: hid 644 0:0 1',
    'opt/a: a 4755 12:34 2',
  ];
  const link = 'lib -> usr/lib';
  const kept = 'written: now 644 0:0 1';

  it('is in every ephemeral boot, and made once', async (context) => {
    const first = await boot(context, 'first', 'toplayer=LABEL=top');
    expect(first.facts).toEqual([...withTop, link]);
    expect(first.report.topLayer).toMatchObject({ device: 'LABEL=top', files: 6 });
    expect(first.report.topLayer!.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    const second = await boot(
      context,
      'second',
      `toplayer=LABEL=top toplayer.digest=${first.report.topLayer!.digest}`,
    );
    expect(second.facts).toEqual([...withTop, link]);
    // What it was made on is there once; the one without a top layer has nothing of it.
    const base = `base.${first.report.topLayer!.digest!.slice(7)}.${LAYER}`;
    expect(await onDisk({ path: disk, filesystem }, `ls -A ${DEPLOYMENT}`)).toBe(
      [base, 'boot.json', 'ephemeral', 'ephemeral.1', ...(driver === 'btrfs' ? ['made'] : [])].join('\n'),
    );
    const upper = driver === 'overlay' ? `${base}/upper` : base;
    expect(
      await onDisk(
        { path: disk, filesystem },
        `cd ${DEPLOYMENT}/${upper}; getfattr -d -m user opt/b; getfattr -m security usr/lib/x`,
      ),
    ).toMatch(/user\.color="red"[^]*security\.capability/);
    const without = await boot(context, 'without', '');
    expect(without.facts).toEqual(['etc/name: image 644 0:0 1', 'etc/gone: image 644 0:0 1', link]);
    expect(without.report.topLayer).toBeNull();
  });

  it('comes to a persistent root when it is made, and when it has changed', async (context) => {
    const words = 'toplayer=LABEL=top imgboot.writable=persistent';
    expect((await boot(context, 'made', words)).facts).toEqual([...withTop, link]);
    // The system changes a file of the top layer: that stays, as long as the top layer is what it was.
    const layer = `mnt/${DEPLOYMENT}/persistent${driver === 'overlay' ? '/upper' : ''}`;
    await sh(`mount -o loop disk mnt; echo mine > ${layer}/etc/name`);
    const mine = ['etc/name: mine 644 0:0 1', ...withTop.slice(1)];
    expect((await boot(context, 'again', words)).facts).toEqual([...mine, kept, link]);
    expect((await boot(context, 'without', 'imgboot.writable=persistent')).facts).toEqual([
      ...mine,
      kept,
      link,
    ]);
    await sh('echo newer > top/etc/name; rm top/etc/.hidden');
    const newer = ['etc/name: newer 644 0:0 1', ...withTop.slice(1)];
    expect((await boot(context, 'changed', words)).facts).toEqual([...newer, kept, link]);
    // A boot that was killed while it applied the top layer: the next makes it whole, or refuses.
    await sh(
      `mount -o loop disk mnt; echo half > ${layer}/etc/name; echo "applying sha256:x" > mnt/${DEPLOYMENT}/persistent.toplayer`,
    );
    await expect(boot(context, 'half', 'imgboot.writable=persistent')).rejects.toThrow(
      'a boot was stopped while it applied the top layer sha256:x',
    );
    expect((await boot(context, 'whole', words)).facts).toEqual([...newer, kept, link]);
  });

  it('is in a ram boot, which writes nothing', async (context) => {
    const sum = async (): Promise<string> => sh('sha256sum < disk');
    const before = await sum();
    const { facts, report } = await boot(context, 'ram', 'toplayer=LABEL=top imgboot.writable=ram:size=50%');
    expect(facts).toEqual([...withTop, link]);
    expect(report).toMatchObject({
      writable: { asked: 'ram:size=50%', got: 'ram', layer: null },
      fallbacks: [],
    });
    expect(await sum()).toBe(before);
  });
});
