import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyToStore } from '../../src/store/copy.ts';
import { bookwormImage, type BootImage } from '../support/boot-fixtures.ts';
import { DeployHost } from '../support/deploy-host.ts';
import { loopFilesystem, type LoopFilesystem } from '../support/loop-filesystem.ts';
import { runCli, type CliResult } from '../support/run-cli.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { drivers } from '../support/test-store.ts';

/** Emulated, with a universal initramfs, beside other tests. */
const BOOT_MS = 280_000;
const DESKTOP = ['--gate', '--name', 'desktop', '--persist', '/srv'];

describe('a version that is tried in a virtual machine', () => {
  let host: DeployHost;
  let image: BootImage;
  let data: LoopFilesystem;
  let top: string;
  let before: string[];

  beforeAll(async () => {
    image = await bookwormImage();
    host = await DeployHost.create(drivers[0], 160 * 2 ** 20, 3 * 2 ** 30);
    await copyToStore(image.store, host.store.store, { reference: image.reference });
    data = await loopFilesystem({ type: 'ext4', sizeBytes: 64 * 2 ** 20, label: 'my data' });
    top = host.filesystem.directory('top');
    mkdirSync(path.join(top, 'etc/systemd/system/multi-user.target.wants'), { recursive: true });
    mkdirSync(path.join(top, 'usr/sbin'), { recursive: true });
    before = await host.state();
  });
  afterAll(async () => {
    await data[Symbol.asyncDispose]();
    await host[Symbol.asyncDispose]();
  });

  async function deploy(...args: string[]): Promise<CliResult> {
    const words = [image.reference, '--boot-dir', host.boot, '--top-layer', top, ...DESKTOP, ...args];
    return await host.store.cli('deploy', words, { timeoutMs: BOOT_MS });
  }

  async function refused(): Promise<string> {
    const { exitCode, stdout, stderr } = await deploy();
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/\nthe console's last lines:\n(?: {2}\| .*\n){5,}/);
    // Nothing outside of the snapshot has changed.
    expect(await host.state()).toEqual(before);
    expect(host.strays()).toEqual([]);
    return stderr;
  }

  it(
    'is refused where its fstab names what nothing of this machine answers to',
    async () => {
      const entry = 'UUID=01234567-89ab-4def-8123-456789abcdef /data ext4 x-systemd.device-timeout=5s 0 2';
      writeFileSync(path.join(top, 'etc/fstab'), `${entry}\n`);
      const words = await refused();
      expect(words).toContain('desktop/1 does not become the default: the system came up in emergency mode');
      expect(words).toContain(
        '\n/etc/fstab names UUID=01234567-89ab-4def-8123-456789abcdef (/data), which nothing',
      );
      expect(words).toMatch(/\n {2}.*Dependency failed for .*data/);
    },
    BOOT_MS,
  );

  it(
    'is refused where its init fails',
    async () => {
      writeFileSync(path.join(top, 'etc/fstab'), '');
      writeFileSync(path.join(top, 'usr/sbin/init'), '#!/bin/sh\nexit 3\n', { mode: 0o755 });
      const words = await refused();
      rmSync(path.join(top, 'usr/sbin/init'));
      expect(words).toMatch(
        /desktop\/1 does not become the default: the machine ended before its target .*: Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000300\n/,
      );
    },
    BOOT_MS,
  );

  it(
    'is refused where a service never starts',
    async () => {
      const unit = 'etc/systemd/system/never.service';
      writeFileSync(
        path.join(top, unit),
        '[Service]\nType=notify\nExecStart=/usr/bin/sleep infinity\nTimeoutStartSec=3\n',
      );
      const wanted = path.join(top, 'etc/systemd/system/multi-user.target.wants/never.service');
      symlinkSync('../never.service', wanted);
      const words = await refused();
      rmSync(wanted);
      expect(words).toContain('desktop/1 does not become the default: never.service failed\n');
      expect(words).toMatch(/\n *Active: failed \(Result: timeout\)/);
    },
    BOOT_MS,
  );

  it(
    'becomes the default when all of that is mended, with disks that this machine has',
    async () => {
      const { stdout: uuid } = await execa('findmnt', ['-no', 'UUID', data.mountPoint]);
      writeFileSync(path.join(top, 'etc/fstab'), `UUID=${uuid} /data ext4 defaults 0 2\n`);
      writeFileSync(path.join(data.mountPoint, 'secret'), 'mine');
      const steps = path.join(top, '../gate.yaml');
      writeFileSync(
        steps,
        `
steps:
  - {run: findmnt -no LABEL /data, expect: {stdout: {equals: my data}}}
  - {run: ls /data, expect: {stdout: {equals: lost+found}}}
  - {run: ls /sys/class/net, expect: {stdout: {equals: lo}}}
  - {run: cat /proc/cmdline, expect: {stdout: 'imgboot.deployment=desktop/1 '}}
  - {run: touch /srv/here /data/here}
`,
      );
      const { exitCode, stdout, stderr } = await deploy('--gate-test', steps);
      expect([exitCode, stderr.match(/^imgboot: .*/m)]).toEqual([0, null]);
      expect(stdout).toMatch(
        /^desktop\/1 is booted by default .*\nIt reached its target within .* and did the 5 steps of the test\.\n$/,
      );
      expect(host.bootedNext()).toBe('desktop/1');
      expect((await execa('ls', ['-A', host.version('desktop', 'persist', '%2Fsrv')])).stdout).toBe('');
      expect((await execa('ls', ['-A', data.mountPoint])).stdout).toBe('lost+found\nsecret');
      expect(await host.store.fsck()).toEqual([]);
    },
    BOOT_MS,
  );
});

it(
  'a test passes in a container and in a virtual machine, and one that is broken fails in both',
  async () => {
    await using work = await TemporaryDirectory.create();
    const image = await bookwormImage();
    const good = `
boot: true
steps:
  - systemctl is-active multi-user.target
  - name: a service is started
    run: systemd-run --quiet --no-block touch /run/made; test -e /run/made
    retry: true
  - run: [cat, /etc/debian_version]
    expect: {stdout: {matches: '^12\\.'}}
`;
    const broken = `${good}  - {name: it is another system, run: uname -o, expect: {stdout: Hurd}}\n`;
    for (const [name, text] of Object.entries({ good, broken }))
      writeFileSync(path.join(work.path, name), text);
    const test = async (name: string, place: string): Promise<CliResult> => {
      const words = [image.reference, path.join(work.path, name), '--in', place];
      return await runCli(['test', '--store', image.store.paths.root, ...words], { timeoutMs: BOOT_MS });
    };
    for (const place of ['container', 'vm']) {
      const passed = await test('good', place);
      expect([passed.exitCode, passed.stdout.split('\n').at(-2)]).toEqual([
        0,
        'All 4 steps were as expected.',
      ]);
      const failed = await test('broken', place);
      expect(failed.exitCode).toBe(1);
      expect(failed.stdout).toMatch(
        /\nFAILED .* it is another system: stdout does not contain "Hurd"\n {2}stdout \| GNU\/Linux\nThe console's last lines:\n(?: {2}\| .*\n)+FAILED: it is another system\n$/,
      );
    }
  },
  2 * BOOT_MS,
);
