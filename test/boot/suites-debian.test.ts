import path from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BootReport } from '../../src/boot/boot-report.ts';
import type { BootSummary } from '../../src/boot/boot-summary.ts';
import type { Why } from '../../src/origin/why.ts';
import type { ImageSummary } from '../../src/store/describe.ts';
import { copyToStore } from '../../src/store/copy.ts';
import { Store } from '../../src/store/store.ts';
import {
  bookwormImage,
  bootImage,
  consoleLayer,
  freshDisk,
  machineOf,
  quietConsole,
} from '../support/boot-fixtures.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { expectClean, onDisk } from '../support/disk-check.ts';
import { bookwormTar, trixieTar } from '../support/fixtures.ts';
import { GuestShell } from '../support/guest-shell.ts';
import { loopFilesystem, type LoopFilesystem } from '../support/loop-filesystem.ts';
import { packagedImage } from '../support/package-layer.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const GIBIBYTE = 2 ** 30;

describe('a Debian', () => {
  let directory: TemporaryDirectory;
  beforeEach(async () => {
    directory = await TemporaryDirectory.create();
  });
  afterEach(async () => await directory[Symbol.asyncDispose]());

  it('trixie, with its Linux 6.12, boots to a login and powers off clean', async (context) => {
    const image = await bootImage('trixie', async () => [await trixieTar(), await consoleLayer()]);
    const disk = await freshDisk(directory.path, image, { filesystem: 'btrfs' });
    await using machine = await bootMachine(context, machineOf(disk, { writable: 'ephemeral' }));
    const shell = await GuestShell.login(machine);
    expect(await shell.run('uname -r')).toMatch(/^6\.12\./);
    expect(await shell.run('. /etc/os-release; echo $VERSION_CODENAME')).toBe('trixie');
    expect(await shell.run('systemctl is-system-running')).toBe('running');
    await shell.powerOff();
    await expectClean(disk);
  });

  it('boots from a store on xfs, and powers off clean', async (context) => {
    const image = await bookwormImage();
    await using disk = await loopFilesystem({ type: 'xfs', sizeBytes: 2 * GIBIBYTE, label: 'files' });
    const store = Store.openOrCreate(path.join(disk.mountPoint, 'srv/images'), undefined);
    await copyToStore(image.store, store, { reference: image.reference });
    await disk.unmount();
    await using machine = await bootMachine(context, {
      ...image,
      append: `root=LABEL=files imgboot.image=${image.reference} imgboot.store=/srv/images ${quietConsole}`,
      drives: [{ path: disk.diskPath, format: 'raw', access: 'write' }],
    });
    const shell = await GuestShell.login(machine);
    expect(await shell.json<BootReport>('cat /run/imgboot/boot.json')).toMatchObject({
      driver: 'overlay',
      store: '/srv/images',
      root: { asked: 'LABEL=files', fstype: 'xfs' },
      writable: { asked: 'ephemeral', got: 'ephemeral' },
      fallbacks: [],
    });
    expect(await shell.run('systemctl is-system-running')).toBe('running');
    await shell.powerOff();
    await expectClean({ path: disk.diskPath, filesystem: 'xfs' });
  });

  it.for(['ext4', 'btrfs'] as const)(
    'that lies on %s as any other does boots with nothing of ours on the command line',
    async (filesystem, context) => {
      const image = await bookwormImage();
      await using disk = await plainDebian(filesystem);
      await using machine = await bootMachine(context, {
        ...image,
        append: `root=LABEL=plain rw ${quietConsole}`,
        drives: [{ path: disk.diskPath, format: 'raw', access: 'write' }],
      });
      const shell = await GuestShell.login(machine);
      expect(await shell.run('findmnt -no SOURCE,FSTYPE / | tr -s " "')).toBe(`/dev/vda ${filesystem}`);
      expect(await shell.json<BootReport>('cat /run/imgboot/boot.json')).toMatchObject({
        reference: null,
        root: { asked: 'LABEL=plain', device: '/dev/vda', fstype: filesystem },
        topLayer: null,
      });
      expect(await shell.run('systemctl is-system-running')).toBe('running');
      await shell.run('echo one > /root/mark');
      await shell.powerOff();
      await expectClean({ path: disk.diskPath, filesystem });
      expect(await onDisk({ path: disk.diskPath, filesystem }, 'cat root/mark')).toBe('one');
    },
  );

  it('without Node shows its own store and boot with the package', async (context) => {
    const disk = await freshDisk(directory.path, await packagedImage(), { filesystem: 'ext4' });
    await using machine = await bootMachine(context, machineOf(disk, { writable: 'ephemeral' }));
    const shell = await GuestShell.login(machine);
    expect(await shell.run('command -v node npm || :')).toBe('');
    const listing = await shell.json<ImageSummary[]>(
      '/opt/imgboot/bin/imgboot images --store /imgboot --json',
    );
    expect(listing).toMatchObject([{ repository: 'test/packaged', tag: 'latest', layers: 3 }]);
    expect(await shell.run('/opt/imgboot/bin/imgboot images --store /imgboot')).toContain('test/packaged');
    expect(await shell.run('/opt/imgboot/bin/imgboot status')).toMatch(
      /^Image: +test\/packaged:latest \(sha256:[^]*\nWritable: +ephemeral/,
    );
    await shell.run('echo new > /root/new; rm /etc/issue.net');
    const paths = '/root/new /etc/issue.net /bin/sh /run/imgboot/boot.json /opt/imgboot/bin/imgboot';
    const { answers } = await shell.json<Why>(
      `/opt/imgboot/bin/imgboot why --store /imgboot ${paths} --json`,
    );
    const boot = { kind: 'boot', layer: 'deployments/test%2Fpackaged%3Alatest/ephemeral', boot: 1 };
    expect(answers.map(({ stops }) => stops.at(-1))).toMatchObject([
      { path: '/root/new', by: boot },
      { path: '/etc/issue.net', is: null, by: boot, packages: [{ name: 'base-files' }] },
      { path: '/usr/bin/dash', by: { kind: 'layer', number: 1 }, packages: [{ name: 'dash' }] },
      { path: '/run/imgboot/boot.json', by: { kind: 'mount', path: '/run', fstype: 'tmpfs' } },
      { path: '/opt/imgboot/bin/imgboot', by: { kind: 'layer', number: 3 } },
    ]);
    const [only] = await shell.json<BootSummary[]>('/opt/imgboot/bin/imgboot boots --store /imgboot --json');
    expect(only).toMatchObject({
      number: 1,
      of: 'test/packaged:latest',
      running: true,
      outcome: 'uncounted',
    });
  });
});

/** A Debian unpacked into a file system of its own, without a store. */
async function plainDebian(type: 'ext4' | 'btrfs'): Promise<LoopFilesystem> {
  const disk = await loopFilesystem({ type, sizeBytes: GIBIBYTE, label: 'plain' });
  for (const tar of [await bookwormTar(), await consoleLayer()]) {
    await execa('tar', [
      '-xpf',
      tar,
      '-C',
      disk.mountPoint,
      '--xattrs',
      '--xattrs-include=*',
      '--keep-directory-symlink',
    ]);
  }
  await disk.unmount();
  return disk;
}
