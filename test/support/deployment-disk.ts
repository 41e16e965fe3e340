import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { expect, type TestContext } from 'vitest';
import type { BootReport } from '../../src/boot/boot-report.ts';
import type { VirtualMachine } from '../../src/vm/virtual-machine.ts';
import { runVariable } from './boot-fixtures.ts';
import { bootMachine } from './boot-machine.ts';
import { expectClean, onDisk, type DiskFile } from './disk-check.ts';
import { bookwormTar, kernelOf } from './fixtures.ts';
import { makeOnce } from './make-once.ts';
import { TemporaryDirectory } from './temporary-directory.ts';
import { hooksUnderTest, writeStore, writeTinySystem } from './tiny-machine.ts';

const BOOT_MS = 150_000;
const ONE = '1'.repeat(16);
const TWO = '2'.repeat(16);
const STORE = 'var/lib/imgboot';

/** What rules out that a boot comes to its end. */
const hopeless = /imgboot: .* To mend it: .*|Kernel panic.*/;

/**
 * What the tiny system does: version 2 dies where the command line says so; else each boot shows the marks that it
 * finds, adds its own to each place, blesses itself where it is told to, and ends as systemd does.
 */
const init = `
mount -t proc proc /proc; mount -t sysfs sysfs /sys 2> /dev/null
read -r words < /proc/cmdline; read -r version < /etc/version
case $version,$words in
  2,*test=crash*) exit 1 ;;
  2,*test=panic*) echo c > /proc/sysrq-trigger; sleep 60 ;;
esac
echo "FACT version $version"
cd /; for file in etc/top mark home/mark srv/mark srv/data/mark usr/lib/modules/*/name; do
  [ ! -f $file ] || echo "FACT $file $(cat $file)"
done
for place in . home/ srv srv/data; do
  [ ! -d $place ] || printf %s $version >> $place/mark
done
case $words in
  *test=bless*) /run/initramfs/bless; echo "FACT bless $?"; /run/initramfs/bless; echo "FACT bless $?" ;;
esac
echo REPORT; cat /run/imgboot/boot.json; echo END
cd /run/initramfs && mount --bind . . && cd /run/initramfs && mount --move /dev dev
pivot_root . oldroot && exec /bin/busybox sh /shutdown poweroff < /dev/console > /dev/console 2>&1
`;

/** A disk with a store of two versions of the deployment "tiny", made for a test. */
export interface DeploymentDisk extends DiskFile {
  filesystem: 'btrfs' | 'ext4';
  /** What the kernel that boots calls itself; version 2 has its modules, version 1 has not. */
  kver: string;
}

/**
 * A copy of a disk with tiny/1 and tiny/2, which lies over it; neither is good, and nothing says where the loader is.
 * @param lines for the boot files, by version
 * @param prepare a script that runs in `deployments/` of the store
 */
export async function deploymentDisk(
  directory: string,
  filesystem: 'btrfs' | 'ext4',
  { lines = {}, prepare = ':' }: { lines?: Record<number, readonly string[]>; prepare?: string },
): Promise<DeploymentDisk> {
  const disk = path.join(directory, 'disk');
  await execa('cp', ['--sparse=always', '--reflink=auto', await baseDisk(filesystem), disk]);
  const more = Object.entries(lines).map(
    ([version, keys]) => `printf '%s\\n' ${keys.map((key) => `'${key}'`).join(' ')} >> tiny/${version}/boot`,
  );
  await inDeployments(disk, [...more, prepare].join('\n'));
  const { version: kver } = await kernelOf(await bookwormTar());
  return { path: disk, filesystem, kver };
}

/** Runs a script in `deployments/` of a disk's store. */
export async function inDeployments(disk: string, script: string, store = STORE): Promise<void> {
  const words = ['--mount', '--propagation', 'private', 'sh', '-euc'];
  await execa('unshare', [
    ...words,
    `mount -o loop "$1" /mnt; cd /mnt/${store}/deployments\n${script}`,
    'sh',
    disk,
  ]);
}

/** Starts a machine on the disk; more words may name an own `imgboot.deployment=`. */
export async function startDeployment(
  context: TestContext,
  disk: DeploymentDisk,
  { words, name }: { words: string; name: string },
): Promise<VirtualMachine> {
  return bootMachine(context, {
    ...(await hooksUnderTest()),
    name,
    memoryBytes: 512 * 2 ** 20,
    onReboot: 'restart',
    append: `console=ttyS0 quiet root=/dev/vda rootfstype=${disk.filesystem} ${words}`,
    drives: [{ path: disk.path, format: 'raw', access: 'write' }],
  });
}

