import { expect, it } from 'vitest';
import { freshDisk, machineOf } from '../support/boot-fixtures.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { expectClean } from '../support/disk-check.ts';
import { GuestShell } from '../support/guest-shell.ts';
import { packagedImage } from '../support/package-layer.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

interface State {
  Status: string;
  ExitCode: number;
  OOMKilled: boolean;
}

/** Fewer bytes than the line that a console takes. */
const limited = [
  'nproc',
  'cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/memory.max',
  'cat /proc/self/cgroup',
  'exec tail /dev/zero',
].join('; ');

it('a booted machine runs its image as a container, held to its limits by cgroup v2, and boots it there', async (context) => {
  await using directory = await TemporaryDirectory.create();
  const image = await packagedImage();
  const disk = await freshDisk(directory.path, image, { filesystem: 'ext4' });
  await using machine = await bootMachine(context, {
    ...machineOf(disk, { writable: 'ephemeral' }),
    cpus: 2,
    memoryBytes: 1536 * 2 ** 20,
  });
  const shell = await GuestShell.login(machine);
  expect(await shell.run('stat -f -c %T /sys/fs/cgroup')).toBe('cgroup2fs');
  await shell.run('mkdir /mnt/disk && mount /dev/vda /mnt/disk');
  const imgboot = '/opt/imgboot/bin/imgboot';
  const store = '--store /mnt/disk/imgboot';
  const inspect = async (name: string): Promise<State> =>
    (await shell.json<{ State: State }>(`${imgboot} inspect ${store} ${name}`)).State;

  const flags =
    '--name l --network none --memory 64m --memory-swap 64m --pids-limit 30 --cpus 0.5 --cpuset-cpus 1';
  const facts = await shell.run(
    `${imgboot} run ${store} ${flags} ${image.reference} sh -c '${limited}' || echo status $?`,
  );
  expect(facts.split(/\r?\n/)).toEqual(['1', '50000 100000', '30', '67108864', '0::/', 'status 137']);
  expect(await inspect('l')).toMatchObject({ Status: 'exited', ExitCode: 137, OOMKilled: true });
  const spin = 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; grep nr_throttled /sys/fs/cgroup/cpu.stat';
  const bomb = '(for i in $(seq 60); do sleep 20 & done; echo all) 2>&1';
  const busy = '--rm --network none --cpus 0.5 --pids-limit 30';
  const effects = await shell.run(
    `${imgboot} run ${store} ${busy} ${image.reference} sh -c '${spin}; ${bomb}' || echo status $?`,
  );
  expect(effects).toMatch(/^nr_throttled [1-9]/);
  expect(effects).toContain('Cannot fork');
  expect(effects).not.toContain('all');

  await shell.run(`${imgboot} run ${store} -d --boot --name m --network none ${image.reference}`);
  expect(await shell.run(`${imgboot} exec ${store} m systemctl is-system-running --wait || :`)).toBe(
    'running',
  );
  expect(await shell.run(`${imgboot} exec ${store} m systemctl is-active multi-user.target`)).toBe('active');
  await shell.run(`${imgboot} stop ${store} -t 60 m`);
  expect(await inspect('m')).toMatchObject({ Status: 'exited', ExitCode: 0 });
  expect(
    await shell.run(
      `${imgboot} rm ${store} l m; ls /mnt/disk/imgboot/containers; ls -d /sys/fs/cgroup/imgboot* || :`,
    ),
  ).toMatch(/^l\r?\nm\r?\nls: cannot access/);
  await shell.run('umount /mnt/disk');
  await shell.powerOff();
  await expectClean(disk);
}, 600_000);
