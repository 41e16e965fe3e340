import { createHash } from 'node:crypto';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it, type TestContext } from 'vitest';
import type { BootReport } from '../../src/boot/boot-report.ts';
import type { VirtualMachine } from '../../src/vm/virtual-machine.ts';
import { runVariable } from './boot-fixtures.ts';
import { bootMachine } from './boot-machine.ts';
import { inDeployments } from './deployment-disk.ts';
import { expectClean, onDisk } from './disk-check.ts';
import { initramfsOf, type Generator } from './generators.ts';
import { makeOnce } from './make-once.ts';
import { TemporaryDirectory } from './temporary-directory.ts';
import { writeExt4, writeStore, writeTinySystem } from './tiny-machine.ts';

const BOOT_MS = 150_000;
const LAYER = '1111111111111111';
const DEPLOYMENTS = 'var/lib/imgboot/deployments';
const DEPLOYMENT = `${DEPLOYMENTS}/tiny%3A1`;

/** What the tiny system shows of itself: facts of files, then the report; and it ends as systemd does. */
const look = `
mount -t proc proc /proc 2> /dev/null
cd /; for file in etc/name etc/gone usr/lib/x opt/a written srv/kept; do
  [ ! -f $file ] || echo "FACT $file: $(cat $file) $(stat -c '%a %u:%g' $file)"
done
echo "FACT lib -> $(readlink lib)"
echo now > written
[ ! -d srv ] || echo now > srv/kept
[ ! -x /run/initramfs/bless ] || echo "FACT $(/run/initramfs/bless 2>&1)"
echo REPORT; cat /run/imgboot/boot.json; echo END
sync
if [ ! -x /run/initramfs/shutdown ]; then
  mount -o remount,ro /
  exec /bin/busybox poweroff -f
fi
cd /run/initramfs && mount --bind . . && cd /run/initramfs && mount --move /dev dev
pivot_root . oldroot && exec /bin/busybox sh /shutdown poweroff < /dev/console > /dev/console 2>&1
`;

const withTop = ['etc/name: machine 644 0:0', 'usr/lib/x: x 644 0:0', 'opt/a: a 4755 12:34'];
const link = 'lib -> usr/lib';
const kept = 'written: now 644 0:0';
const threeBoots = { timeout: 600_000 };

type Filesystem = 'btrfs' | 'ext4';

/**
 * The boots that every generator's initramfs must make, by the same assertions: of a system that is one busybox.
 * @param generator whose initramfs boots
 */
