import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BASE } from '../support/container-host.ts';
import { makeBaseTar } from '../support/build-fixtures.ts';
import { NetworkHost, get, until } from '../support/network-host.ts';
import { repository } from '../support/paths.ts';
import { TestStore } from '../support/test-store.ts';
import { loopFilesystem, type LoopFilesystem } from '../support/loop-filesystem.ts';

const imgboot = path.join(repository, 'bin/imgboot');
/** A web server that says its container's name. */
const server = ['sh', '-c', 'mkdir /www && hostname > /www/index.html && exec httpd -f -p 80 -h /www'];

describe.each(['netavark', 'cni'] as const)('containers with networks by %s', (backEnd) => {
  let filesystem: LoopFilesystem;
  let host: NetworkHost;
  let store: TestStore;
  let before: string[];

  beforeEach(async () => {
    host = await NetworkHost.create(backEnd);
    filesystem = await loopFilesystem({ type: 'ext4', sizeBytes: 2 ** 29 });
    store = new TestStore(path.join(filesystem.mountPoint, 'store'));
    await store.cliOk('import', [await makeBaseTar(filesystem.mountPoint), BASE]);
    before = await host.state();
  });
  afterEach(async () => {
    await cli('rm', '--all', '--force', '--volumes');
    await host[Symbol.asyncDispose]();
    await filesystem[Symbol.asyncDispose]();
  });

  /** From inside the network namespace that plays the host. @returns what it printed, or its status and error */
  async function cli(...args: string[]): Promise<string> {
    const topics = args[0] === 'network' ? 2 : 1;
    const command = [...args.slice(0, topics), '--store', store.path, ...args.slice(topics)];
    const result = await host.start(imgboot, ...command);
    return result.exitCode === 0 ? String(result.stdout) : `${result.exitCode}: ${String(result.stderr)}`;
  }

  /** What is taken of networks: addresses and ports. */
  function attached(): string[] {
    const directory = path.join(store.path, 'networks/attached');
    return existsSync(directory) ? readdirSync(directory) : [];
  }

  it('reach each other by address and name, the host a published port; rm leaves nothing', async () => {
    await cli('run', '-d', '--name', 'web', '--hostname', 'web', '-p', '8080:80', BASE, ...server);
    await cli('run', '-d', '--name', 'other', BASE, 'sleep', '600');
    await until(async () => (await get(host, '127.0.0.1:8080')) === 'web');
    const [network] = JSON.parse(await cli('network', 'inspect', 'bridge')) as {
      gateway: string;
      containers: { name: string; address: string }[];
    }[];
    const address = network!.containers.find(({ name }) => name === 'web')!.address;
    const fetch = (name: string): string => `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc ${name} 80 | tail -n 1`;
    expect(await cli('exec', 'other', 'sh', '-c', fetch(address))).toBe('web');
    const names = {
      netavark: async () =>
        expect(await cli('exec', 'other', 'nslookup', 'web')).toContain(`Address: ${address}\n`),
      cni: async () =>
        expect(await cli('exec', 'other', 'cat', '/etc/hosts')).toMatch(new RegExp(`^${address}\tweb `, 'm')),
    };
    await names[backEnd]();
    expect(await cli('exec', 'web', 'ip', 'route')).toContain(`default via ${network!.gateway} dev eth0`);
    expect((await cli('rm', '--force', 'web', 'other')).split('\n').sort()).toEqual(['other', 'web']);
    expect(await host.state()).toEqual(before);
  });

  it('have only lo without a network, and the host’s with the host’s', async () => {
    const list = ['ip', '-o', 'link'];
    const none = await cli('run', '--rm', '--network', 'none', BASE, ...list);
    expect(none.split('\n').map((line) => line.split(':')[1])).toEqual([' lo']);
    await host.run('ip', 'link', 'add', 'marker', 'type', 'veth', 'peer', 'name', 'peer0');
    expect(await cli('run', '--rm', '--network', 'host', BASE, ...list)).toContain(' marker@peer0: ');
    await host.run('ip', 'link', 'delete', 'marker');
    expect(await host.state()).toEqual(before);
  });

  it('that end by themselves, or are killed, leave nothing', async () => {
    await cli('run', '--rm', '-p', '8080:80', BASE, 'true');
    expect(await host.state()).toEqual(before);
    const id = await cli('run', '-d', '-p', '8080:80', BASE, 'sleep', '600');
    const { State } = JSON.parse(await cli('inspect', '--type', 'container', id)) as {
      State: { Pid: number };
    };
    expect(attached()).toHaveLength(1);
    process.kill(State.Pid, 'SIGKILL');
    // Its monitor cleans up, with no command of ours at work.
    await until(() => attached().length === 0);
    expect(await host.state()).toEqual(before);
  });

  it('that cannot have a port are not started, and have nothing', async () => {
    await cli('run', '-d', '--name', 'first', '-p', '8080:80', BASE, 'sleep', '600');
    const running = await host.state();
    expect(await cli('run', '-d', '--rm', '-p', '8080:80', BASE, 'true')).toMatch(
      /^125: imgboot: cannot publish 0\.0\.0\.0:8080->80\/tcp: the container first has published it/,
    );
    expect(await cli('run', '--rm', '--network', 'nowhere', BASE, 'true')).toMatch(
      /^125: imgboot: there is no network "nowhere"/,
    );
    expect(await host.state()).toEqual(running);
    expect(await cli('network', 'rm', 'bridge')).toMatch(
      /^1: imgboot: the network bridge is in use by first/,
    );
    await cli('stop', '--time', '0', 'first');
    expect(await host.state()).toEqual(before);
    expect(await cli('start', 'first')).toBe('first');
    expect(attached()).toHaveLength(1);
    await cli('network', 'create', 'wanted');
    await cli('run', '--name', 'wants', '--network', 'wanted', BASE, 'true');
    expect(await cli('network', 'rm', 'wanted')).toMatch(
      /^1: imgboot: the network wanted is in use by wants/,
    );
    expect(await cli('network', 'rm', '--force', 'wanted')).toBe('wanted');
    expect(await cli('start', '--attach', 'wants')).toMatch(/imgboot: there is no network "wanted"/);
  });

  it('whose start is killed at any moment leave nothing once they are removed', async () => {
    await cli('run', '--name', 'killed', BASE, 'true');
    // As one that is killed while it notes what it takes leaves it.
    writeFileSync(path.join(store.path, 'networks/attached/.new-killed.json'), '{');
    await cli('rm', 'killed');
    expect(attached()).toEqual([]);
    for (let delayMs = 150; delayMs <= 1_050; delayMs += 300) {
      const running = host.start(
        imgboot,
        'run',
        '--store',
        store.path,
        '-d',
        '-p',
        '8080:80',
        BASE,
        'sleep',
        '600',
      );
      await sleep(delayMs);
      running.kill('SIGKILL');
      await running;
      const said = await cli('rm', '--all', '--force');
      await until(() => attached().length === 0).catch((error: unknown) => {
        throw new Error(`killed after ${delayMs} ms; rm said ${said}`, { cause: error });
      });
      expect(await host.state(), `killed after ${delayMs} ms`).toEqual(before);
    }
  });
});
