import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it, type TestContext } from 'vitest';
import type { BootReport } from '../../src/boot/boot-report.ts';
import { bookwormImage, freshDisk, machineOf, type BootDisk } from './boot-fixtures.ts';
import { bootMachine } from './boot-machine.ts';
import { expectClean, onDisk } from './disk-check.ts';
import { GuestShell } from './guest-shell.ts';
import { TemporaryDirectory } from './temporary-directory.ts';

type Driver = 'btrfs' | 'overlay';
type WritableKind = 'ephemeral' | 'persistent' | 'ram';

/** What a cell of the matrix boots. */
interface Cell {
  writable: WritableKind;
  topLayer: string | undefined;
}

/** deployments/NAME of the image test/bookworm:latest. */
const DEPLOYMENT = 'imgboot/deployments/test%2Fbookworm%3Alatest';

/** Each step of a boot has a limit of its own; this one is for when all are near it. */
const threeBoots = { timeout: 600_000 };

/** One file system's half of the boot matrix: each cell boots a Debian with systemd until it has shown all. */
export function describeBootMatrix(filesystem: 'btrfs' | 'ext4', driver: Driver): void {
  describe.each([{ withTopLayer: false }, { withTopLayer: true }])(
    `a Debian on ${filesystem} with a top layer: $withTopLayer`,
    ({ withTopLayer }) => {
      let directory: TemporaryDirectory;
      let disk: BootDisk;
      let topLayer: string | undefined;
      beforeEach(async () => {
        directory = await TemporaryDirectory.create();
        topLayer = withTopLayer ? await writeTopLayer(path.join(directory.path, 'top')) : undefined;
        disk = await freshDisk(directory.path, await bookwormImage(), { filesystem, topLayer });
      });
      afterEach(async () => directory[Symbol.asyncDispose]());

      /** Boots the disk, lets `use` work at its console, powers it off, and looks at what that leaves. */
      async function boot(
        context: TestContext,
        writable: WritableKind,
        use: (shell: GuestShell, report: BootReport) => Promise<void>,
      ): Promise<void> {
        await using machine = await bootMachine(context, {
          name: writable,
          ...machineOf(disk, { writable }),
        });
        const shell = await GuestShell.login(machine);
        expect(await shell.run('systemctl is-system-running')).toBe('running');
        await use(shell, await expectReport(shell, { disk, driver, cell: { writable, topLayer } }));
        await shell.powerOff();
        await expectClean(disk);
      }

      /** Where files that a boot wrote lie on the disk. */
      const inLayer = (layer: string, file: string): string =>
        path.join(DEPLOYMENT, layer, driver === 'overlay' ? 'upper' : '', file);
      const layers = async (): Promise<string[]> =>
        (await onDisk(disk, `ls ${DEPLOYMENT}`))
          .split('\n')
          .filter((name) => /^(ephem|persis)[^.]*(\.\d+)?$/.test(name));

      it('an ephemeral boot forgets the one before it, whose layer is kept', threeBoots, async (context) => {
        await boot(context, 'ephemeral', async (shell) => {
          await shell.run('echo one > /root/mark; rm /etc/issue');
          expect(await shell.run('findmnt -no FSTYPE /')).toBe(driver);
        });
        await boot(context, 'ephemeral', async (shell) => {
          expect(await shell.run('ls -A /root/mark /etc/issue 2> /dev/null || :')).toBe('/etc/issue');
          expect(await shell.run(`cat /${inLayer('ephemeral.1', 'root/mark')}`)).toBe('one');
          await shell.run('echo two > /root/mark');
        });
        expect(await layers()).toEqual(['ephemeral', 'ephemeral.1']);
        await boot(context, 'ephemeral', async (shell) => {
          expect(await shell.run('ls /root/mark 2> /dev/null || :')).toBe('');
          // The booted system deletes what is past imgboot.keep in its own time.
          await shell.run(
            'timeout 50 sh -c "while systemctl -q is-active imgboot-clean; do sleep 0.2; done"',
          );
          expect(await shell.run('systemctl show -P Result imgboot-clean')).toBe('success');
        });
        expect(await layers()).toEqual(['ephemeral', 'ephemeral.2']);
        expect(await onDisk(disk, `cat ${inLayer('ephemeral.2', 'root/mark')}`)).toBe('two');
      });

      it('a persistent boot finds what the one before it wrote', async (context) => {
        await boot(context, 'persistent', async (shell) => {
          await shell.run('echo one > /root/mark; rm /etc/issue');
        });
        await boot(context, 'persistent', async (shell) => {
          expect(await shell.run('ls /root/mark /etc/issue 2> /dev/null || :')).toBe('/root/mark');
          expect(await shell.run('cat /root/mark')).toBe('one');
        });
        expect(await layers()).toEqual(['persistent']);
      });

      it("a ram boot leaves the disk's bytes as they were", async (context) => {
        const before = await sha256(disk.path);
        await boot(context, 'ram', async (shell) => {
          await shell.run('echo one > /root/mark; rm /etc/issue; sync');
          expect(await shell.run('findmnt -no FSTYPE /')).toBe('overlay');
        });
        expect(await sha256(disk.path)).toBe(before);
      });
    },
  );
}

