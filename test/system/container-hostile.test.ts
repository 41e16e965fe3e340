import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE, ContainerHost, containerCgroups, until } from '../support/container-host.ts';
import { repository } from '../support/paths.ts';
import { drivers } from '../support/test-store.ts';

const STARTS = 12;
const STOPS = 6;
const AT_ONCE = 50;

describe.each(drivers)('a hostile image, with the $driver driver,', (driver) => {
  let host: ContainerHost;
  /** A directory of the host's that nothing may touch. */
  let outside: string;
  beforeAll(async () => {
    host = await ContainerHost.create(driver);
    outside = host.filesystem.directory('outside');
    for (const name of ['hosts', 'resolv.conf', 'hostname', 'passwd', 'secret'])
      writeFileSync(path.join(outside, name), 'host\n');
    writeFileSync(path.join(outside, 'passwd'), 'root:x:0:0::/outside:/bin/sh\n');
    writeFileSync(path.join(outside, 'tool'), '#!/bin/sh\necho outside\n', { mode: 0o755 });
    mkdirSync(path.join(outside, 'data'));
  });
  afterAll(async () => host[Symbol.asyncDispose]());

  /** The base image with a script's changes, `$out` being the path of the host's directory. */
  async function image(name: string, script: string): Promise<string> {
    const root = host.filesystem.directory('root');
    const tar = `${root}.tar`;
    await execa('tar', ['-xf', path.join(host.filesystem.mountPoint, 'base-2/base.tar'), '-C', root]);
    await execa('sh', ['-euc', script], { cwd: root, env: { out: outside } });
    await execa('tar', ['-cf', tar, '-C', root, '.']);
    await host.store.cliOk('import', [tar, name]);
    return name;
  }
  const untouched = (): string =>
    readdirSync(outside, { recursive: true })
      .map((name) => String(name))
      .sort()
      .map((name) => (name === 'data' ? name : `${name} ${readFileSync(path.join(outside, name), 'utf8')}`))
      .join('\n');

  it.each([
    ['/etc leads to the host', 'rm -r etc; ln -s "$out" etc'],
    ['/etc leads up and out', 'rm -r etc; ln -s "../../../../../../../..$out" etc'],
    ['/etc/hosts leads to the host', 'rm etc/hosts; ln -s "$out/hosts" etc/hosts'],
    ['/proc leads to the host', 'rmdir proc; ln -s "$out" proc'],
    ['/dev leads to the host', 'rmdir dev; ln -s "$out" dev'],
    ['/sys leads to the host', 'rmdir sys; ln -s "$out" sys'],
    ['/tmp leads to the host, and it is mounted there', 'rmdir tmp; ln -s "$out/data" tmp'],
    ['/etc/passwd leads to the host', 'rm etc/passwd; ln -s "$out/passwd" etc/passwd'],
  ])('whose %s touches nothing there', async (title, script) => {
    const before = untouched();
    const name = await image(`hostile/${title.replaceAll(/[^a-z]+/g, '-').slice(1)}:1`, script);
    const volume = host.filesystem.directory('volume');
    const words = [
      'sh',
      '-c',
      'echo ran; echo $HOME; cat /etc/secret; touch /tmp/x /etc/x /dev/x 2> /dev/null; true',
    ];
    const { exitCode, stdout } = await host.run(['-v', `${volume}:/tmp`, name, ...words]);
    // A link in the place of a kernel's file system is refused; anything else stays inside.
    expect([0, 125]).toContain(exitCode);
    expect(stdout).not.toContain('host');
    expect(stdout).not.toContain('outside');
    expect(untouched()).toBe(before);
    expect(await host.leftovers()).toEqual([]);
  });

  it('touches nothing in a build either', async () => {
    const before = untouched();
    const name = await image('hostile/build:1', 'rmdir dev; ln -s "$out" dev');
    const context = host.filesystem.directory('context');
    writeFileSync(path.join(context, 'Dockerfile'), `FROM ${name}\nRUN touch /x\n`);
    const { exitCode, stderr } = await host.store.cli('build', [context]);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("the image's /dev is a symbolic link")]);
    expect(untouched()).toBe(before);
  });

  it('has no program by a link out of its root', async () => {
    const name = await image('hostile/program:1', 'ln -s "$out/tool" bin/tool');
    expect(await host.run(['--entrypoint', '/bin/tool', name])).toMatchObject({ exitCode: 127, stdout: '' });
    expect(await host.leftovers()).toEqual([]);
  });
});