/** Boots the disk, as often as the machine restarts, until a system has shown itself and the machine is off. */
export async function bootDeployment(
  context: TestContext,
  disk: DeploymentDisk,
  boot: { words: string; name: string; fails?: boolean },
): Promise<{ facts: string[]; report: BootReport; console: string }> {
  await using machine = await startDeployment(context, disk, boot);
  const text = await machine.expect(/FACT version[^]*REPORT[^]*\nEND/, {
    timeoutMs: BOOT_MS,
    ...(boot.fails === true ? {} : { unless: hopeless }),
  });
  await machine.waitForExit({ timeoutMs: 60_000 });
  await expectClean(disk);
  const json = /REPORT\n([^]*)END/.exec(text.replaceAll('\r', ''))![1]!;
  return {
    facts: text.match(/(?<=FACT ).*/g)!.map((line) => line.trim()),
    report: JSON.parse(json) as BootReport,
    console: machine.console.text.replaceAll('\r', ''),
  };
}

/** The files of a version and what they hold, without layers and what is not decided by boots. */
export async function versionFiles(disk: DeploymentDisk, version: string): Promise<Record<string, string>> {
  const script = `cd ${STORE}/deployments/${version}; for file in tries* good*; do
    [ ! -f $file ] || printf '%s=%s\\n' $file "$(cat $file)"; done`;
  const text = await onDisk(disk, script);
  return Object.fromEntries(
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split('=') as [string, string]),
  );
}

/** What boots have left in a version's directory, by name. */
export async function layersOf(disk: DeploymentDisk, version: string): Promise<string[]> {
  const text = await onDisk(disk, `ls ${STORE}/deployments/${version}`);
  expect(text).toContain('boot');
  return text.split('\n').filter((name) => /^(ephemeral|persistent|base)/.test(name));
}

async function baseDisk(filesystem: 'btrfs' | 'ext4'): Promise<string> {
  return makeOnce(path.join(process.env[runVariable]!, `deployments.${filesystem}`), async (aside) => {
    await using work = await TemporaryDirectory.create();
    const driver = filesystem === 'btrfs' ? 'btrfs' : 'overlay';
    const { version: kver } = await kernelOf(await bookwormTar());
    const one = path.join(work.path, 'one');
    await writeTinySystem(one, init);
    for (const name of ['usr/lib', 'var/home']) await mkdir(path.join(one, name), { recursive: true });
    await symlink('usr/lib', path.join(one, 'lib'));
    // As an image that is made for ostree has it.
    await symlink('/var/home', path.join(one, 'home'));
    await writeFile(path.join(one, 'var/home/mark'), 'image');
    await writeFile(path.join(one, 'etc/version'), '1\n');
    const two = path.join(work.path, 'two');
    const modules = path.join(two, 'usr/lib/modules', kver);
    await mkdir(modules, { recursive: true });
    await mkdir(path.join(two, 'etc'));
    await writeFile(path.join(modules, 'name'), 'two\n');
    await writeFile(path.join(two, 'etc/version'), '2\n');
    await writeStore(path.join(work.path, 'store'), []);
    await writeVersion(work.path, { number: 1, driver, layers: [ONE], chain: '1', kver });
    await writeVersion(work.path, {
      number: 2,
      driver,
      layers: driver === 'btrfs' ? [TWO] : [TWO, ONE],
      chain: '2',
      kver,
    });
    const script = `truncate -s 300M "$1"; mkfs.${filesystem} -q -L linux "$1"; mkdir mnt; mount -o loop "$1" mnt
      mkdir -p mnt/var/lib; cp -a store mnt/${STORE}; cd mnt/${STORE}/layers
      for layer in ${ONE} ${TWO}; do
        ${driver === 'btrfs' ? 'btrfs -q subvolume create $layer' : 'mkdir $layer'}
      done
      cp -a ../../../../../one/. ${ONE}
      ${driver === 'btrfs' ? `cp -a ../../../../../one/. ${TWO}` : ''}
      cp -a ../../../../../two/. ${TWO}
      ${driver === 'btrfs' ? `for layer in ${ONE} ${TWO}; do btrfs property set -ts $layer ro true; done` : ''}`;
    const words = ['--mount', '--propagation', 'private', 'sh', '-euc', script, 'sh', aside];
    await execa('unshare', words, { cwd: work.path });
  });
}

async function writeVersion(
  work: string,
  version: { number: number; driver: string; layers: string[]; chain: string; kver: string },
): Promise<void> {
  const directory = path.join(work, 'store/deployments/tiny', String(version.number));
  await mkdir(directory, { recursive: true });
  const lines = [
    'version=1',
    `reference=tiny:${version.number}`,
    `image=sha256:${version.chain.repeat(64)}`,
    `driver=${version.driver}`,
    `chain=sha256:${version.chain.repeat(64)}`,
    ...version.layers.map((layer) => `layer=${layer}`),
    `deployment=tiny/${version.number}`,
    `kernel=${version.kver}`,
    'try=3',
  ];
  await writeFile(path.join(directory, 'boot'), `${lines.join('\n')}\n`);
}
