import { existsSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE, ContainerHost } from '../support/container-host.ts';
import { repository } from '../support/paths.ts';
import { drivers } from '../support/test-store.ts';

/** A function of the shell's: hundredths of a second. */
const clock = "wall() { cut -d' ' -f1 /proc/uptime | tr -d .; }";

/**
 * A loop of the shell's: how many hundredths of a second it took, how many of them the processor worked for it, and how
 * often it had to wait for its next share.
 */
const loop = `${clock}
  start=$(wall); i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; wall=$(($(wall) - start))
  echo $wall $(awk '{ print $14 + $15 }' /proc/$$/stat) \
    $(cat /sys/fs/cgroup/cpu/cpu.stat /sys/fs/cgroup/cpu.stat 2> /dev/null | awk '/nr_throttled/ { print $2 }')`;

describe('a container is held to', () => {
  let host: ContainerHost;
  beforeAll(async () => {
    host = await ContainerHost.create(drivers[1]);
  });
  afterAll(async () => host[Symbol.asyncDispose]());

  it('its memory: a process over it is killed, and inspect says so', async () => {
    const args = ['--network', 'none', '--name', 'oom', '--memory', '16m', '--memory-swap', '16m'];
    const { exitCode } = await host.store.cli('run', [...args, BASE, 'tail', '/dev/zero']);
    expect(exitCode).toBe(137);
    expect((await host.inspect('oom')).State).toMatchObject({
      OOMKilled: true,
      ExitCode: 137,
      Status: 'exited',
    });
    await host.store.cliOk('rm', ['oom']);
    // One that stays below it is not.
    const { exitCode: fits } = await host.store.cli('run', [
      ...args,
      BASE,
      'dd',
      'if=/dev/zero',
      'of=/dev/null',
      'bs=4M',
      'count=4',
    ]);
    expect([fits, (await host.inspect('oom')).State.OOMKilled]).toEqual([0, false]);
    await host.store.cliOk('rm', ['oom']);
  });

  it('its processor time: with a quarter of a processor, work takes four times as long as it is', async () => {
    const measure = async (...limits: string[]): Promise<number[]> =>
      (await host.runOk([...limits, BASE, 'sh', '-c', loop])).split(' ').map(Number);
    const [wall = 0, work = 0, waits = 0] = await measure('--cpus', '0.25');
    // However busy the machine is with other things, that makes it only longer. The first share may be used at once.
    expect(wall / work).toBeGreaterThan(3);
    expect(waits).toBeGreaterThan(0);
    expect((await measure())[2]).toBe(0);
  });

  it('its number of processes: a fork bomb ends there', async () => {
    const bomb = 'i=0; while [ $i -lt 40 ]; do sleep 3 & i=$((i+1)); done; echo all';
    const bombed = await host.run(['--pids-limit', '20', BASE, 'sh', '-c', bomb]);
    expect(bombed.stdout).not.toContain('all');
    expect(bombed.stderr).toContain("can't fork");
    const pids = ['sh', '-c', 'cat /sys/fs/cgroup/pids/pids.max 2> /dev/null || cat /sys/fs/cgroup/pids.max'];
    expect(await host.runOk([BASE, ...pids])).toBe('2048');
    expect(await host.runOk(['--pids-limit', '-1', BASE, ...pids])).toBe('max');
  });

  it('its processors', async () => {
    const last = cpus().length - 1;
    const allowed = ['sh', '-c', 'grep Cpus_allowed_list /proc/self/status | cut -f2; nproc'];
    expect(await host.runOk(['--cpuset-cpus', String(last), BASE, ...allowed])).toBe(`${last}\n1`);
  });

  it('what the kernel holds it to besides', async () => {
    const limits = [
      '--cpu-shares',
      '512',
      '--memory',
      '64m',
      '--memory-reservation',
      '32m',
      '--oom-score-adj',
      '500',
    ];
    const script = `cd /sys/fs/cgroup; cat cpu/cpu.shares memory/memory.limit_in_bytes memory/memory.soft_limit_in_bytes \\
      memory.max memory.low 2> /dev/null; cat /proc/self/oom_score_adj`;
    const facts = (await host.runOk([...limits, BASE, 'sh', '-c', script])).split('\n');
    const v1 = existsSync('/sys/fs/cgroup/memory');
    expect(facts).toEqual(v1 ? ['512', '67108864', '33554432', '500'] : ['67108864', '33554432', '500']);
    const { stdout } = await host.run([...limits, '--shm-size', '1m', BASE, 'df', '-k', '/dev/shm']);
    expect(stdout).toMatch(/ 1024 /);
  });

  it('its rate of writing to a device', async () => {
    const device = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .find((line) => line.split(' ')[1] === host.filesystem.mountPoint)!
      .split(' ')[0]!;
    const script = `${clock}; start=$(wall); dd if=/dev/zero of=/file bs=64k count=64 oflag=direct 2> /dev/null
      echo $(($(wall) - start))`;
    const timed = async (...limits: string[]): Promise<number> =>
      Number(await host.runOk([...limits, BASE, 'sh', '-c', script]));
    // 4 MiB at 1 MiB a second.
    const limited = await timed('--device-write-bps', `${device}:1m`);
    expect(limited).toBeGreaterThan(290);
    expect(await timed()).toBeLessThan(limited);
  });

  it('no limit that the host cannot hold it to: that is refused, by name', async () => {
    // A host without a controller: its mount is away, for this command alone.
    const without = existsSync('/sys/fs/cgroup/cpuset') ? '/sys/fs/cgroup/cpuset' : '/sys/fs/cgroup';
    const run = ['run', '--store', host.store.path, '--cpuset-cpus', '0', BASE, 'true'];
    const { exitCode, stderr } = await execa(
      'unshare',
      [
        '--mount',
        '--propagation',
        'private',
        'sh',
        '-euc',
        'umount "$1"; shift; exec "$@"',
        'sh',
        without,
      ].concat(path.join(repository, 'bin/imgboot'), run),
      { reject: false },
    );
    expect([exitCode, stderr]).toEqual([125, expect.stringContaining('--cpuset-cpus cannot be held to')]);
    expect(host.containers()).toEqual([]);
    const swap = await host.run(['--memory-swap', '16m', BASE, 'true']);
    expect(swap.stderr).toContain('--memory-swap is memory and swap together');
    const many = await host.run(['--cpus', '4096', BASE, 'true']);
    expect([many.exitCode, many.stderr]).toEqual([
      125,
      expect.stringContaining('--cpus 4096 is more than this machine has'),
    ]);
  });
});
