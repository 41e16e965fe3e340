import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NetworkHost, attachRequest, get, inside, until } from '../support/network-host.ts';
import { repository } from '../support/paths.ts';

const imgboot = path.join(repository, 'bin/imgboot');

describe.each(['netavark', 'cni'] as const)('networks by %s', (backEnd) => {
  let host: NetworkHost;
  let before: string[];

  beforeEach(async () => {
    host = await NetworkHost.create(backEnd);
    before = await host.state();
  });
  afterEach(async () => await host[Symbol.asyncDispose]());

  it('two containers reach each other by address and name, the host a published port, and nothing is left', async () => {
    const [web, client] = [await host.container(), await host.container()];
    const hostsFile = path.join(host.directory.path, 'hosts');
    writeFileSync(hostsFile, '127.0.0.1\tlocalhost\n');
    const ports = [
      { hostPort: 8080, containerPort: 80, protocol: 'tcp' as const },
      { hostAddress: '127.0.0.1', hostPort: 8081, containerPort: 80, protocol: 'tcp' as const },
    ];
    const { attached: server } = await host.attach(web, { ports, aliases: ['Shop'] });
    const { attached: other } = await host.attach(client, { hostsFile });
    expect(server?.backEnd).toBe(backEnd);
    const [{ address, gateway } = { address: '', gateway: '' }] = server?.interfaces ?? [];
    const own = address.split('/')[0]!;
    expect(own).toMatch(/^10\.89\.[0-9]+\.2$/);
    expect(other?.interfaces[0]?.address).toBe(address.replace('.2/', '.3/'));
    expect(server?.hosts).toEqual([{ address: own, names: [web.name, 'Shop'] }]);
    await host.serve(web, 'hello');
    expect(await get(client, `${own}:80`)).toBe('hello');
    expect(await get(host, '127.0.0.1:8080')).toBe('hello');
    expect(await get(host, `${gateway}:8080`)).toBe('hello');
    expect(await get(host, '127.0.0.1:8081')).toBe('hello');
    expect(await get(host, `${gateway}:8081`)).toBeUndefined();
    const names = [web.name, 'shop', web.id.slice(0, 12)];
    const answers = {
      netavark: async () => {
        expect(other?.nameservers).toEqual([gateway]);
        for (const name of names)
          expect(await inside(client, ['busybox', 'nslookup', name, gateway])).toContain(`Address: ${own}\n`);
      },
      cni: () =>
        expect(readFileSync(hostsFile, 'utf8').toLowerCase()).toContain(`\n${own}\t${names.join(' ')}\n`),
    };
    await answers[backEnd]();
    await host.detach(web);
    expect(await get(host, '127.0.0.1:8080')).toBeUndefined();
    expect(readFileSync(hostsFile, 'utf8')).toBe('127.0.0.1\tlocalhost\n');
    await host.detach(client);
    await host.detach(client);
    expect(await host.state()).toEqual(before);
  });

  it('what a container that was killed has is taken away, its address given again', async () => {
    const [first, second, third] = [await host.container(), await host.container(), await host.container()];
    const ports = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' as const }];
    await host.attach(first, { ports });
    await host.attach(second);
    first.process.kill('SIGKILL');
    await first.process;
    // Attaching sweeps: port and address are free again.
    const { attached } = await host.attach(third, { ports });
    expect(attached?.interfaces[0]?.address).toMatch(/\.2\/24$/);
    for (const { process } of [second, third]) {
      process.kill('SIGKILL');
      await process;
    }
    await host.drive('sweep', {});
    expect(await host.state()).toEqual(before);
  });

  it('an attach that is killed at any moment leaves nothing that the next sweep does not undo', async () => {
    const usual = { ports: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] };
    const seen = new Set<string>();
    for (let delayMs = 60; delayMs <= 600; delayMs += 90) {
      const container = await host.container();
      const running = host.driving('attach', attachRequest(container, usual));
      await sleep(delayMs);
      running.kill('SIGKILL');
      seen.add((await running).exitCode === 0 ? 'finished' : 'killed');
      seen.add((await host.state()).length > before.length ? 'something there' : 'nothing there');
      container.process.kill('SIGKILL');
      await container.process;
      await host.drive('sweep', {});
      expect(await host.state(), `killed after ${delayMs} ms`).toEqual(before);
    }
    expect(seen).toContain('killed');
    expect(seen).toContain('something there');
  });

  it('a detach that is killed is finished by the next one', async () => {
    const container = await host.container();
    for (let delayMs = 60; delayMs <= 480; delayMs += 105) {
      await host.attach(container, { ports: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] });
      const running = host.driving('detach', { containerId: container.id });
      await sleep(delayMs);
      running.kill('SIGKILL');
      await running;
      await host.detach(container);
      expect(await host.state(), `killed after ${delayMs} ms`).toEqual(before);
    }
  });

  it('a port that is in use is an error that leaves nothing', async () => {
    const [first, second] = [await host.container(), await host.container()];
    const ports = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' as const }];
    await host.attach(first, { ports });
    const running = await host.state();
    const { error } = await host.attach(second, { ports });
    expect(error).toMatchObject({
      code: 'IMGBOOT_PORT_IN_USE',
      message: expect.stringContaining('box1') as string,
    });
    expect(await host.state()).toEqual(running);
    await host.detach(first);
    const directory = path.join(host.directory.path, 'empty');
    mkdirSync(directory);
    const listener = host.start('busybox', 'httpd', '-f', '-p', '8080', '-h', directory);
    await until(async () => (await host.run('cat', '/proc/net/tcp6', '/proc/net/tcp')).includes(':1F90 '));
    const refused = await host.attach(second, { ports });
    expect(refused.error?.message).toBe(
      'cannot publish 0.0.0.0:8080->80/tcp: a program of this host listens on it',
    );
    listener.kill('SIGKILL');
    await listener;
    const elsewhere = await host.attach(second, { ports: [{ ...ports[0], hostAddress: '192.0.2.77' }] });
    expect(elsewhere.error?.code).toBe('IMGBOOT_NO_SUCH_ADDRESS');
    expect(await host.state()).toEqual(before);
  });

  it('names and name servers that are none are refused', async () => {
    const container = await host.container();
    for (const wish of [
      { aliases: ['a b'] },
      { aliases: ['a\n1.2.3.4 x'] },
      { aliases: ['a,b'] },
      { dns: ['here'] },
    ]) {
      const { error } = await host.attach(container, wish);
      expect(error?.code).toBe('IMGBOOT_USAGE');
    }
    expect(await host.state()).toEqual(before);
  });

  it('a free port is chosen where none is named, for UDP too', async () => {
    const container = await host.container();
    const { attached } = await host.attach(container, {
      ports: [
        { containerPort: 80, protocol: 'tcp' },
        { containerPort: 53, protocol: 'udp' },
      ],
    });
    const [tcp, udp] = attached?.ports ?? [];
    await host.serve(container, 'chosen');
    expect(await get(host, `127.0.0.1:${tcp?.hostPort}`)).toBe('chosen');
    const program = `const s = require('dgram').createSocket('udp4'); s.bind(53);
      s.on('message', (text, { port, address }) => s.send(text, port, address))`;
    const echo = [process.execPath, '--eval', program];
    void host.start('nsenter', '--target', String(container.pid), '--net', ...echo);
    await until(async () => (await inside(container, ['cat', '/proc/net/udp'])).includes(':0035 '));
    const script = `exec 3<> /dev/udp/127.0.0.1/${udp?.hostPort} && echo over udp >&3 && timeout 5 head -n 1 <&3`;
    expect(await host.run('bash', '-c', script)).toBe('over udp');
    await host.detach(container);
    expect(await host.state()).toEqual(before);
  });

  it('a network whose subnet this host has a route to is refused, before anything is done', async () => {
    await host.run('ip', 'link', 'add', 'elsewhere', 'type', 'veth', 'peer', 'name', 'peer0');
    await host.run('ip', 'address', 'add', '10.89.0.0/16', 'dev', 'elsewhere');
    await host.run('ip', 'link', 'set', 'elsewhere', 'up');
    const container = await host.container();
    const { error } = await host.attach(container);
    expect(error).toMatchObject({ code: 'IMGBOOT_SUBNET_IN_USE' });
    await host.run('ip', 'link', 'delete', 'elsewhere');
    expect(await host.state()).toEqual(before);
  });

  it('ten at once get ten addresses, and leave nothing', async () => {
    const containers = await Promise.all(Array.from({ length: 10 }, () => host.container()));
    const results = await Promise.all(containers.map((container) => host.attach(container)));
    const addresses = results.map(
      ({ attached, error }) => attached?.interfaces[0]?.address ?? error?.message,
    );
    expect(new Set(addresses).size).toBe(10);
    await Promise.all(containers.map((container) => host.detach(container)));
    expect(await host.state()).toEqual(before);
  });
});

