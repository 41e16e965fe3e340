import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { expect, it, type TestContext } from 'vitest';
import { bootMachine } from '../support/boot-machine.ts';
import { refindLayer } from '../support/disk-fixtures.ts';
import { expectClean } from '../support/disk-check.ts';
import { DockerDaemon } from '../support/dockerd.ts';
import { generatorsTar } from '../support/generators.ts';
import { loopFilesystem } from '../support/loop-filesystem.ts';
import { repository } from '../support/paths.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { uefiFirmware } from '../../src/vm/firmware.ts';

const GIBIBYTE = 2 ** 30;

/** A unit of this machine's that shows what the tutorial promises, and ends the boot. */
const unit = `[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh /etc/facts
`;
const facts = `exec > /dev/console
echo FACT host $(hostname)
echo FACT users $(getent passwd alice systemd-network | cut -d: -f1)
echo FACT disk $(findmnt -no FSTYPE /mnt/linux) $(ls -d /mnt/linux/boot_docker)
echo FACT version $(cat /etc/version 2>&1)
echo FACT left $(cat /left 2>&1)
echo FACT docker $(ls /var/lib/docker/image)
echo FACT report $(tr -d ' \\n' < /run/imgboot/boot.json)
echo here > /left
systemctl poweroff
`;

it(
  'the tutorial ends in a machine that boots what docker build made',
  { timeout: 900_000 },
  async (context) => {
    await using work = await TemporaryDirectory.create();
    await using linux = await loopFilesystem({ type: 'btrfs', sizeBytes: 6 * GIBIBYTE, label: 'linux' });
    const esp = path.join(work.path, 'esp');
    const boot = path.join(work.path, 'boot');
    await mkdir(path.join(boot, 'desktop'), { recursive: true });
    const source = await readFile(path.join(repository, 'docs/docker-hooks.md'), 'utf8');
    const tutorial = source.replaceAll('/mnt/linux', '$LINUX').replaceAll('/boot/desktop', '$BOOT/desktop');
    const files = path.join(work.path, 'context');
    await cp(path.join(repository, 'docs/examples/docker-hooks'), files, { recursive: true });
    await cp(path.join(repository, 'hooks'), path.join(files, 'hooks'), { recursive: true });
    const words = ['--network', 'host', '--build-arg', 'KERNEL=linux-image-cloud-amd64'];
    const follow = async (title: string): Promise<void> => {
      const script = blockBelow(tutorial, title).replace('$(openssl passwd -6)', '!');
      const env = { LINUX: linux.mountPoint, BOOT: boot, DOCKER_HOST: `unix://${work.path}/docker.sock` };
      await execa('sh', ['-ec', script.replaceAll("'LABEL=linux $LINUX", "'LABEL=linux /mnt/linux")], {
        env,
      });
    };

    {
      await using docker = await DockerDaemon.start(
        work.path,
        'btrfs',
        path.join(linux.mountPoint, 'docker'),
      );
      await docker.docker('import', await generatorsTar(), 'debian:bookworm');
      await docker.docker('build', '--quiet', ...words, '--tag', 'desktop', files);
      await follow('The top layer');
      await follow('The boot entry');
      await addFacts(path.join(linux.mountPoint, 'boot_docker'));
    }
    await writeEsp(esp, { boot, tutorial: source });
    await linux.unmount();
    const first = await bootOnce(context, {
      name: 'initramfs-tools',
      esp,
      disk: linux.diskPath,
      work: work.path,
    });
    expect(first.slice(0, -1)).toEqual([
      'host lab-7',
      'users alice systemd-network',
      'disk btrfs /mnt/linux/boot_docker',
      'version cat: /etc/version: No such file or directory',
      'left cat: /left: No such file or directory',
      'docker btrfs',
    ]);
    const report = /^report (.*)$/.exec(first.at(-1)!)![1]!;
    expect(JSON.parse(report)).toMatchObject({
      reference: 'docker://desktop:latest',
      driver: 'btrfs',
      writable: { got: 'ephemeral', layer: '/docker_rwlayer' },
      fallbacks: [],
    });
    await expectClean({ path: linux.diskPath, filesystem: 'btrfs' });

    // A new version, and what makes its initramfs is dracut.
    await linux.mount();
    {
      await using docker = await DockerDaemon.start(
        work.path,
        'btrfs',
        path.join(linux.mountPoint, 'docker'),
      );
      await docker.docker('build', '--quiet', ...words, '--target', 'dracut', '--tag', 'desktop', files);
      await follow('The boot entry');
      const newer = 'FROM desktop\nRUN echo 2 > /etc/version\n';
      await writeFile(path.join(files, 'Dockerfile'), newer);
      await docker.docker('build', '--quiet', '--network', 'none', '--tag', 'desktop', files);
    }
    await writeEsp(esp, { boot, tutorial: source });
    await linux.unmount();
    const second = await bootOnce(context, { name: 'dracut', esp, disk: linux.diskPath, work: work.path });
    // Fresh, and the newer one.
    expect(second.slice(3, 5)).toEqual(['version 2', 'left cat: /left: No such file or directory']);
    await expectClean({ path: linux.diskPath, filesystem: 'btrfs' });
  },
);

