import { execa } from 'execa';
import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE, ContainerHost, until } from '../support/container-host.ts';
import { codeOf, drivers } from '../support/test-store.ts';

const EPOCH = { SOURCE_DATE_EPOCH: '1700000000' };

/** Something of everything that can be changed. */
const everything = `
  echo new > /new; mkdir -p /deep/er; echo linked > /deep/er/a; ln /deep/er/a /deep/b; ln -s ../new /deep/link
  mkfifo /deep/fifo; mknod /deep/null c 1 3
  echo more >> /opt/data/one; chmod 600 /var/log/a.log; chown 50:60 /home/app; touch -d @1000 /etc/passwd
  rm -r /usr/lib/old; touch /usr/lib/old; rm -r /opt/data/sub; mkdir /opt/data/sub; echo two > /opt/data/sub/two
  rm /bin/vi; echo mine >> /etc/hosts; echo mine >> /etc/resolv.conf; cat /etc/group > /dev/null
  nc -l local:/deep/socket & sleep 0.2; kill $!; mkdir /tmp/gone; rmdir /tmp/gone; cd /proc; true`;

/** As \`diff\` has it. What the last lines of {@link everything} do is no change, or none of the image's. */
// prettier-ignore
const changes = [
  
    'C /bin',
    'D /bin/vi',
    'A /deep',
    'A /deep/b',
    'A /deep/er',
    'A /deep/er/a',
    'A /deep/fifo',
    'A /deep/link',
  'A /deep/null', 'C /etc', 'C /etc/passwd', 'C /home', 'C /home/app', 'A /new', 'C /opt', 'C /opt/data',
  
    'C /opt/data/one',
    'C /opt/data/sub',
    'D /opt/data/sub/three',
    'C /opt/data/sub/two',
    'C /tmp',
    'C /usr',
  'C /usr/lib', 'C /usr/lib/old', 'C /var', 'C /var/log', 'C /var/log/a.log',
];