describe('imgboot network', () => {
  let host: NetworkHost;
  beforeEach(async () => {
    host = await NetworkHost.create('netavark');
    writeFileSync(path.join(host.directory.path, 'store.json'), '{"version":1,"driver":"overlay"}\n');
  });
  afterEach(async () => await host[Symbol.asyncDispose]());

  async function network(...args: string[]): Promise<string> {
    const [verb = '', ...rest] = args;
    const result = await host.start(imgboot, 'network', verb, '--store', host.directory.path, ...rest);
    return result.exitCode === 0 ? String(result.stdout) : `${result.exitCode}: ${String(result.stderr)}`;
  }

  it('create, ls, inspect and rm', async () => {
    expect(await network('create', 'one', '--subnet', '10.77.0.0/24', '--gateway', '10.77.0.9')).toBe('one');
    expect(await network('create', 'two')).toBe('two');
    expect(JSON.parse(await network('inspect', 'two'))).toMatchObject([{ internal: false, dns: true }]);
    expect(await network('ls', '-q')).toBe('one\ntwo');
    const [one] = JSON.parse(await network('inspect', 'one')) as Record<string, unknown>[];
    expect(one).toMatchObject({ name: 'one', subnet: '10.77.0.0/24', gateway: '10.77.0.9', containers: [] });
    expect(await network('create', 'one')).toMatch(/^1: imgboot: there is a network one already/);
    expect(await network('create', 'x', '--subnet', '10.77.0.128/25')).toMatch(/overlaps the network one/);
    expect(await network('create', 'x', '--subnet', '127.0.0.0/24')).toMatch(
      /overlaps this host's route to 127/,
    );
    expect(await network('create', 'host')).toMatch(/^2: imgboot: not a name/);
    expect(await network('create', '../x')).toMatch(/^2: imgboot: not a name/);
    expect(await network('create', 'x', '--subnet', 'fd00::/64')).toMatch(/^2: imgboot: not a subnet/);
    expect(await network('create', 'x', '--gateway', '10.1.1.1')).toMatch(
      /^2: imgboot: 10.1.1.1 is no address/,
    );
    expect(await network('rm', 'one', 'two')).toBe('one\ntwo');
    expect(await network('rm', 'one')).toMatch(/^1: imgboot: there is no network "one"/);
    expect(readdirSync(path.join(host.directory.path, 'networks'))).toEqual([]);
  });

  it('a container on two networks joins them; rm refuses the one in use, and with --force takes its interface', async () => {
    const before = await host.state();
    await network('create', 'inner', '--internal');
    const [both, inner, outer] = [await host.container(), await host.container(), await host.container()];
    const { attached } = await host.attach(both, { networks: ['bridge', 'inner'] });
    expect(attached?.interfaces.map(({ network, interface: name }) => [name, network])).toEqual([
      ['eth0', 'bridge'],
      ['eth1', 'inner'],
    ]);
    await host.attach(inner, { networks: ['inner'] });
    await host.attach(outer);
    await host.serve(inner, 'inner');
    const address = JSON.parse(await network('inspect', 'inner')) as {
      containers: { name: string; address: string }[];
    }[];
    const target = address[0]!.containers.find(({ name }) => name === inner.name)!.address;
    expect(await get(both, `${target}:80`)).toBe('inner');
    expect(await get(outer, `${target}:80`)).toBeUndefined();
    // An internal network has no way out.
    expect(await inside(inner, ['ip', 'route'])).not.toContain('default');
    expect(await network('rm', 'inner')).toMatch(
      /^1: imgboot: the network inner is in use by box[12], box[12]/,
    );
    expect(await network('rm', '--force', 'inner')).toBe('inner');
    expect(await inside(both, ['ip', '-brief', 'link'])).not.toContain('eth1');
    expect(await inside(both, ['ip', '-brief', 'link'])).toContain('eth0');
    for (const container of [both, inner, outer]) await host.detach(container);
    expect(await host.state()).toEqual(before);
  });

  it('two stores of one host have networks of one name beside each other', async () => {
    const before = await host.state();
    const root = path.join(host.directory.path, 'other');
    mkdirSync(root);
    const [mine, theirs] = [await host.container(), await host.container()];
    const results = [await host.attach(mine), await host.attach(theirs, { root })];
    const subnets = results.map(({ attached, error }) => attached?.interfaces[0]?.gateway ?? error?.message);
    expect(new Set(subnets).size).toBe(2);
    await host.serve(mine, 'mine');
    await host.detach(theirs, root);
    expect(await get(host, `${subnets[0]!.replace(/\.1$/, '.2')}:80`)).toBe('mine');
    await host.detach(mine);
    expect(await host.state()).toEqual(before);
  });

  it('rules and chains that others have made stay', async () => {
    await host.run('iptables', '-t', 'nat', '-N', 'NETAVARK-HOSTPORT-DNAT');
    await host.run('iptables', '-t', 'nat', '-N', 'NETAVARK-0123456789ABC');
    await host.run(
      'iptables',
      '-t',
      'nat',
      '-A',
      'POSTROUTING',
      '-s',
      '10.88.0.0/16',
      '-j',
      'NETAVARK-0123456789ABC',
    );
    await host.run('iptables', '-A', 'FORWARD', '-s', '10.89.0.0/16', '-j', 'ACCEPT');
    const before = await host.state();
    const container = await host.container();
    await host.attach(container, { ports: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] });
    await host.detach(container);
    expect(await host.state()).toEqual(expect.arrayContaining(before));
    expect((await host.state()).join('\n')).not.toMatch(/8080|imgboot/);
  });

  it('a name server that is killed is started again by the next container', async () => {
    const [web, client] = [await host.container(), await host.container()];
    await host.attach(web);
    const server = (await host.state()).find((line) => line.startsWith('name server '))!;
    process.kill(Number(server.split(' ').at(-1)), 'SIGKILL');
    const { attached } = await host.attach(client);
    const gateway = attached!.interfaces[0]!.gateway;
    expect(await inside(client, ['busybox', 'nslookup', web.name, gateway])).toContain('.2\n');
  });

  it('what an attachment of an earlier boot says holds no longer', async () => {
    const container = await host.container();
    await host.attach(container);
    const attached = path.join(host.directory.path, 'networks/attached');
    const file = path.join(attached, `${container.id}.json`);
    const record = JSON.parse(readFileSync(file, 'utf8')) as { process: { bootId: string } };
    await host.detach(container);
    record.process.bootId = createHash('sha256').update('another boot').digest('hex').slice(0, 36);
    writeFileSync(file, JSON.stringify(record));
    await host.drive('sweep', {});
    expect(readdirSync(attached)).toEqual([]);
  });
});
