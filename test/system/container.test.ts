import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE, ContainerHost, containerCgroups, until } from '../support/container-host.ts';
import { repository } from '../support/paths.ts';
import { drivers } from '../support/test-store.ts';

describe.each(drivers)('a container, with the $driver driver,', (driver) => {
  let host: ContainerHost;
  beforeAll(async () => {
    host = await ContainerHost.create(driver);
  });
  afterAll(async () => host[Symbol.asyncDispose]());

  it('leaves nothing', async () => {
    expect(await host.runOk([BASE, 'sh', '-c', 'echo "$(id -u) $(pwd) $HOME"; echo x > /x'])).toBe(
      '0 / /root',
    );
    expect(await host.leftovers()).toEqual([]);
  });

  it('has namespaces of its own', async () => {
    const kinds = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'];
    const script = `for kind in ${kinds.join(' ')}; do readlink /proc/self/ns/$kind; done`;
    const inside = (await host.runOk(['--userns', 'auto', BASE, 'sh', '-c', script])).split('\n');
    const shared = kinds.filter((kind, index) => readlinkSync(`/proc/self/ns/${kind}`) === inside[index]);
    expect(inside).toHaveLength(kinds.length);
    expect(shared).toEqual([]);
  });

  it('is seen to be separate', async () => {
    const before = hostname();
    const { stdout: queue } = await execa('ipcmk', ['-Q']);
    const number = /([0-9]+)$/.exec(queue.trim())![1]!;
    try {
      const facts = await host.runOk([
        '--hostname',
        'inside',
        '--cap-add',
        'SYS_ADMIN',
        BASE,
        'sh',
        '-c',
        `hostname; hostname changed; hostname; echo $$; ls /sys/class/net; wc -l < /proc/sysvipc/msg;
         cut -d: -f3 /proc/self/cgroup | sort -u; mount -t tmpfs none /mnt 2> /dev/null; ls /proc | grep -c '^[0-9]'`,
      ]);
      // Its own name and that alone; itself as process 1; lo; no queue but the heading; the root of each hierarchy.
      expect(facts.split('\n').slice(0, 6)).toEqual(['inside', 'changed', '1', 'lo', '1', '/']);
      expect(Number(facts.split('\n')[6])).toBeLessThan(10);
    } finally {
      await execa('ipcrm', ['-q', number]);
    }
    expect(hostname()).toBe(before);
  });

  it('has the users of its image in a user namespace', async () => {
    const script = `cat /proc/self/uid_map; stat -c %u /bin/busybox /etc /home/app; echo new > /home/app/new
      rm /opt/data/one; echo more >> /opt/data/sub/two; stat -c %u /home/app/new /opt/data/sub/two`;
    const facts = await host.runOk(['--userns', 'map:0:200000:65536', BASE, 'sh', '-c', script]);
    expect(facts.replaceAll(/ +/g, ' ').split('\n')).toEqual([' 0 200000 65536', '0', '0', '1000', '0', '0']);
    expect(await host.leftovers()).toEqual([]);
    // Root in there is nobody here.
    const name = await host.store.cliOk('run', [
      '-d',
      '--network',
      'none',
      '--userns',
      'auto',
      BASE,
      'sleep',
      '60',
    ]);
    const { State } = await host.inspect(name.trim());
    expect(
      Number(/^Uid:\t([0-9]+)/m.exec(readFileSync(`/proc/${State.Pid}/status`, 'utf8'))![1]),
    ).toBeGreaterThan(65_536);
    await host.store.cliOk('rm', ['-f', name.trim()]);
  });

  it('mounts nothing that the host sees, and writes to a layer of its own', async () => {
    const id = (
      await host.store.cliOk('run', ['-d', '--network', 'none', BASE, 'sh', '-c', 'echo 1 > /x; sleep 60'])
    ).trim();
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(id);
    await until(async () => (await host.store.cli('exec', [id, 'cat', '/x'])).stdout === '1\n');
    expect(await host.runOk([BASE, 'ls', '/x']).catch(() => 'none')).toBe('none');
    await host.store.cliOk('rm', ['-f', id]);
    expect(await host.leftovers()).toEqual([]);
    expect(containerCgroups([id])).toEqual([]);
  });

  it('keeps what it wrote when it is started again', async () => {
    await host.store.cliOk('run', [
      '--network',
      'none',
      '--name',
      'kept',
      BASE,
      'sh',
      '-c',
      'echo run >> /count',
    ]);
    await host.store.cliOk('start', ['-a', 'kept']);
    await host.store.cliOk('start', ['-a', 'kept']);
    expect((await host.inspect('kept')).State).toMatchObject({ Status: 'exited', ExitCode: 0 });
    const { upper } = { upper: driver.driver === 'btrfs' ? 'rootfs' : 'layer/upper' };
    const { Id } = await host.inspect('kept');
    expect(readFileSync(path.join(host.store.path, 'containers', Id, upper, 'count'), 'utf8')).toBe(
      'run\nrun\nrun\n',
    );
    await host.store.cliOk('rm', ['kept']);
  });

  it("has this machine's top layer, as a booted machine has it", async () => {
    const top = host.filesystem.directory('top');
    await execa('sh', [
      '-euc',
      `cd "$1"; mkdir -p etc lib opt/data; echo mine > etc/issue; echo top > lib/top
      printf 'me:x:1001:1001::/:/bin/sh\\n' > etc/passwd; touch opt/data/.wh.one`,
      'sh',
      top,
    ]);
    const script = 'cat /etc/issue /usr/lib/top; readlink /lib; ls /opt/data; cut -d: -f1 /etc/passwd';
    const facts = await host.runOk(['--top-layer', top, BASE, 'sh', '-c', script]);
    expect(facts.split('\n')).toEqual([
      'mine',
      'top',
      'usr/lib',
      'link',
      'sub',
      'root',
      'app',
      'nobody',
      'me',
    ]);
    expect(await host.leftovers()).toEqual([]);
  });

  it('runs read-only, with its private files and volumes in place', async () => {
    const bind = host.filesystem.directory('bind');
    const script =
      'touch /x 2>&1; touch /data/x /t/x; cat /etc/hostname; wc -l < /etc/hosts; touch /ro/x 2>&1; true';
    const volumes = ['-v', `${bind}:/data`, '-v', `${bind}:/ro:ro`, '--tmpfs', '/t:size=1m'];
    const facts = await host.runOk(['--read-only', '--hostname', 'h', ...volumes, BASE, 'sh', '-c', script]);
    expect(facts.split('\n')).toEqual([
      'touch: /x: Read-only file system',
      'h',
      '3',
      'touch: /ro/x: Read-only file system',
    ]);
    expect(readFileSync(path.join(bind, 'x'), 'utf8')).toBe('');
  });
});