/** The block of code, without its fence, that follows a title of the tutorial. */
function blockBelow(text: string, title: string, number = 0): string {
  const part = text.split(`\n## ${title}\n`)[1]!.split('\n## ')[0]!;
  return [...part.matchAll(/```\w*\n([^]*?)```/g)][number]![1]!;
}

async function addFacts(top: string): Promise<void> {
  const units = path.join(top, 'etc/systemd/system');
  await mkdir(path.join(units, 'multi-user.target.wants'), { recursive: true });
  await writeFile(path.join(top, 'etc/facts'), facts);
  await writeFile(path.join(units, 'facts.service'), unit);
  await symlink('../facts.service', path.join(units, 'multi-user.target.wants/facts.service'));
}

/** rEFInd with the tutorial's entry, its kernel talking on the serial console. */
async function writeEsp(file: string, { boot, tutorial }: { boot: string; tutorial: string }): Promise<void> {
  const entry = blockBelow(tutorial, 'The boot entry', 1).replace(
    /toplayer_path=boot_docker/,
    '$& console=ttyS0 quiet systemd.show_status=no',
  );
  const settings = 'timeout -1\ntextonly true\nuse_nvram false\nscanfor manual\ndefault_selection 1\n';
  const unpacked = path.join(path.dirname(file), 'refind');
  await mkdir(unpacked, { recursive: true });
  await execa('tar', ['-xf', await refindLayer(), '-C', unpacked]);
  await execa('rm', ['-f', file]);
  await execa('truncate', ['-s', '192M', file]);
  await execa('mkfs.vfat', ['-F', '32', file]);
  await execa('mmd', ['-i', file, '::/EFI', '::/EFI/BOOT']);
  await execa('mcopy', [
    '-i',
    file,
    path.join(unpacked, 'usr/share/refind/refind/refind_x64.efi'),
    '::/EFI/BOOT/BOOTX64.EFI',
  ]);
  await execa('mcopy', ['-i', file, '-', '::/EFI/BOOT/refind.conf'], { input: `${settings}${entry}` });
  await execa('mcopy', ['-s', '-i', file, path.join(boot, 'desktop'), '::/']);
}

async function bootOnce(
  context: TestContext,
  { name, esp, disk, work }: { name: string; esp: string; disk: string; work: string },
): Promise<string[]> {
  await using machine = await bootMachine(context, {
    name,
    firmware: uefiFirmware(work),
    drives: [
      { path: esp, format: 'raw', access: 'snapshot', bootIndex: 0 },
      { path: disk, format: 'raw', access: 'write' },
    ],
  });
  const text = await machine.expect(/FACT host[^]*FACT report .*\n/, {
    timeoutMs: 240_000,
    unless: /imgboot: .* To mend it: .*|Kernel panic.*/,
  });
  await machine.waitForExit({ timeoutMs: 60_000 });
  return [...text.replaceAll('\r', '').matchAll(/^FACT (.*)$/gm)].map(([, fact]) => fact!);
}