describe('containers', () => {
  let host: ContainerHost;
  beforeAll(async () => {
    host = await ContainerHost.create(drivers[0]);
  });
  afterAll(async () => host[Symbol.asyncDispose]());

  /** Starts a command of ours, and kills it after a while. */
  async function killedAfter(args: readonly string[], delayMs: number): Promise<void> {
    const child = spawn(path.join(repository, 'bin/imgboot'), args, { stdio: 'ignore', detached: true });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await sleep(delayMs);
    // bin/imgboot becomes node: this is the process itself, and not what it has started.
    child.kill('SIGKILL');
    await ended;
  }
  const store = (): string[] => ['--store', host.store.path];

  it('of which the start is killed at any point are whole or absent, and ps is true', async () => {
    const args = ['run', ...store(), '-d', '--network', 'none', BASE, 'sleep', '1000'];
    const started = performance.now();
    await execa(path.join(repository, 'bin/imgboot'), args);
    const durationMs = performance.now() - started;
    await host.store.cliOk('rm', ['--all', '--force']);
    for (let point = 0; point < STARTS; point += 1) {
      await killedAfter(args, (durationMs * 1.1 * point) / STARTS);
      // Whoever comes next sweeps what was not finished, and leaves what runs.
      expect(await host.runOk([BASE, 'echo', 'hi'])).toBe('hi');
      for (const one of await listed()) {
        expect(['created', 'running']).toContain(one.State);
        expect(one.State === 'running').toBe(existsSync(`/proc/${one.Pid}`) && one.Pid > 0);
      }
      await host.store.cliOk('rm', ['--all', '--force']);
      expect(await host.leftovers()).toEqual([]);
    }
    expect(await host.store.fsck()).toEqual([]);
  }, 240_000);

  it('of which the end is killed at any point can be stopped and removed after', async () => {
    for (let point = 0; point < STOPS; point += 1) {
      const id = (await host.store.cliOk('run', ['-d', '--network', 'none', BASE, 'sleep', '1000'])).trim();
      const verb = point % 2 === 0 ? ['stop', ...store(), '-t', '0', id] : ['rm', ...store(), '-f', id];
      await killedAfter(verb, 100 + (300 * point) / STOPS);
      await host.store.cliOk('rm', ['--force', id]);
      expect(await host.leftovers()).toEqual([]);
      expect(containerCgroups([id])).toEqual([]);
    }
  }, 240_000);

  it('outlive the command that shows them', async () => {
    const shown = spawn(
      path.join(repository, 'bin/imgboot'),
      ['run', ...store(), '--rm', '--name', 'shown', '--network', 'none', BASE, 'sleep', '1000'],
      { stdio: 'ignore' },
    );
    await until(async () => (await listed()).some(({ State }) => State === 'running'));
    shown.kill('SIGKILL');
    expect((await host.inspect('shown')).State.Running).toBe(true);
    // Its monitor cleans up in the place of the command.
    await host.store.cliOk('kill', ['shown']);
    expect(await host.leftovers()).toEqual([]);
  });

  it(`${AT_ONCE} at once are all there, by names of their own, and leave nothing`, async () => {
    const run = async (index: number): Promise<string> =>
      (
        await host.store.cliOk('run', [
          '-d',
          '--network',
          'none',
          '--name',
          `c${index}`,
          BASE,
          'sleep',
          '1000',
        ])
      ).trim();
    const ids: string[] = [];
    // As many commands at a time as this machine can take; all containers run together.
    const pending = Array.from({ length: AT_ONCE }, (_, index) => index);
    const worker = async (): Promise<void> => {
      for (let index = pending.shift(); index !== undefined; index = pending.shift())
        ids.push(await run(index));
    };
    await Promise.all(Array.from({ length: 6 }, worker));
    const all = await listed();
    expect(all.map(({ Id }) => Id).sort()).toEqual(ids.toSorted());
    expect(all.filter(({ State, Pid }) => State === 'running' && existsSync(`/proc/${Pid}`))).toHaveLength(
      AT_ONCE,
    );
    await host.store.cliOk('rm', ['--all', '--force']);
    expect(await host.leftovers()).toEqual([]);
    expect(containerCgroups(ids)).toEqual([]);
  }, 240_000);

  async function listed(): Promise<{ Id: string; State: string; Pid: number }[]> {
    return JSON.parse(await host.store.cliOk('ps', ['--all', '--json'])) as {
      Id: string;
      State: string;
      Pid: number;
    }[];
  }
});