export function describeConformance(generator: Generator): void {
  let work: TemporaryDirectory;
  beforeEach(async () => {
    work = await TemporaryDirectory.create();
  });
  afterEach(async () => work[Symbol.asyncDispose]());

  async function start(
    context: TestContext,
    boot: { name: string; words: string; disks: readonly string[] },
  ): Promise<VirtualMachine> {
    return bootMachine(context, {
      ...(await initramfsOf(generator)),
      name: `${generator}-${boot.name}`,
      append: `console=ttyS0 quiet ${boot.words}`,
      drives: boot.disks.map((file) => ({ path: file, format: 'raw', access: 'write' })),
    });
  }

  /** Boots the tiny system until it has shown itself and the machine is off. */
  async function boot(
    context: TestContext,
    request: { name: string; words: string; disks: readonly string[]; filesystem: Filesystem },
  ): Promise<{ facts: string[]; report: BootReport | undefined }> {
    await using machine = await start(context, request);
    const text = await machine.expect(/FACT[^]*REPORT[^]*\nEND/, {
      timeoutMs: BOOT_MS,
      unless: /imgboot: .* To mend it: .*|Kernel panic.*/,
    });
    await machine.waitForExit({ timeoutMs: 60_000 });
    await expectClean({ path: request.disks[0]!, filesystem: request.filesystem });
    const json = /REPORT\n([^]*)END/.exec(text.replaceAll('\r', ''))![1]!.trim();
    return {
      facts: text.match(/(?<=FACT ).*/g)!.map((line) => line.trim()),
      report: json.startsWith('{') ? (JSON.parse(json) as BootReport) : undefined,
    };
  }

  describe.each([
    { filesystem: 'btrfs', driver: 'btrfs' },
    { filesystem: 'ext4', driver: 'overlay' },
  ] as const)('on $filesystem', ({ filesystem, driver }) => {
    const words = `panic=1 root=LABEL=linux rootfstype=${filesystem} imgboot.image=tiny:1`;
    let disks: string[];
    beforeEach(async () => {
      disks = [path.join(work.path, 'disk'), path.join(work.path, 'top')];
      await execa('cp', ['--sparse=always', '--reflink=auto', await storeDisk(filesystem), disks[0]!]);
      await copyFile(await topDisk(), disks[1]!);
    });
    const bootWith = async (context: TestContext, name: string, more: string): ReturnType<typeof boot> =>
      boot(context, { name: `${filesystem}-${name}`, words: `${words} ${more}`, disks, filesystem });

    it('an ephemeral boot forgets the one before it, and has the top layer', threeBoots, async (context) => {
      const first = await bootWith(context, 'first', 'toplayer=LABEL=top');
      expect(first.facts).toEqual([...withTop, link]);
      expect(first.report).toMatchObject({
        reference: 'tiny:1',
        driver,
        root: { asked: 'LABEL=linux', device: '/dev/vda', fstype: filesystem },
        writable: { asked: 'ephemeral', got: 'ephemeral', keep: 1 },
        topLayer: { device: 'LABEL=top', files: 4 },
        fallbacks: [],
        init: '/sbin/init',
      });
      const second = await bootWith(
        context,
        'second',
        `toplayer=LABEL=top toplayer.digest=${first.report!.topLayer!.digest}`,
      );
      expect(second.facts).toEqual([...withTop, link]);
      const layers = await onDisk({ path: disks[0]!, filesystem }, `cd ${DEPLOYMENT}; ls -d ephemeral*`);
      expect(layers.split('\n')).toEqual(['ephemeral', 'ephemeral.1']);
      const old = driver === 'overlay' ? 'ephemeral.1/upper' : 'ephemeral.1';
      expect(await onDisk({ path: disks[0]!, filesystem }, `cat ${DEPLOYMENT}/${old}/written`)).toBe('now');
    });

    it('a persistent boot finds what the one before it wrote', threeBoots, async (context) => {
      const more = 'toplayer=LABEL=top imgboot.writable=persistent';
      expect((await bootWith(context, 'made', more)).facts).toEqual([...withTop, link]);
      const again = await bootWith(context, 'again', more);
      expect(again.facts).toEqual([...withTop, kept, link]);
      expect(again.report!.writable).toMatchObject({ asked: 'persistent', got: 'persistent' });
    });

    it(
      'a deployment is counted, has its persistent directory, and is blessed',
      threeBoots,
      async (context) => {
        const reference = 'boot/tiny%3A1';
        await inDeployments(
          disks[0]!,
          `mkdir -p desktop/1 desktop/persist/%2Fsrv; echo before > desktop/persist/%2Fsrv/kept
        { cat ../${reference}; echo persist=/srv; } > desktop/1/boot`,
        );
        const { facts, report } = await boot(context, {
          name: `${filesystem}-deployment`,
          words: words.replace(/imgboot.image=.*/, 'imgboot.deployment=desktop toplayer=LABEL=top'),
          disks,
          filesystem,
        });
        expect(facts).toEqual([...withTop, 'srv/kept: before 644 0:0', link, 'desktop/1 is good']);
        expect(report).toMatchObject({
          deployment: { asked: 'desktop', got: 'desktop/1', try: 1 },
          writable: { got: 'ephemeral', layer: 'deployments/desktop/1/ephemeral' },
          topLayer: { files: 4 },
          fallbacks: [],
        });
        const left = await onDisk(
          { path: disks[0]!, filesystem },
          `cd ${DEPLOYMENTS}/desktop; cat persist/%2Fsrv/kept; ls 1`,
        );
        expect(left.split('\n').filter((name) => !name.startsWith('base.'))).toEqual([
          'now',
          'boot',
          'boot.json',
          'ephemeral',
          'good',
          ...(driver === 'btrfs' ? ['made'] : []),
        ]);
      },
    );

    it(
      'the command line and the file of mkinitcpio-docker-hooks boot as written',
      threeBoots,
      async (context) => {
        await putIntoDocker(disks[0]!, driver);
        const { facts, report } = await boot(context, {
          name: `${filesystem}-original`,
          words:
            'root=LABEL=linux rootflags=subvol=docker_rwlayer rw docker_path=docker toplayer=LABEL=linux toplayer_path=boot_docker',
          disks: disks.slice(0, 1),
          filesystem,
        });
        expect(facts).toEqual([...withTop, link]);
        expect(report).toMatchObject({
          reference: 'docker://one:latest',
          driver,
          writable: {
            got: 'ephemeral',
            layer:
              driver === 'btrfs' ? '/docker_rwlayer' : 'deployments/docker%3A%2F%2Fone%3Alatest/ephemeral',
          },
          topLayer: { device: 'LABEL=linux', path: 'boot_docker', files: 4 },
          fallbacks: [],
        });
      },
    );

    it("a ram boot leaves the disk's bytes as they were", threeBoots, async (context) => {
      const before = (await execa('sha256sum', disks)).stdout;
      const { facts, report } = await bootWith(context, 'ram', 'toplayer=LABEL=top imgboot.writable=ram');
      expect(facts).toEqual([...withTop, link]);
      expect(report).toMatchObject({ writable: { asked: 'ram', got: 'ram', layer: null }, fallbacks: [] });
      expect((await execa('sha256sum', disks)).stdout).toBe(before);
    });
  });

  it.for([
    {
      words: 'root=LABEL=nowhere rd.timeout=2 imgboot.image=tiny:1',
      says: /waiting for root=LABEL=nowhere: no such device came within 2 seconds; seen: \/dev\/vda \(LABEL=linux UUID=\S+ ext4\)/,
    },
    {
      words: 'root=/dev/vda rootfstype=ext4 imgboot.image=other:1',
      says: /looking for the image other:1: the store \/var\/lib\/imgboot on \/dev\/vda has no such image; it has: tiny:1\./,
    },
    {
      words: 'root=/dev/vda rootfstype=ext4 imgboot.image=tiny:1 imgboot.writeable=ram',
      says: /imgboot.writeable=ram on the kernel command line: is no parameter of this initramfs/,
    },
  ])('$words stops the boot and says why, in one line', threeBoots, async ({ words, says }, context) => {
    const disk = path.join(work.path, 'disk');
    await execa('cp', ['--sparse=always', '--reflink=auto', await storeDisk('ext4'), disk]);
    await using machine = await start(context, { name: 'failure', words, disks: [disk] });
    const line = await machine.expect(/imgboot: .* To mend it: .*/, {
      timeoutMs: BOOT_MS,
      unless: /Kernel panic.*|FACT .*/,
    });
    expect(line).toMatch(says);
    await machine.expect('imgboot: the machine is halted.', { timeoutMs: 30_000, unless: /imgboot# / });
    expect(machine.console.text.split(line.trim())).toHaveLength(2);
    await machine[Symbol.asyncDispose]();
    expect(await onDisk({ path: disk, filesystem: 'ext4' }, 'ls var/lib/imgboot/deployments')).toBe('');
  });

  it('without a parameter of ours it is the root file system that boots', threeBoots, async (context) => {
    const disk = path.join(work.path, 'disk');
    await execa('cp', ['--sparse=always', '--reflink=auto', await storeDisk('ext4'), disk]);
    const words = 'panic=1 root=LABEL=linux rootfstype=ext4 rw';
    const { facts, report } = await boot(context, {
      name: 'plain',
      words,
      disks: [disk],
      filesystem: 'ext4',
    });
    expect(facts).toEqual(['etc/name: plain 644 0:0', 'etc/gone: image 644 0:0', link]);
    expect(report?.writable).toBeUndefined();
    expect(
      await onDisk({ path: disk, filesystem: 'ext4' }, 'cat written; ls var/lib/imgboot/deployments'),
    ).toBe('now');
  });
}

/** A disk labelled "linux", made once a run: a store with the image tiny:1, and, on ext4, a system beside it. */
async function storeDisk(filesystem: Filesystem): Promise<string> {
  return makeOnce(path.join(process.env[runVariable]!, `conformance.${filesystem}`), async (aside) => {
    await using work = await TemporaryDirectory.create();
    const system = path.join(work.path, 'system');
    await writeTinySystem(system, look);
    await mkdir(path.join(system, 'usr/lib'), { recursive: true });
    await execa('ln', ['-s', 'usr/lib', path.join(system, 'lib')]);
    for (const name of ['name', 'gone']) await writeFile(path.join(system, 'etc', name), 'image\n');
    // systemd in an initramfs starts nothing without.
    await writeFile(path.join(system, 'etc/os-release'), 'ID=tiny\n');
    const driver = filesystem === 'btrfs' ? 'btrfs' : 'overlay';
    await writeStore(path.join(work.path, 'store'), [{ reference: 'tiny:1', driver, layer: LAYER }]);
    const script = `truncate -s 400M "$1"; mkfs.${filesystem} -q -L linux "$1"; mkdir mnt; mount -o loop "$1" mnt
      ${filesystem === 'ext4' ? 'cp -a system/. mnt; echo plain > mnt/etc/name' : 'mkdir -p mnt/var/lib'}
      cp -a store mnt/var/lib/imgboot; cd mnt/var/lib/imgboot/layers
      ${driver === 'btrfs' ? `btrfs -q subvolume create ${LAYER}` : `mkdir ${LAYER}`}
      cp -a ../../../../../system/. ${LAYER}
      ${driver === 'btrfs' ? `btrfs property set -ts ${LAYER} ro true` : ''}`;
    const words = ['--mount', '--propagation', 'private', 'sh', '-euc', script, 'sh', aside];
    await execa('unshare', words, { cwd: work.path });
  });
}

/** Puts the image tiny:1 into a store of Docker's on the same disk as one:latest, and a top layer beside it. */
async function putIntoDocker(disk: string, driver: 'btrfs' | 'overlay'): Promise<void> {
  const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
  const chain = digest('the layer');
  const config = JSON.stringify({ rootfs: { type: 'layers', diff_ids: [`sha256:${chain}`] } });
  const id = digest(config);
  const repositories = JSON.stringify({ Repositories: { one: { 'one:latest': `sha256:${id}` } } });
  const name = driver === 'btrfs' ? 'btrfs' : 'overlay2';
  const script = `mount -o loop "$1" /mnt; cd /mnt
    mkdir -p docker/image/${name}/imagedb/content/sha256 docker/image/${name}/layerdb/sha256/${chain}
    printf %s "$2" > docker/image/${name}/repositories.json
    printf %s "$3" > docker/image/${name}/imagedb/content/sha256/${id}
    printf %s cache > docker/image/${name}/layerdb/sha256/${chain}/cache-id
    layer=/mnt/var/lib/imgboot/layers/${LAYER}
    if [ ${driver} = btrfs ]; then
      mkdir -p docker/btrfs/subvolumes; btrfs -q subvolume snapshot -r $layer docker/btrfs/subvolumes/cache
    else
      mkdir -p docker/overlay2/l docker/overlay2/cache; cp -a $layer docker/overlay2/cache/diff
      ln -s ../cache/diff docker/overlay2/l/ABCDEFGHIJKLMNOPQRSTUVWXYZ
      printf %s ABCDEFGHIJKLMNOPQRSTUVWXYZ > docker/overlay2/cache/link
    fi
    mkdir boot_docker; cd boot_docker; ${topLayer}`;
  const words = [
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-euc',
    script,
    'sh',
    disk,
    repositories,
    config,
  ];
  await execa('unshare', words);
}

/** What is replaced, deleted, added, and added below a linked directory. */
const topLayer = `mkdir etc lib opt; echo machine > etc/name; touch etc/.wh.gone; echo x > lib/x
  echo a > opt/a; chown 12:34 opt/a; chmod 4755 opt/a`;

/** A top layer on a disk of its own. */
async function topDisk(): Promise<string> {
  return makeOnce(path.join(process.env[runVariable]!, 'conformance.top'), async (aside) => {
    await using work = await TemporaryDirectory.create();
    await execa('sh', ['-euc', topLayer], { cwd: work.path });
    await writeExt4(aside, { content: work.path, label: 'top', sizeBytes: 16 * 2 ** 20 });
  });
}