/** This machine's own files: three of them, and a directory. */
async function writeTopLayer(directory: string): Promise<string> {
  await mkdir(path.join(directory, 'etc'), { recursive: true });
  await writeFile(path.join(directory, 'etc/hostname'), 'toplayer\n');
  await writeFile(path.join(directory, 'etc/motd'), 'Hello from the top layer\n');
  await writeFile(path.join(directory, 'etc/.hidden'), 'hidden\n');
  return directory;
}
const TOP_LAYER_FILES = 3;

/** The boot report says what was booted and made; the console shows that it is so. */
async function expectReport(
  shell: GuestShell,
  { disk, driver, cell }: { disk: BootDisk; driver: Driver; cell: Cell },
): Promise<BootReport> {
  const report = await shell.json<BootReport>('cat /run/imgboot/boot.json');
  const image = disk.image.store.image(disk.image.reference);
  expect(report).toMatchObject({
    version: 1,
    reference: disk.image.reference,
    image: image.id,
    driver,
    store: '/imgboot',
    root: { asked: `UUID=${disk.uuid}`, device: '/dev/vda', fstype: disk.filesystem },
    writable: { asked: cell.writable, got: cell.writable, keep: 1 },
    fallbacks: [],
    init: '/sbin/init',
  });
  expect(report.writable!.layer).toBe(
    cell.writable === 'ram' ? null : `${DEPLOYMENT.replace('imgboot/', '')}/${cell.writable}`,
  );
  expect(await shell.run('hostname')).toBe(cell.topLayer === undefined ? 'image' : 'toplayer');
  if (cell.topLayer === undefined) expect(report.topLayer).toBeNull();
  else {
    expect(await shell.run('cat /etc/motd /etc/.hidden')).toBe('Hello from the top layer\nhidden');
    expect(report.topLayer).toEqual({
      device: `UUID=${disk.uuid}`,
      path: '/toplayer',
      digest: await digestOfTopLayer(disk),
      files: TOP_LAYER_FILES,
    });
  }
  expectStepsInOrder(report.steps);
  return report;
}

function expectStepsInOrder(steps: BootReport['steps']): void {
  expect(steps.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['device', 'mount', 'writable layer']),
  );
  for (const [index, step] of steps.entries()) {
    expect(step.endMs).toBeGreaterThanOrEqual(step.startMs);
    expect(step.startMs).toBe(steps[index - 1]?.endMs ?? step.startMs);
  }
}

/** As docs/boot.md defines it, from the copy on the disk: what the host's own GNU tar makes of it. */
async function digestOfTopLayer(disk: BootDisk): Promise<string> {
  const tar =
    'tar --create --format=posix --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' +
    " --numeric-owner --xattrs --xattrs-include='*' --acls --no-recursion --null --files-from=-";
  const names = 'find . -mindepth 1 -print0 | LC_ALL=C sort -z';
  const sum = await onDisk(disk, `cd toplayer && ${names} | ${tar} | sha256sum`);
  return `sha256:${sum.split(' ')[0]}`;
}

async function sha256(file: string): Promise<string> {
  const { stdout } = await execa('sha256sum', [file]);
  return stdout;
}