describe('imgboot', () => {
  let host: ContainerHost;
  beforeAll(async () => {
    host = await ContainerHost.create(drivers[1]);
  });
  afterAll(async () => host[Symbol.asyncDispose]());

  it.each<[title: string, args: string[], expected: { exitCode: number; stdout?: string }]>([
    ['run passes the exit status on', [BASE, 'sh', '-c', 'exit 7'], { exitCode: 7 }],
    ['run tells a signal', [BASE, 'sh', '-c', "sh -c 'kill -KILL $$'; exit $?"], { exitCode: 137 }],
    ['run ends with 127 where there is no such command', [BASE, 'no-such-command'], { exitCode: 127 }],
    ['run ends with 127 for a path that is not there', [BASE, '/no/such'], { exitCode: 127 }],
    ['run ends with 126 for what cannot be executed', [BASE, '/etc/passwd'], { exitCode: 126 }],
    ['run ends with 126 for a directory', [BASE, '/etc'], { exitCode: 126 }],
    [
      'run ends with 125 for a flag of its own that it does not know',
      ['--no-such', BASE, 'true'],
      { exitCode: 125 },
    ],
    ['run ends with 125 without an image', ['none:1', 'true'], { exitCode: 125 }],
    [
      'run leaves what follows the image to the guest',
      ['-e', 'A=1', BASE, 'sh', '-c', 'echo $A'],
      { exitCode: 0, stdout: '1\n' },
    ],
    [
      "run takes a guest's flags for the guest's",
      [BASE, 'sort', '-u', '-r', '/etc/group'],
      { exitCode: 0, stdout: 'staff:x:50:app\nroot:x:0:\nnogroup:x:65534:\napp:x:1000:\n' },
    ],
    [
      'run sets the user, the directory and the entrypoint',
      ['-u', 'app', '-w', '/tmp', '--entrypoint', 'sh', BASE, '-c', 'id -un; pwd; echo $HOME'],
      { exitCode: 0, stdout: 'app\n/tmp\n/home/app\n' },
    ],
    ['run refuses a user that the image has not', ['-u', 'nosuch', BASE, 'true'], { exitCode: 125 }],
    [
      'run takes away capabilities',
      ['--cap-drop', 'ALL', BASE, 'sh', '-c', 'grep CapBnd /proc/self/status | cut -f2'],
      { exitCode: 0, stdout: '0000000000000000\n' },
    ],
    [
      'run forbids new privileges',
      [
        '--security-opt',
        'no-new-privileges',
        BASE,
        'sh',
        '-c',
        'grep NoNewPrivs /proc/self/status | cut -f2',
      ],
      { exitCode: 0, stdout: '1\n' },
    ],
    [
      'run filters system calls',
      [BASE, 'sh', '-c', 'grep Seccomp: /proc/self/status | cut -f2'],
      { exitCode: 0, stdout: '2\n' },
    ],
    [
      'run filters none where it is told so',
      ['--security-opt', 'seccomp=unconfined', BASE, 'sh', '-c', 'grep Seccomp: /proc/self/status | cut -f2'],
      { exitCode: 0, stdout: '0\n' },
    ],
    [
      'run gives limits of processes',
      ['--ulimit', 'nofile=100:200', BASE, 'sh', '-c', 'ulimit -n; ulimit -Hn'],
      { exitCode: 0, stdout: '100\n200\n' },
    ],
    [
      'run gives devices',
      ['--device', '/dev/loop-control:/dev/given:r', BASE, 'sh', '-c', 'test -c /dev/given && echo device'],
      { exitCode: 0, stdout: 'device\n' },
    ],
    [
      'run hides what tells about the host',
      [
        BASE,
        'sh',
        '-c',
        'head -c 1 /proc/keys | wc -c; touch /proc/sys/kernel/hostname 2> /dev/null || echo ro',
      ],
      { exitCode: 0, stdout: '0\nro\n' },
    ],
    [
      'run writes the hosts file',
      ['--add-host', 'other:10.0.0.9', BASE, 'grep', 'other', '/etc/hosts'],
      { exitCode: 0, stdout: '10.0.0.9\tother\n' },
    ],
    [
      'run reaps with a small init',
      ['--init', BASE, 'sh', '-c', 'echo $$ $(cat /proc/1/comm)'],
      {
        exitCode: 0,
        stdout: expect.stringMatching(/^[1-9][0-9]* (catatonit|tini|\.imgboot-init)\n$/) as string,
      },
    ],
  ])('%s', async (_, args, expected) => {
    const { exitCode, stdout } = await host.run(args);
    expect({ exitCode, ...(expected.stdout === undefined ? {} : { stdout }) }).toEqual(expected);
    expect(await host.leftovers()).toEqual([]);
  });

  it('leaves --help after the image to the guest', async () => {
    const { stdout, stderr } = await host.run([BASE, 'ls', '--help']);
    expect(stdout + stderr).toContain('List directory contents');
    expect((await host.store.cli('run', ['--help'])).stdout).toContain('Run an image as a container');
  });

  it('passes standard input on to its end, and every byte back', async () => {
    const bytes = Buffer.from(
      Array.from({ length: 300_000 }, (_, index) => (index * 7 + (index >> 8)) & 0x7f),
    );
    const { stdout } = await host.run(['-i', BASE, 'cat'], { input: bytes });
    expect(Buffer.from(stdout).equals(bytes)).toBe(true);
    const streams = await host.run([BASE, 'sh', '-c', 'echo out; echo err >&2']);
    expect(streams).toMatchObject({ stdout: 'out\n', stderr: 'err\n' });
  });

  it('passes signals on to a command without a terminal', async () => {
    const script = 'trap "echo got; exit 5" TERM; echo ready; while :; do sleep 0.1; done';
    const running = host.start('run', ['--rm', '--network', 'none', BASE, 'sh', '-c', script]);
    await until(() => running.stdout() === 'ready\n');
    running.kill('SIGTERM');
    expect(await running.ended).toEqual({ exitCode: 5, stdout: 'ready\ngot\n' });
    expect(await host.leftovers()).toEqual([]);
  });

  it('shows a terminal, in its size, and goes from it with ctrl-p ctrl-q', async () => {
    const words = [
      'run',
      '--store',
      host.store.path,
      '-it',
      '--name',
      'tty',
      '--network',
      'none',
      BASE,
      'sh',
    ];
    const command = `stty rows 33 cols 77; exec ${repository}/bin/imgboot ${words.join(' ')}`;
    const terminal = execa('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      reject: false,
    });
    let shown = '';
    const answers = async (text: string): Promise<void> => {
      await until(() => shown.includes(text));
    };
    terminal.stdout.on('data', (bytes: Buffer) => {
      shown += String(bytes);
    });
    await answers('/ # ');
    terminal.stdin.write('stty size; tty; echo $((6 * 7))\r');
    await answers('33 77\r\n/dev/pts/0\r\n42\r\n');
    terminal.stdin.write('\u0010\u0011');
    expect((await terminal).exitCode).toBe(0);
    expect((await host.inspect('tty')).State.Running).toBe(true);
    // A terminal of 2 rows: what it shows is that very shell.
    expect((await host.store.cli('exec', ['-t', 'tty', 'tty'])).stdout).toBe('/dev/pts/1\r\n');
    await host.store.cliOk('rm', ['-f', 'tty']);
  });

  describe('with a container in the background', () => {
    const script = 'trap "echo bye; exit 3" TERM; echo one; echo two >&2; while :; do sleep 0.1; done';
    let id: string;
    beforeAll(async () => {
      const args = [
        '-d',
        '--network',
        'none',
        '--name',
        'web',
        '--label',
        'kind=test',
        BASE,
        'sh',
        '-c',
        script,
      ];
      id = (await host.store.cliOk('run', args)).trim();
      await until(async () => (await host.store.cliOk('logs', ['web'])) !== '');
    });

    it('lists it', async () => {
      const [listed] = JSON.parse(await host.store.cliOk('ps', ['--json'])) as Record<string, unknown>[];
      expect(listed).toMatchObject({
        Id: id,
        Names: ['web'],
        Image: BASE,
        State: 'running',
        Labels: { kind: 'test' },
      });
      const quiet = async (...args: string[]): Promise<string> => host.store.cliOk('ps', ['-q', ...args]);
      expect(await quiet('--filter', 'label=kind=test')).toBe(`${id.slice(0, 12)}\n`);
      expect(await quiet('--filter', 'name=nosuch')).toBe('');
      expect(await quiet('--filter', 'status=exited')).toBe('');
      expect(await host.store.cliOk('ps', ['-q', '--no-trunc', '--filter', `ancestor=${BASE}`])).toBe(
        `${id}\n`,
      );
    });

    it('shows what it printed', async () => {
      await until(async () => (await host.store.cli('logs', ['web'])).stderr === 'two\n');
      expect(await host.store.cli('logs', ['web'])).toMatchObject({ stdout: 'one\n', stderr: 'two\n' });
      expect(await host.store.cli('logs', ['--tail', '1', 'web'])).toMatchObject({
        stdout: '',
        stderr: 'two\n',
      });
      expect((await host.store.cli('logs', ['--since', '2001-01-01T00:00:00Z', '-t', 'web'])).stdout).toMatch(
        /^20\d\d-\d\d-\d\dT\S+ one\n$/,
      );
      expect((await host.store.cli('logs', ['--until', '2001-01-01T00:00:00Z', 'web'])).stdout).toBe('');
    });

    it('runs further programs in it', async () => {
      const exec = async (...args: string[]): Promise<unknown[]> => {
        const { exitCode, stdout } = await host.store.cli('exec', args);
        return [exitCode, stdout];
      };
      expect((await exec('web', 'ps', '-a'))[1]).toContain('sh -c trap');
      expect((await exec('web', '--', 'ps', '-a'))[1]).toContain('sh -c trap');
      expect(await exec('web', 'sh', '-c', 'exit 9')).toEqual([9, '']);
      expect(await exec('web', 'no-such')).toEqual([127, '']);
      expect(await exec('web', '/etc/passwd')).toEqual([126, '']);
      expect(
        await exec(
          '-u',
          'app',
          '-w',
          '/tmp',
          '-e',
          'A=b',
          'web',
          'sh',
          '-c',
          'echo $(id -un) $(pwd) $A $HOME',
        ),
      ).toEqual([0, 'app /tmp b /home/app\n']);
      expect((await host.store.cli('exec', ['-i', 'web', 'cat'], { input: 'piped\n' })).stdout).toBe(
        'piped\n',
      );
      await host.store.cliOk('exec', ['-d', 'web', 'sh', '-c', 'echo there > /tmp/there']);
      await until(async () => (await exec('web', 'cat', '/tmp/there'))[1] === 'there\n');
    });

    it('shows its processes and what it uses', async () => {
      const processes = JSON.parse(await host.store.cliOk('top', ['web', '--json'])) as {
        pid: number;
        command: string;
      }[];
      expect(processes[0]).toMatchObject({ pid: 1, command: `sh -c ${script}` });
      const [stats] = JSON.parse(await host.store.cliOk('stats', ['--no-stream', '--json', 'web'])) as Record<
        string,
        number
      >[];
      expect(stats!['memoryBytes']).toBeGreaterThan(0);
      expect(stats!['pids']).toBeGreaterThan(0);
      expect(stats!['pidsLimit']).toBe(2048);
      expect(stats!['networkReceivedBytes']).toBe(0);
    });

    it('holds its name, and its image', async () => {
      const taken = await host.run(['--name', 'web', BASE, 'true']);
      expect([taken.exitCode, taken.stderr]).toEqual([125, expect.stringContaining('"web" is in use')]);
      const removal = await host.store.cli('rmi', [BASE]);
      expect([removal.exitCode, removal.stderr]).toEqual([
        1,
        expect.stringContaining('in use by the container web'),
      ]);
      expect((await host.store.cli('rm', ['web'])).stderr).toContain('is running');
      await host.store.cliOk('rename', ['web', 'other']);
      await host.store.cliOk('rename', [id.slice(0, 12), 'web']);
    });

    it('ends it by its stop signal, tells how it ended, and starts it again', async () => {
      const waiting = host.start('wait', ['web']);
      const following = host.start('logs', ['-f', 'web']);
      await host.store.cliOk('stop', ['web']);
      expect((await waiting.ended).stdout).toBe('3\n');
      expect((await following.ended).stdout).toBe('one\nbye\n');
      expect((await host.inspect('web')).State).toMatchObject({ Status: 'exited', ExitCode: 3, Pid: 0 });
      expect(containerCgroups([id])).toEqual([]);
      await host.store.cliOk('start', ['web']);
      await until(async () => (await host.store.cliOk('logs', ['web'])) === 'one\nbye\none\n');
      await host.store.cliOk('kill', ['--signal', 'TERM', 'web']);
      expect(await host.store.cliOk('wait', ['web'])).toBe('3\n');
    });

    it('kills what does not listen', async () => {
      await host.store.cliOk('run', [
        '-d',
        '--network',
        'none',
        '--name',
        'deaf',
        BASE,
        'sh',
        '-c',
        'trap "" TERM; sleep 60',
      ]);
      await host.store.cliOk('stop', ['-t', '1', 'deaf']);
      expect((await host.inspect('deaf')).State).toMatchObject({
        Status: 'exited',
        ExitCode: 137,
        OOMKilled: false,
      });
    });

    it('prunes those that ended only where it is told so', async () => {
      await host.store.cliOk('prune', ['--force']);
      expect(host.containers()).toHaveLength(2);
      expect(await host.store.fsck()).toEqual([]);
      const out = await host.store.cliOk('prune', ['--force', '--containers']);
      expect(out).toContain('Removed 2 containers\n');
      expect(await host.leftovers()).toEqual([]);
    });
  });

  it('shows containers of before a reboot as exited, and removes those that were to be removed', async () => {
    const start = async (...args: string[]): Promise<string> =>
      (await host.store.cliOk('run', ['-d', '--network', 'none', ...args, BASE, 'sleep', '60'])).trim();
    const [kept, removed] = [await start('--name', 'kept'), await start('--rm')];
    for (const id of [kept, removed]) {
      const { Pid, ConmonPid } = (await host.inspect(id)).State;
      // As a power cut does it: nobody writes how it ended.
      process.kill(ConmonPid, 'SIGKILL');
      process.kill(Pid, 'SIGKILL');
      const file = path.join(host.store.path, 'containers', id, 'start.json');
      const record = JSON.parse(readFileSync(file, 'utf8')) as { process: { bootId: string } };
      record.process.bootId = 'another-boot';
      writeFileSync(file, JSON.stringify(record));
    }
    expect((await host.inspect('kept')).State).toMatchObject({
      Status: 'exited',
      Running: false,
      ExitCode: -1,
    });
    expect(await host.runOk([BASE, 'echo', 'hi'])).toBe('hi');
    expect(host.containers()).toEqual([kept]);
    await host.store.cliOk('start', ['kept']);
    expect((await host.inspect('kept')).State.Running).toBe(true);
    await host.store.cliOk('rm', ['-f', 'kept']);
    expect(containerCgroups([kept, removed])).toEqual([]);
  });

  it('connects containers with each other and with the host, and takes all of that away', async () => {
    // A network namespace plays the host: the machine's own interfaces and rules are not touched.
    const script = `
      ib() { verb=$1; shift; "$imgboot" $verb --store "$store" "$@"; }
      ip link set lo up
      ib 'network create' net1 > /dev/null
      page='mkdir /www; echo served > /www/index.html; httpd -f -p 80 -h /www'
      ib run -d --name srv --network net1 -p 127.0.0.1:8080:80 ${BASE} sh -c "$page" > /dev/null
      fetch='until wget -qO- http://srv/; do sleep 0.1; done; ip -4 -o addr show eth0 | wc -l'
      ib run --rm --network net1 ${BASE} timeout 20 sh -c "$fetch"
      busybox wget -qO- http://127.0.0.1:8080/
      address=$(ib inspect srv | sed -n 's/.*"IPAddress": "\\(.*\\)".*/\\1/p')
      ib run --rm --network bridge ${BASE} sh -c 'cat /sys/class/net/eth0/operstate'
      ib run --rm --network net1 ${BASE} ping -c 1 -W 5 "$address" > /dev/null && echo reached
      ib rm -f srv > /dev/null
      ib 'network rm' net1 > /dev/null
      ip -o link | wc -l; iptables-save | grep -ciE 'netavark|cni|imgboot' || :`;
    const env = { imgboot: path.join(repository, 'bin/imgboot'), store: host.store.path };
    const { stdout } = await execa('unshare', ['--net', 'sh', '-euc', script], { env });
    // What the one serves is read by name and through the published port; after that, lo is the only interface.
    expect(stdout.split('\n')).toEqual(['served', '1', 'served', 'up', 'reached', '1', '0']);
    expect(await host.leftovers()).toEqual([]);
  });

  it('refuses what it cannot do, and says what can', async () => {
    const refused = async (...args: string[]): Promise<string> => {
      const { exitCode, stderr } = await host.run([...args, BASE, 'true']);
      expect(exitCode).toBe(125);
      return stderr;
    };
    expect(await refused('--restart', 'always')).toContain('imgboot has no daemon');
    expect(await refused('--name', '../x')).toContain('not a name');
    expect(await refused('-v', '/no/such:/x')).toContain('/no/such');
    expect(await refused('-v', 'rel/../..:x')).toContain('not a volume');
    expect(await refused('--cap-add', 'nosuch')).toContain('no capability');
    expect(await refused('--userns', 'nosuch')).toContain('not a user namespace');
    expect(await refused('--network', 'none', '--network', 'x')).toContain('goes with no other');
    expect(await host.leftovers()).toEqual([]);
  });
});