describe.each(drivers)('commit, diff and cp, with the $driver driver,', (driver) => {
  let host: ContainerHost;
  beforeAll(async () => {
    host = await ContainerHost.create(driver);
  });
  afterAll(async () => await host[Symbol.asyncDispose]());

  async function made(name: string, script: string, ...options: string[]): Promise<string> {
    const args = ['--name', name, '--network', 'none', ...options, BASE, 'sh', '-c', script];
    await host.store.cliOk('run', args);
    return name;
  }

  async function background(name: string, script: string): Promise<string> {
    await host.store.cliOk('run', ['-d', '--name', name, '--network', 'none', BASE, 'sh', '-c', script]);
    return name;
  }

  /** Standard output, or the status and the error. */
  async function cli(verb: string, args: readonly string[], input?: string): Promise<string> {
    const { stdout, stderr, exitCode } = await host.store.cli(verb, args, { env: EPOCH, input });
    return exitCode === 0 ? stdout.trimEnd() : `${exitCode}: ${stderr.trimEnd()}`;
  }

  it('tells every change, and nothing else', async () => {
    await made('all', everything, '-v', '/somewhere/new', '--tmpfs', '/another');
    expect((await cli('diff', ['all'])).split('\n')).toEqual(changes);
    await made('nothing', 'cat /etc/passwd; ls -R / > /dev/null');
    expect(await cli('diff', ['nothing'])).toBe('');
  });

  it('makes an image with the change, which is what its layer makes', async () => {
    await cli('commit', ['all', 'all:1']);
    // fsck unpacks every layer anew and compares.
    expect(await host.store.fsck()).toEqual([]);
    const script = `cat /new /deep/b /opt/data/one /opt/data/sub/two; stat -c '%h %n' /deep/b /deep/er/a; stat -c '%u:%g' /home/app
      stat -c %Y /etc/passwd; ls -d /bin/vi /opt/data/sub/three /usr/lib/old/file; grep mine /etc/hosts /etc/resolv.conf`;
    expect((await host.run(['all:1', 'sh', '-c', script])).stdout.split('\n')).toEqual([
      'new',
      'linked',
      'one',
      'more',
      'two',
      '2 /deep/b',
      '2 /deep/er/a',
      '50:60',
      '1000',
      '',
    ]);
  });

  it('takes what the container was run with, and what --change says, into the config', async () => {
    const options = ['-e', 'A=1', '-w', '/opt', '-u', 'app', '--label', 'l=1'];
    await made('configured', 'true', ...options);
    const change = ['--change', 'CMD ["other"]', '--change', 'ENV B=$A', '-m', 'words', '-a', 'me'];
    const id = await cli('commit', [...change, 'configured']);
    const { config } = JSON.parse(await cli('inspect', ['--type', 'image', id])) as {
      config: Record<string, unknown>;
    };
    expect(config).toMatchObject({ Cmd: ['other'], WorkingDir: '/opt', User: 'app', Labels: { l: '1' } });
    expect(config['Env']).toEqual(expect.arrayContaining(['A=1', 'B=1']));
    const [entry] = JSON.parse(await cli('history', ['--json', id])) as {
      createdBy: string;
      layer: unknown;
    }[];
    expect(entry).toMatchObject({ createdBy: 'sh -c true', layer: null });
    expect(await cli('commit', ['--change', 'RUN true', 'configured'])).toMatch(
      /^2: imgboot: --change takes no RUN/,
    );
    expect(await cli('commit', ['--change', 'NONSENSE', 'configured'])).toMatch(/^1: imgboot: --change/);
    expect(await cli('commit', ['ghost'])).toMatch(/^1: imgboot: there is no container "ghost"/);
  });

  it('stops the container meanwhile, and lets it go on', async () => {
    // Two files that are the same whenever nothing is between.
    const loop = 'i=0; while :; do i=$((i+1)); for to in one two; do echo $i > /t; mv /t /$to; done; done';
    await background('busy', loop);
    await until(async () => (await host.store.cli('exec', ['busy', 'test', '-e', '/two'])).exitCode === 0);
    await cli('commit', ['busy', 'busy:1']);
    const [one, two] = (await host.runOk(['busy:1', 'cat', '/one', '/two'])).split('\n').map(Number);
    expect(one! - two!).toBeLessThanOrEqual(1);
    const before = await cli('exec', ['busy', 'cat', '/one']);
    await until(async () => (await cli('exec', ['busy', 'cat', '/one'])) !== before);
    expect(await cli('commit', ['--pause=false', 'busy', 'busy:2'])).toMatch(/^sha256:/);
    expect((await host.inspect('busy')).State.Status).toBe('running');
    await cli('rm', ['--force', 'busy']);
  });

  it('a commit that is killed leaves the container running, and nothing else', async () => {
    await background(
      'survivor',
      'dd if=/dev/zero of=/big bs=1M count=40 2> /dev/null; i=0; while :; do i=$((i+1)); echo $i > /count; done',
    );
    await until(
      async () => (await host.store.cli('exec', ['survivor', 'test', '-e', '/count'])).exitCode === 0,
    );
    const before = await host.store.state();
    for (const delayMs of [180, 300]) {
      const running = host.start('commit', ['survivor', 'half:1']);
      await sleep(delayMs);
      running.kill('SIGKILL');
      await running.ended;
      const count = await cli('exec', ['survivor', 'cat', '/count']);
      await until(async () => (await cli('exec', ['survivor', 'cat', '/count'])) !== count);
      await cli('rmi', ['--force', 'half:1']);
    }
    await cli('rm', ['--force', 'survivor']);
    // The next command that writes sweeps.
    await made('sweeper', 'true');
    await cli('diff', ['sweeper']);
    expect(await host.store.state()).toEqual(before);
  });

  it('refuses a name that deletes in a layer', async () => {
    await made('whiteout', 'touch /opt/.wh.one');
    expect(await cli('commit', ['whiteout', 'w:1'])).toMatch(
      /imgboot: the file "\/opt\/\.wh\.one" cannot be kept/,
    );
    expect(await codeOf(async () => host.store.store.image('w:1'))).toBe('IMGBOOT_NO_SUCH_IMAGE');
  });

  it('a container that changes directories into links meanwhile shows nothing of the host', async () => {
    const secret = host.filesystem.directory('secret');
    writeFileSync(path.join(secret, 'file'), 'of the host\n');
    const race = `mkdir -p /real; echo own > /real/file; while :; do mv /real /x; ln -s ${secret} /real; rm /real; mv /x /real; done`;
    await background('racer', race);
    for (let n = 1; n <= 3; n += 1) {
      // Whether it is read or changed under the reader is luck; the host's file never is in it.
      await cli('commit', ['--pause=false', 'racer', 'raced:1']);
      const blobs = host.store
        .blobs()
        .map((name) => readFileSync(path.join(host.store.path, 'oci/blobs/sha256', name)));
      expect(blobs.some((bytes) => bytes.includes('of the host'))).toBe(false);
    }
    await cli('rm', ['--force', 'racer']);
  });

  describe.each(driver.driver === 'overlay' ? ['running', 'stopped'] : ['stopped'])('cp, %s,', (state) => {
    let name: string;
    let directory: string;
    beforeAll(async () => {
      name = `cp-${state}`;
      await background(
        name,
        'mkdir -p /dir/sub; echo file > /dir/sub/file; chown 1000 /dir/sub/file; ln -s sub /dir/link; touch /ready; exec sleep 600',
      );
      await until(async () => (await host.store.cli('exec', [name, 'test', '-e', '/ready'])).exitCode === 0);
      if (state === 'stopped') await cli('stop', ['--time', '0', name]);
      directory = host.filesystem.directory('cp');
      mkdirSync(path.join(directory, 'tree/sub'), { recursive: true });
      writeFileSync(path.join(directory, 'tree/sub/leaf'), 'leaf\n', { mode: 0o640 });
      writeFileSync(path.join(directory, 'tree/.wh.leaf'), 'no whiteout\n');
      symlinkSync('sub/leaf', path.join(directory, 'tree/link'));
    });
    afterAll(async () => void (await cli('rm', ['--force', name])));

    const at = (place: string): string => path.join(directory, place);

    it('copies in and out, trees, files and streams, as docker does', async () => {
      const tree = at('tree');
      for (const [source, destination] of [
        [tree, `${name}:/fresh`],
        [tree, `${name}:/dir`],
        [`${tree}/.`, `${name}:/dir/sub`],
        [`${tree}/sub/leaf`, `${name}:/renamed`],
        [`${tree}/sub/leaf`, `${name}:/dir/link/`],
      ] as const)
        expect(await cli('cp', [source, destination])).toBe('');
      const list = await execa('tar', ['-tf', '-'], {
        input: (await host.store.cli('cp', [`${name}:/dir`, '-'])).stdout,
      });
      expect(list.stdout.split('\n').sort()).toEqual([
        'dir/',
        'dir/link',
        'dir/sub/',
        'dir/sub/.wh.leaf',
        'dir/sub/file',
        'dir/sub/leaf',
        'dir/sub/link',

        'dir/sub/sub/',
        'dir/sub/sub/leaf',
        'dir/tree/',
        'dir/tree/.wh.leaf',
        'dir/tree/link',
        'dir/tree/sub/',
        'dir/tree/sub/leaf',
      ]);
      expect(await cli('cp', [`${name}:/fresh`, at('back')])).toBe('');
      expect(await execa('diff', ['-r', '--no-dereference', tree, at('back')])).toMatchObject({ stdout: '' });
      expect(await cli('cp', [`${name}:/renamed`, at('back')])).toBe('');
      expect(readdirSync(at('back')).sort()).toEqual(['.wh.leaf', 'link', 'renamed', 'sub']);
      const tar = (await execa('tar', ['-C', tree, '-c', 'sub'], { encoding: 'buffer' })).stdout;
      await host.store.cliOk('cp', ['-', `${name}:/home`], { input: tar });
      expect(await cli('cp', [`${name}:/home/sub/leaf`, at('leaf')])).toBe('');
      expect(readFileSync(at('leaf'), 'utf8')).toBe('leaf\n');
    });

    it('gives files to root, or keeps owners where asked', async () => {
      await cli('cp', [`${name}:/dir/sub/file`, at('roots')]);
      await cli('cp', ['--archive', `${name}:/dir/sub/file`, at('theirs')]);
      const { stdout } = await execa('stat', ['-c', '%u', at('roots'), at('theirs')]);
      expect(stdout).toBe('0\n1000');
      await cli('cp', [at('theirs'), `${name}:/in-roots`]);
      await cli('cp', ['--archive', at('theirs'), `${name}:/in-theirs`]);
      await cli('cp', ['--archive', `${name}:/in-roots`, at('x')]);
      await cli('cp', ['--archive', `${name}:/in-theirs`, at('y')]);
      expect((await execa('stat', ['-c', '%u', at('x'), at('y')])).stdout).toBe('0\n1000');
    });

    it('links lead nowhere but to places in the container', async () => {
      const outside = host.filesystem.directory('outside');
      writeFileSync(path.join(outside, 'secret'), 'secret\n');
      const links = at('links');
      mkdirSync(links);
      for (const [link, target] of [
        ['absolute', outside],
        ['climbing', `../../../../../..${outside}`],
        ['proc', '/proc/1/root'],
      ] as const)
        symlinkSync(target, path.join(links, link));
      await cli('cp', [links, `${name}:/links`]);
      for (const link of ['absolute', 'climbing']) {
        expect(await cli('cp', [`${name}:/links/${link}/secret`, at('stolen')])).toMatch(
          /^1: imgboot: the container has no/,
        );
        expect(await cli('cp', ['-L', `${name}:/links/${link}`, at('stolen')])).toMatch(
          /^1: imgboot: the container has no/,
        );
        expect(await cli('cp', [at('tree/sub/leaf'), `${name}:/links/${link}/leaf`])).toMatch(
          /^1: imgboot: /,
        );
        // A tar that goes through the link makes what it names in the container.
        await cli('cp', [at('tree'), `${name}:/links/${link}`]);
      }
      await cli('cp', [at('tree/sub/leaf'), `${name}:/links/proc/leaf`]);
      expect(readdirSync(outside)).toEqual(['secret']);
      expect(await cli('cp', [`${name}:/links/../../../..${outside}/secret`, at('stolen')])).toMatch(
        /has no/,
      );
    });

    it('refuses what cannot be, and leaves nothing half', async () => {
      const before = readdirSync(directory).sort();
      expect(await cli('cp', [`${name}:/none`, at('none')])).toBe('1: imgboot: the container has no /none');
      expect(await cli('cp', [at('none'), `${name}:/`])).toMatch(/^1: imgboot: there is no/);
      expect(await cli('cp', [at('tree'), `${name}:/etc/passwd`])).toMatch(/is not a directory/);
      expect(await cli('cp', [at('tree/sub/leaf'), `${name}:/no/where`])).toMatch(/has no directory \/no/);
      expect(await cli('cp', [`${name}:/dir`, at('tree/sub/leaf')])).toMatch(/is there, and of another kind/);
      expect(await cli('cp', [at('tree'), at('copy')])).toMatch(/^2: imgboot: cp copies between/);
      expect(
        await cli('cp', ['-', `${name}:/home`], 'this is no tar, but text of some length'.repeat(40)),
      ).toMatch(/^1: imgboot: this is not a tar/);
      expect(readdirSync(directory).sort()).toEqual(before);
    });
  });

  it('a container with a user namespace is copied to and committed with its own owners', async () => {
    const args = ['-d', '--name', 'mapped', '--network', 'none', '--userns', 'auto', BASE, 'sleep', '600'];
    await host.store.cliOk('run', args);
    const file = path.join(host.filesystem.directory('mapped'), 'file');
    writeFileSync(file, 'mapped\n');
    expect(await cli('cp', [file, 'mapped:/home/app/file'])).toBe('');
    expect(await cli('exec', ['mapped', 'chown', '1000', '/home/app/file'])).toBe('');
    expect(await cli('exec', ['mapped', 'stat', '-c', '%u:%g', '/home/app/file'])).toBe('1000:0');
    expect(await cli('cp', ['mapped:/home/app/file', `${file}.back`])).toBe('');
    expect(readFileSync(`${file}.back`, 'utf8')).toBe('mapped\n');
    expect(await cli('cp', ['mapped:/home', '-'])).toMatch(/have other owners here/);
    expect((await cli('diff', ['mapped'])).split('\n')).toEqual([
      'C /home',
      'C /home/app',
      'A /home/app/file',
    ]);
    await cli('commit', ['mapped', 'mapped:1']);
    expect(await host.runOk(['mapped:1', 'stat', '-c', '%u:%g', '/home/app/file'])).toBe('1000:0');
    await cli('rm', ['--force', 'mapped']);
  });

  it('export has what the container has changed', async () => {
    const tar = path.join(host.filesystem.directory('export'), 'all.tar');
    await host.store.cliOk('export', ['--output', tar, 'all']);
    const { stdout } = await execa('tar', ['-tf', tar]);
    const names = stdout.split('\n');
    for (const there of ['./new', './deep/er/a', './opt/data/sub/two']) expect(names).toContain(there);
    for (const gone of ['./bin/vi', './opt/data/sub/three']) expect(names).not.toContain(gone);
  });
});

it('both drivers make the same layer of the same change', async () => {
  const layers: unknown[] = [];
  for (const driver of drivers) {
    await using host = await ContainerHost.create(driver);
    await host.store.cliOk('run', ['--name', 'c', '--network', 'none', BASE, 'sh', '-c', everything]);
    const id = await host.store.cliOk('commit', ['c', 'c:1'], { env: EPOCH });
    const inspected = JSON.parse(await host.store.cliOk('inspect', ['--type', 'image', id.trim()])) as {
      layers: { digest: string; diffId: string }[];
    };
    layers.push(inspected.layers.at(-1)!.digest);
  }
  expect(layers[0]).toMatch(/^sha256:/);
  expect(layers[1]).toBe(layers[0]);
});
