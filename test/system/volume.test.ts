import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE, ContainerHost } from '../support/container-host.ts';
import { runCli } from '../support/run-cli.ts';
import { drivers } from '../support/test-store.ts';

describe.each(drivers)('volumes, with the $driver driver,', (driver) => {
  let host: ContainerHost;
  beforeAll(async () => {
    host = await ContainerHost.create(driver);
  });
  afterAll(async () => await host[Symbol.asyncDispose]());

  async function volume(...args: string[]): Promise<string> {
    const [verb = '', ...rest] = args;
    const { stdout, stderr, exitCode } = await runCli(['volume', verb, '--store', host.store.path, ...rest]);
    return exitCode === 0 ? stdout.trim() : `${exitCode}: ${stderr.trim()}`;
  }

  function data(name: string): string {
    return path.join(host.store.path, 'volumes', name, '_data');
  }

  it('keep their files, and refuse writes when read-only', async () => {
    await host.runOk(['-v', 'kept:/data', BASE, 'sh', '-c', 'echo one > /data/file']);
    expect(await host.runOk(['-v', 'kept:/other', BASE, 'cat', '/other/file'])).toBe('one');
    const refused = await host.run(['-v', 'kept:/data:ro', BASE, 'sh', '-c', 'echo two > /data/file']);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain('Read-only file system');
    expect(readFileSync(path.join(data('kept'), 'file'), 'utf8')).toBe('one\n');
  });

  it('get what the image has at their place, once, with owners and modes', async () => {
    const list = 'cd /home/app && stat -c "%u:%g %a" . && ls -A';
    expect(await host.runOk(['-v', 'home:/home/app', BASE, 'sh', '-c', list])).toBe('1000:1000 755');
    await host.runOk([
      '-v',
      'copied:/opt/data',
      BASE,
      'sh',
      '-c',
      'rm -r /opt/data/sub; readlink /opt/data/link',
    ]);
    expect(readdirSync(data('copied')).sort()).toEqual(['link', 'one']);
    // What was taken away stays away.
    expect(await host.runOk(['-v', 'copied:/opt/data', BASE, 'ls', '/opt/data'])).toBe('link\none');
    expect(await host.runOk(['-v', 'plain:/opt/data:nocopy', BASE, 'ls', '/opt/data'])).toBe('');
    writeFileSync(path.join(data('plain'), 'mine'), '');
    expect(await host.runOk(['-v', 'plain:/opt/data', BASE, 'ls', '/opt/data'])).toBe('mine');
  });

  it('follow a link of the image inside the image only', async () => {
    // /var/data -> /opt/data
    expect(
      await host.runOk(['-v', 'linked:/var/data', BASE, 'sh', '-c', 'ls /opt/data; echo x > /var/data/x']),
    ).toBe('link\none\nsub');
    expect(existsSync('/opt/data/x')).toBe(false);
    expect(existsSync(path.join(data('linked'), 'x'))).toBe(true);
    const secret = host.filesystem.directory('secret');
    writeFileSync(path.join(secret, 'host'), '');
    const evil = `rm -r /opt/data && ln -s ${secret} /opt/data`;
    await host.store.cliOk('run', ['--name', 'evil', '--network', 'none', BASE, 'sh', '-c', evil]);
    await host.store.cliOk('commit', ['evil', 'evil:1']);
    expect(
      await host.runOk(['-v', 'lured:/opt/data', 'evil:1', 'sh', '-c', 'ls /opt/data; touch /opt/data/y']),
    ).toBe('');
    expect(readdirSync(secret)).toEqual(['host']);
    await host.store.cliOk('rm', ['evil']);
  });

  it('a copy that was killed is made anew', async () => {
    await host.runOk(['-v', 'broken:/opt/data', BASE, 'true']);
    const record = path.join(host.store.path, 'volumes/broken/volume.json');
    const state = JSON.parse(readFileSync(record, 'utf8')) as { content: string };
    expect(state.content).toBe('copied');
    writeFileSync(record, JSON.stringify({ ...state, content: 'being copied' }));
    writeFileSync(path.join(data('broken'), 'half'), '');
    expect(await host.runOk(['-v', 'broken:/opt/data', BASE, 'ls', '/opt/data'])).toBe('link\none\nsub');
  });

  it('of the image’s VOLUME go with the container that they were made for', async () => {
    await host.store.cliOk('run', ['--name', 'maker', '--network', 'none', BASE, 'true']);
    await host.store.cliOk('commit', ['--change', 'VOLUME /opt/data', 'maker', 'with-volume:1']);
    await host.store.cliOk('rm', ['maker']);
    const before = await volume('ls', '-q');
    const touch = 'echo new > /opt/data/new; ls /opt/data';
    expect(await host.runOk(['with-volume:1', 'sh', '-c', touch])).toBe('link\nnew\none\nsub');
    expect(await volume('ls', '-q')).toBe(before);
    await host.store.cliOk('run', [
      '--name',
      'owner',
      '--network',
      'none',
      'with-volume:1',
      'sh',
      '-c',
      touch,
    ]);
    const [name] = (await volume('ls', '-q'))
      .split('\n')
      .filter((line) => !before.split('\n').includes(line));
    expect(name).toMatch(/^[0-9a-f]{64}$/);
    // Nothing of it comes into an image.
    expect(await host.store.cliOk('diff', ['owner'])).toBe('');
    await host.store.cliOk('rm', ['owner']);
    expect(await volume('ls', '-q')).toContain(name!);
    expect(await volume('rm', name!)).toBe(name);
    await host.store.cliOk('run', ['--name', 'owner', '--network', 'none', 'with-volume:1', 'true']);
    await host.store.cliOk('rm', ['--volumes', 'owner']);
    expect(await volume('ls', '-q')).toBe(before);
  });

  it('create, inspect, rm and prune', async () => {
    expect(await volume('create', 'named', '--label', 'a=b')).toBe('named');
    const [inspected] = JSON.parse(await volume('inspect', 'named')) as Record<string, unknown>[];
    expect(inspected).toMatchObject({
      name: 'named',
      labels: { a: 'b' },
      mountpoint: data('named'),
      containers: [],
    });
    expect(await volume('create', 'named')).toMatch(/^1: imgboot: there is a volume named already/);
    for (const name of ['../x', 'a/b', '-x', '.'])
      expect(await volume('create', '--', name)).toMatch(/^2: imgboot: not a name for a volume/);
    await host.store.cliOk('run', ['--name', 'user', '--network', 'none', '-v', 'named:/n', BASE, 'true']);
    expect(await volume('rm', 'named')).toMatch(/^1: imgboot: the volume named is in use by user/);
    expect(await volume('prune', '--force')).not.toContain('named');
    await host.store.cliOk('rm', ['user']);
    expect(await volume('prune', '--dry-run')).toContain('named');
    expect(statSync(data('named')).isDirectory()).toBe(true);
    expect(await volume('prune', '--force')).toContain('named');
    expect(await volume('rm', 'named')).toMatch(/^1: imgboot: there is no volume "named"/);
    expect(readdirSync(path.join(host.store.path, 'volumes'))).toEqual([]);
  });

  it('several containers at once make one volume', async () => {
    const wish = (n: number): string[] => [
      '-v',
      'shared:/opt/data',
      BASE,
      'sh',
      '-c',
      `echo ${n} > /opt/data/${n}`,
    ];
    await Promise.all([1, 2, 3, 4].map((n) => host.runOk(wish(n))));
    expect(readdirSync(data('shared')).sort()).toEqual(['1', '2', '3', '4', 'link', 'one', 'sub']);
    expect(await host.leftovers()).toEqual([]);
  });

  it('a directory of the host is bound, read-only where asked', async () => {
    const directory = host.filesystem.directory('bound');
    mkdirSync(path.join(directory, 'sub'));
    await host.runOk(['-v', `${directory}:/bound`, BASE, 'sh', '-c', 'echo x > /bound/sub/file']);
    expect(readFileSync(path.join(directory, 'sub/file'), 'utf8')).toBe('x\n');
    const refused = await host.run(['-v', `${directory}:/bound:ro`, BASE, 'rm', '/bound/sub/file']);
    expect(refused.stderr).toContain('Read-only file system');
  });
});
