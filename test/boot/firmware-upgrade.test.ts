import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it, type TestContext } from 'vitest';
import type { BootReport } from '../../src/boot/boot-report.ts';
import type { DiskFile } from '../../src/disk/disk-file.ts';
import type { DiskContent } from '../../src/disk/write-disk.ts';
import type { LoaderName } from '../../src/loader/machine.ts';
import { tagImage } from '../../src/store/tag.ts';
import type { FirmwareName } from '../../src/vm/firmware.ts';
import { bootImage, consoleLayer, quietConsole, type BootImage } from '../support/boot-fixtures.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { diskOf, firmwareMachine, refindLayer } from '../support/disk-fixtures.ts';
import { upgradingTar } from '../support/fixtures.ts';
import { GuestShell } from '../support/guest-shell.ts';
import { packageLayer } from '../support/package-layer.ts';
import { registry } from '../support/registry.ts';
import { runCliOk } from '../support/run-cli.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const GIBIBYTE = 2 ** 30;
/** Everything is emulated: Node, skopeo, and the compression of an initramfs. */
const UPGRADE_MS = 420_000;
const imgboot = '/opt/imgboot/bin/imgboot';

interface Kind {
  loader: LoaderName;
  firmware: FirmwareName;
  filesystem: DiskContent['filesystem'];
}

const kinds: Kind[] = [
  { loader: 'grub', firmware: 'bios', filesystem: 'btrfs' },
  { loader: 'systemd-boot', firmware: 'uefi', filesystem: 'ext4' },
  { loader: 'grub', firmware: 'uefi', filesystem: 'ext4' },
  { loader: 'refind', firmware: 'uefi', filesystem: 'btrfs' },
  { loader: 'extlinux', firmware: 'bios', filesystem: 'ext4' },
];
/** Each takes some minutes; `IMGBOOT_EVERY_LOADER=1` takes them all. */
const usual = process.env['IMGBOOT_EVERY_LOADER'] === '1' ? kinds : kinds.slice(0, 1);

it.for(usual)(
  'booted by $loader on $firmware, a machine upgrades itself',
  { timeout: 1_200_000 },
  async (kind, context) => {
    await using directory = await TemporaryDirectory.create();
    await using images = await registry();
    const port = images.address.split(':')[1]!;
    // What QEMU's network calls the host.
    const image = await desktop(`10.0.2.2:${port}/desktop:latest`);
    await pushSecond(image, { directory: directory.path, address: images.address });
    const disk = await diskOf(image, path.join(directory.path, 'disk'), {
      ...kind,
      sizeBytes: 4 * GIBIBYTE,
      topLayer: await networkLayer(directory.path),
      deployment: {
        persist: ['/home'],
        append: quietConsole.split(' ').filter((word) => word !== 'panic=1'),
      },
    });

    await session(context, { disk, firmware: kind.firmware }, async (shell, report) => {
      expect(report.deployment).toMatchObject({ asked: 'desktop/1', got: 'desktop/1' });
      expect(await shell.run('cat /etc/version 2> /dev/null || echo one; cat /etc/own')).toBe('one\nmine');
      // Its own top layer, where it is: by the words that it was booted with.
      const listed = await shell.json<{ digest: string; files: number }>(`${imgboot} toplayer ls --json`);
      expect(listed).toMatchObject({ digest: report.topLayer!.digest, files: report.topLayer!.files });
      expect(await shell.run(`${imgboot} toplayer diff`)).toBe('');
      await shell.run('echo kept > /home/file; echo lost > /root/file');
      const upgrade = `${imgboot} upgrade --store /imgboot --no-tls-verify`;
      await shell.run(`(${upgrade} > /root/log 2>&1; echo "status $?" >> /root/log) > /dev/null 2>&1 &`);
      let log = '';
      for (const until = Date.now() + UPGRADE_MS; Date.now() < until && !log.includes('status ');)
        log = await shell.run('sleep 5; cat /root/log');
      expect(log).toContain('desktop/2 is booted by default from now on');
      expect(log).toMatch(/status 0$/);
    });
    await session(context, { disk, firmware: kind.firmware }, async (shell, report) => {
      expect(report.deployment).toMatchObject({ asked: 'desktop/2', got: 'desktop/2' });
      expect(await shell.run('cat /etc/version /etc/own /home/file; ls /root')).toBe('two\nmine\nkept');
      expect(await shell.run(`${imgboot} rollback --store /imgboot`)).toContain('desktop/1');
    });
    await session(context, { disk, firmware: kind.firmware }, async (shell, report) => {
      expect(report.deployment).toMatchObject({ asked: 'desktop/1', got: 'desktop/1' });
      expect(await shell.run('ls /etc/version 2> /dev/null; cat /etc/own /home/file; ls /root')).toBe(
        'mine\nkept',
      );
    });
  },
);

/** Boots the disk, and powers it off when the work is done. */
async function session(
  context: TestContext,
  { disk, firmware }: { disk: DiskFile; firmware: FirmwareName },
  work: (shell: GuestShell, report: BootReport) => Promise<void>,
): Promise<void> {
  await using machine = await bootMachine(context, {
    ...firmwareMachine(disk, { firmware, directory: path.dirname(disk.path) }),
    memoryBytes: 1536 * 2 ** 20,
    cpus: 2,
    network: 'user',
  });
  const shell = await GuestShell.login(machine);
  await work(shell, await shell.json<BootReport>('cat /run/imgboot/boot.json'));
  await shell.powerOff();
}

/** A Debian with imgboot, under that name. */
async function desktop(reference: string): Promise<BootImage> {
  const image = await bootImage('desktop', async (work) => [
    await upgradingTar(),
    await consoleLayer(),
    await packageLayer(work),
    await refindLayer(),
  ]);
  await tagImage(image.store, { image: image.reference, name: reference });
  return { ...image, reference };
}

/** Builds on it, and pushes that where the machine looks for its image. */
async function pushSecond(
  image: BootImage,
  { directory, address }: { directory: string; address: string },
): Promise<void> {
  const build = path.join(directory, 'build');
  await mkdir(build);
  await writeFile(path.join(build, 'version'), 'two\n');
  await writeFile(path.join(build, 'Dockerfile'), `FROM ${image.reference}\nCOPY version /etc/version\n`);
  const store = ['--store', image.store.paths.root];
  await runCliOk(['build', ...store, '-t', 'second', build]);
  await runCliOk(['push', ...store, '--no-tls-verify', 'second', `${address}/desktop:latest`]);
}

/** The machine's own files: its network, which QEMU gives an address. */
async function networkLayer(directory: string): Promise<string> {
  const top = path.join(directory, 'top');
  const wanted = path.join(top, 'etc/systemd/system/multi-user.target.wants');
  const networks = path.join(top, 'etc/systemd/network');
  await mkdir(wanted, { recursive: true });
  await mkdir(networks, { recursive: true });
  await writeFile(path.join(networks, '80-dhcp.network'), '[Match]\nName=en*\n\n[Network]\nDHCP=yes\n');
  await symlink(
    '/lib/systemd/system/systemd-networkd.service',
    path.join(wanted, 'systemd-networkd.service'),
  );
  await writeFile(path.join(top, 'etc/own'), 'mine\n');
  return top;
}
