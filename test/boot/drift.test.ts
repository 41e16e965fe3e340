import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { expect, it, type TestContext } from 'vitest';
import { freshDisk, machineOf, type BootDisk, type BootImage } from '../support/boot-fixtures.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { GuestShell } from '../support/guest-shell.ts';
import { packagedImage } from '../support/package-layer.ts';
import { writePackageRepository } from '../support/package-repository.ts';
import { repository } from '../support/paths.ts';
import { build } from '../support/run-build.ts';
import { runCliOk } from '../support/run-cli.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { TestStore } from '../support/test-store.ts';

const imgboot = '/opt/imgboot/bin/imgboot';
/** Node on an emulated processor that others use, too. */
const COMMAND_MS = 180_000;

/** Two packages, one for the other's sake. */
const packages = [
  {
    name: 'greeter',
    version: '1.0-2',
    depends: 'greeter-words',
    files: {
      'usr/bin/greeter': '#!/bin/sh\ncat /usr/share/greeter/words\n',
      'etc/greeter.conf': 'loud=no\n',
    },
    configuration: ['etc/greeter.conf'],
  },
  { name: 'greeter-words', version: '7', files: { 'usr/share/greeter/words': 'hello\n' } },
];

/** What somebody does to the machine: a package, a configuration and a deletion. */
const change =
  'apt-get update && apt-get install -y greeter && echo loud=yes > /etc/greeter.conf && echo mine >> /etc/motd && rm /usr/share/doc/apt/copyright';

const told = [
  'installed greeter 1.0-2 (1 path)',
  'installed greeter-words 7 (2 paths, for another package)',
  'A /etc/greeter.conf',
  'C /etc/motd',
  'D /usr/share/doc/apt/copyright',
];

/** The three changes, as a system shows them. */
const look = 'greeter; cat /etc/greeter.conf; tail -n 1 /etc/motd; ls /usr/share/doc/apt/copyright 2>&1 || :';
const changed = [
  'hello',
  'loud=yes',
  'mine',
  "ls: cannot access '/usr/share/doc/apt/copyright': No such file or directory",
];

it(
  'what was changed on a machine is told, and becomes a layer, a Dockerfile and a top layer that boot',
  { timeout: 900_000 },
  async (context) => {
    await using work = await TemporaryDirectory.create();
    const image = await driftImage(work.path);
    const disk = await freshDisk(work.path, image, { filesystem: 'ext4' });
    {
      await using machine = await bootMachine(context, {
        ...machineOf(disk, { writable: 'ephemeral' }),
        name: 'changed',
      });
      const shell = await GuestShell.login(machine);
      await shell.run(change, COMMAND_MS);
      expect((await shell.run(`${imgboot} deployment diff`, COMMAND_MS)).split('\n')).toEqual(told);
      expect(await shell.run(`${imgboot} commit --quiet --booted test/layered`, COMMAND_MS)).toMatch(
        /^sha256:/,
      );
      await shell.powerOff();
    }
    const [archive, recipe, top] = ['layered.tar', 'context', 'top'].map((name) =>
      path.join(work.path, name),
    ) as [string, string, string];
    await mkdir(top);
    const adopt = `"$imgboot" deployment adopt --deployment ${image.reference} --all`;
    await onDisk(
      disk,
      work.path,
      `
    "$imgboot" save --format oci-archive test/layered --output ${archive}
    ${adopt} --into dockerfile --output ${recipe}; ${adopt} --into top-layer --top-layer ${top}`,
    );
    await runCliOk(['load', '--store', image.store.paths.root, '--input', archive]);
    const dockerfile = await readFile(path.join(recipe, 'Dockerfile'), 'utf8');
    expect(dockerfile).toContain('apt-get install -y greeter \\\n');
    await build(new TestStore(image.store.paths.root), {
      context: recipe,
      references: ['test/built:latest'],
      network: 'none',
    });

    const version = `dpkg-query -W -f '\${Version}' greeter`;
    for (const reference of ['test/layered:latest', 'test/built:latest']) {
      const disk = await freshDisk(work.path, { ...image, reference }, { filesystem: 'ext4' });
      const shown = await bootAndLook(context, disk, { writable: 'ephemeral', also: version });
      expect(shown).toEqual([...changed, '1.0-2']);
    }
    const topped = await freshDisk(work.path, image, { filesystem: 'ext4', topLayer: top });
    // It is told apart in RAM, too.
    const also = `${imgboot} deployment diff && echo nothing else`;
    expect(await bootAndLook(context, topped, { writable: 'ram', also })).toEqual([
      ...changed,
      'nothing else',
    ]);
  },
);

/** Boots a fresh disk. @returns what it shows of the changes, and what one more command prints */
async function bootAndLook(
  context: TestContext,
  disk: BootDisk,
  { writable, also }: { writable: string; also: string },
): Promise<string[]> {
  const name = disk.hasTopLayer ? 'top-layer' : disk.image.reference;
  await using machine = await bootMachine(context, { ...machineOf(disk, { writable }), name });
  const shell = await GuestShell.login(machine);
  const shown = await shell.run(`${look}; ${also}`, COMMAND_MS);
  await shell.powerOff();
  return shown.split('\n');
}

/** An image with imgboot and an archive of packages. */
async function driftImage(work: string): Promise<BootImage> {
  const image = await packagedImage();
  const recipe = path.join(work, 'image');
  await writePackageRepository(recipe, { from: image.reference, packages });
  await build(new TestStore(image.store.paths.root), { context: recipe, references: ['test/drift:latest'] });
  return { ...image, reference: 'test/drift:latest' };
}

/** Runs a script with $imgboot on the disk's store. */
async function onDisk(disk: BootDisk, work: string, script: string): Promise<void> {
  const text = `mount -o loop "$1" /mnt; imgboot=$2\n${script}`;
  const words = ['--mount', '--propagation', 'private', 'sh', '-euc', text, 'sh', disk.path];
  await execa('unshare', [...words, path.join(repository, 'bin/imgboot')], {
    cwd: work,
    env: { IMGBOOT_STORE: '/mnt/imgboot' },
  });
}
